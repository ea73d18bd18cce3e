# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entry a moment stands for: compared with a reference that looks at every entry by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.moments import (
    ArchivedLog,
    BaseEnd,
    Cut,
    Extent,
    Outside,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader, Poll
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_positions import Position
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_summary import Summary

LOG = ReplicaLog("docs", 0, "1", "20261122T020000Z-a1b2c3")
START = datetime(2026, 11, 22, 2, 0, tzinfo=timezone.utc)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def chunk(first: int, *polls: tuple[int, float, float]) -> ChunkHeader:
    """A chunk that begins with the entry ``first``; a poll is (last entry, after, before) in seconds."""
    found = tuple(Poll(last, at(after), at(before)) for last, after, before in polls)
    return ChunkHeader(
        "production", LOG, first, found[-1].last, None, 0, ((first, 0),), found, Summary(), 0, "0" * 64, 0, "0" * 64
    )


def position(last: int | None, checked: float | None) -> Position:
    return Position(LOG.timeline, last, None, None if checked is None else at(checked), 0)


# -- the reference


@dataclass
class Made:
    """A log of which all is known: each archived entry with its bounds (seconds), in order."""

    headers: list[ChunkHeader]
    entries: dict[int, tuple[float, float]]
    base_last: int
    base_time: float
    told: Position | None

    @property
    def log(self) -> ArchivedLog:
        return ArchivedLog(self.headers, self.base_last, at(self.base_time), self.told)

    @property
    def later(self) -> list[int]:
        return [index for index in self.entries if index > self.base_last]

    @property
    def since(self) -> float:
        """All that the base has was written by then, and what was not can be told from it."""
        return self.entries[self.base_last][1] if self.base_last in self.entries else self.base_time

    @property
    def until(self) -> float | None:
        last = max(self.later, default=self.base_last)
        known = [self.entries[last][1]] if self.later else []
        told = self.told
        if told is not None and told.checked_at is not None and told.last in (None, last):
            known.append((told.checked_at - START).total_seconds())
        return max(known, default=None)

    def expected(self, time: float) -> Cut | None:
        if time < self.since:
            return None
        taken = []
        for index in self.later:
            if self.entries[index][1] > time:
                break
            taken.append(index)
        left = self.later[len(taken) :]
        if not left and (self.until is None or self.until < time):
            return None
        ambiguous = any(self.entries[index][1] <= time for index in left)
        return self.cut(taken[-1] if taken else self.base_last, ambiguous)

    def cut(self, last: int, ambiguous: bool = False) -> Cut:
        def bounds(index: int) -> tuple[datetime, datetime]:
            return at(self.entries[index][0]), at(self.entries[index][1])

        written = bounds(last) if last > self.base_last else None
        return Cut(last, written, bounds(last + 1) if last + 1 in self.later else None, ambiguous)


@st.composite
def made_logs(draw: st.DrawFn) -> Made:
    """Chunks of some polls, a base anywhere, clocks that may step back, and what an archiver says, or not."""
    first = draw(st.integers(0, 5))
    index, clock = first, 10.0
    headers: list[ChunkHeader] = []
    entries: dict[int, tuple[float, float]] = {}
    for sizes in draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=4)):
        polls = []
        start = index
        for size in sizes:
            after = clock
            clock += draw(st.sampled_from([1, 1, 1, 2, -3]))
            index += size
            polls.append((index - 1, after, clock))
            entries |= dict.fromkeys(range(index - size, index), (after, clock))
        headers.append(chunk(start, *polls))
    base_last = draw(st.integers(max(0, first - 1), index + 1)) if headers else draw(st.integers(0, 9))
    told = draw(
        st.one_of(
            st.none(),
            st.builds(
                position,
                st.sampled_from([None, base_last, index - 1, index]),
                st.one_of(st.none(), st.integers(5, 40)),
            ),
        )
    )
    return Made(headers, entries, base_last, draw(st.integers(5, 40)), told)


@settings(max_examples=500)
@given(made_logs(), st.integers(10, 90))
def test_a_time_stands_for_what_a_look_at_every_entry_gives(made: Made, half_seconds: int) -> None:
    time = half_seconds / 2
    found, expected = made.log.at_time(at(time)), made.expected(time)
    assert (found if isinstance(found, Cut) else None) == expected


@settings(max_examples=300)
@given(made_logs(), st.integers(0, 40))
def test_an_index_stands_for_itself_wherever_the_log_has_it(made: Made, index: int) -> None:
    last = max(made.later, default=made.base_last)
    found = made.log.at_index(index)
    if made.base_last <= index <= last:
        assert found == made.cut(index)
    else:
        assert isinstance(found, Outside)
    assert made.log.latest() == made.cut(last)


@settings(max_examples=300)
@given(made_logs(), st.integers(10, 90))
def test_nothing_that_was_written_after_a_time_is_taken_and_nothing_is_left_out_in_the_middle(
    made: Made, half_seconds: int
) -> None:
    found = made.log.at_time(at(half_seconds / 2))
    if isinstance(found, Outside):
        return
    assert all(made.entries[index][1] <= half_seconds / 2 for index in made.later if index <= found.last)
    assert made.base_last <= found.last <= max(made.later, default=made.base_last)


# -- by example

# The base ends with entry 4, in the middle of the first poll; its snapshot was finished in second 11.5.
HEADERS = [chunk(3, (6, 10, 12), (8, 12, 13)), chunk(9, (9, 15, 16))]


def log_of(headers: Sequence[ChunkHeader], base_last: int = 4, told: Position | None = None) -> ArchivedLog:
    return ArchivedLog(headers, base_last, at(11.5), told)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (12, Cut(6, (at(10), at(12)), (at(12), at(13)))),
        (12.9, Cut(6, (at(10), at(12)), (at(12), at(13)))),
        (13, Cut(8, (at(12), at(13)), (at(15), at(16)))),
        (15.5, Cut(8, (at(12), at(13)), (at(15), at(16)))),
        (16, Cut(9, (at(15), at(16)), None)),
    ],
)
def test_a_time_takes_whole_polls(time: float, expected: Cut) -> None:
    assert log_of(HEADERS).at_time(at(time)) == expected


def refusal(found: Cut | Outside) -> str:
    assert isinstance(found, Outside)
    return found.reason


def test_a_time_before_the_base_can_be_told_from_what_follows_is_outside() -> None:
    assert refusal(log_of(HEADERS).at_time(at(11.9))) == (
        "the base may have what was written until 2026-11-22T02:00:12.000000Z"
    )
    # Where the archive begins right after the base, the end of its snapshot is all that is known.
    assert log_of([chunk(5, (6, 10, 12))]).since == at(11.5)
    # Where the base ends with a poll, that poll's end is, before or after the end of the snapshot.
    assert log_of([chunk(3, (4, 9, 10), (6, 10, 12))]).since == at(10)
    assert log_of([chunk(3, (4, 9, 14))]).since == at(14)


def test_a_time_after_the_last_look_at_the_log_is_outside() -> None:
    assert refusal(log_of(HEADERS).at_time(at(16.1))) == "it is known up to 2026-11-22T02:00:16.000000Z only"
    assert refusal(log_of([]).at_time(at(12))) == "its log was not archived after the base"


def test_an_idle_log_is_known_up_to_when_the_archiver_last_looked() -> None:
    assert log_of(HEADERS, told=position(9, 30)).at_time(at(30)) == Cut(9, (at(15), at(16)), None)
    assert log_of([], told=position(4, 30)).at_time(at(30)) == Cut(4)
    assert log_of([], told=position(None, 30)).at_time(at(30)) == Cut(4)
    assert refusal(log_of([], told=position(4, 30)).at_time(at(31))).startswith("it is known up to")


@pytest.mark.parametrize("last", [8, 10])
def test_what_the_archiver_says_of_another_end_of_the_log_does_not_count(last: int) -> None:
    assert log_of(HEADERS, told=position(last, 30)).until == at(16)
    assert log_of([], told=position(last, 30)).until is None
    assert log_of(HEADERS, told=position(9, None)).until == at(16)


def test_an_index_outside_is_refused_with_what_there_is() -> None:
    log = log_of(HEADERS)
    assert refusal(log.at_index(3)) == "the base has its entries up to 4, and so more than up to 3"
    assert refusal(log.at_index(10)) == "its archived log ends with entry 9, before 10"
    assert log.at_index(4) == Cut(4, None, (at(10), at(12)))
    assert log.at_index(5) == Cut(5, (at(10), at(12)), (at(10), at(12)))
    assert log.at_index(9) == log.latest() == Cut(9, (at(15), at(16)), None)


def test_a_clock_that_stepped_back_takes_what_is_surely_older_and_says_so() -> None:
    log = log_of([chunk(5, (5, 11, 12), (6, 12, 20), (7, 20, 13), (8, 13, 21))])
    assert log.at_time(at(13)) == Cut(5, (at(11), at(12)), (at(12), at(20)), ambiguous=True)
    assert log.at_time(at(20)) == Cut(7, (at(20), at(13)), (at(13), at(21)))


# -- which timeline a base goes on in


def extent(name: str, started: float, first: int | None, last: int | None) -> Extent:
    return Extent(ReplicaLog("docs", 0, "1", name), at(started), first, last)


# A base whose snapshot was taken from second 10 to second 20, and that has the entries up to 100.
@pytest.mark.parametrize(
    ("has_log", "extents", "chosen"),
    [
        (True, [extent("a", 0, 50, 150)], "a"),
        (True, [extent("a", 0, 50, 100)], "a"),
        # Followed since before the snapshot: an entry that both have is not needed.
        (False, [extent("a", 0, 101, 150)], "a"),
        (True, [extent("a", 0, 50, 99)], "a"),
        (True, [extent("a", 0, None, None)], "a"),
        # Begun later: only the base's last entry shows that it is the same log.
        (True, [extent("a", 15, 100, 150)], "a"),
        (True, [extent("a", 30, 100, 150)], "a"),
        (True, [extent("a", 30, 101, 150)], None),
        (False, [extent("a", 15, 100, 150)], None),
        (True, [extent("a", 15, None, None)], None),
        # Of those that were begun before, the last one was followed.
        (True, [extent("a", 0, 0, 150), extent("b", 5, 0, 150)], "b"),
        (True, [extent("a", 0, 0, 150), extent("b", 5, 0, 99)], "b"),
        (True, [extent("a", 0, 0, 99), extent("b", 30, 50, 150)], "b"),
        (True, [extent("a", 0, 0, 99), extent("b", 30, 110, 150)], "a"),
        (True, [extent("a", 0, 0, 99), extent("b", 30, 100, 150), extent("c", 40, 0, 150)], "b"),
        (True, [extent("a", 0, 110, 150)], None),
        (True, [], None),
    ],
)
def test_the_timeline_of_a_base(has_log: bool, extents: list[Extent], chosen: str | None) -> None:
    base = BaseEnd(100, has_log, at(10), at(20))
    for given_order in (extents, extents[::-1]):
        found = base.timeline(given_order)
        assert (found.log.timeline if found is not None else None) == chosen
