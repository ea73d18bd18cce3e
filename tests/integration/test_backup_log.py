# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log in a shard archive: what makes a backup exact that was taken while writes went on."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import (
    create_body,
    field_schema,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import (
    END_OF_ARCHIVE,
    padding,
    regular_header,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import (
    read_manifest,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    collection_digest,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.counted_writes import CountingWriter, counted, make_loaded
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def collection(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist yet; everything that has it in its name is deleted afterwards."""
    name = f"r-{secrets.token_hex(6)}"
    yield name
    for existing in qdrant.collections():
        if name in existing:
            qdrant.delete_collection(existing)


def test_qdrant_replays_the_log_of_an_archive(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    make_collection: Callable[..., str],
    collection: str,
) -> None:
    name = make_collection(points=300, shard_number=1)
    storage = str(qdrant_server.storage_path)
    made = back_up(qdrant, repository, BackupRequest(name, storage_path=storage))
    manifest = read_manifest(repository, name, made["backup_id"])[0]
    shard = manifest.shards[0]
    path = f"/collections/{name}/points"
    changed = [
        {"id": number, "vector": {"text": [1.0] * 16}, "payload": {"late": number}} for number in range(280, 400)
    ]
    qdrant.call("PUT", path, {"points": changed}, {"wait": True})
    deleted = {"filter": {"must": [{"key": "number", "range": {"lt": 40}}]}}
    qdrant.call("POST", f"{path}/delete", deleted, {"wait": True})

    # The same archive with a longer log: all that was acknowledged since, from the node's own files.
    first, offset = shard["wal"]["first"], shard["object"]["wal_offset"]
    folder = qdrant_server.storage_path / "collections" / name / "0" / "wal"
    files = {file: (folder / file).read_bytes() for file in wal.in_order(entry.name for entry in folder.iterdir())}
    segments: list[wal.Segment] = []
    for file, data in files.items():
        segments.append(wal.scan(file, wal.first_index(file, segments[-1].stop if segments else 0), data))
    needed = wal.cover(segments, first)
    assert needed[-1].stop == shard["wal"]["last"] + 3
    writer = wal.Writer(needed[0].seed)
    pieces = [
        piece for part in needed for piece in writer.reframe(files[part.name], part, max(first, part.first), part.stop)
    ]
    log = writer.header + b"".join(pieces)
    head = repository.get(manifest.object_key(shard))[:offset] + regular_header(f"wal/closed-{first}", len(log), 0)
    archive = head + log + padding(len(log)) + END_OF_ARCHIVE

    qdrant.create_collection(collection, create_body(manifest.config))
    for field in manifest.payload_indexes:
        qdrant.create_payload_index(collection, field, field_schema(manifest.payload_indexes[field]))
    qdrant.upload_shard_snapshot(collection, 0, [archive], len(archive), hashlib.sha256(archive).hexdigest())
    assert collection_digest(qdrant, collection) == collection_digest(qdrant, name)
    assert qdrant.count(collection) > 350


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "busy"])
def test_counts_are_exact_where_the_log_proves_that_nothing_was_written(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    make_collection: Callable[..., str],
    collection: str,
    idle: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two equal counts a point can go and another one come, with the snapshot in the middle."""
    name = make_collection(shard_number=1)
    storage = str(qdrant_server.storage_path)
    create = Qdrant.create_snapshot
    path = f"/collections/{name}/points"

    def created_in_the_middle(self: Qdrant, *args: Any) -> Any:
        self.call("POST", f"{path}/delete", {"points": [1]}, {"wait": True})
        entry = create(self, *args)
        self.call("PUT", path, {"points": [{"id": 1, "vector": {}}]}, {"wait": True})
        return entry

    if idle:
        last = qdrant.call("POST", f"{path}/delete", {"points": [1]}, {"wait": True})["operation_id"]
        wait_for(lambda: ack_indexes(storage, name) == {0: last}, "the last write to be acknowledged in the log")
    else:
        monkeypatch.setattr(Qdrant, "create_snapshot", created_in_the_middle)
    made = back_up(qdrant, repository, BackupRequest(name, storage_path=storage))
    manifest = read_manifest(repository, name, made["backup_id"])[0]
    assert manifest.points == ({"before": 199, "after": 199} if idle else {"before": 200, "after": 200})
    assert manifest.exact_points == (199 if idle else None)

    checked = restore([qdrant], [repository], RestoreRequest(name, target=collection))["check"]

    assert (checked["healthy"], checked["points"]) == (True, 199)
    if idle:
        assert checked["unmeasured"] == []
    else:
        assert "has 199 points, and the backup counted 200 before and after" in checked["unmeasured"][0]


@pytest.mark.parametrize("sees_storage", [True, False], ids=["storage seen", "storage not seen"])
def test_a_backup_under_writes_is_a_prefix_without_gaps(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, collection: str, sees_storage: bool
) -> None:
    make_loaded(qdrant, collection)
    writer = CountingWriter(qdrant, collection)
    writer.start()
    try:
        wait_for(lambda: writer.acknowledged > 500, "some writes")
        acknowledged_before = writer.acknowledged
        paths = {"storage_path": str(qdrant_server.storage_path)} if sees_storage else {}
        made = back_up(qdrant, repository, BackupRequest(collection, **paths))
    finally:
        writer.ending.set()
        writer.join()
    assert writer.acknowledged > acknowledged_before, "there were writes while the backup was made"
    target = restore([qdrant], [repository], RestoreRequest(collection, target=f"{collection}-then"))["target"]
    newest, wrong = counted(qdrant, target)
    assert wrong == set()
    assert acknowledged_before <= newest <= writer.acknowledged
    assert "no recall is recorded for the vector: writes changed the neighbours of every probe" in made["warnings"]
