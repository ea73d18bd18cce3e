# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry of a replica's archived log a moment stands for, and how well that is known.

An entry was written between two readings of its archiver's clock (``after``, ``before``). A time stands for the last
entry before the first one whose ``before`` is later: so nothing that was written after it is ever taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .times import exact
from .wal_chunk_header import ChunkHeader, Poll
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
    """The log does not have the moment."""

    reason: str


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
        self.until = self._known_until(position)

    def latest(self) -> Cut:
        """All that there is."""
        return self._cut(len(self._polls))

    def at_index(self, index: int) -> Cut | Outside:
        """The log up to the entry ``index`` (inclusive)."""
        if index < self.base_last:
            return Outside(f"the base has its entries up to {self.base_last}, and so more than up to {index}")
        if index > self.last:
            return Outside(f"its archived log ends with entry {self.last}, before {index}")
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
            known = "its log was not archived after the base" if self.until is None else f"up to {exact(self.until)}"
            return Outside(f"it is known {known} only" if self.until else known)
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

    def _known_until(self, position: Position | None) -> datetime | None:
        until = self._polls[-1].before if self._polls else None
        if position is not None and position.checked_at is not None and position.last in (None, self.last):
            return max(position.checked_at, until or position.checked_at)
        return until
