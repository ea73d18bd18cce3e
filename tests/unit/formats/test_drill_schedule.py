# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which collections a run drills: each within the time promised, whatever comes and goes."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_schedule import coverage, due

START = datetime(2026, 11, 22, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_everything_is_drilled_within_the_days(count: int, every: int, within: int) -> None:
    every, within = sorted((every, within))
    last: dict[str, datetime | None] = dict.fromkeys(f"c{number}" for number in range(count))
    for run in range(math.ceil(within / every)):
        now = START + DAY * every * run
        chosen = due(last, now, DAY * within, DAY * every)
        assert len(set(chosen)) == len(chosen)
        assert run or len(chosen) == math.ceil(round(count * every / within, 6)), "the first run takes its share only"
        last |= dict.fromkeys(chosen, now)
    assert None not in last.values()


@given(st.integers(0, 9))
def test_what_is_new_keeps_nothing_from_its_turn(new_each_run: int) -> None:
    last: dict[str, datetime | None] = {"old": START}
    for run in range(1, 12):
        now = START + 7 * DAY * run
        last |= {f"new-{run}-{number}": None for number in range(new_each_run)}
        last |= dict.fromkeys(due(last, now, 30 * DAY, 7 * DAY), now)
        assert last["old"] is not None
        assert now - last["old"] <= 30 * DAY


def test_what_never_was_drilled_comes_first_then_the_oldest() -> None:
    last = {"b": START, "a": START - DAY, "never": None, "c": START + DAY}
    assert due(last, START + DAY, 4 * DAY, 2 * DAY) == ["never", "a"]


def test_runs_that_cannot_reach_everything_are_refused() -> None:
    for every in (31 * DAY, 0 * DAY):
        with pytest.raises(InvalidInput, match="do not reach everything"):
            due({"a": None}, START, 30 * DAY, every)


def test_coverage_tells_what_was_drilled_in_time() -> None:
    last = {"b": START, "a": START - 2 * DAY, "never": None}
    assert coverage(last, START + DAY, DAY) == {"a": None, "b": "2026-11-22", "never": None}
