# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A glance at an entry says what decoding it says. What Qdrant writes: tests/integration/test_wal_operations.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_glance import glance
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import (
    UNKNOWN,
    Operation,
    describe,
)

CLOCK = {"peer_id": 2**50, "clock_id": 0, "clock_tick": 300, "token": 2**63, "force": False}
# Of all lengths that a number is written in: 2, 4 and 8 bytes for floats, none to 8 for integers.
FLOATS = st.sampled_from([0.0, 1.5, 0.1]) | st.floats(width=32, allow_nan=False, allow_infinity=False)
INTEGERS = st.sampled_from([3, 24, 300, 70_000, 2**40]) | st.integers(0, 2**32)
DENSE = st.lists(FLOATS, max_size=12) | st.integers(0, 700).map(lambda count: [0.1] * count)
SPARSE = st.fixed_dictionaries({"indices": st.lists(INTEGERS, max_size=6), "values": DENSE})
VECTOR = DENSE | st.lists(DENSE, max_size=3)
NAMES = st.sampled_from(["a", "dense", "ä", ""])
VECTORS = st.dictionaries(NAMES, VECTOR | SPARSE, max_size=3) | VECTOR
PAYLOAD = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.integers(-(2**63), -1) | FLOATS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
IDS = INTEGERS | st.uuids().map(lambda each: each.bytes)
POINT = st.fixed_dictionaries({"id": IDS, "vector": VECTORS, "payload": PAYLOAD})
POINTS = st.fixed_dictionaries({"points": st.lists(POINT, max_size=3)})
BATCH = st.fixed_dictionaries(
    {"ids": st.lists(IDS, max_size=3), "vectors": VECTORS, "payloads": st.none() | st.lists(PAYLOAD, max_size=3)}
)
ONE = {"id": 1, "vector": {"a": [0.1] * 8}, "payload": {}}


def entry(name: str, body: Any, clocked: bool = True) -> bytes:
    """As Qdrant writes it: a map without a length, numbers as short as they go."""
    end = cbor2.dumps("clock_tag") + cbor2.dumps(CLOCK) if clocked else b""
    return b"\xbf" + cbor2.dumps(name) + _dumps(body) + end + b"\xff"


def _dumps(body: Any) -> bytes:
    """Canonical, but with the keys of maps in their order."""
    if isinstance(body, dict):
        return _head(0xA0, len(body)) + b"".join(cbor2.dumps(key) + _dumps(value) for key, value in body.items())
    if isinstance(body, list):
        return _head(0x80, len(body)) + b"".join(map(_dumps, body))
    return cbor2.dumps(body, canonical=True)


def _head(major: int, length: int) -> bytes:
    head = bytearray(cbor2.dumps(length))
    head[0] |= major
    return bytes(head)


def same(glanced: Operation, decoded: Operation) -> bool:
    """Whether they are the same but for the ids, of which only the number counts."""
    without = {"ids": None, "unread_ids": None}
    return glanced.points == decoded.points and replace(glanced, **without) == replace(decoded, **without)


@given(POINTS | BATCH.map(lambda batch: {"batch": batch}), st.booleans())
def test_a_glance_says_what_decoding_says(body: dict[str, Any], clocked: bool) -> None:
    written = entry("upsert_points", body, clocked)
    decoded = describe(written)
    assert decoded.kind == "upsert"
    assert same(glance(written), decoded)


@given(POINTS, st.data())
def test_a_cut_or_longer_entry_is_unknown(body: dict[str, Any], data: st.DataObject) -> None:
    written = entry("upsert_points", body)
    cut = data.draw(st.integers(0, len(written) - 1))
    assert glance(written[:cut]).kind == UNKNOWN
    more = written[:-1] + cbor2.dumps("create_index") + cbor2.dumps({"field_name": "k"}) + b"\xff"
    assert glance(more).kind == UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        {"columns": []},
        {"points": [], "batch": {}},
        {"points": {"id": 1}},
        {"points": [{**ONE, "id": -1}]},
        {"points": [{**ONE, "id": b"short"}]},
        {"points": [{**ONE, "id": True}]},
        {"points": [{**ONE, "vector": 7}]},
        {"points": [{"id": 1, "payload": {}}]},
        {"points": [{**ONE, "version": 2}]},
        {"batch": {"ids": [1], "payloads": []}},
        {"batch": {"ids": [1], "vectors": [[1.5]]}},
        {"batch": {"ids": [1], "vectors": [[1.5]], "payloads": 7}},
        {"batch": {"ids": [b"short"], "vectors": [[1.5]], "payloads": []}},
        {"batch": {"ids": [True], "vectors": [[1.5]], "payloads": []}},
        {"batch": {"ids": [1], "vectors": [[1.5]], "payloads": [], "versions": [2]}},
    ],
)
def test_what_is_not_as_expected_is_decoded(body: dict[str, Any]) -> None:
    written = entry("upsert_points", body)
    assert glance(written) == describe(written)


@pytest.mark.parametrize("numbers", [[0.1] * 1024, [1.5] * 1024, ([0.1] * 20 + [1.5]) * 40, [2**40] * 100])
def test_numbers_are_stepped_over(numbers: list[float]) -> None:
    points = [{**ONE, "vector": {"a": numbers, "b": {"indices": [70_000] * 9, "values": numbers}}}] * 3
    expected = Operation("upsert_points", "upsert", vectors=frozenset("ab"), unread_ids=3)
    assert glance(entry("upsert_points", {"points": points})) == expected
    batch = {"ids": [1], "vectors": [numbers], "payloads": None}
    expected = Operation("upsert_points", "upsert", vectors=frozenset({""}), bare=True, unread_ids=1)
    assert glance(entry("upsert_points", {"batch": batch})) == expected


def test_other_operations_are_decoded() -> None:
    written = entry("delete_points", {"ids": [1, 2]})
    assert glance(written) == describe(written) == Operation("delete_points", "delete", (1, 2))
