# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of a replica's archived log a moment stands for, and how well that is known.

An entry was written between two readings of its archiver's clock (``after``, ``before``). A time stands for the last
entry before the first one whose ``before`` is later: so nothing that was written after it is ever taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .times import exact
from .wal_chunk_header import ChunkHeader, Poll
from .wal_layout import ReplicaLog
from .wal_positions import Position

Bounds = tuple[datetime, datetime]


@dataclass(frozen=True)
class Cut:
    """Where a log is cut.

    ``last``: index of the last entry taken. ``written``: between which times it was written, None where only the base
    has it. ``following``: the same of the entry after it, None where none is archived. ``ambiguous``: whether the
    clock stood at or before the time once more, later on in the log.
    """

    last: int
    written: Bounds | None = None
    following: Bounds | None = None
    ambiguous: bool = False


@dataclass(frozen=True)
class Outside:
    """The log does not have the moment. ``ended``: because it ends before, whatever base it goes on from."""

    reason: str
    ended: bool = False


@dataclass(frozen=True)
class Extent:
    """One timeline, by its ends: when it was begun (aware), its first and its last entry, None where it has none."""

    log: ReplicaLog
    started: datetime
    first: int | None
    last: int | None


@dataclass(frozen=True)
class BaseEnd:
    """Where a base ends in the log of one replica: with the entry ``last``.

    ``has_log``: whether the base keeps any entry of the log itself. ``begun``, ``finished`` (aware): when its snapshot
    was.
    """

    last: int
    has_log: bool
    begun: datetime
    finished: datetime

    def timeline(self, extents: Iterable[Extent]) -> Extent | None:
        """The one of a replica's timelines that this base goes on in.

        By its time it is the one that was being followed when the snapshot was taken. That one or a later one can show,
        by the entry that both have, that it is the base's; else it must have been followed before the snapshot.
        """
        ordered = sorted(extents, key=lambda each: each.started)
        followed = [each for each in ordered if each.started <= self.finished][-1:]
        later = [each for each in ordered if each.started > self.finished]
        for each in [*followed, *later]:
            if each.first is not None and self._reached_by(each) and self.may_begin(each) >= each.first:
                return each
        # Followed, and nothing has come since; or what came is not in the archive.
        return next((each for each in followed if each.started <= self.begun and not self._reached_by(each)), None)

    def may_begin(self, extent: Extent) -> int:
        """The highest index that what is read of a timeline may begin with, to show that it goes on from this base."""
        return self.last + 1 if extent.started <= self.begun else self.last if self.has_log else -1

    def _reached_by(self, extent: Extent) -> bool:
        return extent.last is not None and extent.last >= self.last


class ArchivedLog:
    """What a base and the chunks of its timeline have of one shard.

    ``base_last``: index of the last entry that the base has. ``since``: from when on times can be told apart.
    ``until``: up to when it is known what the log had, None where that is not known. ``last``: the last entry there is.
    """

    def __init__(
        self, headers: Sequence[ChunkHeader], base_last: int, base_time: datetime, position: Position | None
    ) -> None:
        """``headers``: in order, contiguous; those before the base's last entry are passed over. ``base_time``: when
        the base's snapshot was finished. ``position``: what the archiver last said of this timeline."""
        self.base_last = base_last
        self.since = base_time
        self._polls: list[Poll] = []
        for poll in (poll for header in headers for poll in header.polls):
            if poll.last > base_last:
                self._polls.append(poll)
            elif poll.last == base_last:
                self.since = poll.before
        if self._polls and self._first_holds_base(headers):
            self.since = self._polls[0].before
        self.last = self._polls[-1].last if self._polls else base_last
        self.until = known_until(self._polls[-1] if self._polls else None, self.last, position)

    def latest(self) -> Cut:
        """All that there is."""
        return self._cut(len(self._polls))

    def at_index(self, index: int) -> Cut | Outside:
        """The log up to the entry ``index`` (inclusive)."""
        if index < self.base_last:
            return Outside(f"the base has its entries up to {self.base_last}, and so more than up to {index}")
        if index > self.last:
            return Outside(f"its archived log ends with entry {self.last}, before {index}", ended=True)
        bounds = [(poll.after, poll.before) for poll in self._polls if poll.last >= index]
        following = [(poll.after, poll.before) for poll in self._polls if poll.last > index]
        written = bounds[0] if index > self.base_last else None
        return Cut(index, written, following[0] if following else None)

    def at_time(self, time: datetime) -> Cut | Outside:
        """The log as it was at ``time`` (aware), without any entry that may have been written after it."""
        if time < self.since:
            return Outside(f"the base may have what was written until {exact(self.since)}")
        taken = next((place for place, poll in enumerate(self._polls) if poll.before > time), len(self._polls))
        if taken == len(self._polls) and (self.until is None or self.until < time):
            if self.until is None:
                return Outside("its log was not archived after the base")
            return Outside(f"it is known up to {exact(self.until)} only", ended=True)
        ambiguous = any(poll.before <= time for poll in self._polls[taken:])
        cut = self._cut(taken)
        return Cut(cut.last, cut.written, cut.following, ambiguous)

    def _cut(self, taken: int) -> Cut:
        """After the first ``taken`` polls."""
        bounds = [(poll.after, poll.before) for poll in self._polls[max(0, taken - 1) : taken + 1]]
        written = bounds.pop(0) if taken else None
        last = self._polls[taken - 1].last if taken else self.base_last
        return Cut(last, written, bounds[0] if bounds else None)

    def _first_holds_base(self, headers: Sequence[ChunkHeader]) -> bool:
        """Whether the base's last entry came with the first poll that has newer ones."""
        first = self._polls[0]
        before = [poll.last for header in headers for poll in header.polls if poll.last < first.last]
        start = max(before) + 1 if before else min(header.first for header in headers)
        return start <= self.base_last


def latest_seen(positions: Iterable[Position | None]) -> Position | None:
    """Of what is known of one timeline, what was seen last; None where nothing was."""
    known = [(each.checked_at, each) for each in positions if each is not None and each.checked_at is not None]
    return max(known, key=lambda each: each[0])[1] if known else None


def known_until(newest: Poll | None, last: int, position: Position | None) -> datetime | None:
    """Up to when (aware) it is known what a log had whose archive ends with the entry ``last``; None if it is not.

    ``newest``: the last poll that had entries. ``position``: what the archiver last said of this timeline.
    """
    until = newest.before if newest is not None else None
    if position is not None and position.checked_at is not None and position.last in (None, last):
        return max(position.checked_at, until or position.checked_at)
    return until
