# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of what is made now: backups, timelines, drills."""

from __future__ import annotations

import secrets
from datetime import datetime

from ..formats import layout

# Parts of a second that ids tell apart, so that the newer one of two in one second sorts behind the other.
_PARTS = 256


def fresh_id(now: datetime) -> str:
    """An id as ``layout.new_backup_id`` makes it that sorts by time to 4 ms and is random beyond; ``now``: aware."""
    part = now.microsecond * _PARTS // 1_000_000
    return layout.new_backup_id(now, f"{part:02x}{secrets.token_hex(2)}")
