# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server can take a backup: all reasons against it at once, before anything is touched."""

from __future__ import annotations

from typing import Any

from ..formats.collection_config import is_custom_sharded, vector_differences
from ..formats.manifest import Manifest
from ..formats.sealed import plain_facts
from ..formats.shard_keys import scattered, shards_by_key
from ..stores.node_files import free_bytes, used_bytes
from ..stores.qdrant import Qdrant

# Qdrant keeps the uploaded file, its unpacked form and the loaded shard at once (measured: 2.8 times its size).
_UPLOAD_SPACE = 2.8
# Qdrant uses about one core for each; and so much is held in memory here for each.
_AT_ONCE = 2


def preflight(
    nodes: list[Qdrant],
    manifest: Manifest,
    target: str,
    *,
    aliases: list[str],
    compare: bool,
    storage_path: str | None = None,
    replication_factor: int | None = None,
) -> list[str]:
    """The reasons why ``target`` on these nodes cannot take the backup, a clause each; empty when they can.

    ``nodes``: the server, and after it all others of its cluster. ``compare``: the target exists, and must have the
    same shape to be replaced. ``storage_path``: the server's storage directory, if this process can see how much room
    it has.
    """
    qdrant = nodes[0]
    reasons = _version_reasons(qdrant.version(), manifest.qdrant_version)
    cluster = qdrant.cluster()
    reasons += _cluster_reasons(cluster, replication_factor)
    reasons += _peer_reasons(nodes, cluster)
    if is_custom_sharded(manifest.config) and cluster.get("status") != "enabled":
        # It takes the collection and refuses its keys. Shards without their keys would answer reads, and every write
        # by id would go to another shard than the one that has the point.
        reasons.append("shard keys need a node in distributed mode: set cluster.enabled there, one node is enough")
    reasons += scattered(shards_by_key(manifest.shards))
    reasons += _name_reasons(qdrant, target, aliases)
    if compare:
        reasons += _shape_reasons(qdrant, manifest, target)
    if storage_path is not None:
        reasons += space_reasons(storage_path, [plain_facts(shard["object"])[0] for shard in manifest.shards], target)
    return reasons


def space_reasons(storage_path: str, sizes: list[int], target: str) -> list[str]:
    """Whether there is room for archives of these ``sizes`` in bytes, also with that of what stands at the target's
    name: it goes before the first upload."""
    free = free_bytes(storage_path)
    needed = _needed(sizes, 1)
    if free is None or free + used_bytes(storage_path, target) >= needed:
        return []
    return [_lack(storage_path, free, needed)]


def lack_of_room(storage_path: str, size: int) -> str:
    """What an upload of ``size`` bytes lacks on this disk now, "" where it lacks nothing or that can't be seen."""
    needed, free = int(_UPLOAD_SPACE * size), free_bytes(storage_path)
    return "" if free is None or free >= needed else _lack(storage_path, free, needed)


def _lack(storage_path: str, free: int, needed: int) -> str:
    return f"{storage_path} has {free / 2**20:.1f} MiB free, the restore needs {needed / 2**20:.1f} MiB"


def uploads_at_once(nodes: list[Qdrant], storage_path: str | None, sizes: list[int]) -> int:
    """How many archives to upload at the same time: as many as are known to find room.

    One to a cluster, where each upload is an entry in the log that all nodes agree on: in turn was proved to work.
    """
    free = free_bytes(storage_path) if storage_path is not None and len(nodes) == 1 else None
    both = min(_AT_ONCE, len(sizes))
    return both if free is not None and free >= _needed(sizes, both) else 1


def _needed(sizes: list[int], at_once: int) -> int:
    """Bytes on the disk while the largest archives are uploaded last."""
    return int(sum(sizes) + (_UPLOAD_SPACE - 1) * sum(sorted(sizes)[-at_once:]))


def _version_reasons(server: str, recorded: str) -> list[str]:
    if _minor(server) < _minor(recorded):
        return [f"the server has version {server}, older than the backup's {recorded}"]
    return []


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("-")[0].split(".")[:2] if number.isdigit())


def _cluster_reasons(cluster: dict[str, Any], replication_factor: int | None) -> list[str]:
    if cluster.get("status") != "enabled":
        return [f"replication_factor {replication_factor} needs a cluster"] if (replication_factor or 1) > 1 else []
    reasons = []
    if not cluster["raft_info"].get("leader"):
        reasons.append("the cluster has no leader: it lacks a quorum of its peers")
    unreachable = sorted(cluster.get("message_send_failures") or {})
    if unreachable:
        reasons.append(f"the node cannot reach the peers {', '.join(unreachable)}")
    if (replication_factor or 1) > len(cluster["peers"]):
        reasons.append(f"replication_factor {replication_factor} exceeds the {len(cluster['peers'])} peers")
    return reasons


def _peer_reasons(nodes: list[Qdrant], cluster: dict[str, Any]) -> list[str]:
    """A restore is finished when every node says so: one that is not named is not asked."""
    peers = {peer: known_as["uri"].rstrip("/") for peer, known_as in (cluster.get("peers") or {}).items()}
    named = {str(cluster.get("peer_id"))}
    reasons = []
    for node in nodes[1:]:
        peer = str(node.cluster().get("peer_id"))
        named.add(peer)
        if peer not in peers:
            reasons.append(f"{node.connection.url} is no node of this cluster")
    missed = [f"{peer} ({uri})" for peer, uri in sorted(peers.items()) if peer not in named]
    if missed:
        reasons.append(f"node_urls must name every other node of the cluster, and lacks the peers {', '.join(missed)}")
    return reasons


def _name_reasons(qdrant: Qdrant, target: str, aliases: list[str]) -> list[str]:
    reasons = []
    known = qdrant.aliases()
    if target in known:
        reasons.append(f"the name {target} is an alias of {known[target]}")
    names = qdrant.collections()
    reasons += [f"the alias {alias} is the name of a collection" for alias in aliases if alias in names]
    return reasons


def _shape_reasons(qdrant: Qdrant, manifest: Manifest, target: str) -> list[str]:
    existing = qdrant.collection(target)["config"]
    reasons = [f"{target} differs: {difference}" for difference in vector_differences(manifest.config, existing)]
    for name, default in (("shard_number", 1), ("sharding_method", "auto")):
        mine = manifest.config["params"].get(name) or default
        theirs = existing["params"].get(name) or default
        if mine != theirs:
            reasons.append(f"{target} has {name} {theirs}, the backup {mine}")
    return reasons
