# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one node says of itself and of its collections: the input of ``formats.backup_plan``."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from ..errors import QdrantError, QdrantUnauthorized, QdrantUnreachable
from ..formats.canonical import canonical
from ..formats.collection_config import comparable, point_bytes
from ..stores.qdrant import Qdrant

Json = dict[str, Any]

TRANSFER_POLL_SECONDS = 1.0


def read_node(qdrant: Qdrant, name: str, collections: list[str] | None = None) -> Json:
    """The facts of a node; JSON throughout, so that a playbook can pass them on.

    ``name``: what to call the node, such as its inventory name. ``collections``: those to look at, None for all.
    Names that the node does not know are left out.

    Returns ``name``, ``url``, ``version``, ``peer_id``, ``peers`` (ids; empty on a standalone node), ``leader`` (None
    while there is none), ``unreachable`` (ids of peers; a leader notices them, a follower need not), and for
    each of ``collections``: ``shards`` (number as text -> ``{state, points, bytes, shard_key}``), ``all_shards``,
    ``remote_faults`` (``{shard, peer_id, state}`` of each replica elsewhere that is not Active as this node sees it),
    ``transfers`` (their number) and ``config_sha256``; or ``error``, where the node cannot tell, as when it needs a
    shard that no reachable node has, or where the name is an alias.
    """
    cluster = qdrant.cluster()
    known = qdrant.collections()
    found = {each: _collection_or_error(qdrant, each) for each in known if collections is None or each in collections}
    found |= _alias_errors(qdrant, set(collections or []) - set(known))
    peer = cluster.get("peer_id") or next((each["peer_id"] for each in found.values() if "peer_id" in each), None)
    return {
        "name": name,
        "url": qdrant.connection.url,
        "version": qdrant.version(),
        "peer_id": str(peer if peer is not None else name),
        **membership(cluster),
        "collections": found,
    }


def transfers(node: Json) -> int:
    """How many shards of the collections of ``read_node`` are being transferred, as the node sees it."""
    return sum(each.get("transfers", 0) for each in node["collections"].values())


def read_settled_node(qdrant: Qdrant, name: str, collections: list[str] | None, patience: float) -> Json:
    """What ``read_node`` returns once no shard is being transferred, or after ``patience`` seconds all the same."""
    deadline = time.monotonic() + patience
    while True:
        node = read_node(qdrant, name, collections)
        left = deadline - time.monotonic()
        if not transfers(node) or left <= 0:
            return node
        time.sleep(min(TRANSFER_POLL_SECONDS, left))


def _alias_errors(qdrant: Qdrant, unknown: set[str]) -> Json:
    """What is wrong with those names that are not of collections, but of aliases."""
    aliases = qdrant.aliases() if unknown else {}
    return {name: {"error": f"it is an alias of {aliases[name]}"} for name in sorted(unknown & set(aliases))}


def membership(cluster: Json) -> Json:
    """``peers``, ``leader`` and ``unreachable``, as in ``read_node``, from a node's answer to ``GET /cluster``."""
    peers = cluster.get("peers") or {}
    silent = cluster.get("message_send_failures") or {}
    return {
        "peers": sorted(peers),
        # A candidate says 0.
        "leader": (cluster.get("raft_info") or {}).get("leader") or None,
        "unreachable": sorted(each for each, known_as in peers.items() if known_as["uri"] in silent),
    }


def _collection_or_error(qdrant: Qdrant, collection: str) -> Json:
    try:
        return _collection(qdrant, collection)
    except (QdrantUnreachable, QdrantUnauthorized):
        raise
    except QdrantError as error:
        return {"error": error.detail}


def _collection(qdrant: Qdrant, collection: str) -> Json:
    config = qdrant.collection(collection)["config"]
    placed = qdrant.collection_cluster(collection)
    each_point = point_bytes(config)
    shards = {
        str(shard["shard_id"]): {
            "state": shard["state"],
            "points": shard["points_count"],
            "bytes": shard["points_count"] * each_point,
            "shard_key": shard.get("shard_key"),
        }
        for shard in placed["local_shards"]
    }
    return {
        "peer_id": placed["peer_id"],
        "shards": shards,
        "all_shards": sorted({shard["shard_id"] for shard in placed["local_shards"] + placed["remote_shards"]}),
        "remote_faults": [
            {"shard": shard["shard_id"], "peer_id": str(shard["peer_id"]), "state": shard["state"]}
            for shard in placed["remote_shards"]
            if shard["state"] != "Active"
        ],
        "transfers": len(placed["shard_transfers"]),
        "config_sha256": hashlib.sha256(canonical(comparable(config))).hexdigest(),
    }
