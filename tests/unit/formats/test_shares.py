# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares put together as a manifest: a whole backup, or all reasons why they are none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedManifest, IncompleteBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shares import assemble
from tests.made_backups import describe

Json = dict[str, Any]

BACKUP = "20261122T020000Z-a1b2c3"
STARTED, FINISHED = "2026-11-22T02:00:00.000Z", "2026-11-22T02:10:00.000Z"
PROBES = {"k": 10, "vectors": {"": {"baseline": 1.0, "queries": []}}}
NO_PROBES: Json = {"k": 10, "vectors": {}}


def share(node: str, *shards: int, attempt: int = 0, keys: dict[int, str | int] | None = None, **fields: Any) -> Json:
    """What a node says that it has stored."""
    minute = 1 + int(node[1:])
    entries = [
        {
            "shard": shard,
            "shard_key": (keys or {}).get(shard),
            "node": node,
            "wal": {"first": 1, "last": 9, "first_found_by": "ack_index"},
            "points": 7,
            "object": describe(b"archive", layout.shard_key(BACKUP, shard, attempt)),
        }
        for shard in shards
    ]
    return {
        "backup_id": BACKUP,
        "cluster": "production",
        "collection": "docs",
        "node": node,
        "tool": {"name": "vectorops.qdrant_dr", "version": "0.1.0"},
        "qdrant_version": "1.16.3",
        "config": {"params": {"vectors": {"size": 4, "distance": "Dot"}, "shard_number": 3}},
        "payload_indexes": {"group": {"data_type": "keyword"}},
        "aliases": ["live"],
        "snapshot": {
            "node": node,
            "name": f"{node}.snapshot",
            "started": f"2026-11-22T02:0{minute}:00.000Z",
            "finished": f"2026-11-22T02:0{minute}:30.000Z",
        },
        "shards": entries,
        "probes": PROBES if node == "n0" else NO_PROBES,
        "points": {"before": 20, "after": 20},
        **fields,
    }


def three() -> list[Json]:
    return [share("n0", 0), share("n1", 2), share("n2", 1)]


def put_together(shares: list[Json], expected: tuple[int, ...] = (0, 1, 2)) -> Manifest:
    return assemble(shares, expected, STARTED, FINISHED)


def refusal(shares: list[Json], expected: tuple[int, ...] = (0, 1, 2)) -> IncompleteBackup:
    with pytest.raises(IncompleteBackup) as caught:
        put_together(shares, expected)
    assert caught.value.code == "incomplete_backup"
    return caught.value


def test_shares_that_fit_make_a_manifest_that_proves_itself() -> None:
    manifest = put_together(three())
    again = Manifest.parse(manifest.dump(), cluster="production", collection="docs", backup_id=BACKUP)
    assert again.fields == manifest.fields
    assert [(entry["shard"], entry["node"]) for entry in again.shards] == [(0, "n0"), (1, "n2"), (2, "n1")]
    assert [snapshot["node"] for snapshot in again.fields["snapshots"]] == ["n0", "n1", "n2"]
    assert (again.aliases, again.payload_indexes) == (["live"], {"group": {"data_type": "keyword"}})
    assert (again.probes, again.points) == (PROBES, {"before": 20, "after": 20})


def test_the_window_is_that_of_all_snapshots() -> None:
    assert put_together(three()).fields["window"] == {
        "started": STARTED,
        "snapshot_started": "2026-11-22T02:01:00.000Z",
        "snapshot_finished": "2026-11-22T02:03:30.000Z",
        "finished": FINISHED,
    }


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=2, max_size=9))
def test_the_points_are_the_fewest_and_the_most_that_any_node_counted(counts: list[tuple[int, int]]) -> None:
    shares = [share(f"n{n}", n, points={"before": a, "after": b}) for n, (a, b) in enumerate(counts)]
    every = [count for pair in counts for count in pair]
    points = put_together(shares, tuple(range(len(counts)))).points
    assert points == {"before": min(every), "after": max(every)}


def test_one_node_says_its_points_in_their_order() -> None:
    manifest = put_together([share("n0", 0, 1, 2, points={"before": 9, "after": 4})])
    assert (manifest.points, manifest.probes) == ({"before": 9, "after": 4}, PROBES)


def test_probes_are_dropped_where_points_came_between_the_shares() -> None:
    shares = three()
    shares[1]["points"]["after"] += 1
    assert put_together(shares).probes == NO_PROBES


def test_probes_of_whichever_node_has_recorded_them() -> None:
    shares = [share("n0", 0, probes=NO_PROBES), share("n1", 2), share("n2", 1, probes=PROBES)]
    assert put_together(shares).probes == PROBES


def test_shard_keys_keep_their_kind() -> None:
    shares = [share("n0", 0, keys={0: "7"}), share("n1", 1, 2, keys={1: 7, 2: "eu"})]
    for entry in shares:
        entry["config"]["params"]["sharding_method"] = "custom"
    manifest = put_together(shares)
    assert manifest.sharding == {"method": "custom", "shard_keys": {"0": "7", "1": 7, "2": "eu"}}
    assert [entry["shard_key"] for entry in manifest.shards] == ["7", 7, "eu"]


@given(st.sets(st.integers(0, 8)), st.lists(st.integers(0, 8), max_size=12))
def test_whatever_is_not_there_once_is_named(expected: set[int], stored: list[int]) -> None:
    shares = [share(f"n{number}", shard) for number, shard in enumerate(stored)]
    for number, entry in enumerate(shares):
        entry["node"] = f"n{number}"
    if stored and sorted(stored) == sorted(expected):
        assert [entry["shard"] for entry in put_together(shares, tuple(expected)).shards] == sorted(stored)
        return
    error = refusal(shares, tuple(expected))
    assert error.result["missing"] == sorted(expected - set(stored))
    for shard in range(9):
        assert (f"shard {shard} is missing" in error.detail) == (shard in expected - set(stored))
        assert (f"shard {shard} is there twice" in error.detail) == (stored.count(shard) > 1)
        assert (f"shard {shard} was not asked for" in error.detail) == (shard in set(stored) - expected)


def test_no_shares_are_no_backup() -> None:
    assert refusal([], ()).detail.endswith("there are none.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backup_id", "20261122T020000Z-ffffff"),
        ("cluster", "staging"),
        ("collection", "other"),
        ("qdrant_version", "1.16.4"),
        ("config", {"params": {"vectors": {"size": 5, "distance": "Dot"}}}),
        ("tool", {"name": "vectorops.qdrant_dr", "version": "0.2.0"}),
    ],
)
def test_shares_that_differ_are_refused(field: str, value: Any) -> None:
    shares = three()
    shares[2][field] = value
    error = refusal(shares)
    assert error.detail == f"The shares of the nodes do not make a backup: the nodes disagree on {field}."
    assert error.result["missing"] == []


def test_all_reasons_are_named_at_once() -> None:
    shares = [share("n0", 0, 1), share("n1", 1, 7, qdrant_version="1.17.0", cluster="staging")]
    detail = refusal(shares).detail
    for reason in (
        "shard 2 is missing",
        "shard 1 is there twice",
        "shard 7 was not asked for",
        "the nodes disagree on qdrant_version",
        "the nodes disagree on cluster",
    ):
        assert reason in detail


@pytest.mark.parametrize("attempt", [1, 2, 9999])
def test_a_later_attempt_has_a_place_of_its_own(attempt: int) -> None:
    manifest = put_together([share("n0", 0), share("n1", 1, 2, attempt=attempt)])
    assert [manifest.object_key(entry).rsplit("/", 1)[-1] for entry in manifest.shards] == [
        "0.snapshot",
        f"1-{attempt}.snapshot",
        f"2-{attempt}.snapshot",
    ]


@pytest.mark.parametrize(
    "key",
    [
        f"backups/{BACKUP}/shards/1.snapshot",
        f"backups/{BACKUP}/shards/2-0.snapshot",
        f"backups/{BACKUP}/shards/2-01.snapshot",
        f"backups/{BACKUP}/shards/2-10000.snapshot",
        f"backups/{BACKUP}/shards/2-\u0661.snapshot",
        f"backups/{BACKUP}/shards/2-1.snapshot\n",
        f"backups/{BACKUP}/shards/../shards/2.snapshot",
        "backups/20261122T020000Z-ffffff/shards/2.snapshot",
    ],
)
def test_a_share_cannot_name_an_object_elsewhere(key: str) -> None:
    shares = copy.deepcopy(three())
    shares[1]["shards"][0]["object"]["key"] = key
    with pytest.raises(DamagedManifest, match="outside of its backup"):
        put_together(shares)
    assert not layout.is_shard_key(key, BACKUP, 2)


WRAP = {"kind": "aws:kms", "key_id": "arn:aws:kms:eu-central-1:1:key/a", "wrapped": "AAAA"}


def sealed_share(node: str, *shards: int, **fields: Any) -> Json:
    """The same, encrypted before it was sent, with a data key of its own."""
    key_id = node[1:].zfill(32)
    made = share(node, *shards, **fields)
    for entry in made["shards"]:
        stored = entry["object"]
        sealed = {"data_key": key_id, "plain_size": stored["size"], "plain_sha256": stored["sha256"]}
        stored |= {"size": stored["size"] + 80, "client_encryption": sealed}
    probes = {**NO_PROBES, "sealed": {"data_key": key_id, "text": "AAAA"}} if made["probes"] == PROBES else NO_PROBES
    return {**made, "data_keys": {key_id: WRAP}, "probes": probes}


def test_the_data_keys_of_all_shares_come_together() -> None:
    manifest = put_together([sealed_share("n0", 0), sealed_share("n1", 2), sealed_share("n2", 1)])
    assert sorted(manifest.data_keys) == [f"{number:032}" for number in range(3)]
    assert manifest.probes["sealed"]["data_key"] == f"{0:032}"
    other = {"before": 20, "after": 21}
    unquiet = put_together([sealed_share("n0", 0), sealed_share("n1", 1, 2, points=other)])
    assert unquiet.probes == NO_PROBES


def test_a_share_that_was_left_plain_makes_no_encrypted_backup() -> None:
    error = refusal([sealed_share("n0", 0), share("n1", 2), sealed_share("n2", 1)])
    assert "n1 did not encrypt its share, and others did" in error.detail
