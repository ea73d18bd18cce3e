# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to stored backups: verify one, copy one to another server, and list ten thousand.

Verification is measured against ``s5cmd cat | sha256sum`` of the same objects, a copy against ``rclone copy`` followed
by ``rclone check --download``: both copies are read back. The servers are JuiceFS gateways, so that the client counts;
the catalogue is that of SeaweedFS.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.regions_catalogue import list_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
from benchmarks.dataset import SHARDS, snapshot_of
from benchmarks.full_backup import empty, location, ours, s5cmd_environment
from benchmarks.measure import Measured, alternate, compare, measure, write
from tests.made_backups import make_backup
from tools.servers import JuiceFSGateway, SeaweedServer

RUNS = 5
SIZE_MIB = 1024
BACKUPS = 10_000
LISTINGS = 3
METHOD = (
    "median of 5 alternating runs after one warm-up, each a process of its own; verify, ours: benchmarks/job.py "
    "verify; peer: s5cmd cat of each object | sha256sum; copy, ours: benchmarks/job.py copy; peer: rclone copy && "
    "rclone check --download; list: median of 3 in one process, after a prune has written the index"
)


def run() -> None:
    """Measure and write ``build/bench/storage.json``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr" / "bench"
    snapshot = snapshot_of(SIZE_MIB << 20, cache)
    size = snapshot[0].stat().st_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with JuiceFSGateway(folder / "first") as first, JuiceFSGateway(folder / "second") as second:
            for server in (first, second):
                server.create_bucket("backups")
            ours(first, "none", snapshot)
            verify = compare(alternate(_verifiers(first), RUNS, lambda: None), size)
            copy = compare(alternate(_copiers(first, second), RUNS, lambda: empty(second)), size)
        with SeaweedServer(folder / "seaweedfs") as server:
            listing = _list(server)
    result = {
        # A rate against a rate: more is better.
        "verify_ratio": round(1 / verify["ratio"], 3),
        "copy_ratio": copy["ratio"],
        **listing,
        "verify": verify,
        "copy": copy,
        "server": "JuiceFS gateway",
        "method": METHOD,
    }
    write("storage", result)


def _job(name: str, **job: Any) -> Measured:
    return measure([sys.executable, "-m", "benchmarks.job", name], {"JOB": json.dumps(job)})


def _verifiers(server: Any) -> dict[str, Any]:
    keys = [item["Key"] for item in server.client().list_objects_v2(Bucket="backups")["Contents"]]
    cat = [f"s5cmd cat s3://backups/{key} | sha256sum" for key in keys if key.endswith(".snapshot")]
    assert len(cat) == SHARDS
    return {
        "ours": lambda: _job("verify", location=location(server, "none")),
        "peer": lambda: measure(["bash", "-c", "set -o pipefail; " + " && ".join(cat)], s5cmd_environment(server)),
    }


def _copiers(first: Any, second: Any) -> dict[str, Any]:
    environment = {}
    for name, server in (("FIRST", first), ("SECOND", second)):
        settings = {"type": "s3", "provider": "Other", "access_key_id": server.access_key}
        settings |= {"secret_access_key": server.secret_key, "endpoint": server.endpoint, "chunk_size": "16M"}
        environment |= {f"RCLONE_CONFIG_{name}_{key.upper()}": value for key, value in settings.items()}
    shell = "rclone copy first:backups second:backups && rclone check --download first:backups second:backups"
    destination = {**location(second, "none"), "name": "second"}
    return {
        "ours": lambda: _job("copy", location=location(first, "none"), destination=destination),
        "peer": lambda: measure(["sh", "-c", shell], environment),
    }


def _list(server: SeaweedServer) -> dict[str, Any]:
    server.create_bucket("backups")
    with Repository(StoreLocation(**location(server, "AES256") | {"cluster": "production"})) as repository:
        ids = [f"2026{1 + n // 900:02}{1 + n % 900 // 36:02}T000000Z-{n:06x}" for n in range(BACKUPS)]
        assert all(map(layout.is_backup_id, ids))
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda backup_id: make_backup(repository, "docs", backup_id), ids))
        limits = PruneLimits(86400.0, require_verified=False, max_delete_percent=100.0)
        prune_backups([repository], PruneRequest(None, RetentionPolicy(keep_last=BACKUPS), limits))
        requests = []
        repository.client.meta.events.register("before-send.s3", lambda **_context: requests.append(1))
        seconds = []
        for _run in range(LISTINGS):
            began = time.monotonic()
            assert len(list_backups(repository)) == BACKUPS
            seconds.append(time.monotonic() - began)
    return {
        "list_seconds": round(sorted(seconds)[LISTINGS // 2], 2),
        "list_requests": len(requests) // LISTINGS,
        "listed_backups": BACKUPS,
    }
