# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that the target of a drill is not what the drill must not touch.

What tells a cluster: the addresses of its nodes, the id that each process has from its start (telemetry), and the ids
of its peers, which stay through restarts. A backup names the peers that it is from, so that production is recognized
also by someone who has nothing but the bucket.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ..errors import NotIsolated, OperationTimeout, QdrantError, QdrantUnauthorized, QdrantUnreachable
from ..formats.manifest import Manifest
from ..stores.qdrant import Qdrant, QdrantConnection

Json = dict[str, Any]


@dataclass(frozen=True)
class ClusterIdentity:
    """``addresses``: IP and port; ``processes``: ids of the running servers; ``peers``: ids that stay.

    ``empty``: whether it serves no collection.
    """

    addresses: frozenset[str]
    processes: frozenset[str]
    peers: frozenset[str]
    empty: bool


def identify(nodes: Sequence[Qdrant]) -> ClusterIdentity:
    """Who these nodes of one cluster are. Raises what Qdrant raises."""
    addresses: set[str] = set()
    processes: set[str] = set()
    peers: set[str] = set()
    names: list[str] = []
    for node in nodes:
        addresses |= _resolved(node.connection.address)
        names = node.collections()
        with suppress(QdrantUnauthorized):
            processes.add(str(node.call("GET", "/telemetry")["id"]))
        cluster = node.cluster()
        peers |= {str(peer) for peer in (cluster.get("peers") or {})}
        if names:  # A standalone node tells its id with a collection only.
            peers.add(str(node.collection_cluster(names[0])["peer_id"]))
    return ClusterIdentity(frozenset(addresses), frozenset(processes), frozenset(peers), not names)


def prove_isolation(
    nodes: Sequence[Qdrant],
    source: Qdrant | None,
    manifest: Manifest | None,
    collection: str,
    *,
    shared_credentials: bool | None = False,
) -> list[Json]:
    """The checks of a record: ``check``, ``passed`` (None: could not be found out) and ``detail``.

    ``source``: a node of production, if it can be asked. ``manifest``: the newest backup of the collection.
    ``shared_credentials``: a source that takes the target's key is no reason to stop; None: that is not tried.
    """
    mine = identify(nodes)
    checks = [_recorded_peers(mine, manifest)]
    if source is None:
        return [*checks, _check("source", None, "no source was given that the target could be compared with.")]
    checks.append(_addresses(mine, source))
    try:
        other = identify([source])
    except QdrantError as error:
        return [*checks, _check("source", None, f"the source could not be asked: {error.detail}")]
    checks.append(_apart("processes", mine.processes, other.processes, "process"))
    checks.append(_apart("peers", mine.peers, other.peers, "peer id", empty=mine.empty))
    if shared_credentials is None:
        return checks
    credentials = _credentials(nodes[0].connection, source.connection, collection)
    if credentials["passed"] is False and shared_credentials:
        credentials["passed"] = None
    return [*checks, credentials]


def require_isolation(
    checks: Sequence[Json], hint: str = "Drill on another cluster, with credentials of its own."
) -> None:
    """Raise NotIsolated where a check did not pass."""
    failed = [check["detail"] for check in checks if check["passed"] is False]
    if failed:
        raise NotIsolated(
            f"The target is not isolated from production: {' '.join(failed)}",
            f"Nothing was changed. {hint}",
        )


def _recorded_peers(mine: ClusterIdentity, manifest: Manifest | None) -> Json:
    if manifest is None:
        return _check("recorded_peers", None, "there is no backup that names the peers that it is from.")
    recorded = frozenset(str(shard.get("peer_id")) for shard in manifest.shards)
    return _apart("recorded_peers", mine.peers, recorded, "peer id that the backup is from", empty=mine.empty)


def _addresses(mine: ClusterIdentity, source: Qdrant) -> Json:
    return _apart("addresses", mine.addresses, frozenset(_resolved(source.connection.address)), "address")


def _apart(name: str, mine: frozenset[str], other: frozenset[str], what: str, empty: bool = False) -> Json:
    """``empty``: the target serves nothing, and so is not what serves the collection, whoever it is."""
    both = sorted(mine & other)
    if both:
        return _check(name, False, f"the target has the {what} {', '.join(both)} of the source.")
    if mine and other:
        return _check(name, True, f"no {what} of the target is one of the source.")
    if empty:
        return _check(name, True, "the target serves no collection at all.")
    return _check(name, None, f"not both tell their {what}.")


def _credentials(mine: QdrantConnection, source: QdrantConnection, collection: str) -> Json:
    """Try the target's key on the source, with requests that change nothing whoever sends them.

    Qdrant looks at rights first. So the answer 401 or 403 means that the key may not write, and any other refusal that
    it may: a change of a collection that does not exist (which asks for rights over everything), and the deletion of no
    point from a shard key that does not exist (which asks for the right to write to the collection; measured: Qdrant
    answers 400 and its log gets no entry).
    """
    stranger = Qdrant(replace(source, api_key=mine.api_key))
    nowhere = f"qdrant-dr-drill-{secrets.token_hex(8)}"
    tries = {
        "everything": ("PATCH", f"/collections/{nowhere}", {}),
        "the collection": (
            "POST",
            f"/collections/{quote(collection, safe='')}/points/delete",
            {"points": [], "shard_key": nowhere},
        ),
    }
    try:
        may = [what for what, request in tries.items() if _is_let_through(stranger, *request)]
    except (QdrantUnreachable, OperationTimeout) as error:
        return _check("credentials", None, f"the source did not answer the target's key: {error.detail}")
    if may:
        return _check("credentials", False, f"the target's key may write to {' and '.join(may)} of the source.")
    return _check("credentials", True, "the source refused the target's key: PATCH of a collection, delete of points.")


def _is_let_through(qdrant: Qdrant, method: str, path: str, body: Json) -> bool:
    try:
        qdrant.call(method, path, body)
    except QdrantUnauthorized:
        return False
    except QdrantUnreachable:
        raise
    except QdrantError:
        pass
    return True


def _resolved(address: str) -> set[str]:
    host, _colon, port = address.rpartition(":")
    with suppress(OSError):
        return {f"{found[4][0]}:{port}" for found in socket.getaddrinfo(host.strip("[]"), None)}
    return {address}


def _check(name: str, passed: bool | None, detail: str) -> Json:
    return {"check": name, "passed": passed, "detail": detail}
