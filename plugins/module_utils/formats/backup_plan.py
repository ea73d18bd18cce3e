# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node backs which shard up: one plan for a whole cluster, pure and fast.

A node is described by what it said of itself, in the shape of ``operations.node_facts``. Weights are bytes, taken to be
points times the bytes of a point's vectors: within a collection that is proportional to the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import TargetUnfit

Json = dict[str, Any]

# Creating a snapshot costs a node about this part of what storing the same bytes does (qdrant creates at 160-240 MB/s,
# the store takes about 60-100 MB/s from one node): so a node that would provide little is rather left alone.
SNAPSHOT_COST = 0.4
# So much longer may the busiest node work at a collection for another to be left alone.
SPARING = 1.05


@dataclass
class SharePlan:
    """Which shards of one collection each node provides. ``warnings`` are clauses about what is not as it should be.

    ``work``: of each node that provides some, all its work so far, in bytes to be stored.
    """

    collection: str
    shares: dict[str, list[int]]
    work: dict[str, float]
    warnings: list[str] = field(default_factory=list)


def plan_shares(
    nodes: list[Json],
    collection: str,
    exclude: frozenset[str] = frozenset(),
    only: list[int] | None = None,
    load: Mapping[str, float] | None = None,
) -> SharePlan:
    """Choose one Active replica for every shard, so that the work of the busiest node is small.

    ``exclude``: nodes that shall not be used; ``only``: the shards to plan, None for all; ``load``: the work that other
    collections have given to nodes. Raises ``TargetUnfit`` with
    all reasons why there can be no plan.
    """
    reasons = cluster_reasons(nodes)
    known = [node for node in nodes if collection in node["collections"]]
    holders = [node for node in known if "error" not in node["collections"][collection]]
    silent = [f"{each['name']}: {each['collections'][collection]['error']}" for each in known if each not in holders]
    if not holders and not reasons:
        reasons += silent or ["no node knows it"]
    if reasons:
        raise _unfit(collection, reasons)
    replicas = _active_replicas(holders, collection, exclude)
    if only is not None:
        replicas = {shard: names for shard, names in replicas.items() if shard in only}
    reasons += _collection_reasons(holders, collection, replicas)
    if reasons:
        raise _unfit(collection, reasons + silent)
    shares, work = _assign(holders, collection, replicas, load or {})
    return SharePlan(collection, shares, work, _reach_warnings(nodes))


def shards_of(nodes: list[Json], collection: str) -> list[int]:
    """The numbers of all shards of a collection that any node knows of."""
    known = [node["collections"][collection] for node in nodes if collection in node["collections"]]
    # Nearly always all nodes say the same, which is then looked at once.
    return sorted(set().union(*{tuple(each.get("all_shards", [])) for each in known}))


def cluster_reasons(nodes: list[Json]) -> list[str]:
    """Why these nodes are not one cluster that can be backed up, a clause each."""
    reasons = [f"{name} is the name of several nodes" for name in _repeated(node["name"] for node in nodes)]
    for peer in _repeated(node["peer_id"] for node in nodes):
        names = ", ".join(node["name"] for node in nodes if node["peer_id"] == peer)
        reasons.append(f"{names} are one and the same node, peer {peer}")
    versions = sorted({node["version"] for node in nodes})
    if len(versions) > 1:
        by_version = "; ".join(f"{each['name']} has {each['version']}" for each in nodes)
        reasons.append(f"the nodes have different versions of Qdrant: {by_version}")
    return reasons + _membership_reasons(nodes)


def _membership_reasons(nodes: list[Json]) -> list[str]:
    if not nodes[0]["peers"]:
        return [f"{node['name']} belongs to no cluster" for node in nodes[1:]] if len(nodes) > 1 else []
    reasons = []
    members = set(nodes[0]["peers"])
    for node in nodes:
        if set(node["peers"]) != members:
            reasons.append(f"{node['name']} belongs to another cluster than {nodes[0]['name']}")
        elif (fault := quorum_fault(node)) is not None:
            reasons.append(f"{node['name']} {fault}: the cluster has lost its quorum")
    return reasons


def quorum_fault(member: Json) -> str | None:
    """What shows that a node is out of touch with most of its cluster, a predicate; None where nothing does.

    ``member``: ``peers``, ``leader`` and ``unreachable`` as the node itself tells them.
    """
    members = len(member["peers"])
    if not members:
        return None
    if member["leader"] is None:
        return "sees no leader"
    if 2 * len(member["unreachable"]) >= members:
        # A leader that is left alone goes on calling itself the leader.
        return f"reaches {members - len(member['unreachable'])} of {members} peers"
    return None


def _reach_warnings(nodes: list[Json]) -> list[str]:
    names = {node["peer_id"]: node["name"] for node in nodes}
    return [
        f"{node['name']} cannot reach {names.get(peer, f'peer {peer}')}"
        for node in nodes
        for peer in node["unreachable"]
    ]


def _active_replicas(holders: list[Json], collection: str, exclude: frozenset[str]) -> dict[int, list[str]]:
    """Shard -> names of the nodes that may provide it: Active as they see it themselves, and as all others do.

    A node that is cut off does not learn that its replicas are Dead, and goes on calling them Active.
    """
    doubted = _doubted(holders, collection)
    replicas: dict[int, list[str]] = {shard: [] for shard in shards_of(holders, collection)}
    for node in holders:
        if node["name"] in exclude:
            continue
        for number, shard in node["collections"][collection]["shards"].items():
            if shard["state"] == "Active" and (node["peer_id"], int(number)) not in doubted:
                replicas[int(number)].append(node["name"])
    return replicas


def _doubted(holders: list[Json], collection: str) -> dict[tuple[str, int], str]:
    """(peer, shard) -> the state of each replica that another node does not see Active."""
    faults = [fault for node in holders for fault in node["collections"][collection]["remote_faults"]]
    return {(fault["peer_id"], fault["shard"]): fault["state"] for fault in faults}


def _collection_reasons(holders: list[Json], collection: str, replicas: dict[int, list[str]]) -> list[str]:
    reasons = []
    if any(node["collections"][collection]["transfers"] for node in holders):
        reasons.append("shards are being transferred")
    if len({node["collections"][collection]["config_sha256"] for node in holders}) > 1:
        reasons.append("the nodes disagree on its configuration")
    doubted = _doubted(holders, collection)
    for shard, names in sorted(replicas.items()):
        if not names:
            states = ", ".join(
                f"{node['name']}: {doubted.get((node['peer_id'], shard), found['state'])}"
                for node in holders
                if (found := node["collections"][collection]["shards"].get(str(shard)))
            )
            reasons.append(f"shard {shard} has no Active replica on a usable node ({states or 'none is here'})")
    return reasons


def _assign(
    holders: list[Json], collection: str, replicas: dict[int, list[str]], load: Mapping[str, float]
) -> tuple[dict[str, list[int]], dict[str, float]]:
    """Largest shard first, each to the node whose work is then the least; snapshots are paid by whoever is used."""
    shards_of = {node["name"]: node["collections"][collection]["shards"] for node in holders}
    begun = {
        name: load.get(name, 0.0) + SNAPSHOT_COST * sum(shard["bytes"] for shard in shards.values())
        for name, shards in shards_of.items()
    }
    work: dict[str, float] = {}
    shares: dict[str, list[int]] = {}
    sizes = {shard: max(shards_of[name][str(shard)]["bytes"] for name in names) for shard, names in replicas.items()}
    for shard in sorted(replicas, key=lambda number: (-sizes[number], number)):
        name = min(
            replicas[shard],
            key=lambda each: (work.get(each, begun[each]) + sizes[shard], each),
        )
        work[name] = work.get(name, begun[name]) + sizes[shard]
        shares.setdefault(name, []).append(shard)
    added = max(done - load.get(name, 0.0) for name, done in work.items())
    longest = max(*work.values(), *load.values(), 0.0) + (SPARING - 1) * added
    _spare(shares, work, replicas, sizes, longest)
    return {name: sorted(shards) for name, shards in sorted(shares.items())}, work


def _spare(
    shares: dict[str, list[int]],
    work: dict[str, float],
    replicas: dict[int, list[str]],
    sizes: dict[int, int],
    longest: float,
) -> None:
    """Leave each node alone whose shards the others can take within ``longest``: those that provide least first."""
    for name in sorted(shares, key=lambda each: (sum(sizes[shard] for shard in shares[each]), each)):
        trial = {other: done for other, done in work.items() if other != name}
        moved = []
        for shard in shares[name]:
            to = min((other for other in replicas[shard] if other in trial), key=lambda n: (trial[n], n), default=None)
            if to is None or trial[to] + sizes[shard] > longest:
                break
            trial[to] += sizes[shard]
            moved.append((to, shard))
        else:
            for to, shard in moved:
                shares[to].append(shard)
            del shares[name], work[name]
            work.update(trial)


def _repeated(values: Any) -> list[Any]:
    listed = list(values)
    return sorted({value for value in listed if listed.count(value) > 1})


def _unfit(collection: str, reasons: list[str]) -> TargetUnfit:
    return TargetUnfit(
        f"{collection} cannot be backed up: {'; '.join(reasons)}.",
        "Nothing was done. Wait until the cluster has settled, or mend what is named.",
        reasons=reasons,
    )
