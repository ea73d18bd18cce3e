# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup and restore of real collections: what comes back is what was there, to the last bit."""

from __future__ import annotations

import random
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput, TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shard_archive import ShardArchive
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shard_keys import shards_by_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import (
    newest_committed,
    read_manifest,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    collection_digest,
    wait_until_ready,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import create_snapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_store import store_snapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_stream import read_file, read_http
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import key_shards
from tests.proofs import holdings, verify_all
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


def dense(size: int) -> Callable[[random.Random], Any]:
    return lambda chance: [chance.gauss(0, 1) for number in range(size)]


def sparse(chance: random.Random) -> Json:
    indices = chance.sample(range(1000), chance.randint(1, 8))
    return {"words": {"indices": indices, "values": [chance.uniform(0.1, 2) for number in indices]}}


def several(chance: random.Random) -> Json:
    return {"parts": [[chance.gauss(0, 1) for number in range(8)] for number in range(chance.randint(1, 4))]}


def named(chance: random.Random) -> Json:
    vectors = {"text": dense(16)(chance), "image": dense(8)(chance)}
    # Some points have only one of the vectors.
    return vectors if chance.random() < 0.8 else {"text": vectors["text"]}


COSINE = {"size": 16, "distance": "Cosine"}
EARLY_INDEX = {"hnsw_config": {"full_scan_threshold": 10}, "optimizers_config": {"indexing_threshold": 10}}
SHAPES: dict[str, tuple[Json, Callable[[random.Random], Any]]] = {
    "dense": ({"vectors": COSINE}, dense(16)),
    "dense of 4 shards": ({"vectors": COSINE, "shard_number": 4, "metadata": {"owner": {"team": 7}}}, dense(16)),
    "indexed": ({"vectors": COSINE, **EARLY_INDEX}, dense(16)),
    "sparse": ({"sparse_vectors": {"words": {}}, "shard_number": 2}, sparse),
    "sparse with idf": ({"sparse_vectors": {"words": {"modifier": "idf"}}}, sparse),
    "multivector": (
        {"vectors": {"parts": {"size": 8, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}}},
        several,
    ),
    "named of 4 shards": (
        {"vectors": {"text": COSINE, "image": {"size": 8, "distance": "Euclid"}}, "shard_number": 4},
        named,
    ),
    "quantized": (
        {"vectors": COSINE, "quantization_config": {"scalar": {"type": "int8", "always_ram": True}}, **EARLY_INDEX},
        dense(16),
    ),
    "on disk": (
        {
            "vectors": {"size": 16, "distance": "Manhattan", "on_disk": True, "hnsw_config": {"on_disk": True}},
            "on_disk_payload": True,
            **EARLY_INDEX,
        },
        dense(16),
    ),
    "half precision": ({"vectors": {"size": 16, "distance": "Dot", "datatype": "float16"}}, dense(16)),
}


def write(qdrant: Qdrant, name: str, vector: Callable[[random.Random], Any], points: int = 300, **more: Any) -> None:
    """Points with integer and UUID ids and every kind of payload; a tenth is deleted again, another one changed."""
    chance = random.Random(7)
    batch = [
        {
            "id": number if number % 3 else str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "vector": vector(chance),
            "payload": {
                "group": f"g{number % 7}",
                "number": number,
                "nested": {"list": [1, 2.5, None, True, "\u00e4"]},
            },
        }
        for number in range(points)
    ]
    path = f"/collections/{name}/points"
    qdrant.call("PUT", path, {"points": batch, **more}, {"wait": True})
    number_below = {"must": [{"key": "number", "range": {"lt": points // 10}}]}
    qdrant.call("POST", f"{path}/delete", {"filter": number_below, **more}, {"wait": True})
    changed = {"must": [{"key": "number", "range": {"gte": points - points // 10}}]}
    qdrant.call("POST", f"{path}/payload", {"payload": {"changed": 1}, "filter": changed, **more}, {"wait": True})


@pytest.fixture
def collection(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist yet; everything that has it in its name is deleted afterwards."""
    name = f"r-{secrets.token_hex(6)}"
    yield name
    for existing in qdrant.collections():
        if name in existing:
            qdrant.delete_collection(existing)


def recorded(qdrant: Qdrant, name: str) -> Json:
    """All that a restore must bring back beside the points."""
    info = qdrant.collection(name)
    schema = {field: {**entry, "points": None} for field, entry in info["payload_schema"].items()}
    # Qdrant shows none before the first entry, and empty ones after the last.
    config = {**info["config"], "metadata": info["config"].get("metadata") or {}}
    return {"config": config, "schema": schema}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lost_collection_comes_back_exactly(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, collection: str, shape: str
) -> None:
    body, vector = SHAPES[shape]
    qdrant.create_collection(collection, body)
    qdrant.create_payload_index(collection, "group", "keyword")
    qdrant.create_payload_index(collection, "number", {"type": "integer", "lookup": False, "range": True})
    write(qdrant, collection, vector)
    wait_until_ready([qdrant], collection, 60, trigger_optimizer=True)
    alias = f"{collection}-live"
    qdrant.update_aliases([{"create_alias": {"collection_name": collection, "alias_name": alias}}])
    before, digest = recorded(qdrant, collection), collection_digest(qdrant, collection)
    paths = {"storage_path": str(qdrant_server.storage_path), "snapshots_path": str(qdrant_server.snapshots_path)}
    made = back_up(qdrant, repository, BackupRequest(collection, **paths))
    assert made["warnings"] == []
    assert made["snapshots"][0]["read_from"] == "file"
    assert made["shards"] == body.get("shard_number", 1)
    assert qdrant.snapshots(collection) == [], "the node's snapshot is gone after the commit"
    assert verify_all(repository) == [made["backup_id"]]

    qdrant.delete_collection(collection)
    result = restore([qdrant], [repository], RestoreRequest(collection, expect_digest=digest[1]))

    assert collection_digest(qdrant, collection) == digest == (270, result["check"]["digest"])
    assert recorded(qdrant, collection) == before
    assert qdrant.aliases()[alias] == collection
    assert result["check"]["exact_recall_at_10"] == 1.0
    assert result["check"]["healthy"]
    assert (result["damaged"], result["restored_from"]) == ([], ["primary"])
    assert not [entry for shard in range(made["shards"]) for entry in qdrant.shard_snapshots(collection, shard)]


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qdrant]:
    """A node in distributed mode, which shard keys need."""
    with QdrantServer(tmp_path_factory.mktemp("distributed"), cluster=True) as server:
        yield Qdrant(QdrantConnection(server.url))


def test_shards_go_back_to_their_keys(
    distributed: Qdrant, qdrant: Qdrant, repository: Repository, collection: str
) -> None:
    distributed.create_collection(collection, {"vectors": COSINE, "sharding_method": "custom", "shard_number": 2})
    # "gone" takes the first numbers, and is deleted.
    keys: list[str | int] = ["madrid", 7, "berlin"]
    distributed.create_shard_key(collection, {"shard_key": "gone", "shards_number": 19})
    for key in reversed(keys):
        distributed.create_shard_key(collection, {"shard_key": key})
    distributed.delete_shard_key(collection, "gone")
    path = f"/collections/{collection}/points"
    for number, key in enumerate(keys):
        batch = [
            {"id": number * 1000 + n, "vector": [float(n)] * 15 + [1.0], "payload": {"key": key}}
            for n in range(50 + 10 * number)
        ]
        distributed.call("PUT", path, {"points": batch, "shard_key": key}, {"wait": True})
    digest = collection_digest(distributed, collection)
    made = back_up(distributed, repository, BackupRequest(collection))
    numbers = {"berlin": [20, 21], 7: [22, 23], "madrid": [24, 25]}
    assert shards_by_key(read_manifest(repository, collection, made["backup_id"])[0].shards) == numbers
    with pytest.raises(TargetUnfit, match="shard keys need a node in distributed mode"):
        restore([qdrant], [repository], RestoreRequest(collection))
    assert collection not in qdrant.collections()

    distributed.delete_collection(collection)
    restore([distributed], [repository], RestoreRequest(collection))

    assert collection_digest(distributed, collection) == digest
    assert key_shards(distributed, collection) == numbers, "what had used up the numbers before is gone"
    for number, key in enumerate(keys):
        body = {"exact": True, "shard_key": key, "filter": {"must": [{"key": "key", "match": {"value": key}}]}}
        count = distributed.call("POST", f"{path}/count", body)["count"]
        assert count == 50 + 10 * number, f"every point of {key!r} is in its own shards"


def test_the_file_and_the_download_give_the_same_archives(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, make_collection: Callable[..., str]
) -> None:
    name = make_collection(points=500, shard_number=3)
    acks = ack_indexes(qdrant_server.storage_path, name)
    entry, _times = create_snapshot(qdrant, name)
    snapshot = {"name": entry["name"], "size": entry["size"], "sha256": entry["checksum"]}
    path = qdrant_server.snapshots_path / name / entry["name"]

    def stored(where: str, pieces: Iterator[memoryview]) -> tuple[list[ShardArchive], dict[int, Json]]:
        return store_snapshot(pieces, snapshot, repository, lambda shard: f"{where}/{shard}", [0, 1, 2], acks)

    from_file = stored("file", read_file(path))
    from_node = stored("http", read_http(qdrant, name, entry["name"]))
    assert from_file == from_node
    assert {archive.wal.found_by for archive in from_file[0]} == {"ack_index"}


def test_without_the_nodes_directories_the_manifest_says_how_the_log_was_bounded(
    qdrant: Qdrant, repository: Repository, make_collection: Callable[..., str]
) -> None:
    name = make_collection(shard_number=1)
    made = back_up(qdrant, repository, BackupRequest(name))
    manifest = read_manifest(repository, name, made["backup_id"])[0]
    assert manifest.shards[0]["wal"]["first_found_by"] == "segments"
    assert manifest.fields["snapshots"][0]["read_from"] == "http"


def test_the_directory_of_another_node_is_refused_where_it_would_cost_writes(
    qdrant: Qdrant, repository: Repository, make_collection: Callable[..., str], tmp_path: Path
) -> None:
    name = make_collection(shard_number=1)
    foreign = tmp_path / "collections" / name / "0" / "wal" / "first-index"
    foreign.parent.mkdir(parents=True)
    request = BackupRequest(name, storage_path=str(tmp_path))
    foreign.write_text('{"ack_index": 900}')
    with pytest.raises(InvalidInput, match="storage_path is not where the node keeps shard 0"):
        back_up(qdrant, repository, request)
    assert (holdings(repository), qdrant.snapshots(name)) == ({}, [])

    foreign.write_text('{"ack_index": 0}')
    made = back_up(qdrant, repository, request)
    manifest = read_manifest(repository, name, made["backup_id"])[0]
    assert manifest.shards[0]["wal"]["first"] == 0, "a longer replay does no harm"
    digest = collection_digest(qdrant, name)
    target = restore([qdrant], [repository], RestoreRequest(name, target=f"{name}-again"))["target"]
    assert collection_digest(qdrant, target) == digest
    qdrant.delete_collection(target)


def test_a_restored_collection_is_backed_up_and_restored_again(
    qdrant: Qdrant, repository: Repository, make_collection: Callable[..., str], collection: str
) -> None:
    name = make_collection(name=collection)
    digest = collection_digest(qdrant, name)
    for _generation in range(2):
        back_up(qdrant, repository, BackupRequest(name))
        name = restore([qdrant], [repository], RestoreRequest(name, target=f"{name}-again"))["target"]
        assert collection_digest(qdrant, name) == digest
        qdrant.call("PUT", f"/collections/{name}/points", {"points": [{"id": 3, "vector": {}}]}, {"wait": True})
        digest = collection_digest(qdrant, name)
    assert name == f"{collection}-again-again"


def test_a_shard_archive_is_of_use_without_this_tool(
    qdrant: Qdrant, repository: Repository, make_collection: Callable[..., str], collection: str, tmp_path: Path
) -> None:
    name = make_collection(points=400)
    digest = collection_digest(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    manifest = newest_committed(repository, name)
    assert manifest is not None
    qdrant.create_collection(
        collection, {"vectors": qdrant.collection(name)["config"]["params"]["vectors"], "shard_number": 2}
    )
    for shard in manifest.shards:
        key = manifest.object_key(shard)
        file = tmp_path / key.rsplit("/", 1)[-1]
        for suffix in ("", ".sha256"):
            Path(f"{file}{suffix}").write_bytes(repository.get(key + suffix))
        subprocess.run(["sha256sum", "--strict", "--check", f"{file.name}.sha256"], cwd=tmp_path, check=True)
        path = f"collections/{collection}/shards/{shard['shard']}/snapshots/upload?priority=snapshot"
        url = f"{qdrant.connection.url}/{path}"
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "-X", "POST", url, "-F", f"snapshot=@{file}"]
        subprocess.run(command, check=True, capture_output=True)
    assert collection_digest(qdrant, collection) == digest


def test_nothing_is_left_in_the_temporary_directory(
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = make_collection()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    back_up(qdrant, repository, BackupRequest(name))
    for folder in tmp_path.glob("qdrant-dr-*"):
        shutil.rmtree(folder)  # the locks, one small file for each node
    assert list(tmp_path.iterdir()) == []
