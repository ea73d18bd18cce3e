# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Qdrant collections of several kinds that change, with the shard archive of each of their states."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shard_archive import ShardSplitter
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tools.servers import QdrantServer

DIMENSIONS = 768
# What one point takes in an archive, about, for each vector that it has.
_POINT_BYTES = DIMENSIONS * 4
_NAME = "bench"
_BATCH = 500
# A status is that of the collection at rest when it stays so for longer than the optimizers take to see a change.
_REST_SECONDS, _POLL_SECONDS, _PATIENCE_SECONDS = 4.0, 0.25, 1800.0
_WORDS = [f"{start}{end}" for start in ("al", "be", "co", "di", "en", "fo") for end in ("ta", "rum", "nis", "vel")]
_DENSE: dict[str, Any] = {"size": DIMENSIONS, "distance": "Cosine"}
# ``ef_construct`` has no say in the size of a graph, only in the time that it takes.
_BODY: dict[str, Any] = {"shard_number": 1, "wal_config": {"wal_capacity_mb": 8}, "hnsw_config": {"ef_construct": 16}}
_OPTIMIZERS: dict[str, Any] = {"default_segment_number": 4, "flush_interval_sec": 1}
_INT8: dict[str, Any] = {"scalar": {"type": "int8", "always_ram": True}}
# The configuration of each kind.
KINDS: dict[str, dict[str, Any]] = {
    "append_only": {"vectors": _DENSE},
    "indexed": {"vectors": _DENSE},
    "on_disk": {"vectors": {**_DENSE, "on_disk": True}, "on_disk_payload": True},
    "quantized": {"vectors": _DENSE, "quantization_config": _INT8},
    "named": {"vectors": {"title": _DENSE, "body": _DENSE}, "sparse_vectors": {"words": {}}},
}


@dataclass(frozen=True)
class State:
    """The archive of shard 0 after a change of that name, and how many points and segments it then had."""

    change: str
    archive: Path
    points: int
    segments: int


class Changing:
    """A collection of one kind with about ``size`` bytes of vectors."""

    def __init__(self, server: QdrantServer, kind: str, size: int) -> None:
        import numpy as np
        from qdrant_client import QdrantClient

        self._server, self._kind, self._size = server, kind, size
        self._qdrant = Qdrant(QdrantConnection(server.url))
        self._client = QdrantClient(
            url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, timeout=600, check_compatibility=False
        )
        self._random = np.random.default_rng(20261122)
        self.points = size // (_POINT_BYTES * (2 if kind == "named" else 1))
        self._one_percent = self.points // 100
        # In KB: 1% gets an index of its own, as it does in a large collection. 0 means never.
        self._indexing_threshold = 0 if kind == "append_only" else size >> 18

    def states(self, folder: Path) -> Iterator[State]:
        """Each follows from the one before; an archive lies in ``folder`` until it is removed.

        ``first``, ``unchanged``, ``upserted`` (1% at random), ``appended`` (1%), ``merged`` (into one segment, or as
        few as one may hold), ``vacuumed`` (rewritten, since every fourth point was deleted).
        """
        self._create({})
        self._write(range(self.points))
        yield self._state("first", folder)
        yield self._state("unchanged", folder)
        self._write(self._chosen(self._one_percent))
        yield self._state("upserted", folder)
        self._write(range(self.points, self.points + self._one_percent))
        self.points += self._one_percent
        yield self._state("appended", folder)
        self._qdrant.update_collection(_NAME, {"optimizers_config": {"default_segment_number": 1}})
        yield self._state("merged", folder)
        self._delete(self._chosen(self.points // 4))
        yield self._state("vacuumed", folder)

    def days(self, folder: Path, number: int) -> Iterator[State]:
        """The first state, then those after so many days, on each of which 1% is upserted at random.

        No segment may grow beyond a quarter of the collection, as Qdrant's limit is to a shard of many GiB.
        """
        self._create({"max_segment_size": self._size >> 12})
        self._write(range(self.points))
        yield self._state("first", folder)
        for day in range(1, number + 1):
            self._write(self._chosen(self._one_percent))
            yield self._state(f"day {day}", folder)

    def _create(self, optimizers: dict[str, Any]) -> None:
        optimizers = {**_OPTIMIZERS, "indexing_threshold": self._indexing_threshold, **optimizers}
        self._qdrant.create_collection(_NAME, {**_BODY, **KINDS[self._kind], "optimizers_config": optimizers})
        self._qdrant.create_payload_index(_NAME, "group", "keyword")
        self._qdrant.create_payload_index(_NAME, "rank", "integer")

    def _chosen(self, number: int) -> list[int]:
        return sorted(self._random.choice(self.points, number, replace=False).tolist())

    def _write(self, ids: range | list[int]) -> None:
        from qdrant_client import models

        for first in range(0, len(ids), _BATCH):
            batch = list(ids[first : first + _BATCH])
            vectors: Any = self._vectors(len(batch))
            if self._kind == "named":
                named = {"title": vectors, "body": self._vectors(len(batch)), "words": self._sparse(len(batch))}
                vectors = named
            payloads = [self._payload(number) for number in batch]
            self._client.upsert(_NAME, models.Batch(ids=batch, vectors=vectors, payloads=payloads), wait=True)

    def _delete(self, ids: list[int]) -> None:
        from qdrant_client import models

        self._client.delete(_NAME, models.PointIdsList(points=ids), wait=True)
        self.points -= len(ids)

    def _vectors(self, count: int) -> list[list[float]]:
        vectors: list[list[float]] = self._random.standard_normal((count, DIMENSIONS), dtype="float32").tolist()
        return vectors

    def _sparse(self, count: int) -> list[Any]:
        from qdrant_client import models

        indices = [self._random.choice(30_000, 40, replace=False).tolist() for _number in range(count)]
        return [models.SparseVector(indices=each, values=self._random.random(40).tolist()) for each in indices]

    def _payload(self, number: int) -> dict[str, Any]:
        text = " ".join(self._random.choice(_WORDS, 40).tolist())
        return {"group": f"group-{number % 17}", "rank": int(self._random.integers(1 << 20)), "text": text}

    def _state(self, change: str, folder: Path) -> State:
        segments = self._await_rest()
        acks = ack_indexes(self._server.storage_path, _NAME)
        entry = self._qdrant.create_snapshot(_NAME)
        snapshot = self._server.snapshots_path / _NAME / entry["name"]
        archive = folder / f"{self._kind}-{change}.snapshot"
        with archive.open("wb") as file, snapshot.open("rb") as source:
            splitter = ShardSplitter([0], lambda _shard: _File(file), io.BytesIO, acks)
            while piece := source.read(1 << 20):
                splitter.feed(memoryview(piece))
            splitter.finish()
        self._qdrant.delete_snapshot(_NAME, entry["name"])
        return State(change, archive, self.points, segments)

    def _await_rest(self) -> int:
        """Wait until the optimizers are done; returns the number of segments."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        rested_since = None
        while rested_since is None or time.monotonic() - rested_since < _REST_SECONDS:
            info = self._qdrant.collection(_NAME)
            if info["status"] != "green":
                rested_since = None
            elif rested_since is None:
                rested_since = time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError(f"The collection is {info['status']} after {_PATIENCE_SECONDS:.0f} s.")
            time.sleep(_POLL_SECONDS)
        return int(info["segments_count"])


class _File:
    """An open file as the place of a shard archive."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self.size += self._file.write(data)

    def finish(self) -> None:
        """No more bytes will come."""
