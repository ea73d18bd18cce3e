# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Qdrant clusters on loopback, collections on them, and a whole cluster backup in one call."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.digest import PointDigest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import wait_until_ready
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    commit_shares,
    plan_cluster,
    store_share,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_facts import read_node
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import BackupRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import fill
from tests.proofs import wait_for
from tools.servers import QdrantServer

Json = dict[str, Any]

READY_SECONDS = 60.0
SIZES = {"text": 16, "image": 8}
VECTORS = {"text": {"size": 16, "distance": "Cosine"}, "image": {"size": 8, "distance": "Dot"}}
# Shard key -> its number of shards.
KEYS: dict[str | int, int] = {"eu": 2, 7: 1, "us west": 3}


@dataclass
class Cluster:
    """Servers of one cluster and the store object of each; node ``i`` is called ``n<i>``."""

    servers: list[QdrantServer]
    nodes: list[Qdrant]

    @property
    def names(self) -> list[str]:
        """What the nodes are called in plans."""
        return [f"n{number}" for number in range(len(self.nodes))]

    def node(self, name: str) -> Qdrant:
        """The store object of the node with this name."""
        return self.nodes[self.names.index(name)]

    def facts(self, *numbers: int) -> list[Json]:
        """What the nodes with these numbers (all, if none is given) say of themselves."""
        return [read_node(self.nodes[number], f"n{number}") for number in numbers or range(len(self.nodes))]

    def request(self, name: str, collection: str) -> BackupRequest:
        """The request of a node's share, with its directories."""
        server = self.servers[self.names.index(name)]
        return BackupRequest(collection, storage_path=str(server.storage_path))

    def settled(self, size: int | None = None) -> bool:
        """Whether every node sees ``size`` peers (as many as there are nodes) and one and the same leader."""
        states = [node.cluster() for node in self.nodes]
        leaders = {state["raft_info"]["leader"] for state in states}
        peers = {len(state["peers"]) for state in states}
        return peers == {size or len(self.nodes)} and len(leaders) == 1 and None not in leaders


@contextmanager
def start_cluster(folder: Path, size: int, **options: Any) -> Iterator[Cluster]:
    """A cluster of ``size`` nodes with their data below ``folder``; ``options`` are those of ``QdrantServer``."""
    with ExitStack() as stack:
        first = stack.enter_context(QdrantServer(folder / "n0", cluster=True, **options))
        servers = [first]
        for number in range(1, size):
            server = QdrantServer(folder / f"n{number}", bootstrap=first.uri, **options)
            servers.append(stack.enter_context(server))
        nodes = [Qdrant(QdrantConnection(server.url, api_key=server.api_key)) for server in servers]
        cluster = Cluster(servers, nodes)
        wait_for(cluster.settled, f"{size} peers with one leader")
        yield cluster


@contextmanager
def transfer_under_way(cluster: Cluster, collection: str, shard: int = 0) -> Iterator[Callable[[], None]]:
    """A shard on its way to a node that answers nobody: the call given lets the node answer, and so the transfer end.

    Afterwards the node has answered, and no transfer is left.
    """
    leader = cluster.nodes[0].cluster()["raft_info"]["leader"]
    placed = cluster.nodes[0].collection_cluster(collection)
    holders = [each["peer_id"] for each in placed["remote_shards"] if each["shard_id"] == shard]
    holders += [placed["peer_id"] for each in placed["local_shards"] if each["shard_id"] == shard]
    peers = [node.cluster()["peer_id"] for node in cluster.nodes]
    target = min(number for number, peer in enumerate(peers) if peer not in (leader, *holders))
    pid = cluster.servers[target].pid
    assert pid is not None
    others = [node for number, node in enumerate(cluster.nodes) if number != target]
    ways = {"shard_id": shard, "from_peer_id": holders[0], "to_peer_id": peers[target]}
    os.kill(pid, signal.SIGSTOP)
    try:
        path = f"/collections/{collection}/cluster"
        others[0].call("POST", path, {"replicate_shard": ways}, {"timeout": 5})
        wait_for(lambda: all(node.collection_cluster(collection)["shard_transfers"] for node in others), "a transfer")
        yield lambda: os.kill(pid, signal.SIGCONT)
    finally:
        os.kill(pid, signal.SIGCONT)
        every = cluster.nodes
        wait_for(lambda: not any(node.collection_cluster(collection)["shard_transfers"] for node in every), "its end")


def make_sharded(
    nodes: list[Qdrant],
    name: str,
    points: int = 600,
    keys: dict[str | int, int] | None = None,
    gaps: bool = False,
    **body: Any,
) -> None:
    """A collection of 6 shards with 2 replicas, indexes and data on a cluster; with ``keys``, sharded by them.

    ``gaps``: before each key there was another one, which is gone and has left its number unused.
    """
    how: Json = {"vectors": VECTORS, "replication_factor": 2, "shard_number": 6, **body}
    if keys is not None:
        how |= {"sharding_method": "custom", "shard_number": 1}
    nodes[0].create_collection(name, how)
    for key, shards in (keys or {}).items():
        if gaps:
            nodes[0].create_shard_key(name, {"shard_key": f"before {key}", "shards_number": 1})
        nodes[0].create_shard_key(name, {"shard_key": key, "shards_number": shards})
    for key in keys if keys and gaps else []:
        nodes[0].delete_shard_key(name, f"before {key}")
    nodes[0].create_payload_index(name, "group", "keyword")
    nodes[0].create_payload_index(name, "number", "integer")
    if keys is None:
        fill(nodes[0], name, points, SIZES)
    for number, key in enumerate(keys or {}):
        if points:
            fill_key(nodes[0], name, key, points // len(keys or {}), number * points)
    wait_until_ready(nodes, name, READY_SECONDS)


def fill_key(qdrant: Qdrant, name: str, key: str | int, points: int, first_id: int) -> None:
    """Write points of one shard key; each says in its payload where it belongs."""
    batch = [
        {
            "id": number,
            "vector": {each: [(number * 7 + axis * axis) % 11 - 5.5 for axis in range(s)] for each, s in SIZES.items()},
            "payload": {"number": number, "group": str(key)},
        }
        for number in range(first_id, first_id + points)
    ]
    qdrant.call("PUT", f"/collections/{name}/points", {"points": batch, "shard_key": key}, {"wait": True})


def content_of_key(qdrant: Qdrant, name: str, key: str | int) -> tuple[int, str]:
    """Count and digest of what is stored under one shard key."""
    body = {"limit": 10_000, "with_vector": True, "with_payload": True, "shard_key": key}
    points = qdrant.call("POST", f"/collections/{name}/points/scroll", body, reads=True)["points"]
    digest = PointDigest()
    for point in points:
        digest.add(point)
    return len(points), digest.hexdigest()


def key_shards(qdrant: Qdrant, name: str) -> dict[str | int, list[int]]:
    """Shard key -> the numbers of its shards, as a node sees it."""
    placed = qdrant.collection_cluster(name)
    keys: dict[str | int, set[int]] = {}
    for shard in placed["local_shards"] + placed["remote_shards"]:
        keys.setdefault(shard["shard_key"], set()).add(shard["shard_id"])
    return {key: sorted(shards) for key, shards in keys.items()}


def copies(qdrant: Qdrant, name: str) -> dict[int, int]:
    """Shard -> its number of Active replicas, as a node sees it."""
    placed = qdrant.collection_cluster(name)
    found: dict[int, int] = {}
    for shard in placed["local_shards"] + placed["remote_shards"]:
        found[shard["shard_id"]] = found.get(shard["shard_id"], 0) + (shard["state"] == "Active")
    return found


def store_shares(cluster: Cluster, repository: Repository, plan: Json, only: Iterable[str] | None = None) -> list[Json]:
    """Let every node of a plan (those named in ``only``) store its share, all at once."""
    names = [name for name in plan["shares"] if only is None or name in only]
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        jobs = [
            pool.submit(store_share, cluster.node(n), repository, cluster.request(n, plan["collection"]), plan, n)
            for n in names
        ]
        return [job.result() for job in jobs]


def back_up_cluster(cluster: Cluster, repository: Repository, collection: str, **how: Any) -> Json:
    """A committed backup of a cluster's collection; ``how`` goes into the plan's request. Returns its summary."""
    plan = plan_cluster(repository, cluster.facts(), PlanRequest(collection, **how))
    store_shares(cluster, repository, plan)
    return commit_shares(repository, [plan])
