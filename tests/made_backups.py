# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories on test servers, and small backups made by hand: real objects and a real manifest, without a Qdrant."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from datetime import datetime
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import END_OF_ARCHIVE
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.commit import commit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.data_keys import new_data_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.incremental import chunked_objects
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.part_upload import (
    SMALLEST_PART,
    PartPipeline,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ClientEncryption
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
from tests.made_snapshots import member

# The smallest part that S3 takes, but for the last one.
PART = 5 * 1024 * 1024


def location_on(server: Any, bucket: str, **changes: Any) -> StoreLocation:
    """A repository in a bucket of a server of `tools.servers`."""
    fields: dict[str, Any] = {
        "name": "primary",
        "bucket": bucket,
        "cluster": "production",
        "prefix": "qdrant",
        "region": server.region,
        "endpoint_url": server.endpoint,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
    }
    return StoreLocation(**{**fields, **changes})


def as_option(location: StoreLocation) -> dict[str, Any]:
    """The same repository as a module's option."""
    return {name: value for name, value in dataclasses.asdict(location).items() if value is not None}


def some_bytes(size: int, seed: int = 0) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


def describe(data: bytes, key: str, part_size: int = PART) -> dict[str, Any]:
    """What a manifest says of an object with these bytes."""
    parts = [data[first : first + part_size] for first in range(0, len(data), part_size)]
    return {
        "key": key,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "part_size": part_size,
        "parts": [hashlib.sha256(part).hexdigest() for part in parts],
        "wal_offset": 0,
        "encryption": {"mode": "AES256", "kms_key_id": None},
    }


def store_object(repository: Repository, key: str, data: bytes, part_size: int = PART) -> None:
    """Store bytes as a backup does: in parts, if there is more than one."""
    stored = describe(data, key, part_size)
    if len(stored["parts"]) == 1:
        repository.put(key, data)
        return
    upload_id = repository.start_upload(key)
    done = [
        repository.put_part(key, upload_id, number, data[(number - 1) * part_size : number * part_size], digest)
        for number, digest in enumerate(stored["parts"], start=1)
    ]
    repository.complete_upload(key, upload_id, done)


def make_backup(
    repository: Repository,
    collection: str = "docs",
    backup_id: str = "20261122T020000Z-a1b2c3",
    shards: tuple[bytes, ...] = (b"one shard",),
    part_size: int = PART,
    **fields: Any,
) -> Manifest:
    """Store a committed backup whose shard archives are these bytes."""
    manifest = manifest_of(collection, backup_id, shards, part_size, **fields)
    for shard, data in zip(manifest.shards, shards, strict=True):
        key = manifest.object_key(shard)
        store_object(repository, key, data, part_size)
        repository.put(layout.sidecar_key(key), layout.sidecar(key, shard["object"]["sha256"]))
    repository.put(layout.manifest_key(collection, backup_id), manifest.dump(), if_none_match=True)
    return manifest


def archive_of(files: dict[str, bytes]) -> bytes:
    """A shard archive with these files in one segment."""
    segment = b"".join(member(f"snapshot/files/{name}", data) for name, data in files.items())
    return member("segments/0.tar", segment) + member("wal/closed-1", b"wal\x00" + bytes(4)) + END_OF_ARCHIVE


def store_chunks(
    repository: Repository, backup_id: str, archives: tuple[bytes, ...], now: datetime, collection: str = "docs"
) -> Manifest:
    """Store shard archives as an incremental backup does; it is not committed yet."""
    warnings: list[str] = []
    with (
        chunked_objects(repository, collection, now, warnings) as chunked,
        PartPipeline(repository, SMALLEST_PART) as pipeline,
    ):
        keys = [layout.shard_key(backup_id, number, kind=layout.CHUNKS) for number in range(len(archives))]
        uploads = [chunked.open(pipeline, f"{collection}/{key}", number) for number, key in enumerate(keys)]
        for upload, archive in zip(uploads, archives, strict=True):
            upload.write(archive)
            upload.finish()
        pipeline.free_memory()
        stored = [upload.complete() for upload in uploads]
    manifest = manifest_of(collection, backup_id, archives, PART)
    shards = [
        {**shard, "object": {"key": key, "wal_offset": len(archive) - 2048, **entry}}
        for shard, key, archive, entry in zip(manifest.shards, keys, archives, stored, strict=True)
    ]
    return Manifest({**manifest.fields, "type": "incremental", "shards": shards})


def manifest_of(
    collection: str,
    backup_id: str,
    shards: tuple[bytes, ...],
    part_size: int = PART,
    log: tuple[int, int] = (1, 9),
    peer_id: int | None = 1,
    **fields: Any,
) -> Manifest:
    """The manifest of such a backup. ``log``: S and L of each shard; ``peer_id``: of the node that they are of."""
    begun = layout.backup_time(backup_id).isoformat().replace("+00:00", "Z")
    content: dict[str, Any] = {
        "backup_id": backup_id,
        "type": "full",
        "cluster": "production",
        "collection": collection,
        "tool": {"name": "vectorops.qdrant_dr", "version": "0.1.0"},
        "qdrant_version": "1.16.3",
        "window": dict.fromkeys(("started", "snapshot_started", "snapshot_finished", "finished"), begun),
        "config": {"params": {"vectors": {"size": 4, "distance": "Dot"}, "shard_number": len(shards)}},
        "payload_indexes": {},
        "aliases": [],
        "sharding": {"method": "auto", "shard_keys": {}},
        "points": {"before": 7, "after": 7},
        "snapshots": [{"name": "s.snapshot", "size": 1, "sha256": "0" * 64, "read_from": "http"}],
        "shards": [
            {
                "shard": number,
                "shard_key": None,
                "node": "http://127.0.0.1:6333",
                "peer_id": peer_id,
                "wal": {"first": log[0], "last": log[1], "first_found_by": "ack_index"},
                "points": 7,
                "object": describe(data, layout.shard_key(backup_id, number), part_size),
            }
            for number, data in enumerate(shards)
        ],
        "probes": {},
    }
    return Manifest({**content, **fields})


def with_key(repository: Repository, key: str | None, **more: Any) -> Repository:
    """The same repository with this master key (hex) for client-side encryption; ``more``: other options of it."""
    option = {**({"key": key} if key else {}), **more}
    return Repository(
        dataclasses.replace(repository.location, client_encryption=ClientEncryption.of(option) if option else None)
    )


def make_sealed_backup(
    repository: Repository,
    collection: str = "docs",
    backup_id: str = "20261122T020000Z-a1b2c3",
    shards: tuple[bytes, ...] = (b"one shard",),
) -> Manifest:
    """A committed backup of these archives that is encrypted with the key of the repository."""
    data_key = new_data_key(repository, collection, backup_id)
    assert data_key is not None
    fields = manifest_of(collection, backup_id, shards).fields
    with PartPipeline(repository, PART, data_key) as pipeline:
        for shard, data in zip(fields["shards"], shards, strict=True):
            upload = pipeline.open(f"{collection}/{shard['object']['key']}")
            upload.write(data)
            upload.finish()
            shard["object"] |= upload.complete()
    manifest = Manifest({**fields, "data_keys": {data_key.id: data_key.wrap}})
    commit(repository, manifest)
    return manifest


def flip_byte(repository: Repository, key: str, offset: int) -> None:
    """Damage a stored object: its size stays, one bit does not."""
    data = bytearray(repository.get(key))
    data[offset] ^= 1
    store_object(repository, key, bytes(data))
