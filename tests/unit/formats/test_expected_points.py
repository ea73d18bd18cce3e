# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many points there must be after a replay, and how certain that is, by what the base tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.expected_points import after_replay
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.point_changes import PointChanges
from tests.made_backups import manifest_of

IDLE = {"first": 9, "last": 9, "first_found_by": "ack_index"}
BUSY = {**IDLE, "last": 12}
REPLAYED = {0: PointChanges(added=5), 1: PointChanges(removed=2)}


def base(*shards: dict[str, Any], before: int = 7, after: int = 7) -> Manifest:
    made = manifest_of("docs", "20261122T020000Z-a1b2c3", [b"x"] * len(shards), part_size=30)
    told = [{"wal": IDLE, "node": "n1", "points": None, "shard_key": None, **given} for given in shards]
    whole = [{**shard, **given} for shard, given in zip(made.shards, told, strict=True)]
    return Manifest({**made.fields, "shards": whole, "points": {"before": before, "after": after}})


def test_each_shard_of_an_idle_base_has_its_own_bounds() -> None:
    expected = after_replay(base({"points": 3}, {"points": 4}), REPLAYED, {0: PointChanges(added=90)})
    assert (expected.all, expected.by_shard) == ((5, 12), {"0": (3, 8), "1": (2, 4)})
    assert expected.proven
    assert expected.tolerance == "at most 5 more than in the base (upserts), and at most 2 less (deletes by id)"
    assert expected.faults(8, {"0": 5, "1": 3}) == []
    assert expected.faults(7, {"0": 2, "1": 5}) == [
        "shard 0 has 2 points, and must have 3 to 8",
        "shard 1 has 5 points, and must have 2 to 4",
    ]
    assert expected.faults(13, {}) == ["the collection has 13 points, and must have 5 to 12"]


@pytest.mark.parametrize(
    "shards",
    [
        ({"points": 3}, {"points": 5}),
        ({"points": 3}, {}),
        ({"points": 3, "shard_key": "a"}, {"points": 4, "shard_key": "b"}),
    ],
    ids=["counted while it was written to", "not counted", "shard keys, whose shards get other numbers"],
)
def test_where_the_count_of_a_shard_is_not_certain_only_the_collection_has_bounds(shards: Any) -> None:
    expected = after_replay(base(*shards), REPLAYED, {})
    assert (expected.all, expected.by_shard, expected.proven) == ((5, 12), {}, True)


def test_a_busy_base_was_counted_before_its_log() -> None:
    in_base = {0: PointChanges(added=2, removed=3)}
    expected = after_replay(base({"wal": BUSY}, {}, before=7, after=20), REPLAYED, in_base)
    assert (expected.all, expected.by_shard, expected.proven) == ((2, 14), {}, True)


@pytest.mark.parametrize(
    ("shard", "why"),
    [
        ({"wal": {**BUSY, "first_found_by": "segments"}}, "its log need not reach back to"),
        ({"wal": BUSY, "node": "n2"}, "the nodes of the base counted at different moments"),
    ],
)
def test_a_count_that_its_log_may_not_continue_proves_nothing_wrong(shard: dict[str, Any], why: str) -> None:
    expected = after_replay(base(shard, {}, before=9, after=7), REPLAYED, {})
    assert (expected.all, expected.proven) == ((5, 14), False)
    assert why in expected.tolerance


def test_that_anything_may_have_gone_is_said() -> None:
    expected = after_replay(base({"points": 7}), {0: PointChanges(added=1, unbounded=3)}, {})
    assert expected.by_shard == {"0": (0, 8)}
    assert "any number less, since 3 entries delete by a filter or transfer a shard" in expected.tolerance


def test_a_replay_that_changes_no_number_leaves_no_tolerance() -> None:
    expected = after_replay(base({"points": 7}), {0: PointChanges()}, {})
    assert (expected.all, expected.tolerance) == ((7, 7), "none: no entry changes the number of points")
    assert expected.faults(8, {"0": 8}) == [
        "the collection has 8 points, and must have 7",
        "shard 0 has 8 points, and must have 7",
    ]
