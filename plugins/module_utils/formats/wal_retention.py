# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the archived log of one replica the kept backups need. What nobody needs may go.

A base that goes on in a timeline needs its entries from S on. Where it is not certain on which timeline a base lies, it
counts for all that come into question: names and times only ever make a decision keep more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .retention import CLOCK_TOLERANCE

_ALWAYS = datetime.max.replace(tzinfo=timezone.utc)
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class BaseLog:
    """What a backup has of one replica: the entries ``first`` (S) to ``last`` (L), of a snapshot taken between two
    times (aware)."""

    first: int
    last: int
    begun: datetime
    finished: datetime


@dataclass(frozen=True)
class TimelineSpan:
    """A timeline by its name: followed since ``started`` (aware).

    ``first`` and ``last``: the lowest and the highest index in it, None where it has no chunks. ``stored`` (aware):
    when its newest object was stored.
    """

    timeline: str
    started: datetime
    first: int | None
    last: int | None
    stored: datetime


@dataclass(frozen=True)
class Spared:
    """What goes of a timeline: chunks that end before the index ``needed_from`` (None: no entry is needed) and were
    stored before ``stored_before``; but never the newest one, unless the timeline goes ``whole``."""

    timeline: str
    needed_from: int | None
    stored_before: datetime
    whole: bool = False

    def may_go(self, last: int, stored: datetime) -> bool:
        """Whether a chunk may go that ends with the index ``last`` and was stored then (aware)."""
        return (self.needed_from is None or last < self.needed_from) and stored < self.stored_before


def needed_bases(finished: Sequence[datetime], now: datetime, keep_wal_within: float | None) -> datetime:
    """From which backup on the log is needed, by the time that it was finished (aware); there is at least one.

    ``keep_wal_within``: seconds; every moment of that span stays restorable, which takes the newest backup that was
    finished before it. Without it, as in a span that no backup is older than, the oldest one counts.
    """
    if keep_wal_within is None:
        return min(finished)
    since = now - timedelta(seconds=keep_wal_within)
    return max((moment for moment in finished if moment <= since), default=min(finished))


def needed_from(timelines: Sequence[TimelineSpan], bases: Sequence[BaseLog]) -> list[int | None]:
    """From which index on these bases need each timeline of their replica (oldest first); None for not at all."""
    found: list[int | None] = []
    for number, span in enumerate(timelines):
        following = timelines[number + 1] if number + 1 < len(timelines) else None
        found.append(min((base.first for base in bases if _may_lie_on(base, span, following)), default=None))
    return found


def spare(
    timelines: Sequence[TimelineSpan], bases: Sequence[BaseLog], oldest: datetime, now: datetime, grace: float
) -> list[Spared]:
    """What stays of the timelines of one replica, in their order.

    Args:
        timelines: all there are, oldest first.
        bases: those of this replica that are needed.
        oldest: when the oldest backup that is needed was begun (aware), of this replica or of another one.
        now: the time of asking (aware).
        grace: seconds for which what no base needs is left alone after it was stored.
    """
    quiet = now - timedelta(seconds=grace)
    found = []
    for span, index in zip(timelines, needed_from(timelines, bases), strict=True):
        if index is not None:
            found.append(Spared(span.timeline, index, _ALWAYS))
        elif span is timelines[-1]:
            # The archiver goes on here, and the next base may lie on it: that has all that was stored before it.
            found.append(Spared(span.timeline, None, min(quiet, oldest - CLOCK_TOLERANCE)))
        else:
            is_over = span.stored < quiet
            found.append(Spared(span.timeline, None, _ALWAYS if is_over else _NEVER, whole=is_over))
    return found


def _may_lie_on(base: BaseLog, span: TimelineSpan, following: TimelineSpan | None) -> bool:
    """Whether a base may go on in this timeline, by the times, and by the indexes where it was begun afterwards."""
    if following is not None and following.started + CLOCK_TOLERANCE < base.begun:
        return False
    if span.started <= base.finished + CLOCK_TOLERANCE:
        return True
    return span.first is not None and span.last is not None and span.first - 1 <= base.last <= span.last
