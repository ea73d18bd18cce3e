# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the objects by which a store is probed, and which of them an earlier check has left."""

from __future__ import annotations

from datetime import datetime, timedelta

# Beside the collections' folders; the catalogue leaves it out.
PROBES_FOLDER = ".probe"
# No check takes that long, so that what is older belongs to none that is running.
GRACE = timedelta(hours=1)


def is_to_remove(key: str, token: str, written: datetime, now: datetime) -> bool:
    """Whether the check ``token`` removes a probe: its own, and what is older than ``GRACE``.

    ``key`` is relative to ``PROBES_FOLDER``; ``written`` and ``now`` are the store's times.
    """
    return key.startswith(f"{token}/") or now - written > GRACE
