# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of ours in a process of its own, so that its time, CPU and memory can be measured from outside.

``python -m benchmarks.job store``, ``restore``, ``verify`` or ``copy``, with the parameters as JSON in the environment
variable ``JOB``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def _repository(job: dict[str, Any]) -> Any:
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository

    return Repository(StoreLocation(**job["location"]))


def store(job: dict[str, Any]) -> None:
    """From a snapshot file to a committed backup whose manifest was read back."""
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shares import assemble
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.commit import commit
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_store import store_snapshot
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_stream import read_file

    backup_id, entry = job["backup_id"], job["entry"]
    repository = _repository(job)
    snapshot = {"name": entry["name"], "size": entry["size"], "sha256": entry["checksum"]}
    archives, objects = store_snapshot(
        read_file(Path(job["file"])),
        snapshot,
        repository,
        lambda shard: f"bench/{layout.shard_key(backup_id, shard)}",
        list(range(job["shards"])),
        None,
    )
    window = {"started": "2026-11-22T02:00:00Z", "finished": "2026-11-22T02:00:00Z"}
    share = {
        "backup_id": backup_id,
        "cluster": job["location"]["cluster"],
        "collection": "bench",
        "tool": {"name": "benchmark", "version": "0"},
        "qdrant_version": "1.16.3",
        "config": job["config"],
        "payload_indexes": {},
        "aliases": [],
        "snapshot": {**snapshot, **window},
        "shards": [
            {
                "shard": archive.shard,
                "shard_key": None,
                "wal": {"first": archive.wal.first, "last": archive.wal.last, "first_found_by": archive.wal.found_by},
                "object": {
                    "key": layout.shard_key(backup_id, archive.shard),
                    "wal_offset": archive.wal_offset,
                    **objects[archive.shard],
                },
            }
            for archive in archives
        ],
        "probes": {"k": 10, "vectors": {}},
        "points": {"before": 0, "after": 1},
    }
    commit(repository, assemble([share], range(job["shards"]), **window))


def restore(job: dict[str, Any]) -> None:
    """From the stored objects to uploaded shards; with ``latest`` also what was archived after the backup."""
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore as bring_back
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection

    moment = MomentRequest() if job.get("latest") else None
    storage = job["storage_path"]
    request = RestoreRequest(
        "bench", target=job["target"], aliases=[], digest=False, moment=moment, storage_path=storage
    )
    bring_back([Qdrant(QdrantConnection(job["url"]))], [_repository(job)], request)


def verify(job: dict[str, Any]) -> None:
    """Read and hash every part of every backup."""
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
        VerifyRequest,
        verify_backups,
    )

    verify_backups([_repository(job)], VerifyRequest(None, Choice(newest=None), "content"))


def copy(job: dict[str, Any]) -> None:
    """Copy the backup to another server, and read it back there."""
    from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups

    copy_backups(_repository(job), [_repository({"location": job["destination"]})], None, Choice())


if __name__ == "__main__":
    {"store": store, "restore": restore, "verify": verify, "copy": copy}[sys.argv[1]](json.loads(os.environ["JOB"]))
