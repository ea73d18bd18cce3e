# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore to a moment: how fast ours replays an archived log, against Qdrant's own replay of that log when it starts.

Three kinds of log, as shards wrote them after their base until Qdrant was killed, which had flushed none of them: long
entries (upserts of 100 points with 768 numbers) and short ones (one point with 128 numbers) of one shard, and long ones
spread over four shards, of which a restore uploads two at a time. Each side is measured with
the log and without it, and the difference is the replay. For ours that is a restore to the latest moment less one of
the base, so reading, proving and sending the log, and writing it to the target's disk, count as well. For Qdrant it is
a start on the killed node's storage less a start on the storage of the base. The archives that ours sends for one shard
are also sent as ready files: no client can be faster, since Qdrant receives and unpacks all of an archive before it
replays any of it.

``PITR_QUICK=1`` measures small logs once, to try it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
from benchmarks.full_backup import location
from benchmarks.measure import Measured, alternate, measure, write
from tests.polled_archive import PolledArchive
from tools.servers import JuiceFSGateway, QdrantServer

QUICK = bool(os.environ.get("PITR_QUICK"))
RUNS = 1 if QUICK else 5
# Of the log with long entries; that with short ones has an eighth of the largest one, that of four shards half of it.
SIZES_MIB = (8, 32) if QUICK else (64, 256)
# As the archiver seals its chunks.
CHUNK_BYTES = 8 << 20
METHOD = (
    "median of 5 alternating runs after one warm-up; ours: benchmarks/job.py restore to the latest moment less one of "
    "the base, each a process of its own; Qdrant: its start after a kill -9 less its start on the base; ready file: "
    "the archives that ours sends, by one request each, to an empty collection; rates are bytes of the log, peak "
    "memory is that of the restore to the latest moment at each size of the log"
)
_numbers = count()


@dataclass(frozen=True)
class Kind:
    """Of a log: ``points`` a request, ``dimensions`` numbers a point, ``shards`` that share both."""

    points: int
    dimensions: int
    shards: int = 1

    @property
    def entry_bytes(self) -> int:
        """About: a number takes a mark and four bytes."""
        return self.points * (self.dimensions * 5 + 100)

    @property
    def body(self) -> dict[str, Any]:
        """The collection's configuration: nothing of its log is flushed, and no index is built meanwhile."""
        return {
            "vectors": {"size": self.dimensions, "distance": "Dot", "on_disk": True},
            "shard_number": self.shards,
            "optimizers_config": {"indexing_threshold": 0, "flush_interval_sec": 3600},
        }


LONG, SHORT, SPREAD = Kind(100, 768), Kind(1, 128), Kind(400, 768, 4)


@dataclass(frozen=True)
class Log:
    """A log of ``points`` points and ``bytes`` bytes: in the repository at ``store``, and on the storage of a node that
    was killed, ``killed``; ``base`` is that storage without the log."""

    kind: Kind
    points: int
    bytes: int
    store: dict[str, Any]
    base: Path
    killed: Path


def run() -> None:
    """Measure and write ``build/bench/pitr.json``."""
    with tempfile.TemporaryDirectory() as name, JuiceFSGateway(Path(name) / "juicefs") as server:
        folder = Path(name)
        server.create_bucket("backups")
        long = {size: _measure(_log(folder / f"long-{size}", LONG, size << 20, server)) for size in SIZES_MIB}
        short = _measure(_log(folder / "short", SHORT, SIZES_MIB[-1] << 17, server))
        spread = _measure(_log(folder / "spread", SPREAD, SIZES_MIB[-1] << 19, server))
    peaks = {size: result.pop("peak_rss_mib") for size, result in long.items()}
    result = {
        "replay_ratio": min(long[SIZES_MIB[-1]]["replay_ratio"], short["replay_ratio"]),
        "peak_rss_mib": peaks,
        "long_entries": long,
        "short_entries": short,
        "four_shards": spread,
        "runs": RUNS,
        "method": METHOD,
    }
    write("pitr", result)


def _log(folder: Path, kind: Kind, size: int, server: Any) -> Log:
    store = {**location(server, "none"), "cluster": folder.name}
    # In a process of its own: a child's peak memory counts from that of its parent.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as maker:
        return maker.submit(_make, folder, kind, size, store).result()


def _make(folder: Path, kind: Kind, size: int, store: dict[str, Any]) -> Log:
    base, killed = folder / "base", folder / "killed"
    with QdrantServer(killed) as server:
        qdrant = Qdrant(QdrantConnection(server.url))
        qdrant.create_collection("bench", kind.body)
        with Repository(StoreLocation(**store)) as repository:
            archive = PolledArchive(qdrant, server.storage_path, repository, "bench", "aaaaaa")
            archive.poll()
            back_up(qdrant, repository, BackupRequest("bench", storage_path=str(server.storage_path)))
            server.stop()
            shutil.copytree(server.storage_path, base / "storage")
            server.start()
            points = _fill(server, archive, kind, size)
            archive.close()
        server.kill()
    logs = (killed / "storage" / "collections" / "bench").glob("*/wal/*")
    written = sum(file.stat().st_blocks * 512 for file in logs)
    return Log(kind, points, written, store, base, killed)


def _fill(server: QdrantServer, archive: PolledArchive, kind: Kind, size: int) -> int:
    import numpy as np
    from qdrant_client import QdrantClient, models

    client = QdrantClient(
        url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, timeout=300, check_compatibility=False
    )
    random = np.random.default_rng(20261122)
    entries, each_chunk = size // kind.entry_bytes, CHUNK_BYTES // kind.entry_bytes
    for number in range(entries):
        vectors = random.standard_normal((kind.points, kind.dimensions), dtype=np.float32)
        ids = list(range(number * kind.points, (number + 1) * kind.points))
        payloads = [{"group": each % 17, "name": f"point {each}"} for each in ids]
        client.upsert("bench", models.Batch(ids=ids, vectors=vectors.tolist(), payloads=payloads), wait=True)
        if number % each_chunk == each_chunk - 1 or number == entries - 1:
            archive.poll()
    return entries * kind.points


def _measure(log: Log) -> dict[str, Any]:
    folder = log.base.parent
    with QdrantServer(folder / "target") as node:
        contestants = {
            "ours": lambda: _restore(node, log, latest=True),
            "ours, base": lambda: _restore(node, log, latest=False),
            "qdrant": lambda: _start(log.killed, folder, log.points),
            "qdrant, base": lambda: _start(log.base, folder, 0),
        }
        if log.kind.shards == 1:
            archive, base = (_archive(node, log, folder / f"{latest}.snapshot", latest) for latest in (True, False))
            contestants["ready file"] = lambda: _send(node, log, archive, log.points)
            contestants["ready file, base"] = lambda: _send(node, log, base, 0)
        results = alternate(contestants, RUNS, lambda: None)
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in results.items()}
    ours, peer = seconds["ours"] - seconds["ours, base"], seconds["qdrant"] - seconds["qdrant, base"]
    ready = seconds["ready file"] - seconds["ready file, base"] if "ready file" in seconds else None
    return {
        "replay_ratio": round(peer / ours, 3),
        "ready_file_ratio": round(peer / ready, 3) if ready else None,
        "ours_mb_per_second": round(log.bytes / ours / 1e6, 1),
        "qdrant_mb_per_second": round(log.bytes / peer / 1e6, 1),
        "ours_cpu_seconds": round(statistics.median(run.cpu_seconds for run in results["ours"]), 2),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "bytes": log.bytes,
        "points": log.points,
        "peak_rss_mib": round(max(run.peak_rss_mib for run in results["ours"]), 1),
    }


def _restore(node: QdrantServer, log: Log, latest: bool) -> Measured:
    target = f"restored-{next(_numbers)}"
    storage = str(node.storage_path)
    job = {"location": log.store, "url": node.url, "storage_path": storage, "target": target, "latest": latest}
    measured = measure([sys.executable, "-m", "benchmarks.job", "restore"], {"JOB": json.dumps(job)})
    qdrant = Qdrant(QdrantConnection(node.url))
    assert qdrant.count(target) == (log.points if latest else 0)
    qdrant.delete_collection(target)
    return measured


class _Recorder(Qdrant):
    """Writes what it uploads to a file, too."""

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(QdrantConnection(url))
        self._path = path

    def upload_shard_snapshot(
        self, name: str, shard: int, chunks: Iterable[bytes | memoryview], *rest: Any, **named: Any
    ) -> None:
        def recorded() -> Iterator[bytes | memoryview]:
            with self._path.open("wb") as file:
                for data in chunks:
                    file.write(data)
                    yield data

        super().upload_shard_snapshot(name, shard, recorded(), *rest, **named)


def _archive(node: QdrantServer, log: Log, path: Path, latest: bool) -> Path:
    """The archive that a restore sends."""
    qdrant = _Recorder(node.url, path)
    with Repository(StoreLocation(**log.store)) as repository:
        moment = MomentRequest() if latest else None
        restore([qdrant], [repository], RestoreRequest("bench", target="recorded", aliases=[], moment=moment))
    qdrant.delete_collection("recorded")
    return path


def _send(node: QdrantServer, log: Log, archive: Path, points: int) -> Measured:
    qdrant = Qdrant(QdrantConnection(node.url))
    target = f"sent-{next(_numbers)}"
    began = time.monotonic()
    qdrant.create_collection(target, log.kind.body)
    with archive.open("rb") as file:
        size = archive.stat().st_size
        qdrant.upload_shard_snapshot(target, 0, iter(lambda: file.read(1 << 20), b""), size, None)
    seconds = time.monotonic() - began
    assert qdrant.count(target) == points
    qdrant.delete_collection(target)
    return Measured(seconds, 0.0, 0.0)


def _start(stopped: Path, folder: Path, points: int) -> Measured:
    """Start a node on a copy of the storage of another one, which is ready when it has replayed its log."""
    root = folder / f"started-{next(_numbers)}"
    shutil.copytree(stopped / "storage", root / "storage")
    server = QdrantServer(root)
    began = time.monotonic()
    with server:
        seconds = time.monotonic() - began
        assert Qdrant(QdrantConnection(server.url)).count("bench") == points
    shutil.rmtree(root)
    return Measured(seconds, 0.0, 0.0)
