# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Qdrant collections of a given size, made once and kept in the cache."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tools.servers import QdrantServer

DIMENSIONS = 1024
SHARDS = 4
# Flush often and keep little log, so that the snapshot is made of segments, as it is on a server that has run a while.
_BODY: dict[str, Any] = {
    "vectors": {"size": DIMENSIONS, "distance": "Dot", "on_disk": True},
    "shard_number": SHARDS,
    "optimizers_config": {"indexing_threshold": 0, "flush_interval_sec": 1},
    "wal_config": {"wal_capacity_mb": 8},
}


def snapshot_of(size: int, cache: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A collection snapshot of about ``size`` bytes.

    Returns the file, Qdrant's entry for it (``name``, ``size``, ``checksum``) and the collection's ``config``.
    """
    folder = cache / f"snapshot-{size >> 20}-{DIMENSIONS}-{SHARDS}"
    described = folder / "snapshot.json"
    if not described.exists():
        # In a process of its own: a child's peak memory counts from that of its parent, which would be the data set's.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as maker:
            maker.submit(_make, folder, size).result()
    known = json.loads(described.read_text())
    return folder / known["entry"]["name"], known["entry"], known["config"]


def _make(folder: Path, size: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with QdrantServer(folder / "qdrant") as server:
        entry, config = _fill(server, size)
        shutil.move(server.snapshots_path / "bench" / entry["name"], folder / entry["name"])
    shutil.rmtree(folder / "qdrant")
    (folder / "snapshot.json").write_text(json.dumps({"entry": entry, "config": config}))


def _fill(server: QdrantServer, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    import numpy as np
    from qdrant_client import QdrantClient, models

    qdrant = Qdrant(QdrantConnection(server.url))
    qdrant.create_collection("bench", _BODY)
    client = QdrantClient(url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, timeout=300)
    random = np.random.default_rng(20261122)
    points, batch = size // (DIMENSIONS * 4), 1000
    for first in range(0, points, batch):
        count = min(batch, points - first)
        vectors = random.standard_normal((count, DIMENSIONS), dtype=np.float32)
        ids = list(range(first, first + count))
        payloads = [{"group": number % 17, "name": f"point {number}"} for number in ids]
        client.upsert("bench", models.Batch(ids=ids, vectors=vectors.tolist(), payloads=payloads), wait=False)
    client.upsert("bench", models.Batch(ids=[0], vectors=[[0.0] * DIMENSIONS], payloads=[{}]), wait=True)
    return qdrant.create_snapshot("bench"), qdrant.collection("bench")["config"]
