# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drill: what isolation, verification, controls and cleaning up add to the bare restore of the same backup.

Both restore a backup of 1 GiB from a JuiceFS gateway, the fastest server here, to the same Qdrant, and take turns.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import DrillRequest, drill
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_checks import CheckRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from benchmarks.dataset import snapshot_of
from benchmarks.full_backup import location
from benchmarks.measure import write
from tools.servers import JuiceFSGateway, QdrantServer

RUNS = 3
SIZE_MIB = 1024
COLLECTION = "bench"
METHOD = (
    "median of 3 alternating runs after one warm-up, in one process; bare: plan, create, upload, ready, count and "
    "recall, without a digest; drill: all of its stages, with a source to compare 100 points with, without the report"
)


def run() -> None:
    """Measure and write ``build/bench/drill.json``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr" / "bench"
    path, _entry, _config = snapshot_of(SIZE_MIB << 20, cache)
    key = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory() as folder,
        QdrantServer(Path(folder) / "production", api_key=key) as production,
        QdrantServer(Path(folder) / "target") as standby,
        JuiceFSGateway(Path(folder) / "juicefs") as server,
    ):
        _upload(production, key, path)
        server.create_bucket("backups")
        region = Repository(StoreLocation(**location(server, "none")))
        source = Qdrant(QdrantConnection(production.url, api_key=key))
        size = back_up(source, region, BackupRequest(COLLECTION))["size"]
        target = Qdrant(QdrantConnection(standby.url))
        runs = [(_bare(target, region), _drill(target, source, region)) for _run in range(RUNS + 1)][1:]
    write("drill", {**_result(runs), "bytes": size, "runs": RUNS, "server": "JuiceFS gateway", "method": METHOD})


def _upload(server: QdrantServer, key: str, path: Path) -> None:
    """Make the collection from its snapshot."""
    url = f"{server.url}/collections/{COLLECTION}/snapshots/upload?priority=snapshot"
    subprocess.run(["curl", "-sSf", "-H", f"api-key: {key}", url, "-F", f"snapshot=@{path}"], check=True)


def _bare(target: Qdrant, region: Repository) -> float:
    started = time.monotonic()
    restore([target], [region], RestoreRequest(COLLECTION, target="bare", aliases=[], digest=False))
    seconds = time.monotonic() - started
    target.delete_collection("bare")
    print(f"  bare: {seconds:.2f} s")
    return seconds


def _drill(target: Qdrant, source: Qdrant, region: Repository) -> dict[str, float]:
    now = datetime.now(timezone.utc)
    declared = Declaration(now, now, "collection_lost", "bench")
    request = DrillRequest(COLLECTION, declared, parse_level("standard"), checks=CheckRequest(source), min_copies=1)
    record = drill([target], [region], request)
    if record["verdict"] != "PASS":
        raise SystemExit(f"The drill has the verdict {record['verdict']}: {record['findings']}")
    stages = {stage["name"]: float(stage["seconds"]) for stage in record["stages"]}
    print(f"  drill: {sum(stages.values()):.2f} s, {stages}")
    return stages


def _result(runs: list[tuple[float, dict[str, float]]]) -> dict[str, Any]:
    stages = {name: round(statistics.median(drilled[name] for _bare, drilled in runs), 3) for name in runs[0][1]}
    bare = statistics.median(seconds for seconds, _drilled in runs)
    whole = statistics.median(sum(drilled.values()) for _bare, drilled in runs)
    return {
        "bare_restore_seconds": round(bare, 3),
        "drill_seconds": round(whole, 3),
        "overhead_percent": round(100 * (whole - bare) / bare, 1),
        "stages_seconds": stages,
    }
