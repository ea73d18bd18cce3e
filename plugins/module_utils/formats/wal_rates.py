# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast logs grow: each day, and at its peak, which is a mean of five minutes so that no burst of seconds counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from .wal_chunk_header import ChunkHeader

WINDOW = timedelta(minutes=5)
# So many days are remembered.
DAYS = 14
_MINUTE = 60
_MINUTES = WINDOW // timedelta(minutes=1)
_DAY = timedelta(days=1)


class RateMeter:
    """Of one replica's log: ``days`` has the highest rate of each day (UTC), in bytes per second, ``written`` all bytes
    of each."""

    def __init__(self, days: Mapping[date, float] | None = None, written: Mapping[date, float] | None = None) -> None:
        self.days = dict(days or {})
        self.written = dict(written or {})
        # Bytes by the minute of the epoch, of the last window.
        self._minutes: dict[int, float] = {}

    def add(self, header: ChunkHeader) -> None:
        """Take the entries of a chunk, each chunk once; those that came at an unknown minute tell nothing of peaks."""
        first = header.first
        each = header.size / (header.last + 1 - header.first)
        for poll in header.polls:
            size, day = each * (poll.last + 1 - first), poll.before.date()
            self.written[day] = self.written.get(day, 0.0) + size
            if poll.before - poll.after <= WINDOW:
                self._count(poll.before, size)
            first = poll.last + 1

    def _count(self, moment: datetime, size: float) -> None:
        minute = int(moment.timestamp()) // _MINUTE
        recent = {each: size for each, size in self._minutes.items() if minute - _MINUTES < each <= minute}
        recent[minute] = recent.get(minute, 0.0) + size
        self._minutes = recent
        rate = sum(recent.values()) / WINDOW.total_seconds()
        self.days[moment.date()] = max(rate, self.days.get(moment.date(), 0.0))

    def forget(self, today: date) -> None:
        """Forget the days that are too long ago."""
        self.days, self.written = (
            {day: value for day, value in each.items() if today - day < timedelta(days=DAYS)}
            for each in (self.days, self.written)
        )


@dataclass(frozen=True)
class LogWrites:
    """What is written to one replica of each of these ``shards`` of a collection, together, in bytes per second.

    ``peak``: at most, as if all had their peaks at once; None where none is known. ``mean``: of the busiest whole day,
    ``day``; None where no day was seen from its begin to its end.
    """

    shards: int
    peak: float | None
    mean: float | None = None
    day: date | None = None


def log_writes(meters: Sequence[RateMeter], today: date) -> LogWrites:
    """Of the shards of one collection. The first day that was seen, and ``today``, are not whole."""
    peaks = [max(meter.days.values()) for meter in meters if meter.days]
    totals: dict[date, float] = {}
    for meter in meters:
        for day, size in meter.written.items():
            totals[day] = totals.get(day, 0.0) + size
    whole = {day: size for day, size in totals.items() if min(totals) < day < today}
    peak = sum(peaks) if peaks else None
    if not whole:
        return LogWrites(len(meters), peak)
    busiest = max(whole, key=lambda day: (whole[day], day))
    return LogWrites(len(meters), peak, whole[busiest] / _DAY.total_seconds(), busiest)


@dataclass(frozen=True)
class ClosedSegment:
    """A file of a log that is full: the index of its ``first`` entry, when it was last written (seconds), its bytes."""

    first: int
    written: float
    size: int


def segment_rate(segments: Sequence[ClosedSegment]) -> float | None:
    """The highest rate, in bytes per second, that closed files tell of; None where there are fewer than two.

    ``segments``: in the order of the log. Each but the first was filled since the one before it was.
    """
    rates = [_rate_until(segments[: stop + 1]) for stop in range(1, len(segments))]
    return max(rates, default=None)


def _rate_until(segments: Sequence[ClosedSegment]) -> float:
    """The rate at which the last file was filled, with as many before it as a window takes."""
    size, window = 0, WINDOW.total_seconds()
    for before, after in zip(reversed(segments[:-1]), reversed(segments[1:]), strict=True):
        size += after.size
        seconds = segments[-1].written - before.written
        if seconds >= window:
            return size / seconds
    return size / window
