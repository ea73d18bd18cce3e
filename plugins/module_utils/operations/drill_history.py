# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was drilled lately, by the drills that are on record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..formats.drill_schedule import coverage
from ..stores.repository import Repository
from .drills import find_drills, last_drills, protected_collections

Json = dict[str, Any]


def coverage_of(regions: Sequence[Repository], now: datetime, days: int, drilled: Collection[str]) -> Json:
    """The ``coverage`` of a record; ``drilled``: the collections that are being drilled now."""
    names = protected_collections(regions)
    last = _recorded(regions, names) | dict.fromkeys(drilled, now)
    return {"protected": names, "drilled_within": coverage(last, now, timedelta(days=days)), "days": days}


def _recorded(regions: Sequence[Repository], collections: Collection[str]) -> dict[str, datetime | None]:
    return last_drills(find_drills(regions, limit=1).newest_first(), collections)
