# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a retention policy keeps, and why. What no rule keeps may go.

A rule only ever asks which backups are the newest: of all, of a span of time, or of a period of the UTC calendar. So
to leave out some backups never takes away what keeps another one: a listing that lacks entries, or a run that has
pruned half of what it may, only makes the next decision keep more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone

from ..errors import InvalidInput

# A clock that far ahead is an accident; a backup dated later than that is not let into any count.
CLOCK_TOLERANCE = timedelta(hours=1)

_WAL = "keep_wal_within"

PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda moment: (moment.year, moment.month, moment.day, moment.hour),
    "daily": lambda moment: (moment.year, moment.month, moment.day),
    # ISO 8601: weeks begin on Monday and belong to the year that has their Thursday.
    "weekly": lambda moment: moment.isocalendar()[:2],
    "monthly": lambda moment: (moment.year, moment.month),
    "yearly": lambda moment: (moment.year,),
}


@dataclass(frozen=True)
class RetentionPolicy:
    """Rules that add up: a backup goes if none of them keeps it. 0 and None are rules that keep nothing.

    ``keep_last``: the newest so many. ``keep_within``: seconds; all that are younger, and the newest that is older, so
    that there is a backup for every moment of the span. ``keep_hourly`` to ``keep_yearly``: the newest of each of the
    last so many hours, days, ISO weeks, months or years (UTC) that have a backup. ``min_redundancy``: so many of the
    newest stay, whatever else is asked for. ``keep_wal_within``: seconds; it is no rule for backups: of the archived
    log, what moments of this span need stays; None for all that the kept backups need.

    Raises InvalidInput for negative numbers, for no rule at all, and for a floor below 1.
    """

    keep_last: int = 0
    keep_within: float | None = None
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    min_redundancy: int = 1
    keep_wal_within: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            if (getattr(self, each.name) or 0) < 0:
                raise InvalidInput(f"{each.name} is {getattr(self, each.name):g}.", "Give 0 or more.")
        if self.min_redundancy < 1:
            raise InvalidInput("min_redundancy is 0, and so might remove every backup.", "Give 1 or more.")
        rules = [each.name for each in fields(self) if each.name.startswith("keep_") and each.name != _WAL]
        if not any(getattr(self, name) for name in rules):
            raise InvalidInput("No rule says what to keep.", f"Give at least one of {', '.join(rules)}.")


def reasons_to_keep(backups: Mapping[str, datetime], policy: RetentionPolicy, now: datetime) -> dict[str, list[str]]:
    """For each backup the reasons why it stays, in words; those with an empty list may go.

    Args:
        backups: id -> the time it was begun (aware).
        policy: the rules.
        now: the time of asking (aware).
    """
    reasons: dict[str, list[str]] = {backup_id: [] for backup_id in backups}
    known = {}
    for backup_id, moment in backups.items():
        if moment > now + CLOCK_TOLERANCE:
            reasons[backup_id].append("dated in the future")
        else:
            known[backup_id] = moment.astimezone(timezone.utc)
    newest_first = sorted(known, key=lambda backup_id: (known[backup_id], backup_id), reverse=True)
    _keep_last(newest_first, policy, reasons)
    if policy.keep_within:
        _keep_within(newest_first, known, now - timedelta(seconds=policy.keep_within), reasons)
    for name, period_of in PERIODS.items():
        _keep_periods(newest_first, known, name, getattr(policy, f"keep_{name}"), period_of, reasons)
    return reasons


def _keep_last(newest_first: list[str], policy: RetentionPolicy, reasons: dict[str, list[str]]) -> None:
    for number, backup_id in enumerate(newest_first, start=1):
        if number <= policy.keep_last:
            reasons[backup_id].append(f"keep_last: {number} of {policy.keep_last}")
        elif number <= policy.min_redundancy:
            reasons[backup_id].append(f"min_redundancy: {number} of {policy.min_redundancy}")


def _keep_within(
    newest_first: list[str], known: Mapping[str, datetime], since: datetime, reasons: dict[str, list[str]]
) -> None:
    for backup_id in newest_first:
        if known[backup_id] < since:
            reasons[backup_id].append("keep_within: the newest before the span, for its beginning")
            return
        reasons[backup_id].append("keep_within")


def _keep_periods(
    newest_first: list[str],
    known: Mapping[str, datetime],
    name: str,
    count: int,
    period_of: Callable[[datetime], tuple[int, ...]],
    reasons: dict[str, list[str]],
) -> None:
    seen: set[tuple[int, ...]] = set()
    for backup_id in newest_first:
        if len(seen) == count:
            return
        period = period_of(known[backup_id])
        if period not in seen:
            seen.add(period)
            reasons[backup_id].append(f"keep_{name}: {len(seen)} of {count}")
