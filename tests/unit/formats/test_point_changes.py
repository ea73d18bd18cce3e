# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a log tells of a number of points never excludes the true one, whatever it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.point_changes import NONE, PointChanges
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_summary import Summarizer, Summary

IDS = st.integers(0, 9)
SOME = st.lists(IDS, max_size=4)
EVEN = {"must": [{"key": "even", "match": {"value": True}}]}
Json = dict[str, Any]


def points(ids: Sequence[int]) -> Json:
    return {"points": [{"id": each, "vector": [0.5], "payload": {"even": each % 2 == 0}} for each in ids]}


CHANGES = st.one_of(
    SOME.map(lambda ids: {"upsert_points": points(ids)}),
    SOME.map(lambda ids: {"upsert_points": {"batch": {"ids": ids, "vectors": [[0.5]] * len(ids), "payloads": None}}}),
    SOME.map(lambda ids: {"upsert_points_conditional": {"points_op": points(ids), "condition": EVEN}}),
    st.builds(
        lambda low, more, ids: {"sync_points": {"from_id": low, "to_id": low + more, **points(ids)}}, IDS, IDS, SOME
    ),
    SOME.map(lambda ids: {"delete_points": {"ids": ids}}),
    st.just({"delete_points_by_filter": EVEN}),
    SOME.map(lambda ids: {"set_payload": {"payload": {"a": 1}, "points": ids}}),
    st.just({"clear_payload_by_filter": EVEN}),
    SOME.map(lambda ids: {"update_vectors": {"points": [{"id": each, "vector": [0.1]} for each in ids]}}),
    st.just({"delete_vectors_by_filter": [EVEN, ["a"]]}),
    st.just({"create_index": {"field_name": "even", "field_schema": "bool"}}),
)


def ids_after(there: set[int], change: Json) -> set[int]:
    """What Qdrant does, as far as it decides which points there are."""
    ((name, body),) = change.items()
    if name == "upsert_points":
        return there | set(body["batch"]["ids"] if "batch" in body else [each["id"] for each in body["points"]])
    if name == "upsert_points_conditional":
        # A point that is not there is inserted; of one that is, the condition decides about its content.
        return there | {each["id"] for each in body["points_op"]["points"]}
    if name == "sync_points":
        between = {each for each in there if body["from_id"] <= each < body["to_id"]}
        return (there - between) | {each["id"] for each in body["points"]}
    if name == "delete_points":
        return there - set(body["ids"])
    if name == "delete_points_by_filter":
        return {each for each in there if each % 2}
    return there


def summed(changes: Sequence[Json]) -> Summary:
    summarizer = Summarizer()
    for change in changes:
        summarizer.add(cbor2.dumps(change))
    return summarizer.summary()


@given(st.sets(IDS), st.lists(CHANGES, max_size=8), st.integers(0, 8))
@example({1, 2}, [{"delete_points": {"ids": [1]}}, {"delete_points": {"ids": [2]}}], 1)
@example(set(), [{"upsert_points": points([1, 2])}, {"delete_points": {"ids": [2]}}], 1)
def test_the_true_number_is_within_the_bounds(there: set[int], changes: list[Json], cut: int) -> None:
    before = len(there)
    for change in changes:
        there = ids_after(there, change)
    chunks = [summed(changes[:cut]).points, summed(changes[cut:]).points]
    low, high = sum(chunks, NONE).bounds(before, before)
    assert low <= len(there) <= high


@pytest.mark.parametrize(
    ("changes", "bounds"),
    [
        ([], (7, 7)),
        ([{"upsert_points": points([1, 2, 3])}], (7, 10)),
        ([{"delete_points": {"ids": [1, 2]}}], (5, 7)),
        ([{"delete_points": {"ids": list(range(9))}}], (0, 7)),
        ([{"upsert_points": points([1])}, {"delete_points_by_filter": EVEN}], (0, 8)),
        ([{"set_payload": {"payload": {}, "points": [1]}}, {"clear_payload_by_filter": EVEN}], (7, 7)),
        ([{"update_vectors": {"points": [{"id": 1, "vector": [0.1]}]}}], (7, 7)),
        ([{"sync_points": {"from_id": None, "to_id": None, **points([1, 2])}}], (0, 9)),
    ],
)
def test_they_are_no_wider_than_the_entries_make_them(changes: list[Json], bounds: tuple[int, int]) -> None:
    assert summed(changes).points.bounds(7, 7) == bounds


def test_a_header_with_numbers_that_are_none_is_refused() -> None:
    sound = summed([{"upsert_points": points([1, 2, 3])}]).dump()
    assert Summary.parse(sound, 1).points == PointChanges(added=3)
    for change in ({"added": -1}, {"removed": True}, {"unbounded": "1"}, {"added": 1 << 64}):
        with pytest.raises(ValueError, match="number of points"):
            Summary.parse({**sound, "points": {**sound["points"], **change}}, 1)
    for other in (None, {}, {**sound["points"], "more": 1}):
        with pytest.raises(ValueError, match="other fields"):
            Summary.parse({**sound, "points": other}, 1)
