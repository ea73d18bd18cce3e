# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to be verified: everything within 100 / percent days. And a record that outlives bad bytes."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.verification import (
    VerificationRecord,
    due,
    is_due_today,
)

START = datetime(2026, 11, 22, tzinfo=timezone.utc)
DAY = timedelta(days=1)
TOOL = {"name": "vectorops.qdrant_dr", "version": "0.1.0"}


@given(st.integers(1, 60), st.sampled_from([1, 2.5, 7, 10, 25, 33.3, 50, 99, 100]))
def test_everything_is_read_within_the_days_that_the_share_promises(count: int, percent: float) -> None:
    last = {f"b{number}": START - DAY * (number % 7) for number in range(count)}
    read: set[str] = set()
    for day in range(math.ceil(100 / percent)):
        for name in due(last, percent):
            read.add(name)
            last[name] = START + DAY * (day + 1)
    assert read == set(last)


@given(st.integers(0, 8))
def test_new_backups_do_not_keep_old_ones_from_their_turn(new_each_day: int) -> None:
    last = {f"old{number}": START - DAY * number for number in range(20)}
    read: set[str] = set()
    for day in range(1, 11):
        now = START + DAY * day
        last.update({f"new{day}-{number}": now for number in range(new_each_day)})
        for name in due(last, 10):
            read.add(name)
            last[name] = now
    assert read >= {f"old{number}" for number in range(20)}


def test_the_share_is_rounded_up_and_takes_the_oldest_first() -> None:
    last = {"a": START, "b": START - DAY, "c": START - 2 * DAY}
    assert due(last, 1) == ["c"]
    assert due(last, 34) == ["c", "b"]
    assert due(last, 100) == ["c", "b", "a"]
    assert len(due({str(number): START for number in range(100)}, 29)) == 29
    assert due({}, 50) == []


@pytest.mark.parametrize("percent", [0, -1, 100.5, math.nan])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(InvalidInput, match="sample_percent"):
        due({"a": START}, percent)


def test_a_record_keeps_each_level_apart() -> None:
    record = VerificationRecord("0" * 64)
    record.add("content", START, "good", 0, TOOL)
    record.add("exists", START + DAY, "damaged", 2, TOOL)
    again = VerificationRecord.parse(record.dump())
    assert (again.dump(), again.manifest_sha256) == (record.dump(), "0" * 64)
    assert again.last("content") == START
    assert again.last("exists") == START + DAY
    assert again.levels["exists"] == {"time": "2026-11-23T00:00:00Z", "result": "damaged", "findings": 2, "tool": TOOL}


def test_reading_the_content_counts_as_looking_at_what_exists() -> None:
    record = VerificationRecord()
    record.add("content", START, "good", 0, TOOL)
    assert record.last("exists") == START
    assert VerificationRecord().last("exists") is None
    assert VerificationRecord.parse(record.dump()).manifest_sha256 is None


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"levels": {"content": {"time": "2026"}}}, {"levels": [1]}])
def test_a_record_that_cannot_be_understood_counts_as_none(change: dict[str, object]) -> None:
    record = VerificationRecord("0" * 64)
    record.add("content", START, "good", 0, TOOL)
    data = json.dumps({**json.loads(record.dump()), **change}).encode()
    for bad in (data, b"", b"[]", b"{", record.dump()[:-9]):
        assert VerificationRecord.parse(bad).last("content") is None


@pytest.mark.parametrize("percent", [1, 7, 10, 33.3, 50, 99, 100])
def test_each_object_has_its_turn_once_in_a_round_of_days(percent: float) -> None:
    begin = datetime(2026, 12, 28, 23, 59, tzinfo=timezone.utc)
    days = [begin + timedelta(days=day) for day in range(math.ceil(100 / percent))]
    for number in range(200):
        turns = sum(is_due_today(f"docs/{number}", percent, day) for day in days)
        assert turns in ({1} if 100 % percent == 0 else {1, 2})
