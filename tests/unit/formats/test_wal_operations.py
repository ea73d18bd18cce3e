# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that no Qdrant known here writes: an answer, never a wrong one. What it does write: tests/integration."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import UnknownWalOperation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import (
    UNKNOWN,
    Operation,
    apply_index_operations,
    describe,
)
from tests.made_snapshots import RECORDED_ENTRY

CLOCK = {"clock_tag": {"peer_id": 1, "clock_id": 0, "clock_tick": 1, "token": 2, "force": False}}


def entry(operation: dict[str, Any]) -> bytes:
    return cbor2.dumps({**CLOCK, **operation})


def test_the_entry_that_qdrant_begins_a_log_with_is_an_upsert_of_nothing() -> None:
    assert describe(RECORDED_ENTRY) == Operation("upsert_points", "upsert", ())


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ({"create_vector_name": {"vector_name": "new", "config": {}}}, "create_vector_name"),
        ({"sync_points": {"from_id": None, "to_id": None}}, "sync_points"),
        ({"upsert_points": {"columns": []}}, "upsert_points"),
        ({"upsert_points": {"points": [], "batch": {}}}, "upsert_points"),
        ({"upsert_points": {"points": [{"id": 1}]}}, "upsert_points"),
        ({"upsert_points": {"points": [{"id": b"short", "vector": []}]}}, "upsert_points"),
        ({"delete_points": {"ids": [True]}}, "delete_points"),
        ({"delete_points_by_filter": "all"}, "delete_points_by_filter"),
        ({"set_payload": {"payload": {}, "points": None, "filter": None}}, "set_payload"),
        ({"create_index": {"field_name": "k", "field_schema": None}}, "create_index"),
        ({"create_index": {"field_name": "k", "field_schema": {"size": 3}}}, "create_index"),
        ({"delete_index": ["k"]}, "delete_index"),
        ({"delete_vectors": [{"points": [1]}]}, "delete_vectors"),
    ],
)
def test_an_operation_of_another_shape_is_unknown(operation: dict[str, Any], name: str) -> None:
    found = describe(entry(operation))
    assert (found.name, found.kind, found.inexact([])) == (name, UNKNOWN, {UNKNOWN})


@pytest.mark.parametrize("content", [{}, {"delete_index": "k", "create_index": {}}, [], 7, {7: 8}, "delete_index"])
def test_an_entry_without_one_operation_is_unknown(content: Any) -> None:
    assert describe(cbor2.dumps(content)) == Operation("", UNKNOWN)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_operation_are_unknown(data: bytes) -> None:
    assert describe(data).kind == UNKNOWN


@given(st.integers(0, len(RECORDED_ENTRY) - 1))
def test_a_cut_entry_is_unknown(length: int) -> None:
    assert describe(RECORDED_ENTRY[:length]).kind == UNKNOWN


def test_an_unknown_operation_stops_the_search_for_indexes_at_its_place() -> None:
    entries = [(7, entry({"create_index": {"field_name": "k", "field_schema": "keyword"}}))]
    assert apply_index_operations({}, entries) == {"k": {"data_type": "keyword"}}
    entries.append((8, entry({"create_vector_name": {"vector_name": "new", "config": {}}})))
    with pytest.raises(UnknownWalOperation, match=r"Entry 8 of the log is .*: create_vector_name") as caught:
        apply_index_operations({}, entries)
    assert "index 7" in caught.value.hint


def test_the_indexes_that_were_there_before_stay_and_are_not_changed_in_place() -> None:
    before = {"k": {"data_type": "keyword"}, "n": {"data_type": "integer"}}
    assert apply_index_operations(before, [(1, entry({"delete_index": "k"}))]) == {"n": {"data_type": "integer"}}
    assert sorted(before) == ["k", "n"]
