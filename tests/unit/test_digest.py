# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest finds every change, and no change of order."""

from __future__ import annotations

import copy
import hashlib
import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.digest import PointDigest

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DENSE = st.lists(FLOATS, min_size=1, max_size=4)
SPARSE = st.dictionaries(st.integers(0, 2**32 - 1), FLOATS, max_size=4).map(
    lambda pairs: {"indices": sorted(pairs), "values": [pairs[index] for index in sorted(pairs)]}
)
VECTOR = st.one_of(DENSE, st.lists(DENSE, min_size=1, max_size=3), SPARSE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
POINT = st.fixed_dictionaries(
    {
        "id": st.integers(0, 2**64 - 1) | st.uuids().map(str),
        "payload": st.dictionaries(st.text(max_size=3), JSON, max_size=3),
        "vector": st.dictionaries(st.text(max_size=3), VECTOR, max_size=3),
    }
)


def digest(points: list[dict]) -> str:
    total = PointDigest()
    for point in points:
        total.add(point)
    assert total.count == len(points)
    return total.hexdigest()


@given(st.lists(POINT, max_size=6), st.randoms())
def test_order_does_not_matter(points: list[dict], chance) -> None:
    shuffled = [
        {
            **point,
            "payload": dict(reversed(point["payload"].items())),
            "vector": dict(reversed(point["vector"].items())),
        }
        for point in points
    ]
    chance.shuffle(shuffled)
    assert digest(points) == digest(shuffled)


@given(SPARSE, st.randoms())
def test_order_of_a_sparse_vector_does_not_matter(vector: dict, chance) -> None:
    pairs = list(zip(vector["indices"], vector["values"], strict=True))
    chance.shuffle(pairs)
    other = {"indices": [pair[0] for pair in pairs], "values": [pair[1] for pair in pairs]}
    assert digest([{"id": 1, "vector": {"s": vector}}]) == digest([{"id": 1, "vector": {"s": other}}])


@given(st.lists(POINT, min_size=1, max_size=4), st.data())
def test_a_point_twice_or_missing_shows(points: list[dict], data) -> None:
    chosen = data.draw(st.sampled_from(points))
    assert digest([*points, chosen]) != digest(points)
    assert digest([*points, chosen, chosen]) != digest(points)


@given(POINT, POINT)
def test_different_points_differ(one: dict, other: dict) -> None:
    assert one == other or digest([one]) != digest([other])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(id=8),
        lambda p: p.update(id=str(uuid.UUID(int=7))),
        lambda p: p["payload"].update(city="Berlim"),
        lambda p: p["payload"].update(extra=None),
        lambda p: p["payload"].update(size=1.0),
        lambda p: p["payload"].pop("city"),
        lambda p: p["vector"]["text"].__setitem__(1, 0.20000002),
        lambda p: p["vector"]["text"].reverse(),
        lambda p: p["vector"]["text"].append(0.0),
        lambda p: p["vector"].pop("image"),
        lambda p: p["vector"].update(image=p["vector"]["text"], text=p["vector"]["image"]),
        lambda p: p["vector"]["sparse"]["indices"].__setitem__(0, 4),
        lambda p: p["vector"]["sparse"]["values"].reverse(),
        lambda p: p["vector"].update(multi=[[1.0, 2.0, 3.0], [4.0]]),
        lambda p: p["vector"].update(multi=[1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_any_change_shows(change) -> None:
    point = {
        "id": 7,
        "payload": {"city": "Berlin", "size": 1},
        "vector": {
            "text": [0.1, 0.2],
            "image": [0.3],
            "multi": [[1.0, 2.0], [3.0, 4.0]],
            "sparse": {"indices": [3, 9], "values": [0.5, 0.25]},
        },
    }
    changed = copy.deepcopy(point)
    change(changed)
    assert digest([changed]) != digest([point])


def test_two_points_that_swap_their_payloads_show() -> None:
    points = [{"id": 1, "payload": {"a": 1}, "vector": [1.0]}, {"id": 2, "payload": {"a": 2}, "vector": [1.0]}]
    swapped = [{**points[0], "payload": {"a": 2}}, {**points[1], "payload": {"a": 1}}]
    assert digest(points) != digest(swapped)


def test_the_unnamed_vector_is_the_one_with_the_empty_name() -> None:
    assert digest([{"id": 1, "vector": [1.0]}]) == digest([{"id": 1, "vector": {"": [1.0]}, "payload": {}}])


def test_the_way_a_uuid_is_written_does_not_matter() -> None:
    name = "936DA01F-9ABD-4D9D-80C7-02AF85C822A8"
    assert digest([{"id": name}]) == digest([{"id": name.lower().replace("-", "")}])


def test_the_format_is_the_documented_one() -> None:
    record = (
        b"i" + struct.pack("<Q", 7)
        + struct.pack("<Q", 14) + b'{"a":"\\u00e4"}'
        + struct.pack("<I", 2)
        + struct.pack("<I", 0) + b"" + b"d" + struct.pack("<Iff", 2, 0.5, -1.0)
        + struct.pack("<I", 1) + b"s" + b"s" + struct.pack("<IIfIf", 2, 3, 2.0, 9, 1.0)
    )  # fmt: skip
    point = {
        "id": 7,
        "payload": {"a": "\u00e4"},
        "vector": {"s": {"indices": [9, 3], "values": [1.0, 2.0]}, "": [0.5, -1.0]},
    }
    assert digest([point]) == "qdr1-" + hashlib.sha256(record).hexdigest()
    assert digest([]) == "qdr1-" + 64 * "0"
