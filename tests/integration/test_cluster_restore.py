# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup of 3 nodes, 6 shards and 2 replicas, restored to clusters of other shapes: exact on every node."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    OperationTimeout,
    TargetExists,
    TargetUnfit,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    collection_digest,
    wait_until_ready,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import (
    KEYS,
    READY_SECONDS,
    Cluster,
    back_up_cluster,
    content_of_key,
    copies,
    fill_key,
    key_shards,
    make_sharded,
    start_cluster,
)
from tests.made_backups import location_on
from tests.proofs import verify_all
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
COLLECTIONS = ["docs", "keyed"]


@dataclass
class Source:
    """A cluster, the backups of its two collections, and what was in them."""

    cluster: Cluster
    repository: Repository
    digests: dict[str, tuple[int, str]]
    by_key: dict[str | int, tuple[int, str]]
    numbers: dict[str | int, list[int]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, s3_server: SeaweedServer) -> Iterator[Source]:
    bucket = s3_server.create_bucket(f"b-{secrets.token_hex(6)}")
    folder = tmp_path_factory.mktemp("source")
    with start_cluster(folder, 3) as cluster, Repository(location_on(s3_server, bucket)) as repository:
        make_sharded(cluster.nodes, "docs")
        make_sharded(cluster.nodes, "keyed", keys=KEYS, gaps=True)
        for name in COLLECTIONS:
            alias = {"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}
            cluster.nodes[0].update_aliases([alias])
            back_up_cluster(cluster, repository, name)
        digests = {name: collection_digest(cluster.nodes[0], name) for name in COLLECTIONS}
        by_key = {key: content_of_key(cluster.nodes[0], "keyed", key) for key in KEYS}
        yield Source(cluster, repository, digests, by_key, key_shards(cluster.nodes[0], "keyed"))


def prove(nodes: list[Qdrant], source: Source, collection: str, name: str, replicas: int) -> None:
    """What is called ``name`` is, on every node, what ``collection`` was."""
    for node in nodes:
        assert collection_digest(node, name) == source.digests[collection]
        assert node.count(name) == 600
        assert copies(node, name) == dict.fromkeys(copies(node, name), replicas)
        assert len(copies(node, name)) == 6
        info = node.collection(name)
        assert {field: entry["points"] for field, entry in info["payload_schema"].items()} == {
            "group": 600,
            "number": 600,
        }
        placed = node.collection_cluster(name)
        for shard in placed["local_shards"]:
            assert node.shard_snapshots(name, shard["shard_id"]) == [], "no upload is left behind"
        if collection == "keyed":
            there = key_shards(node, name)
            assert {key: len(shards) for key, shards in there.items()} == KEYS
            assert [shards for shards in there.values() if len(shards) > 1] == [
                shards for shards in source.numbers.values() if len(shards) > 1
            ], "Qdrant finds a point by the numbers of its key's shards"
            assert {key: content_of_key(node, name, key) for key in KEYS} == source.by_key


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_beside_the_original_on_the_same_cluster(source: Source, collection: str) -> None:
    nodes = source.cluster.nodes
    request = RestoreRequest(collection, target="again", aliases=[], expect_digest=source.digests[collection][1])
    result = restore(nodes, [source.repository], request)
    try:
        assert result["check"]["healthy"]
        assert set(result["check"]["points_by_node"].values()) == {600}
        prove(nodes, source, collection, "again", 2)
        prove(nodes, source, collection, collection, 2)
        assert nodes[0].aliases() == {f"{name}-live": name for name in COLLECTIONS}
    finally:
        nodes[0].delete_collection("again")


@pytest.fixture(scope="module", params=[3, 2, 4], ids=["three", "two", "four"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("fresh"), request.param) as started:
        yield started


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_on_a_new_cluster_of_another_size(source: Source, fresh: Cluster, collection: str) -> None:
    result = restore(fresh.nodes, [source.repository], RestoreRequest(collection))
    assert result["check"]["digest"] == source.digests[collection][1]
    assert len(result["check"]["digest_by_node"]) == len(fresh.nodes)
    prove(fresh.nodes, source, collection, collection, 2)
    for node in fresh.nodes:
        assert node.aliases()[f"{collection}-live"] == collection
        holding = {shard["shard_id"] for shard in node.collection_cluster(collection)["local_shards"]}
        assert holding, "every node has its part"


@pytest.mark.parametrize("replicas", [1, 3])
def test_with_another_number_of_replicas(source: Source, fresh: Cluster, replicas: int) -> None:
    request = RestoreRequest("docs", target="other", aliases=[], replication_factor=replicas)
    if replicas > len(fresh.nodes):
        with pytest.raises(TargetUnfit, match="replication_factor 3 exceeds the 2 peers"):
            restore(fresh.nodes, [source.repository], request)
        assert "other" not in fresh.nodes[0].collections()
        return
    restore(fresh.nodes, [source.repository], request)
    try:
        prove(fresh.nodes, source, "docs", "other", replicas)
    finally:
        fresh.nodes[0].delete_collection("other")


def prove_routing(nodes: list[Qdrant], source: Source, name: str) -> None:
    """Points of the keyed collection that are written again by id are those that are there, and go when deleted."""
    for number, key in enumerate(KEYS):
        fill_key(nodes[-1], name, key, 200, number * 600)
    wait_until_ready(nodes, name, READY_SECONDS)
    assert {node.count(name) for node in nodes} == {600}
    assert [collection_digest(node, name) for node in nodes] == [source.digests["keyed"]] * len(nodes)
    for number, key in enumerate(KEYS):
        body = {"points": list(range(number * 600, number * 600 + 200)), "shard_key": key}
        nodes[0].call("POST", f"/collections/{name}/points/delete", body, {"wait": True})
    assert {node.count(name) for node in nodes} == {0}


def test_writes_by_id_reach_the_restored_points(source: Source) -> None:
    nodes = source.cluster.nodes
    assert source.numbers == {"eu": [2, 3], 7: [5], "us west": [7, 8, 9]}, "numbers are missing before every key"
    restore(nodes, [source.repository], RestoreRequest("keyed", target="written", aliases=[]))
    try:
        prove(nodes, source, "keyed", "written", 2)
        prove_routing(nodes, source, "written")
    finally:
        nodes[0].delete_collection("written")


def test_a_restore_has_not_ended_before_the_last_replica_has_its_points(source: Source, repository: Repository) -> None:
    """Qdrant answers an upload while it still calls the other, empty replicas Active; one shard alone shows it."""
    nodes = source.cluster.nodes
    make_sharded(nodes, "single", points=100, shard_number=1)
    try:
        digest = collection_digest(nodes[0], "single")
        back_up_cluster(source.cluster, repository, "single")
        for _again in range(3):
            nodes[0].delete_collection("single")
            restore(nodes, [repository], RestoreRequest("single"))
            assert [collection_digest(node, "single") for node in nodes] == [digest] * 3
    finally:
        nodes[0].delete_collection("single")


def test_on_a_standalone_server(source: Source, qdrant: Qdrant) -> None:
    restore([qdrant], [source.repository], RestoreRequest("docs", target="alone", aliases=["alone-live"]))
    try:
        prove([qdrant], source, "docs", "alone", 1)
        assert qdrant.aliases()["alone-live"] == "alone"
    finally:
        qdrant.delete_collection("alone")


def test_shard_keys_on_a_standalone_server_are_refused_with_what_to_do(source: Source, qdrant: Qdrant) -> None:
    before = qdrant.collections()
    with pytest.raises(TargetUnfit) as refusal:
        restore([qdrant], [source.repository], RestoreRequest("keyed", target="alone"))
    assert refusal.value.result["reasons"] == [
        "shard keys need a node in distributed mode: set cluster.enabled there, one node is enough"
    ]
    assert qdrant.collections() == before


def test_a_standalone_server_still_refuses_shard_keys(qdrant: Qdrant) -> None:
    """The reason for the refusal above; where this fails, a newer Qdrant may allow such a restore."""
    qdrant.create_collection("keyless", {"vectors": {}, "sharding_method": "custom"})
    try:
        with pytest.raises(Exception, match="Distributed mode disabled"):
            qdrant.create_shard_key("keyless", {"shard_key": "eu"})
    finally:
        qdrant.delete_collection("keyless")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_on_one_node_in_distributed_mode(
    source: Source, tmp_path_factory: pytest.TempPathFactory, collection: str
) -> None:
    with start_cluster(tmp_path_factory.mktemp("one"), 1) as one:
        restore(one.nodes, [source.repository], RestoreRequest(collection))
        prove(one.nodes, source, collection, collection, 1)
        if collection == "keyed":
            prove_routing(one.nodes, source, collection)


def test_a_key_with_too_few_replicas_is_no_finished_restore(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Qdrant.create_shard_key

    def with_one_replica(self: Qdrant, name: str, body: Json) -> None:
        create(self, name, body | ({"replication_factor": 1} if body["shard_key"] == 7 else {}))

    monkeypatch.setattr(Qdrant, "create_shard_key", with_one_replica)
    nodes = source.cluster.nodes
    request = RestoreRequest("keyed", target="thin", aliases=[], ready_timeout=15)
    try:
        with pytest.raises(OperationTimeout, match="shard 4 has 1 replicas, fewer than 2"):
            restore(nodes, [source.repository], request)
    finally:
        nodes[0].delete_collection("thin")


def peer_of(node: Qdrant) -> str:
    return str(node.cluster()["peer_id"])


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_node_that_is_not_named_is_missed_before_anything_is_made(source: Source, replicas: int) -> None:
    """With as many replicas as nodes, one node can be given every shard, and nobody would look at the others."""
    first, second, third = source.cluster.nodes
    unnamed = {peer: source.cluster.servers[i].uri for i, peer in ((1, peer_of(second)), (2, peer_of(third)))}
    for named, missed in (([first], unnamed), ([third, first], {peer_of(second): unnamed[peer_of(second)]})):
        request = RestoreRequest("docs", target="partly", aliases=[], replication_factor=replicas)
        with pytest.raises(TargetUnfit, match="node_urls") as refusal:
            restore(named, [source.repository], request)
        [reason] = refusal.value.result["reasons"]
        for peer, uri in missed.items():
            assert f"{peer} ({uri.rstrip('/')}" in reason
        assert peer_of(named[0]) not in reason
        assert "partly" not in first.collections()


def test_a_node_of_another_cluster_is_refused(source: Source, qdrant: Qdrant) -> None:
    nodes = source.cluster.nodes
    for named, stranger in (([*nodes, qdrant], qdrant), ([qdrant, nodes[0]], nodes[0])):
        with pytest.raises(TargetUnfit) as refusal:
            restore(named, [source.repository], RestoreRequest("docs", target="partly", aliases=[]))
        assert refusal.value.result["reasons"] == [f"{stranger.connection.url} is no node of this cluster"]
        assert "partly" not in named[0].collections()


def test_a_shard_key_that_somebody_takes_away_meanwhile(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Qdrant.create_shard_key

    def all_but_one(self: Qdrant, name: str, body: Json) -> None:
        if body["shard_key"] != 7:
            create(self, name, body)

    monkeypatch.setattr(Qdrant, "create_shard_key", all_but_one)
    with pytest.raises(TargetUnfit, match="lacking has 0 shards with the key 7, the backup has 1"):
        restore(source.cluster.nodes, [source.repository], RestoreRequest("keyed", target="lacking", aliases=[]))
    assert "lacking" not in source.cluster.nodes[0].collections()


def test_a_key_whose_shards_got_other_numbers_is_refused(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Qdrant would cause it that gives new shards other numbers than it does today."""
    create = Qdrant.create_shard_key

    def only_real_ones(self: Qdrant, name: str, body: Json) -> None:
        if body["shard_key"] in KEYS:
            create(self, name, body)

    monkeypatch.setattr(Qdrant, "create_shard_key", only_real_ones)
    monkeypatch.setattr(Qdrant, "delete_shard_key", lambda self, name, key: None)
    with pytest.raises(TargetUnfit, match="key 'eu' got the numbers 1, 2 in renumbered, the backup has 2, 3"):
        restore(source.cluster.nodes, [source.repository], RestoreRequest("keyed", target="renumbered", aliases=[]))
    assert "renumbered" not in source.cluster.nodes[0].collections()


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_over_what_is_there_only_when_told_and_after_a_backup_of_it(
    source: Source, repository: Repository, collection: str
) -> None:
    nodes = source.cluster.nodes
    # Of the shard keys it lacks most.
    make_sharded(nodes, "taken", points=90, keys={"eu": 1} if collection == "keyed" else None)
    try:
        live = collection_digest(nodes[0], "taken")
        request = RestoreRequest(collection, target="taken", aliases=[])
        with pytest.raises(TargetExists):
            restore(nodes, [repository, source.repository], request)
        assert collection_digest(nodes[0], "taken") == live

        request = RestoreRequest(collection, target="taken", aliases=[], overwrite=True)
        result = restore(nodes, [repository, source.repository], request)

        prove(nodes, source, collection, "taken", 2)
        assert verify_all(repository) == [result["safety_backup"]]
        nodes[0].delete_collection("taken")
        restore(nodes, [repository], RestoreRequest("taken"))
        assert {collection_digest(node, "taken") for node in nodes} == {live}
    finally:
        nodes[0].delete_collection("taken")
