# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to be drilled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from ..errors import InvalidInput


def due(last: Mapping[str, datetime | None], now: datetime, within: timedelta, every: timedelta) -> list[str]:
    """The collections that a run has to drill, so that each is drilled once ``within`` this time.

    That is the share of them that runs ``every`` so often must take: first what never was, then those whose last drill
    is the longest ago. And in any case what would be late at the next run. ``last``: the last drill of each, aware.
    """
    if not timedelta(0) < every <= within:
        raise InvalidInput(
            f"Drills every {every} do not reach everything within {within}.", "Drill at least once within that time."
        )
    oldest = sorted(last, key=lambda name: (last[name] is not None, last[name] or now, name))
    share = math.ceil(round(len(last) * (every / within), 6))
    return oldest[:share] + [name for name in oldest[share:] if _is_late(last[name], now + every, within)]


def coverage(last: Mapping[str, datetime | None], now: datetime, within: timedelta) -> dict[str, str | None]:
    """By collection the day (UTC) of its last drill, None for one that was not drilled ``within`` this time."""
    found = {}
    for name, drilled in sorted(last.items()):
        found[name] = _day(drilled) if drilled is not None and now - drilled <= within else None
    return found


def _day(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).date().isoformat()


def _is_late(last: datetime | None, now: datetime, within: timedelta) -> bool:
    return last is not None and now - last > within
