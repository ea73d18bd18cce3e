# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of this host, and as it is written."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """The clock of this host."""
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    """A UTC time as manifests write it."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
