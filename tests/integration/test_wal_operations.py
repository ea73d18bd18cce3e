# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Qdrant writes into its log for every operation of its client, and what is read out of it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import payload_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_glance import glance
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import (
    CONDITIONAL,
    PARTIAL_VECTORS,
    TRANSFER,
    WITHOUT_PAYLOAD,
    Operation,
    apply_index_operations,
    describe,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import NewEntries, WalFiles
from tests.cluster import start_cluster
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = pytest.mark.qdrant

NAMES = ("dense", "multi", "sparse")
UUID = str(uuid.UUID(int=5))
HIGHEST = 2**64 - 1
VECTORS: dict[str, Any] = {
    "dense": [1.0, 2.0],
    "multi": [[1.0, 2.0], [3.0, 4.0]],
    "sparse": models.SparseVector(indices=[1, 5], values=[0.5, 1.0]),
}
FILTER = models.Filter(
    must=[
        models.FieldCondition(key="k", match=models.MatchValue(value=1)),
        models.HasIdCondition(has_id=[UUID]),
    ]
)
AS_READ = {"must": [{"key": "k", "match": {"value": 1}}, {"has_id": [UUID]}]}
BOTH = (1, UUID)
PAYLOAD = {"k": 1, "t": {"x": [1.5, None, "\u00e4"]}}


class Log:
    """A collection of one shard, and what is new in its log."""

    def __init__(self, server: QdrantServer, name: str) -> None:
        self.name = name
        self.files = WalFiles(server.storage_path / "collections" / name / "0" / "wal")

    def new(self) -> list[tuple[int, bytes]]:
        items: list[tuple[int, bytes]] = []
        while (found := self.files.poll()) is not None:
            assert isinstance(found, NewEntries)
            items += found.entries.items(found.entries.first, found.entries.stop)
        return items

    def described(self) -> list[Operation]:
        entries = [entry for _index, entry in self.new()]
        found = [describe(entry) for entry in entries]
        glanced = [glance(entry) for entry in entries]
        assert [each.points for each in glanced] == [each.points for each in found]
        without = {"ids": None, "unread_ids": None}
        assert [replace(each, **without) for each in glanced] == [replace(each, **without) for each in found]
        return found


@pytest.fixture
def client(qdrant_server: QdrantServer) -> Iterator[QdrantClient]:
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False, timeout=60)
    yield client
    client.close()


@pytest.fixture
def make_log(qdrant_server: QdrantServer, client: QdrantClient) -> Iterator[Callable[..., Log]]:
    logs: list[Log] = []

    def make(**config: Any) -> Log:
        name = f"w-{secrets.token_hex(6)}"
        client.create_collection(name, shard_number=1, **config)
        logs.append(Log(qdrant_server, name))
        (empty,) = logs[-1].described()
        assert (empty.name, empty.points, empty.inexact(NAMES)) == ("upsert_points", 0, set())
        return logs[-1]

    yield make
    for log in logs:
        log.files.close()
        client.delete_collection(log.name)


@pytest.fixture
def log(make_log: Callable[..., Log]) -> Log:
    """Of a collection with a dense, a multi and a sparse vector."""
    dense = models.VectorParams(size=2, distance=models.Distance.DOT)
    multi = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    return make_log(
        vectors_config={"dense": dense, "multi": dense.model_copy(update={"multivector_config": multi})},
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )


def point(number: int | str, vector: Any, payload: Any = None) -> models.PointStruct:
    return models.PointStruct(id=number, vector=vector, payload=payload)


Call = Callable[[QdrantClient, str], Any]
OPERATIONS: dict[str, tuple[Call, Operation]] = {
    "upsert": (
        lambda client, name: client.upsert(name, [point(1, VECTORS, PAYLOAD), point(UUID, VECTORS)]),
        Operation("upsert_points", "upsert", BOTH, vectors=frozenset(NAMES), bare=True),
    ),
    "upsert of a batch without payloads": (
        lambda client, name: client.upsert(
            name, models.Batch(ids=[1, UUID], vectors={"dense": [[1, 2], [3, 4]]}, payloads=None)
        ),
        Operation("upsert_points", "upsert", BOTH, vectors=frozenset({"dense"}), bare=True),
    ),
    "upsert of a batch": (
        lambda client, name: client.upsert(
            name,
            models.Batch(ids=[1, UUID], vectors={"dense": [[1, 2], [3, 4]]}, payloads=[PAYLOAD, {}]),
        ),
        Operation("upsert_points", "upsert", BOTH, vectors=frozenset({"dense"})),
    ),
    "upsert with some vectors": (
        lambda client, name: client.upsert(name, [point(1, VECTORS, PAYLOAD), point(UUID, {"dense": [1, 2]}, {})]),
        Operation("upsert_points", "upsert", BOTH, vectors=frozenset({"dense"})),
    ),
    "upsert without vectors": (
        lambda client, name: client.upsert(name, [point(1, {})]),
        Operation("upsert_points", "upsert", (1,), vectors=frozenset(), bare=True),
    ),
    "conditional upsert": (
        lambda client, name: client.upsert(name, [point(1, VECTORS, PAYLOAD)], update_filter=FILTER),
        Operation("upsert_points_conditional", "upsert", (1,), condition=AS_READ, vectors=frozenset(NAMES)),
    ),
    "set payload": (
        lambda client, name: client.set_payload(name, PAYLOAD, points=[1, UUID]),
        Operation("set_payload", "payload", BOTH),
    ),
    "set payload by filter below a key": (
        lambda client, name: client.set_payload(name, PAYLOAD, points=FILTER, key="t.x"),
        Operation("set_payload", "payload", filter=AS_READ),
    ),
    "overwrite payload": (
        lambda client, name: client.overwrite_payload(name, PAYLOAD, points=[1, UUID]),
        Operation("overwrite_payload", "payload", BOTH),
    ),
    "overwrite payload by filter": (
        lambda client, name: client.overwrite_payload(name, PAYLOAD, points=FILTER),
        Operation("overwrite_payload", "payload", filter=AS_READ),
    ),
    "delete payload": (
        lambda client, name: client.delete_payload(name, ["k"], points=[1, UUID]),
        Operation("delete_payload", "payload", BOTH),
    ),
    "delete payload by filter": (
        lambda client, name: client.delete_payload(name, ["k"], points=FILTER),
        Operation("delete_payload", "payload", filter=AS_READ),
    ),
    "clear payload": (
        lambda client, name: client.clear_payload(name, [1, UUID]),
        Operation("clear_payload", "payload", BOTH),
    ),
    "clear payload by filter": (
        lambda client, name: client.clear_payload(name, models.FilterSelector(filter=FILTER)),
        Operation("clear_payload_by_filter", "payload", filter=AS_READ),
    ),
    "update vectors": (
        lambda client, name: client.update_vectors(
            name,
            [
                models.PointVectors(id=1, vector={"dense": [5, 6]}),
                models.PointVectors(id=UUID, vector={"sparse": VECTORS["sparse"], "multi": VECTORS["multi"]}),
            ],
        ),
        Operation("update_vectors", "vectors", BOTH),
    ),
    "conditional update of vectors": (
        lambda client, name: client.update_vectors(
            name, [models.PointVectors(id=1, vector={"dense": [5, 6]})], update_filter=FILTER
        ),
        Operation("update_vectors", "vectors", (1,), condition=AS_READ),
    ),
    "delete vectors": (
        lambda client, name: client.delete_vectors(name, ["dense"], [1, UUID]),
        Operation("delete_vectors", "vectors", BOTH),
    ),
    "delete vectors by filter": (
        lambda client, name: client.delete_vectors(name, ["dense", "sparse"], FILTER),
        Operation("delete_vectors_by_filter", "vectors", filter=AS_READ),
    ),
    "delete": (
        lambda client, name: client.delete(name, [1, UUID]),
        Operation("delete_points", "delete", BOTH),
    ),
    "delete by filter": (
        lambda client, name: client.delete(name, FILTER),
        Operation("delete_points_by_filter", "delete", filter=AS_READ),
    ),
}


@pytest.mark.parametrize(("call", "expected"), OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_is_read_as_the_client_sent_it(
    client: QdrantClient, log: Log, call: Call, expected: Operation
) -> None:
    client.upsert(log.name, [point(1, VECTORS, PAYLOAD), point(UUID, VECTORS, PAYLOAD)])
    log.new()
    call(client, log.name)
    assert log.described() == [expected]


@pytest.mark.parametrize(
    ("vector", "multi"), [([1.0, 2.0], False), ([[1.0, 2.0], [3.0, 4.0]], True)], ids=["dense", "multi"]
)
def test_a_vector_without_a_name_is_read(
    client: QdrantClient, make_log: Callable[..., Log], vector: Any, multi: bool
) -> None:
    config = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM) if multi else None
    log = make_log(vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=config))
    client.upsert(log.name, [point(1, vector), point(UUID, vector)])
    client.upsert(log.name, models.Batch(ids=[1, UUID], vectors=[vector, vector]))
    expected = Operation("upsert_points", "upsert", BOTH, vectors=frozenset({""}), bare=True)
    assert log.described() == [expected, expected]
    assert expected.inexact([""]) == {WITHOUT_PAYLOAD}


def test_a_plain_upsert_is_not_decoded_for_a_replay(client: QdrantClient, log: Log) -> None:
    points = [point(number, {**VECTORS, "dense": [number, 0.1]}, PAYLOAD) for number in (1, HIGHEST)]
    client.upsert(log.name, [*points, point(UUID, VECTORS)])
    client.upsert(log.name, models.Batch(ids=[1, UUID], vectors={"dense": [[1, 2], [3, 4]]}, payloads=[PAYLOAD, {}]))
    assert [glance(entry) for _index, entry in log.new()] == [
        Operation("upsert_points", "upsert", vectors=frozenset(NAMES), bare=True, unread_ids=3),
        Operation("upsert_points", "upsert", vectors=frozenset({"dense"}), unread_ids=2),
    ]


def test_several_operations_of_one_request_are_entries_of_their_own(client: QdrantClient, log: Log) -> None:
    client.batch_update_points(
        log.name,
        [
            models.UpsertOperation(upsert=models.PointsList(points=[point(9, VECTORS)])),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload=PAYLOAD, points=[9])),
            models.DeleteOperation(delete=models.PointIdsList(points=[9])),
        ],
    )
    assert [(operation.name, operation.ids) for operation in log.described()] == [
        ("upsert_points", (9,)),
        ("set_payload", (9,)),
        ("delete_points", (9,)),
    ]


def test_a_failed_operation_stands_in_the_log_like_any_other(client: QdrantClient, log: Log) -> None:
    with pytest.raises(UnexpectedResponse):
        client.upsert(log.name, [point(1, {**VECTORS, "dense": [1, 2, 3]})])
    assert [(operation.name, operation.ids) for operation in log.described()] == [("upsert_points", (1,))]


def test_what_a_replay_may_get_wrong_is_told_by_its_class(client: QdrantClient, log: Log) -> None:
    client.upsert(log.name, [point(1, VECTORS, PAYLOAD)])
    client.upsert(log.name, [point(1, {"dense": [1, 2]}, {})])
    client.upsert(log.name, [point(1, VECTORS)])
    client.upsert(log.name, [point(1, {"dense": [1, 2]})], update_filter=FILTER)
    client.update_vectors(log.name, [models.PointVectors(id=1, vector={"dense": [5, 6]})])
    client.delete(log.name, FILTER)
    assert [operation.inexact(NAMES) for operation in log.described()] == [
        set(),
        {PARTIAL_VECTORS},
        {WITHOUT_PAYLOAD},
        {CONDITIONAL, PARTIAL_VECTORS, WITHOUT_PAYLOAD},
        set(),
        set(),
    ]


def test_what_an_upsert_leaves_out_stays_where_qdrant_has_indexed_the_point(
    client: QdrantClient, make_log: Callable[..., Log], qdrant: Qdrant
) -> None:
    """The reason for two of the classes; where this fails, the Qdrant here replays them exactly, as 1.19 does."""
    size = 64
    params = models.VectorParams(size=size, distance=models.Distance.DOT)
    config = models.OptimizersConfigDiff(indexing_threshold=10, default_segment_number=1)
    log = make_log(vectors_config={"a": params, "b": params}, optimizers_config=config)

    def both(number: int) -> dict[str, list[float]]:
        return {"a": [number] * size, "b": [number] * size}

    client.upsert(log.name, [point(number, both(number), {"n": number}) for number in range(1, 400)])
    wait_for(lambda: qdrant.collection(log.name)["indexed_vectors_count"] >= 798, "the index")
    seen = []
    for _again in range(2):
        client.upsert(log.name, [point(1, both(7)), point(2, {"a": [7] * size}, {})])
        found = client.retrieve(log.name, [1, 2], with_vectors=True)
        seen.append([(each.payload, sorted(each.vector or {})) for each in sorted(found, key=lambda each: each.id)])
    assert seen == [[({"n": 1}, ["a", "b"]), ({}, ["a", "b"])], [({}, ["a", "b"]), ({}, ["a"])]]


def test_a_replica_that_a_transfer_fills_says_with_which_points(tmp_path: Path) -> None:
    with start_cluster(tmp_path, 2) as cluster:
        first = cluster.nodes[0]
        vectors = {name: {"size": 2, "distance": "Dot"} for name in ("a", "b")}
        first.create_collection("docs", {"vectors": vectors, "shard_number": 1})
        written = [{"id": number, "vector": {"a": [1, number], "b": [number, 1]}} for number in range(250)]
        first.call("PUT", "/collections/docs/points", {"points": written}, {"wait": True})
        holds = [node.collection_cluster("docs") for node in cluster.nodes]
        source, target = sorted((0, 1), key=lambda number: not holds[number]["local_shards"])
        transfer = {"shard_id": 0, "method": "stream_records"}
        transfer |= {"from_peer_id": holds[source]["peer_id"], "to_peer_id": holds[target]["peer_id"]}
        first.call("POST", "/collections/docs/cluster", {"replicate_shard": transfer}, {"timeout": 60})

        def is_done() -> bool:
            shards = cluster.nodes[target].collection_cluster("docs")["local_shards"]
            return [shard["state"] for shard in shards] == ["Active"]

        wait_for(is_done, "the transfer")
        log = Log(cluster.servers[target], "docs")
        operations = log.described()
        log.files.close()
    filled = [operation for operation in operations if operation.kind == "sync"]
    assert {number for operation in filled for number in operation.ids or ()} == set(range(250))
    assert {operation.name for operation in filled} == {"sync_points"}
    assert {operation.inexact("ab") for operation in filled} == {frozenset({TRANSFER})}
    assert {operation.kind for operation in operations} == {"upsert", "sync"}


def test_payload_indexes_follow_the_log(client: QdrantClient, log: Log, qdrant: Qdrant) -> None:
    """After each step the indexes that Qdrant shows are those that the log so far leads to."""
    schemas: dict[str, Any] = {
        "number": models.PayloadSchemaType.INTEGER,
        "text": models.TextIndexParams(
            type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True, min_token_len=2
        ),
        "nested.tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
        "place": models.PayloadSchemaType.GEO,
    }
    name = log.name
    steps: list[Callable[[], Any]] = [
        *(lambda field=field: client.create_payload_index(name, field, schemas[field]) for field in schemas),
        lambda: client.upsert(name, [point(1, VECTORS, {"number": 1})]),
        lambda: client.delete_payload_index(name, "number"),
        lambda: client.delete_payload_index(name, "absent"),
        lambda: client.create_payload_index(name, "number", models.PayloadSchemaType.FLOAT),
        lambda: client.delete_payload_index(name, "place"),
    ]
    reached: dict[str, Any] = {}
    for step in steps:
        step()
        reached = apply_index_operations(reached, log.new())
        assert reached == payload_indexes(qdrant.collection(name))
    assert sorted(reached) == ["nested.tenant", "number", "text"]
