# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module collection_check, recall probes and waiting, against real nodes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import OperationTimeout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.probe import measure_recall, record_probes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.readiness import wait_until_ready
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tools.servers import QdrantServer

pytestmark = pytest.mark.qdrant

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def check(run_module: Run, qdrant_server: QdrantServer) -> Run:
    """Run the module collection_check against the shared node."""
    return lambda **params: run_module("collection_check", {"url": qdrant_server.url, **params})


def test_a_healthy_collection(check: Run, make_collection: Callable[..., str], qdrant: Qdrant) -> None:
    name = make_collection(points=300)
    probes = record_probes(qdrant, name)
    result = check(collection=name, expect_points=300, probes=probes, wait=30)
    assert not result["changed"]
    assert result["healthy"]
    assert result["findings"] == []
    assert result["points"] == 300
    assert list(result["points_by_node"]) == [qdrant.connection.address]
    assert [(replica["shard"], replica["state"]) for replica in result["replicas"]] == [(0, "Active"), (1, "Active")]
    assert result["digest"].startswith("qdr1-")
    assert result["exact_recall_at_10"] == 1.0
    assert result["recall_at_10"] == pytest.approx(result["baseline_recall_at_10"])
    assert set(result["recall_by_vector"]) == {"text", "image"}
    assert check(collection=name, digest=False)["digest"] is None
    assert check(collection=name, expect_digest=result["digest"], digest=False)["healthy"]


def test_the_digest_tells_equal_from_different(check: Run, make_collection: Callable[..., str], qdrant: Qdrant) -> None:
    name, copy = make_collection(points=120), make_collection(points=120, shard_number=3)
    compared = check(collection=copy, compare={"collection": name})
    assert compared["healthy"]
    assert compared["digest"] == check(collection=name)["digest"]
    change = {"payload": {"number": -1}, "points": [1]}
    qdrant.call("POST", f"/collections/{copy}/points/payload", change, {"wait": True})
    failed = check(collection=copy, compare={"collection": name})
    assert failed["failed"]
    assert failed["failure"]["code"] == "check_failed"
    assert failed["points"] == 120
    assert len(failed["findings"]) == 1
    assert "digest" in failed["findings"][0]
    lenient = check(collection=copy, compare={"collection": name}, fail_when_unhealthy=False)
    assert not lenient.get("failed")
    assert not lenient["healthy"]


def test_a_missing_point_is_counted(check: Run, make_collection: Callable[..., str]) -> None:
    name = make_collection(points=20)
    failed = check(collection=name, expect_points=21)
    assert failed["failure"]["code"] == "check_failed"
    assert "points is 20, not 21" in failed["failure"]["detail"]


def test_wrong_neighbours_are_noticed(check: Run, make_collection: Callable[..., str], qdrant: Qdrant) -> None:
    name = make_collection(points=200)
    probes = record_probes(qdrant, name)
    flipped = [
        {"id": point["id"], "vector": {"image": [-x for x in point["vector"]["image"]]}}
        for point in qdrant.scroll(name)
    ]
    qdrant.call("PUT", f"/collections/{name}/points/vectors", {"points": flipped}, {"wait": True})
    failed = check(collection=name, probes=probes, digest=False)
    assert failed["failure"]["code"] == "check_failed"
    assert all("'image'" in finding for finding in failed["findings"])
    assert failed["recall_by_vector"]["text"]["recall_at_10"] == 1.0
    assert failed["recall_by_vector"]["image"]["exact_recall_at_10"] < 0.5
    assert failed["ann_vs_exact"] == 1.0


def test_probes_of_another_shape(check: Run, make_collection: Callable[..., str]) -> None:
    name = make_collection(points=1)
    assert check(collection=name, probes={"vectors": "x"})["failure"]["code"] == "damaged_manifest"


def test_an_empty_collection_has_no_recall(check: Run, make_collection: Callable[..., str], qdrant: Qdrant) -> None:
    name = make_collection(points=0)
    probes = record_probes(qdrant, name)
    assert probes == {"k": 10, "vectors": {}}
    result = check(collection=name, probes=probes, expect_points=0)
    assert result["healthy"]
    assert result["recall_at_10"] is None
    assert measure_recall(qdrant, name, probes)["by_vector"] == {}


def test_no_probes_asked_for(qdrant: Qdrant, make_collection: Callable[..., str]) -> None:
    assert record_probes(qdrant, make_collection(points=3), per_vector=0) == {"k": 10, "vectors": {}}


@pytest.mark.parametrize("distance", ["Cosine", "Dot", "Euclid", "Manhattan"])
def test_probes_of_every_kind_of_vector(qdrant: Qdrant, distance: str) -> None:
    name = f"c-{secrets.token_hex(6)}"
    size = {"size": 2, "distance": distance}
    vectors = {"dense": size, "multi": {**size, "multivector_config": {"comparator": "max_sim"}}}
    qdrant.create_collection(name, {"vectors": vectors, "sparse_vectors": {"sparse": {}}})
    try:
        points = [
            {
                "id": number,
                "vector": {
                    "dense": [number % 10, number // 10],
                    "multi": [[number, 1.0], [2.0, number]],
                    "sparse": {"indices": [number % 5, 7], "values": [1.0 + number, 0.5]},
                },
            }
            for number in range(1, 60)
        ]
        qdrant.call("PUT", f"/collections/{name}/points", {"points": points}, {"wait": True})
        probes = record_probes(qdrant, name, per_vector=4, k=5)
        assert {key: len(vector["queries"]) for key, vector in probes["vectors"].items()} == {
            "dense": 4,
            "multi": 4,
            "sparse": 4,
        }
        assert all(len(q["expected"]) == 5 for v in probes["vectors"].values() for q in v["queries"])
        measured = measure_recall(qdrant, name, probes)
        assert measured["recall_at_10"] == measured["exact_recall_at_10"] == measured["baseline"] == 1.0
    finally:
        qdrant.delete_collection(name)


def test_the_unnamed_vector_has_probes(qdrant: Qdrant) -> None:
    name = f"c-{secrets.token_hex(6)}"
    qdrant.create_collection(
        name, {"vectors": {"size": 2, "distance": "Dot"}, "sparse_vectors": {"s": {}}, "shard_number": 2}
    )
    try:
        points = [{"id": number, "vector": [1.0, number]} for number in range(30)]
        qdrant.call("PUT", f"/collections/{name}/points", {"points": points}, {"wait": True})
        probes = record_probes(qdrant, name)
        assert list(probes["vectors"]) == [""]
        assert len(probes["vectors"][""]["queries"]) == 10
        assert measure_recall(qdrant, name, probes)["recall_at_10"] == 1.0
    finally:
        qdrant.delete_collection(name)


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[tuple[QdrantServer, QdrantServer]]:
    with (
        QdrantServer(tmp_path / "1", cluster=True) as first,
        QdrantServer(tmp_path / "2", bootstrap=first.uri) as second,
    ):
        yield first, second


def test_every_replica_on_every_node(
    two_nodes: tuple[QdrantServer, QdrantServer], make_collection: Callable[..., str], run_module: Run
) -> None:
    first, second = two_nodes
    nodes = [Qdrant(QdrantConnection(server.url)) for server in two_nodes]
    name = make_collection(points=100, on=nodes[0], replication_factor=2)
    wait_until_ready(nodes, name, 60)
    params = {"urls": [first.url, second.url], "collection": name, "expect_points": 100}
    result = run_module("collection_check", params)
    assert result["healthy"]
    assert len(result["replicas"]) == 4
    assert len(set(result["digest_by_node"].values())) == 1
    assert run_module("collection_check", {**params, "urls": [first.url]})["digest"] == result["digest"]

    # one replica fewer than the replication factor asks for
    peer = nodes[1].collection_cluster(name)["peer_id"]
    nodes[0].call("POST", f"/collections/{name}/cluster", {"drop_replica": {"shard_id": 1, "peer_id": peer}})
    with pytest.raises(OperationTimeout, match="shard 1 has 1 replicas, fewer than 2"):
        wait_until_ready(nodes, name, 0.5)
    failed = run_module("collection_check", {**params, "wait": 1})
    assert failed["failure"]["code"] == "timeout"
    assert any("shard 1 has 1 replicas" in finding for finding in failed["findings"])
    away = run_module("collection_check", {**params, "urls": [first.url, "http://127.0.0.1:1"]})
    assert away["failure"]["code"] == "qdrant_unreachable"


def test_a_grey_collection_is_woken(tmp_path: Path, make_collection: Callable[..., str]) -> None:
    with QdrantServer(tmp_path / "q") as server:
        node = Qdrant(QdrantConnection(server.url))
        name = make_collection(points=0, dimensions={"v": 64}, on=node, index=False, shard_number=1)
        config = {"indexing_threshold": 100_000_000}
        node.update_collection(name, {"optimizers_config": config})
        points = [{"id": number, "vector": {"v": [float(number)] * 64}} for number in range(3000)]
        node.call("PUT", f"/collections/{name}/points", {"points": points}, {"wait": True})
        wait_until_ready([node], name, 60)
        server.stop()
        path = server.storage_path / "collections" / name / "config.json"
        path.write_text(path.read_text().replace('"indexing_threshold":100000000', '"indexing_threshold":10'))
        server.start()
        assert node.collection(name)["status"] == "grey"
        with pytest.raises(OperationTimeout, match="status is grey"):
            wait_until_ready([node], name, 0.3)
        wait_until_ready([node], name, 60, trigger_optimizer=True)
        assert node.collection(name)["indexed_vectors_count"] == 3000
