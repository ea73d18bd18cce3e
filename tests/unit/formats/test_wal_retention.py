# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of an archived log just that goes which no needed backup can be continued with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_retention import (
    BaseLog,
    Spared,
    TimelineSpan,
    needed_bases,
    spare,
)

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
GRACE = 24 * 3600.0
NOW = START + 1000 * HOUR


def at(hours: float) -> datetime:
    return START + hours * HOUR


@dataclass(frozen=True)
class Chunk:
    """Entries ``first`` to ``last``, stored as soon as they were written."""

    first: int
    last: int
    stored: datetime


@dataclass(frozen=True)
class Life:
    """A timeline with its chunks: one an hour, from ``start`` (hours) on."""

    start: int
    chunks: tuple[Chunk, ...]

    @property
    def span(self) -> TimelineSpan:
        stored = self.chunks[-1].stored if self.chunks else at(self.start)
        first, last = (self.chunks[0].first, self.chunks[-1].last) if self.chunks else (None, None)
        return TimelineSpan(f"t{self.start}", at(self.start), first, last, stored)


def life(start: int, first: int, count: int, size: int = 10) -> Life:
    starts = range(first, first + count * size, size)
    return Life(start, tuple(Chunk(low, low + size - 1, at(start + hour)) for hour, low in enumerate(starts)))


def base(hours: float, first: int, last: int) -> BaseLog:
    return BaseLog(first, last, at(hours), at(hours + 0.1))


def gone(lives: Sequence[Life], bases: Sequence[BaseLog], oldest: datetime, now: datetime = NOW) -> set[Chunk | str]:
    """The chunks that may go, and the names of the timelines that go whole."""
    found: set[Chunk | str] = set()
    for each, spared in zip(lives, spare([each.span for each in lives], bases, oldest, now, GRACE), strict=True):
        inner = each.chunks if spared.whole else each.chunks[:-1]
        found |= {chunk for chunk in inner if spared.may_go(chunk.last, chunk.stored)}
        found |= {spared.timeline} if spared.whole else set()
    return found


@st.composite
def archives(draw: st.DrawFn) -> tuple[list[Life], list[BaseLog]]:
    """Timelines one after another, and bases of the log that was followed when they were taken."""
    lives: list[Life] = []
    bases: list[BaseLog] = []
    hour, index = draw(st.integers(0, 5)), draw(st.integers(0, 50))
    for _life in range(draw(st.integers(1, 4))):
        each = life(hour, index, draw(st.integers(0, 12)), draw(st.integers(1, 10)))
        lives.append(each)
        for chunk in draw(st.lists(st.sampled_from(each.chunks), max_size=3)) if each.chunks else []:
            last = draw(st.integers(chunk.first - 1, chunk.last))
            taken = (chunk.stored - START) / HOUR
            bases.append(base(taken, max(0, last - draw(st.integers(0, 15))), last))
        hour += len(each.chunks) + draw(st.integers(1, 80))
        index = draw(st.sampled_from([0, index, (each.chunks[-1].last if each.chunks else index) + 5]))
    return lives, sorted(bases, key=lambda each: each.begun)


def used(lives: Sequence[Life], needed: BaseLog) -> set[Chunk]:
    """All chunks that a restore from this base may read: it takes the timeline that was followed when the snapshot was
    finished, or a later one that has the base's last entry."""
    followed = [each for each in lives if at(each.start) <= needed.finished][-1:]
    later = [each for each in lives if at(each.start) > needed.finished]
    shared = [each for each in later if each.chunks and each.chunks[0].first <= needed.last <= each.chunks[-1].last]
    return {chunk for each in followed + shared for chunk in each.chunks if chunk.last >= needed.first}


@settings(max_examples=500)
@given(archives(), st.integers(0, 300), st.none() | st.integers(0, 300))
def test_what_a_needed_backup_can_be_restored_with_stays(
    archive: tuple[list[Life], list[BaseLog]], later: int, within: int | None
) -> None:
    lives, bases = archive
    if not bases:
        return
    now = max(each.span.stored for each in lives) + later * HOUR
    span = None if within is None else within * 3600.0
    begin = needed_bases([each.finished for each in bases], now, span)
    needed = [each for each in bases if each.finished >= begin]
    going = gone(lives, needed, min(each.begun for each in needed), now)
    for each in needed:
        assert not used(lives, each) & going
    if span is not None:
        wanted = [each for each in bases if each.finished <= now - timedelta(seconds=span)][-1:]
        assert set(wanted) <= set(needed), "the base for the first moment of the span"
    assert lives[-1].span.timeline not in going, "the archiver goes on in it"
    assert not lives[-1].chunks or lives[-1].chunks[-1] not in going, "by which the archiver knows its place"
    assert all(each in needed for each in bases) or span is not None


def test_what_lies_before_the_oldest_base_goes() -> None:
    log = life(0, 0, 10)
    assert gone([log], [base(4, 42, 45), base(7, 70, 75)], at(4)) == set(log.chunks[:4])


def test_of_a_span_just_the_base_before_it_counts() -> None:
    ends = [at(100), at(200), at(300)]
    assert needed_bases(ends, NOW, None) == ends[0]
    assert needed_bases(ends, at(310), 20 * 3600.0) == ends[1]
    assert needed_bases(ends, at(310), 10 * 3600.0) == ends[2]
    assert needed_bases(ends, at(310), 3600.0 * 10_000) == ends[0]


def test_a_timeline_that_no_base_lies_on_goes_whole_after_the_time_of_grace() -> None:
    old, new = life(0, 0, 5), life(50, 0, 5)
    kept = [base(53, 21, 25)]
    assert gone([old, new], kept, at(53)) == {*old.chunks, "t0", *new.chunks[:2]}
    assert gone([old, new], kept, at(53), now=old.span.stored + 23 * HOUR) == set(new.chunks[:2])


def test_an_empty_timeline_goes_like_one_with_chunks_and_never_the_newest() -> None:
    assert gone([life(0, 0, 0), life(50, 0, 0)], [base(60, 3, 5)], at(60)) == {"t0"}


def test_the_log_of_a_replica_that_no_base_was_taken_from_does_not_grow_for_ever() -> None:
    """The next base may be taken from it; it will have all that was stored before it, and so before the oldest one."""
    log = life(0, 0, 20)
    assert gone([log], [], at(10)) == set(log.chunks[:9]), "an hour before it, since clocks differ"
    assert gone([log], [], at(10), now=at(4) + 24 * HOUR) == set(log.chunks[:4])


@pytest.mark.parametrize(
    ("last", "needed_from"),
    [(99, 90), (98, None), (149, 90), (150, None)],
)
def test_a_log_that_was_followed_only_after_the_backup_serves_it_where_it_goes_on(
    last: int, needed_from: int | None
) -> None:
    (spared,) = spare([life(50, 100, 5).span], [base(40, 90, last)], at(40), NOW, GRACE)
    assert spared.needed_from == needed_from


def test_a_backup_that_the_archiver_had_not_reached_needs_what_comes() -> None:
    (spared,) = spare([life(0, 0, 5).span], [base(5, 45, 70)], at(5), NOW, GRACE)
    assert spared.needed_from == 45


def test_clocks_that_differ_by_less_than_an_hour_cost_nothing() -> None:
    old, new = life(0, 0, 5), life(10, 0, 5)
    spared = spare([old.span, new.span], [base(10.5, 30, 45)], at(10.5), NOW, GRACE)
    assert [each.needed_from for each in spared] == [30, 30]
    spared = spare([old.span, new.span], [base(9.2, 30, 45)], at(9.2), NOW, GRACE)
    assert [each.needed_from for each in spared] == [30, 30]
    assert spare([old.span, new.span], [base(11.5, 30, 45)], at(11.5), NOW, GRACE)[0].whole


def test_a_chunk_with_an_entry_that_is_needed_stays() -> None:
    spared = Spared("t", 50, NOW)
    assert [spared.may_go(last, at(0)) for last in (49, 50)] == [True, False]
