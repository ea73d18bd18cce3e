# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records beside archived chunks: of each timeline, and of how far the archiver has come."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import IntegrityError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    ReplicaLog,
    chunk_key,
    parse_chunk_key,
    parse_positions_key,
    parse_timeline_key,
    positions_key,
    timeline_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_log_facts import LogFacts
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_positions import Position, Positions
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_sizing import KeptLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import Seen, Timeline

LOG = ReplicaLog("my docs", 3, "8471203928", "20261122T020000Z-a1b2c3")
START = datetime(2026, 11, 22, 2, 0, 0, 123456, tzinfo=timezone.utc)
TOOL = {"name": "vectorops.qdrant_dr", "version": "0.1.0"}
TIMELINE = Timeline(
    "production",
    LOG,
    START,
    "gap",
    "Qdrant has removed them.",
    TOOL,
    previous="20261121T020000Z-aaaaaa",
    gap=(5, 9),
    previous_seen=Seen(START - timedelta(seconds=1), 4),
)
POSITIONS = Positions(
    cluster="production",
    collection="my docs",
    replica="8471203928",
    host="q1",
    written=START,
    tool=TOOL,
    shards={
        3: Position(LOG.timeline, 41, 7, START, 0, LogFacts(1.5, KeptLog(4, 50), 60.0, {"transfer": 2}, START)),
        4: Position(LOG.timeline, 41, 7, START, 0, LogFacts()),
        12: Position(LOG.timeline, None, None, None, 5),
    },
)


def test_a_timeline_comes_back_as_it_was_stored() -> None:
    first = replace(TIMELINE, reason="first", previous=None, gap=None, previous_seen=None)
    assert Timeline.parse(TIMELINE.dump()) == TIMELINE
    assert Timeline.parse(first.dump()) == first
    assert TIMELINE.key == "my docs/wal/3/8471203928/20261122T020000Z-a1b2c3/timeline.json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reason", "first"),
        ("gap", None),
        ("gap", {"first": 5}),
        ("previous_seen", {"at": "2026-11-22T02:00:00.123456Z", "last": 4}),
        ("previous_seen", {"last": 4}),
        ("shard", 4),
        ("shard", "3"),
        ("started", "2026-11-22T02:00:00"),
        ("timeline_sha256", "0" * 64),
        ("schema_version", 2),
        ("kind", "vectorops.qdrant_dr/wal"),
    ],
)
def test_a_timeline_that_was_altered_is_refused(name: str, value: object) -> None:
    whole = json.loads(TIMELINE.dump())
    whole[name] = value
    with pytest.raises(IntegrityError, match="WAL timeline"):
        Timeline.parse((json.dumps(whole, sort_keys=True, indent=1) + "\n").encode())


def test_a_timeline_tells_how_the_one_before_ended_and_nothing_of_others() -> None:
    before = replace(LOG, timeline="20261121T020000Z-aaaaaa")
    assert TIMELINE.end_of(before) == Position(before.timeline, 4, None, START - timedelta(seconds=1), 0)
    assert TIMELINE.end_of(LOG) is None
    assert replace(TIMELINE, previous_seen=None).end_of(before) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", TIMELINE.dump()[:-9], TIMELINE.dump() + b" "])
def test_what_is_no_timeline_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="WAL timeline"):
        Timeline.parse(data)


def test_a_timeline_with_a_reason_that_there_is_not_is_refused() -> None:
    with pytest.raises(IntegrityError):
        Timeline.parse(replace(TIMELINE, reason="whatever").dump())


def test_positions_come_back_as_they_were_stored() -> None:
    assert Positions.parse(POSITIONS.dump()) == POSITIONS


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", POSITIONS.dump()[:-9]])
def test_damaged_positions_count_as_none(data: bytes) -> None:
    assert Positions.parse(data) is None


def test_positions_that_tell_nothing_of_logs_are_read() -> None:
    whole = json.loads(POSITIONS.dump())
    for fields in whole["shards"].values():
        del fields["log"]
    found = Positions.parse(json.dumps(whole).encode())
    assert found is not None
    assert [position.facts for position in found.shards.values()] == [None] * 3


def test_positions_of_a_newer_schema_count_as_none() -> None:
    assert Positions.parse(POSITIONS.dump().replace(b'"schema_version": 1', b'"schema_version": 2')) is None


def test_keys_tell_what_they_hold_and_no_other_kind() -> None:
    timeline, positions, chunk = timeline_key(LOG), positions_key("my docs", "a/b"), chunk_key(LOG, 1, 2)
    assert parse_timeline_key(timeline) == LOG
    assert parse_positions_key(positions) == ("my docs", "a/b")
    assert parse_chunk_key(chunk) == (LOG, 1, 2)
    assert parse_timeline_key(chunk) is parse_timeline_key(positions) is None
    assert parse_positions_key(timeline) is parse_positions_key(chunk) is None
    assert parse_chunk_key(timeline) is parse_chunk_key(positions) is None
    assert parse_timeline_key(timeline.replace("/3/", "/03/")) is None
