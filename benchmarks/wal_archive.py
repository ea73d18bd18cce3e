# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archiver beside a real Qdrant: what it costs while nothing is written and at 10 MB/s, and how far it lags.

It runs as a process of its own, with its default settings and the environment of its service. The lag of a write is
the time from its acknowledgement until a listing of the store, ten a second, shows the object that holds it. Percents
are of one core. The store is then killed while writes go on, and started again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import StoreError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import parse_chunk_key, wal_prefix
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import ObjectInfo, Repository
from benchmarks.measure import write
from tools.archiver import peak_rss_mib, service_environment
from tools.servers import QdrantServer, SeaweedServer

COLLECTIONS, SHARDS = 10, 10
SETTLE_SECONDS, IDLE_SECONDS, LOAD_SECONDS, OUTAGE_SECONDS = 30.0, 60.0, 60.0, 60.0
CATCH_UP_SECONDS = 120.0
DIMENSIONS, BATCH = 768, 50
BYTES_A_SECOND = 10e6
# As CBOR has a vector: a mark and four bytes for each number.
BATCH_BYTES = BATCH * DIMENSIONS * 5
SAMPLE_SECONDS = 0.1
AGENT = (
    "import sys; from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.cli import main; sys.exit(main())"
)
METHOD = (
    f"one run; idle: {COLLECTIONS} collections with {SHARDS} shards each, {IDLE_SECONDS:g} s; load: batches of {BATCH}"
    f" points with {DIMENSIONS} random numbers into one shard for {LOAD_SECONDS:g} s; outage: the same for"
    f" {OUTAGE_SECONDS:g} s without the store, and until all is stored; all on one host"
)


def run() -> None:
    """Measure and write ``build/bench/wal_archive.json``."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with QdrantServer(root / "qdrant") as node, SeaweedServer(root / "s3") as store:
            bucket = store.create_bucket("bench-wal-archive")
            location = StoreLocation(
                "bench",
                bucket,
                "bench",
                region=store.region,
                endpoint_url=store.endpoint,
                access_key=store.access_key,
                secret_key=store.secret_key,
            )
            with Qdrant(QdrantConnection(node.url)) as qdrant, Repository(location) as repository:
                for number in range(COLLECTIONS):
                    _create(qdrant, f"idle-{number}", SHARDS, 4)
                _create(qdrant, "load", 1, DIMENSIONS)
                archiver = _start(root, node, location)
                try:
                    result = _measure(archiver.pid, node, repository, store)
                finally:
                    archiver.terminate()
                    archiver.wait()
    write("wal_archive", {**result, "method": METHOD})


def _create(qdrant: Qdrant, name: str, shards: int, dimensions: int) -> None:
    vectors = {"size": dimensions, "distance": "Cosine"}
    optimizers = {"indexing_threshold": 0}
    qdrant.create_collection(name, {"vectors": vectors, "shard_number": shards, "optimizers_config": optimizers})


def _start(root: Path, node: QdrantServer, location: StoreLocation) -> subprocess.Popen[bytes]:
    archive = {
        "storage_path": str(node.storage_path),
        "state_path": str(root / "state"),
        "spool_path": str(root / "spool"),
    }
    names = ("name", "bucket", "cluster", "region", "endpoint_url")
    keys = {"access_key": location.access_key, "secret_key": location.secret_key}
    files: dict[str, Any] = {
        "credentials.json": {"repositories": {location.name: keys}},
        "config.json": {
            "credentials_file": str(root / "credentials.json"),
            "qdrant": {"url": node.url},
            "repository": {name: getattr(location, name) for name in names},
            "wal_archive": {**archive, "reserve_bytes": 0},
        },
    }
    for name, content in files.items():
        (root / name).touch(mode=0o600)
        (root / name).write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-c", AGENT, "archive-wal", "--config", str(root / "config.json")]
    return subprocess.Popen(command, env={**os.environ, **service_environment()})


def _measure(pid: int, node: QdrantServer, repository: Repository, store: SeaweedServer) -> dict[str, Any]:
    time.sleep(SETTLE_SECONDS)
    idle, idle_rss = _cpu_percent(pid, lambda: time.sleep(IDLE_SECONDS)), peak_rss_mib(pid)
    stored: dict[int, float] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(repository, stored, ended))
    watcher.start()
    acknowledged: dict[int, float] = {}
    load = _cpu_percent(pid, lambda: _write(node, acknowledged, LOAD_SECONDS))
    seconds = max(acknowledged.values()) - min(acknowledged.values())
    time.sleep(SETTLE_SECONDS)
    peak_rss = peak_rss_mib(pid)
    lags = [stored[index] - at for index, at in acknowledged.items() if index in stored]
    without, outage_rss = _outage(pid, node, store, stored)
    ended.set()
    watcher.join()
    return {
        "idle_cpu_percent": idle,
        "load_cpu_percent": load,
        "lag_p50_seconds": round(statistics.median(lags), 2),
        "lag_p99_seconds": round(statistics.quantiles(lags, n=100)[98], 2),
        "lag_max_seconds": round(max(lags), 2),
        "entries": len(acknowledged) + len(without),
        "entries_lost": len({**acknowledged, **without}.keys() - stored.keys()),
        "written_mb_per_second": round(len(acknowledged) * BATCH_BYTES / seconds / 1e6, 2),
        "replicas": COLLECTIONS * SHARDS + 1,
        "idle_rss_mib": idle_rss,
        "peak_rss_mib": peak_rss,
        "outage_peak_rss_mib": outage_rss,
    }


def _outage(
    pid: int, node: QdrantServer, store: SeaweedServer, stored: dict[int, float]
) -> tuple[dict[int, float], float]:
    """Write while the store is gone, and wait until it has all; what was acknowledged when, and the peak of memory."""
    # Begins the peak anew (proc(5)).
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    store.kill()
    acknowledged: dict[int, float] = {}
    _write(node, acknowledged, OUTAGE_SECONDS)
    store.start()
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while acknowledged.keys() - stored.keys() and time.monotonic() < deadline:
        time.sleep(SAMPLE_SECONDS)
    return acknowledged, peak_rss_mib(pid)


def _write(node: QdrantServer, acknowledged: dict[int, float], seconds: float) -> None:
    """Send prepared batches, so many a second as make the rate; index of the entry -> time of its acknowledgement."""
    import numpy

    chance = numpy.random.default_rng(1)
    bodies = []
    for number in range(20):
        vectors = chance.normal(size=(BATCH, DIMENSIONS)).astype("float32").round(5).tolist()
        points = [{"id": number * BATCH + place, "vector": vector} for place, vector in enumerate(vectors)]
        bodies.append(json.dumps({"points": points}).encode())
    connection = http.client.HTTPConnection("127.0.0.1", node.port)
    began = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(max(0.0, sent * BATCH_BYTES / BYTES_A_SECOND - passed))
        headers = {"Content-Type": "application/json"}
        connection.request("PUT", "/collections/load/points", bodies[sent % len(bodies)], headers)
        answer = json.loads(connection.getresponse().read())
        acknowledged[answer["result"]["operation_id"]] = time.monotonic()
        sent += 1
    connection.close()


def _watch(repository: Repository, stored: dict[int, float], ended: threading.Event) -> None:
    """Index of each entry -> when the object that holds it was first listed."""
    newest = ""
    while not ended.wait(SAMPLE_SECONDS):
        listed: list[ObjectInfo] = []
        with contextlib.suppress(StoreError):
            listed = list(repository.list(f"{wal_prefix('load')}0/", newest))
        now = time.monotonic()
        for item in listed:
            parsed = parse_chunk_key(item.key)
            if parsed is not None:
                newest = max(newest, item.key)
                for index in range(parsed[1], parsed[2] + 1):
                    stored.setdefault(index, now)


def _cpu_percent(pid: int, action: Any) -> float:
    began, before = time.monotonic(), _cpu_seconds(pid)
    action()
    return round((_cpu_seconds(pid) - before) / (time.monotonic() - began) * 100, 2)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process (fields 14 and 15 of stat in proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
