# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a cluster of 3 nodes: every shard once, from a replica that has it, and what was acknowledged is in it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    commit_shares,
    plan_cluster,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import KEYS, VECTORS, Cluster, back_up_cluster, make_sharded, start_cluster, store_shares
from tests.made_backups import with_key
from tests.proofs import holdings, verify_all, wait_for

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
WRITERS: list[str | int] = ["a", 2, "c"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as started:
        make_sharded(started.nodes, "docs")
        make_sharded(started.nodes, "keyed", keys=KEYS)
        yield started


def manifest_of(repository: Repository, collection: str, made: Json) -> Manifest:
    return read_manifest(repository, collection, made["backup_id"])[0]


@pytest.mark.parametrize("collection", ["docs", "keyed"])
def test_every_shard_is_stored_once_by_a_node_that_has_it(
    cluster: Cluster, repository: Repository, collection: str
) -> None:
    made = back_up_cluster(cluster, repository, collection)

    assert verify_all(repository) == [made["backup_id"]]
    manifest = manifest_of(repository, collection, made)
    placed = {str(node.cluster()["peer_id"]): node.collection_cluster(collection) for node in cluster.nodes}
    holders = {
        shard: {peer for peer, seen in placed.items() if shard in {each["shard_id"] for each in seen["local_shards"]}}
        for shard in cluster.facts(0)[0]["collections"][collection]["all_shards"]
    }
    assert [entry["shard"] for entry in manifest.shards] == sorted(holders)
    assert len(holders) == 6
    for entry in manifest.shards:
        assert str(entry["peer_id"]) in holders[entry["shard"]]
        assert entry["peer_id"] == cluster.node(entry["node"]).cluster()["peer_id"]
        assert entry["wal"]["first_found_by"] in ("ack_index", "segments")
        assert entry["window"]["started"] <= entry["window"]["finished"]
    assert manifest.points == {"before": 600, "after": 600}
    assert sorted(manifest.payload_indexes) == ["group", "number"]
    used = {entry["node"] for entry in manifest.shards}
    assert len(used) >= 2, "the nodes share the work"
    assert {snapshot["node"] for snapshot in manifest.fields["snapshots"]} == used
    assert [node.snapshots(collection) for node in cluster.nodes] == [[], [], []], "no snapshot stays on any node"


def test_nothing_but_the_backup_is_in_the_store(cluster: Cluster, repository: Repository) -> None:
    made = back_up_cluster(cluster, repository, "docs")
    manifest = manifest_of(repository, "docs", made)
    archives = {manifest.object_key(entry) for entry in manifest.shards}
    used = {entry["node"] for entry in manifest.shards}
    assert set(holdings(repository)) == {
        layout.manifest_key("docs", made["backup_id"]),
        *archives,
        *map(layout.sidecar_key, archives),
        *(layout.share_key("docs", made["backup_id"], name) for name in used),
    }


def test_every_node_encrypts_its_share_with_a_key_of_its_own(cluster: Cluster, repository: Repository) -> None:
    sealed = with_key(repository, secrets.token_hex(32))
    manifest = manifest_of(repository, "docs", back_up_cluster(cluster, sealed, "docs"))

    keys = {entry["node"]: entry["object"]["client_encryption"]["data_key"] for entry in manifest.shards}
    assert len(keys) >= 2
    assert set(keys.values()) == set(manifest.data_keys)
    assert "sealed" in manifest.probes
    shares = [repository.get(key) for key in holdings(repository) if "/nodes/" in key]
    assert not [share for share in shares if b'"queries"' in share], "nor does a share show the probes"
    restore(cluster.nodes, [sealed], RestoreRequest("docs", target="docs-opened"))
    assert [node.count("docs-opened") for node in cluster.nodes] == [600, 600, 600]


def test_shard_keys_are_recorded_as_they_are(cluster: Cluster, repository: Repository) -> None:
    manifest = manifest_of(repository, "keyed", back_up_cluster(cluster, repository, "keyed"))
    keys = [entry["shard_key"] for entry in manifest.shards]
    assert {key: keys.count(key) for key in keys} == KEYS
    assert manifest.sharding["method"] == "custom"


def test_a_backup_that_is_young_enough_is_enough(cluster: Cluster, repository: Repository) -> None:
    made = back_up_cluster(cluster, repository, "docs")
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs", max_age=3600))
    assert (plan["needed"], plan["backup_id"], plan["shares"]) == (False, made["backup_id"], {})
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs", max_age=0))
    assert plan["needed"]
    assert plan["backup_id"] > made["backup_id"]


def test_planning_changes_nothing(cluster: Cluster, repository: Repository) -> None:
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    assert plan["needed"]
    assert sorted(shard for shards in plan["shares"].values() for shard in shards) == list(range(6))
    assert holdings(repository) == {}
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]


@pytest.mark.parametrize("excluded", ["n0", "n2"])
def test_an_excluded_node_is_left_in_peace(cluster: Cluster, repository: Repository, excluded: str) -> None:
    made = back_up_cluster(cluster, repository, "docs", exclude=frozenset({excluded}))
    manifest = manifest_of(repository, "docs", made)
    assert len(manifest.shards) == 6
    assert excluded not in {snapshot["node"] for snapshot in manifest.fields["snapshots"]}
    assert verify_all(repository) == [made["backup_id"]]


class Writer(threading.Thread):
    """Writes points 0, 1, 2, ... of one shard, one request each; ``acknowledged`` is the last that Qdrant confirmed."""

    def __init__(self, qdrant: Qdrant, name: str, number: int) -> None:
        super().__init__(daemon=True)
        self.qdrant, self.path, self.number = qdrant, f"/collections/{name}/points", number
        self.acknowledged = -1
        self.ending = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self._write(self.acknowledged + 1)
        except Exception as error:  # the test reports it
            self.error = error

    def _write(self, point: int) -> None:
        vector = {name: [1.0 + point % 7] * params["size"] for name, params in VECTORS.items()}  # type: ignore[operator]
        points = [{"id": self.number * 1_000_000 + point, "vector": vector, "payload": {"number": point}}]
        self.qdrant.call("PUT", self.path, {"points": points, "shard_key": WRITERS[self.number]}, {"wait": True})
        self.acknowledged = point


def test_what_was_acknowledged_before_the_first_snapshot_is_in_the_backup(
    cluster: Cluster, repository: Repository
) -> None:
    make_sharded(cluster.nodes, "busy", points=0, keys=dict.fromkeys(WRITERS, 1))
    writers = [Writer(cluster.nodes[number], "busy", number) for number in range(len(WRITERS))]
    for writer in writers:
        writer.start()
    wait_for(lambda: all(writer.acknowledged > 30 for writer in writers), "some writes")
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("busy"))
    promised = [writer.acknowledged for writer in writers]
    store_shares(cluster, repository, plan)
    after = [writer.acknowledged for writer in writers]
    assert all(a > b for a, b in zip(after, promised, strict=True)), "writes went on meanwhile"
    commit_shares(repository, [plan])
    for writer in writers:
        writer.ending.set()
        writer.join()
        assert writer.error is None

    restore(cluster.nodes, [repository], RestoreRequest("busy", target="busy-again"))

    for node in cluster.nodes:
        found: dict[int, set[int]] = {number: set() for number in range(len(WRITERS))}
        for point in node.scroll("busy-again"):
            found[point["id"] // 1_000_000].add(point["id"] % 1_000_000)
        for number, points in found.items():
            assert points == set(range(len(points))), "no hole: what came before a point of a shard is there with it"
            assert promised[number] < len(points) <= after[number] + 2
    for name in ("busy", "busy-again"):
        cluster.nodes[0].delete_collection(name)
