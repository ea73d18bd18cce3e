# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on the age of backups."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.agent_status import WORDS, duration, judge
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.lock_layout import lock_generation, lock_key

AGES = st.dictionaries(st.text(min_size=1), st.none() | st.floats(0, 1e9))
LIMIT = st.none() | st.floats(0, 1e9)


@pytest.mark.parametrize(
    ("ages", "rpo", "warning", "doubts", "status", "line"),
    [
        ({"a": 30.0, "b": 7200.0}, 86400, None, [], 0, "OK: 2 collections, the oldest backup is 2h 0m old (b)"),
        ({"a": 90000.0}, 86400, None, [], 2, "CRITICAL: a: newest backup 1d 1h old, RPO 1d 0h"),
        ({"a": None, "b": 1.0}, None, None, [], 2, "CRITICAL: a has no backup"),
        ({"a": 90.0}, 100, 60, [], 1, "WARNING: a: newest backup 1m 30s old, warning age 1m 0s"),
        ({"a": 190.0}, 100, 60, [], 2, "CRITICAL: a: newest backup 3m 10s old, RPO 1m 40s"),
        ({"a": 1.0}, 100, None, ["the node is silent"], 1, "WARNING: the node is silent"),
        ({}, 100, None, [], 1, "WARNING: there is no collection to look at"),
        ({"a": 100.0}, 100, None, [], 0, "OK: 1 collection, the oldest backup is 1m 40s old (a)"),
    ],
)
def test_verdicts(
    ages: dict[str, float | None], rpo: float | None, warning: float | None, doubts: list[str], status: int, line: str
) -> None:
    assert judge(ages, rpo, warning, doubts) == (status, line)


@given(ages=AGES, rpo=LIMIT, warning=LIMIT, doubts=st.lists(st.text()))
def test_good_means_every_backup_is_there_and_in_time(
    ages: dict[str, float | None], rpo: float | None, warning: float | None, doubts: list[str]
) -> None:
    status, line = judge(ages, rpo, warning, doubts)
    late = [age for age in ages.values() if age is None or (rpo is not None and age > rpo)]
    assert (status == 2) == bool(late)
    assert not (status == 0 and doubts)
    assert line.startswith(f"{WORDS[status]}: ")
    assert len(re.findall(r"[|\n]", line)) == 0


@given(st.integers(0, 10**9))
def test_durations_are_short(seconds: int) -> None:
    assert re.fullmatch(r"\d+[dhms]( \d+[hms])?", duration(seconds))


@given(name=st.from_regex(r"[a-z]+", fullmatch=True), number=st.integers(0, 10**10 - 1))
def test_the_generation_of_a_lock_is_found_again(name: str, number: int) -> None:
    assert lock_generation(lock_key(name, number)) == number
    assert lock_generation(f"docs/{lock_key(name, number)}") is None
