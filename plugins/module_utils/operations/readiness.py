# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a collection is ready on every node: replicas, transfers, status and optimizer; and waiting for it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ..errors import CheckFailed, OperationTimeout
from ..formats.collection_config import is_custom_sharded
from ..stores.qdrant import Qdrant

Json = dict[str, Any]

FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 2.0
READY_STATE = "Active"


def replica_states(qdrant: Qdrant, collection: str) -> list[Json]:
    """Return every replica that a node knows of, sorted: shard, shard_key, peer_id and state each."""
    return _replicas(qdrant.collection_cluster(collection))


def _replicas(cluster: Json) -> list[Json]:
    local = [{**shard, "peer_id": cluster["peer_id"]} for shard in cluster["local_shards"]]
    found = [
        {
            "shard": shard["shard_id"],
            "shard_key": shard.get("shard_key"),
            "peer_id": shard["peer_id"],
            "state": shard["state"],
        }
        for shard in local + cluster["remote_shards"]
    ]
    return sorted(found, key=lambda replica: (replica["shard"], replica["peer_id"]))


def findings(
    qdrants: list[Qdrant], collection: str, expected_shards: int | None = None, *, uniform_keys: bool = False
) -> list[str]:
    """Return what is not ready on any of the nodes, one sentence each; nothing when all is.

    Args:
        expected_shards: how many shards there must be; by default as many as the collection says it has.
        uniform_keys: whether every shard key was made with the collection's replication factor. One can be given its
            own, which Qdrant does not tell: then the shards of a key are only compared with each other.

    Raises: those of Qdrant.
    """
    return [line for qdrant in qdrants for line in _of_node(qdrant, collection, expected_shards, uniform_keys)]


def _of_node(qdrant: Qdrant, collection: str, expected_shards: int | None, uniform_keys: bool) -> list[str]:
    info = qdrant.collection(collection)
    cluster = qdrant.collection_cluster(collection)
    replicas = _replicas(cluster)
    lines = [
        f"replica of shard {replica['shard']} on peer {replica['peer_id']} is {replica['state']}"
        for replica in replicas
        if replica["state"] != READY_STATE
    ]
    by_shard = Counter(replica["shard"] for replica in replicas)
    shards = expected_shards or cluster["shard_count"]
    if len(by_shard) != shards:
        lines.append(f"{len(by_shard)} of {shards} shards have a replica")
    if is_custom_sharded(info["config"]) and not uniform_keys:
        copies = _most_of_key(replicas, by_shard)
    else:
        copies = dict.fromkeys(by_shard, _replication_factor(qdrant, info))
    lines += [
        f"shard {shard} has {number} replicas, {'fewer' if number < copies[shard] else 'more'} than {copies[shard]}"
        for shard, number in sorted(by_shard.items())
        if number != copies[shard]
    ]
    lines += [f"shard {move['shard_id']} is being transferred" for move in cluster["shard_transfers"]]
    if info["status"] != "green":
        lines.append(f"status is {info['status']}")
    if info["optimizer_status"] != "ok":
        lines.append(f"optimizer is not ok: {info['optimizer_status']}")
    return [f"{qdrant.connection.address}: {line}" for line in lines]


def _replication_factor(qdrant: Qdrant, info: Json) -> int:
    """Return how many replicas each shard must have."""
    peers = len(qdrant.cluster().get("peers") or {}) or 1
    return min(int(info["config"]["params"].get("replication_factor") or 1), peers)


def _most_of_key(replicas: list[Json], by_shard: dict[int, int]) -> dict[int, int]:
    """Return for each shard how many replicas the best one of its key has."""
    keys = {replica["shard"]: replica["shard_key"] for replica in replicas}
    most: dict[Any, int] = {}
    for shard, key in keys.items():
        most[key] = max(by_shard[shard], most.get(key, 0))
    return {shard: most[key] for shard, key in keys.items()}


def wait_until_ready(
    qdrants: list[Qdrant],
    collection: str,
    deadline_seconds: float,
    expected_shards: int | None = None,
    *,
    trigger_optimizer: bool = False,
    uniform_keys: bool = False,
) -> float:
    """Wait until nothing is left to find on any node, and return the seconds that it took.

    Args:
        deadline_seconds: how long to wait at most.
        expected_shards, uniform_keys: as in ``findings``.
        trigger_optimizer: wake the optimizer of a grey collection, which otherwise waits for the next write. (An empty
            change of its optimizer settings does that, as Qdrant documents.)

    Raises: CheckFailed at once for a status that does not heal by waiting, OperationTimeout naming what is still
    missing, those of Qdrant.
    """
    start = time.monotonic()
    pause = FIRST_POLL_SECONDS
    while True:
        missing = findings(qdrants, collection, expected_shards, uniform_keys=uniform_keys)
        waited = time.monotonic() - start
        if not missing:
            return waited
        _refuse_hopeless(collection, missing)
        if waited >= deadline_seconds:
            raise OperationTimeout(
                f"The collection {collection} was not ready after {deadline_seconds:g} s: {'; '.join(missing)}.",
                "Wait longer, or look at the node's log for what holds it up.",
                findings=missing,
            )
        if trigger_optimizer and any(line.endswith("status is grey") for line in missing):
            qdrants[0].update_collection(collection, {"optimizers_config": {}})
            trigger_optimizer = False
        time.sleep(min(pause, max(0.0, deadline_seconds - waited)))
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)


def _refuse_hopeless(collection: str, missing: list[str]) -> None:
    hopeless = [line for line in missing if "status is red" in line or "optimizer is not ok" in line]
    if hopeless:
        raise CheckFailed(
            f"The collection {collection} is broken: {'; '.join(hopeless)}.",
            "Look at the node's log; restore the collection if its files are damaged.",
            findings=missing,
        )
