# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore: ours (stored objects to checked shards) against ``s5cmd cp`` down and Qdrant's own upload of the same file.

Ours downloads, verifies and uploads at once and never touches a disk; the peer needs the file on disk and verifies
nothing. Both restore to the same Qdrant server, from the same S3 server. The JuiceFS gateway is the faster server, so
there the client counts; SeaweedFS, which encrypts, is the second row. Peak memory: at 256 MiB, 1 GiB and 2 GiB.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import create_body
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from benchmarks.dataset import snapshot_of
from benchmarks.full_backup import empty, location, ours, s5cmd_environment
from benchmarks.measure import Measured, alternate, compare, measure, write
from tools.servers import JuiceFSGateway, QdrantServer, SeaweedServer

RUNS = 5
SIZES_MIB = (256, 1024, 2048)
COMPARED_MIB = 1024
METHOD = (
    "median of 5 alternating runs after one warm-up; each run is a process of its own, from its start to its end; "
    "ours: benchmarks/job.py restore, with the wait for green and the check of counts; "
    "peer: sh -c 's5cmd cp s3://... FILE && curl -F snapshot=@FILE .../snapshots/upload?priority=snapshot'; "
    "CPU is the client's"
)
_numbers = count()


def run() -> None:
    """Measure and write ``build/bench/restore.json``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr" / "bench"
    snapshots = {size: snapshot_of(size << 20, cache) for size in SIZES_MIB}
    with tempfile.TemporaryDirectory() as name, QdrantServer(Path(name) / "qdrant") as node:
        folder = Path(name)
        with JuiceFSGateway(folder / "juicefs") as server:
            result = _side_by_side(node, server, "none", snapshots[COMPARED_MIB], folder)
            peaks = {size: _peak_rss_mib(node, server, snapshots[size]) for size in SIZES_MIB}
        with SeaweedServer(folder / "seaweedfs") as server:
            result["seaweedfs"] = _side_by_side(node, server, "AES256", snapshots[COMPARED_MIB], folder)
    write("restore", {**result, "server": "JuiceFS gateway", "peak_rss_mib": peaks, "method": METHOD})


def _side_by_side(node: QdrantServer, server: Any, encryption: str, snapshot: Any, folder: Path) -> dict[str, Any]:
    server.create_bucket("backups")
    path, _entry, config = snapshot
    environment = s5cmd_environment(server)
    sse = [] if encryption == "none" else ["--sse", encryption]
    ours(server, encryption, snapshot)
    measure(["s5cmd", "cp", *sse, str(path), "s3://backups/peer.snapshot"], environment)
    contestants = {
        "ours": lambda: _ours(node, server, encryption),
        "peer": lambda: _peer(node, environment, config, folder / "peer.snapshot"),
    }
    results = alternate(contestants, RUNS, lambda: _empty(node))
    _empty(node)
    empty(server)
    return compare(results, path.stat().st_size)


def _peak_rss_mib(node: QdrantServer, server: Any, snapshot: Any) -> float:
    """Peak memory of one restore from a bucket that is empty before and afterwards."""
    ours(server, "none", snapshot)
    measured = _ours(node, server, "none")
    _empty(node)
    empty(server)
    return round(measured.peak_rss_mib, 1)


def _ours(node: QdrantServer, server: Any, encryption: str) -> Measured:
    job = {
        "location": location(server, encryption),
        "url": node.url,
        "storage_path": str(node.storage_path),
        "target": f"ours-{next(_numbers)}",
    }
    return measure([sys.executable, "-m", "benchmarks.job", "restore"], {"JOB": json.dumps(job)})


def _peer(node: QdrantServer, environment: dict[str, str], config: dict[str, Any], file: Path) -> Measured:
    target = f"peer-{next(_numbers)}"
    Qdrant(QdrantConnection(node.url)).create_collection(target, create_body(config))
    url = f"{node.url}/collections/{target}/snapshots/upload?priority=snapshot"
    shell = f"s5cmd cp s3://backups/peer.snapshot '{file}' && curl -sSf -X POST '{url}' -F 'snapshot=@{file}'"
    return measure(["sh", "-c", shell], environment)


def _empty(node: QdrantServer) -> None:
    """Remove the collections of the runs before, and the snapshot files that Qdrant's own upload leaves."""
    qdrant = Qdrant(QdrantConnection(node.url))
    for name in qdrant.collections():
        for entry in qdrant.snapshots(name):
            qdrant.delete_snapshot(name, entry["name"])
        qdrant.delete_collection(name)
