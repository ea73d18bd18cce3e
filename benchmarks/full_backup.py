# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up a snapshot file: ours (one pass to a committed, verified backup) against ``sha256sum`` and ``s5cmd cp``.

Both send the same file to the same S3 server. The JuiceFS gateway is the faster server, so there the client counts;
SeaweedFS, which encrypts, is the second row. Peak memory is measured at 256 MiB, 1 GiB and 2 GiB.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.dataset import SHARDS, snapshot_of
from benchmarks.measure import Measured, alternate, compare, measure, write
from tools.servers import JuiceFSGateway, SeaweedServer

RUNS = 5
SIZES_MIB = (256, 1024, 2048)
METHOD = (
    "median of 5 alternating runs after one warm-up; each run is a process of its own, from its start to its end; "
    "ours: benchmarks/job.py store; peer: sh -c 'sha256sum FILE && s5cmd cp FILE s3://...'; CPU is the client's"
)
_numbers = count()


def run() -> None:
    """Measure and write ``build/bench/full_backup.json``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr" / "bench"
    files = {size: snapshot_of(size << 20, cache) for size in SIZES_MIB}
    with tempfile.TemporaryDirectory() as folder:
        with JuiceFSGateway(Path(folder) / "juicefs") as server:
            result = _side_by_side(server, "none", files[1024], RUNS)
            peaks = {size: round(ours(server, "none", files[size]).peak_rss_mib, 1) for size in SIZES_MIB}
        with SeaweedServer(Path(folder) / "seaweedfs") as server:
            result["seaweedfs"] = _side_by_side(server, "AES256", files[1024], RUNS)
    write("full_backup", {**result, "server": "JuiceFS gateway", "peak_rss_mib": peaks, "method": METHOD})


def ours(server: Any, encryption: str, snapshot: tuple[Path, dict[str, Any], dict[str, Any]]) -> Measured:
    """One backup of ours to a bucket that exists or not yet."""
    path, entry, config = snapshot
    number = next(_numbers)
    job = {
        "location": location(server, encryption),
        "file": str(path),
        "entry": entry,
        "config": config,
        "shards": SHARDS,
        "backup_id": f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}Z-{number:06x}",
    }
    return measure([sys.executable, "-m", "benchmarks.job", "store"], {"JOB": json.dumps(job)})


def location(server: Any, encryption: str) -> dict[str, Any]:
    """The repository that the benchmarks use on a server."""
    return {
        "name": "bench",
        "bucket": "backups",
        "cluster": "bench",
        "region": server.region,
        "endpoint_url": server.endpoint,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "addressing_style": "path",
        "encryption": encryption,
    }


def s5cmd_environment(server: Any) -> dict[str, str]:
    """How s5cmd finds a server."""
    return {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
        "S3_ENDPOINT_URL": server.endpoint,
    }


def empty(server: Any) -> None:
    """Remove what runs before have stored, so that the disk does not fill and each run finds the same bucket."""
    client = server.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="backups"):
        for item in page.get("Contents", []):
            client.delete_object(Bucket="backups", Key=item["Key"])


def _side_by_side(server: Any, encryption: str, snapshot: Any, runs: int) -> dict[str, Any]:
    server.create_bucket("backups")
    path = snapshot[0]
    sse = "" if encryption == "none" else "--sse AES256 "
    shell = f"sha256sum '{path}' && s5cmd cp {sse}'{path}' s3://backups/peer/{path.name}"
    contestants = {
        "ours": lambda: ours(server, encryption, snapshot),
        "peer": lambda: measure(["sh", "-c", shell], s5cmd_environment(server)),
    }
    results = alternate(contestants, runs, lambda: empty(server))
    empty(server)
    return compare(results, path.stat().st_size)
