# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node more costs: planning at scale, whole playbook runs by number of nodes, and the start of a module.

All nodes are Qdrant servers on loopback, each with a collection of its own; ``per_node_cpu_seconds`` counts everything
that runs on the controller, which here includes the modules.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.backup_plan import plan_shares
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from benchmarks.full_backup import location
from benchmarks.measure import Measured, measure, write
from tools.servers import JuiceFSGateway, QdrantServer

NODES, SHARDS, COPIES = 100, 33_333, 3  # about 1,000 replicas on each node
FLEETS = (1, 3, 10, 30)
FORKS = 10
RUNS = 3
MODULE_RUNS = 15
PLAYBOOK = Path("playbooks/backup.yml").resolve()


def run() -> None:
    """Measure and write ``build/bench/fleet.json``."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        store = stack.enter_context(JuiceFSGateway(folder / "juicefs"))
        store.create_bucket("backups")
        nodes = [stack.enter_context(QdrantServer(folder / f"node-{number}")) for number in range(max(FLEETS))]
        for number, node in enumerate(nodes):
            _fill(node, f"docs-{number}")
        runs = {size: [_play(folder, store, nodes[:size]) for _run in range(RUNS)] for size in FLEETS}
        ratio = _module_cpu(folder, nodes[0], "snapshot_info") / _module_cpu(folder, nodes[0], "uri")
    seconds = {size: statistics.median(each.seconds for each in runs[size]) for size in FLEETS}
    cpu = {size: statistics.median(each.cpu_seconds for each in runs[size]) for size in FLEETS}
    write(
        "fleet",
        {
            "plan_seconds": round(_plan_seconds(), 4),
            "planned": {"nodes": NODES, "shards": SHARDS, "replicas": COPIES},
            "per_node_seconds": {size: round(seconds[size] / size, 3) for size in FLEETS},
            "per_node_cpu_seconds": {size: round(cpu[size] / size, 3) for size in FLEETS},
            "module_cpu_ratio": round(ratio, 3),
            "forks": FORKS,
            "runs": RUNS,
            "method": "medians; playbooks/backup.yml on standalone loopback nodes; modules: their own CPU",
        },
    )


def _plan_seconds() -> float:
    shards = {
        number: {
            str(shard): {"state": "Active", "points": 1000 + shard, "bytes": 4096 * (1000 + shard)} for shard in held
        }
        for number in range(NODES)
        if (held := [shard for shard in range(SHARDS) if (number - shard) % NODES < COPIES])
    }
    facts = [_facts(number, shards[number]) for number in range(NODES)]
    started = time.perf_counter()
    plan_shares(facts, "docs")
    return time.perf_counter() - started


def _facts(number: int, shards: dict[str, Any]) -> dict[str, Any]:
    collection = {"shards": shards, "all_shards": list(range(SHARDS)), "transfers": 0, "config_sha256": "0" * 64}
    collection["remote_faults"] = []
    return {
        "name": f"node-{number:03}",
        "version": "1.16.3",
        "peer_id": str(number),
        "peers": [str(peer) for peer in range(NODES)],
        "leader": 0,
        "unreachable": [],
        "collections": {"docs": collection},
    }


def _fill(node: QdrantServer, name: str) -> None:
    qdrant = Qdrant(QdrantConnection(node.url))
    qdrant.create_collection(name, {"vectors": {"size": 4, "distance": "Dot"}})
    points = [{"id": number, "vector": [1.0, 2.0, 3.0, float(number)]} for number in range(100)]
    qdrant.call("PUT", f"/collections/{name}/points", {"points": points}, {"wait": True})


def _play(folder: Path, store: JuiceFSGateway, nodes: list[QdrantServer]) -> Measured:
    hosts = {
        f"node-{number:02}": {"qdrant_backup_url": node.url, "qdrant_backup_repository": location(store, "none")}
        for number, node in enumerate(nodes)
    }
    inventory = folder / "inventory.json"
    everywhere = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"qdrant": {"hosts": hosts, "vars": everywhere}}))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    measured = measure([program, "-i", str(inventory), "--forks", str(FORKS), str(PLAYBOOK)], _environment(folder))
    print(f"  {len(nodes)} nodes: {measured.seconds:.1f} s, {measured.cpu_seconds:.1f} s CPU", flush=True)
    return measured


def _module_cpu(folder: Path, node: QdrantServer, module: str) -> float:
    """Median CPU seconds of a module's own process, run as Ansible would run it on a host."""
    name, arguments = {
        "snapshot_info": ("vectorops.qdrant_dr.snapshot_info", f"url={node.url} collection=docs-0"),
        "uri": ("ansible.builtin.uri", f"url={node.url}/collections/docs-0/snapshots return_content=true"),
    }[module]
    home = folder / module
    environment = {**_environment(home), "ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_REMOTE_TEMP": str(home / "remote")}
    environment["ANSIBLE_PYTHON_INTERPRETER"] = sys.executable
    program = str(Path(sys.executable).with_name("ansible"))
    measure([program, "localhost", "-c", "local", "-m", name, "-a", arguments], environment)
    payload = next((home / "remote").glob(f"*/AnsiballZ_{module}.py"))
    return statistics.median(measure([sys.executable, str(payload)]).cpu_seconds for _run in range(MODULE_RUNS))


def _environment(home: Path) -> dict[str, str]:
    return {
        "ANSIBLE_HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": os.path.abspath("build/collections"),
    }
