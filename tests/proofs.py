# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whatever went wrong, read back from the servers themselves."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import QdrantError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archive_reader import ArchiveReader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository

PATIENCE = 60.0


def verify_all(repository: Repository) -> list[str]:
    """Read every committed backup to its last bit; returns their ids, oldest first. Raises AssertionError otherwise."""
    committed = []
    for item in list(repository.list()):
        folder, _slash, name = item.key.rpartition("/")
        if name != layout.MANIFEST:
            continue
        collection, _backups, backup_id = folder.split("/")
        data = repository.get(item.key)
        cluster = repository.location.cluster
        manifest = Manifest.parse(data, cluster=cluster, collection=collection, backup_id=backup_id)
        for shard in manifest.shards:
            _verify_object(repository, manifest.object_key(shard), shard["object"])
            if "archive" in shard["object"]:
                _verify_chunks(repository, manifest.object_key(shard), shard["object"])
        committed.append(backup_id)
    return sorted(committed)


def _verify_object(repository: Repository, key: str, stored: dict[str, Any]) -> None:
    data = repository.get(key, max_bytes=1 << 30)
    size = stored["part_size"]
    parts = [hashlib.sha256(data[at : at + size]).hexdigest() for at in range(0, len(data), size)]
    assert (len(data), parts) == (stored["size"], stored["parts"]), f"{key} is not what its manifest says"
    assert hashlib.sha256(data).hexdigest() == stored["sha256"]
    assert repository.get(layout.sidecar_key(key)) == layout.sidecar(key, stored["sha256"])
    assert repository.head(key).encryption == stored["encryption"]["mode"]


def _verify_chunks(repository: Repository, key: str, stored: dict[str, Any]) -> None:
    with ArchiveReader([repository], key, stored, {}) as archive:
        data = b"".join(archive)
    assert {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} == stored["archive"]
    table = repository.get(layout.pack_table_key(key))
    for at in range(8, len(table), 48):
        name = table[at : at + 32].hex()
        assert hashlib.sha256(repository.get(layout.pack_key(key.split("/")[0], name))).hexdigest() == name


def holdings(repository: Repository) -> dict[str, str]:
    """Key -> ETag of everything in a repository, and each open multipart upload."""
    objects = {item.key: item.etag for item in repository.list()}
    return objects | {f"upload of {key}": upload_id for key, upload_id, _begun in repository.uploads()}


def state_of(qdrant: Qdrant, *collections: str) -> dict[str, Any]:
    """Everything on a node that a fault must not change: collections with their numbers of points, aliases, snapshots,
    and the digests of ``collections``."""
    names = qdrant.collections()
    return {
        "points": {name: qdrant.count(name) for name in names},
        "digests": {name: collection_digest(qdrant, name) for name in collections},
        "aliases": qdrant.aliases(),
        "snapshots": {name: qdrant.snapshots(name) for name in names},
    }


def answers(qdrant: Qdrant) -> bool:
    """Whether a node tells of its cluster."""
    try:
        qdrant.cluster()
    except QdrantError:
        return False
    return True


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of ``condition``; fails the test when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.02)
    return value
