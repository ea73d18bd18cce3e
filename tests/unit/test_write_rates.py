# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the archiver remembers of rates: it outlasts a restart, and stays small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_rates import LogWrites
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.write_rates import (
    WriteRates,
    recorded_rates,
    recorded_writes,
)
from tests.made_wal import START, log_of, sealed

HEADER = replace(
    ChunkHeader.parse(sealed(log_of([1]), ReplicaLog("docs", 0, "1", "20261122T020000Z-a1b2c3"))), size=3000
)
TODAY = START.date()
NAME = 'ä "quoted"'


def test_another_run_goes_on_with_what_was_written(tmp_path: Path) -> None:
    rates = WriteRates(tmp_path)
    rates.store(TODAY)
    assert list(tmp_path.iterdir()) == [], "nothing to remember"
    rates.add((NAME, 0), HEADER)
    rates.add((NAME, 1), replace(HEADER, size=6000))
    rates.store(TODAY)
    assert recorded_rates(tmp_path, TODAY) == {(NAME, 0): 10.0, (NAME, 1): 20.0}
    again = WriteRates(tmp_path)
    again.add((NAME, 1), HEADER)
    again.store(TODAY)
    assert recorded_rates(tmp_path, TODAY) == {(NAME, 0): 10.0, (NAME, 1): 20.0}


def test_bytes_of_each_day_are_kept_beside_the_peaks(tmp_path: Path) -> None:
    rates = WriteRates(tmp_path)
    for days in range(3):
        moment = timedelta(days=days)
        polls = tuple(replace(poll, after=poll.after + moment, before=poll.before + moment) for poll in HEADER.polls)
        for shard in (0, 1):
            rates.add((NAME, shard), replace(HEADER, polls=polls, size=4320 * (days + 1)))
    rates.store(TODAY + timedelta(days=2))
    found = recorded_writes(tmp_path, TODAY + timedelta(days=2))
    assert found == {NAME: LogWrites(2, 2 * 14.4 * 3, 0.2, TODAY + timedelta(days=1))}


def test_a_record_of_before_bytes_were_counted_still_tells_of_peaks(tmp_path: Path) -> None:
    (tmp_path / "write-rates").write_bytes(OTHER.replace(b": 2,", b": 1,") % TODAY.isoformat().encode())
    assert recorded_writes(tmp_path, TODAY) == {"a": LogWrites(1, 1.0)}


def test_what_is_long_ago_is_forgotten(tmp_path: Path) -> None:
    rates = WriteRates(tmp_path)
    rates.add((NAME, 0), HEADER)
    rates.store(TODAY)
    later = TODAY + timedelta(days=20)
    assert recorded_rates(tmp_path, later) == {}
    rates.add((NAME, 0), HEADER)
    rates.store(later)
    assert recorded_rates(tmp_path, TODAY) == {}


OTHER = b'{"schema_version": 2, "bytes_per_second": [{"collection": "a", "shard": 0, "days": {"%s": 1.0}}]}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema_version": 1, "bytes_per_second": [{"shard": 0}]}',
        OTHER % TODAY.isoformat().encode(),
    ],
)
def test_a_record_that_is_damaged_or_of_another_version_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "write-rates").write_bytes(content)
    assert recorded_rates(tmp_path, TODAY) == {}
    WriteRates(tmp_path).add((NAME, 0), HEADER)
