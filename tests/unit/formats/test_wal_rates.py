# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a log grows at its peak, by what was archived, and by the files on the disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader, Poll
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_rates import (
    DAYS,
    ClosedSegment,
    LogWrites,
    RateMeter,
    log_writes,
    segment_rate,
)
from tests.made_wal import log_of, sealed

LOG = ReplicaLog("docs", 0, "1", "20261122T020000Z-a1b2c3")
HEADER = ChunkHeader.parse(sealed(log_of([1]), LOG))
START = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
MIB = 1024 * 1024


def chunk(at: float, size: int, *waits: float) -> ChunkHeader:
    """A chunk of so many bytes, one entry for each poll, which begin ``at`` and last so many seconds."""
    polls, moment = [], START + timedelta(seconds=at)
    for number, wait in enumerate(waits):
        polls.append(Poll(number, moment, moment + timedelta(seconds=wait)))
        moment = polls[-1].before
    return replace(HEADER, first=0, last=len(polls) - 1, polls=tuple(polls), size=size)


def rates(*chunks: ChunkHeader) -> dict[date, float]:
    meter = RateMeter()
    for each in chunks:
        meter.add(each)
    return meter.days


@given(st.integers(1, 10**9), st.integers(5, 30))
def test_steady_writes_have_the_rate_that_they_have(each: int, minutes: int) -> None:
    steady = [chunk(at, each, 1.0, 1.0, 1.0, 1.0, 1.0) for at in range(0, 60 * minutes, 5)]
    assert rates(*steady)[START.date()] == pytest.approx(each / 5, rel=0.01)


def test_the_busiest_five_minutes_of_each_day_count() -> None:
    quiet = [chunk(60 * minute, 60, 1.0) for minute in range(30)]
    busy = [chunk(86400 + 60 * minute, 600_000, 1.0) for minute in (3, 4, 5, 6, 7, 40)]
    assert rates(*quiet, *busy) == {date(2026, 11, 24): 1.0, date(2026, 11, 25): 10_000.0}


def test_a_burst_of_seconds_is_spread_over_five_minutes() -> None:
    assert rates(chunk(0, 3_000_000, 1.0))[START.date()] == 10_000.0


def test_the_busiest_whole_day_is_the_mean() -> None:
    first, second = RateMeter(), RateMeter()
    for day, size in enumerate((9_000_000, 864_000, 1_728_000, 9_000_000)):
        first.add(chunk(86400 * day, size, 1.0))
        # Nobody knows when it was written, but that it was.
        second.add(chunk(86400 * day + 3600, 864_000, 3600.0))
    today = START.date() + timedelta(days=3)
    assert log_writes([first, second], today) == LogWrites(2, 30_000.0, 30.0, START.date() + timedelta(days=2))
    assert log_writes([first], START.date() + timedelta(days=1)).mean is None, "no day was seen as a whole"
    assert log_writes([second], today).peak is None
    first.forget(today + timedelta(days=11))
    assert log_writes([first], today).day == START.date() + timedelta(days=2)


def test_what_came_at_an_unknown_time_does_not_count() -> None:
    # The second entry was found after an hour in which nobody looked.
    assert rates(chunk(0, 6000, 1.0, 3600.0, 1.0))[START.date()] == 2000 / 300
    assert rates(chunk(0, 6000, 3600.0)) == {}


def test_a_clock_that_is_set_back_does_not_add_up_what_was_apart() -> None:
    assert rates(chunk(3600, 300, 1.0), chunk(0, 300, 1.0))[START.date()] == 1.0


def test_days_are_forgotten() -> None:
    meter = RateMeter({date(2026, 11, 1): 5.0, date(2026, 11, 20): 3.0})
    meter.forget(date(2026, 11, 1) + timedelta(days=DAYS - 1))
    assert len(meter.days) == 2
    meter.forget(date(2026, 11, 1) + timedelta(days=DAYS))
    assert meter.days == {date(2026, 11, 20): 3.0}


def segments(*written: float) -> list[ClosedSegment]:
    return [ClosedSegment(number * 10, moment, 32 * MIB) for number, moment in enumerate(written)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], None),
        ([7.0], None),
        # A file each ten minutes, each hundred seconds, each second.
        ([0, 600, 1200], 32 * MIB / 600),
        ([0, 100, 200, 300, 400, 500], 32 * MIB / 100),
        ([0, 1, 2, 3], 3 * 32 * MIB / 300),
        # The busy time lies in the middle.
        ([0, 3600, 3700, 3800, 3900, 7500], 3 * 32 * MIB / 300),
        # Files that were copied are all of one moment.
        ([5, 5, 5], 2 * 32 * MIB / 300),
    ],
)
def test_closed_files_tell_how_fast_they_were_filled(written: list[float], expected: float | None) -> None:
    assert segment_rate(segments(*written)) == (None if expected is None else pytest.approx(expected))
