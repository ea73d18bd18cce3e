# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of cluster backups: every shard once, from where it is right, evenly; or all reasons why not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import backup_plan
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.backup_plan import (
    SNAPSHOT_COST,
    SPARING,
    plan_shares,
)

Json = dict[str, Any]

STATES = ["Active", "Dead", "Partial", "Initializing", "Listener", "Recovery"]


def cluster_of(placement: list[list[int]], sizes: dict[int, int] | None = None, standalone: bool = False) -> list[Json]:
    """The facts of nodes that hold these shards of ``docs``, all of them well."""
    every = sorted({shard for shards in placement for shard in shards})
    peers = [] if standalone else [str(100 + number) for number in range(len(placement))]
    return [
        {
            "name": f"n{number}",
            "url": f"http://n{number}:6333",
            "version": "1.16.3",
            "peer_id": str(100 + number),
            "peers": peers,
            "leader": None if standalone else 100,
            "unreachable": [],
            "collections": {
                "docs": {
                    "peer_id": 100 + number,
                    "shards": {
                        str(shard): {
                            "state": "Active",
                            "points": (sizes or {}).get(shard, 1000) // 100,
                            "bytes": (sizes or {}).get(shard, 1000),
                            "shard_key": None,
                        }
                        for shard in shards
                    },
                    "all_shards": every,
                    "remote_faults": [],
                    "transfers": 0,
                    "config_sha256": "c" * 64,
                }
            },
        }
        for number, shards in enumerate(placement)
    ]


def three_nodes() -> list[Json]:
    """6 shards with 2 replicas on 3 nodes."""
    return cluster_of([[0, 1, 2, 3], [2, 3, 4, 5], [0, 1, 4, 5]])


def docs(node: Json) -> Json:
    """What a node says of the collection."""
    return node["collections"]["docs"]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Json], frozenset[str]]:
    """Facts with any states and sizes, and nodes to leave out."""
    nodes = draw(st.integers(1, 6))
    placement: list[list[int]] = [[] for _node in range(nodes)]
    for shard in range(draw(st.integers(1, 10))):
        for holder in draw(st.sets(st.integers(0, nodes - 1), min_size=1, max_size=3)):
            placement[holder].append(shard)
    facts = cluster_of(placement, {shard: draw(st.integers(0, 10**9)) for shard in range(10)})
    for node in facts:
        for shard in docs(node)["shards"].values():
            shard["state"] = draw(st.sampled_from(["Active", *STATES]))
    return facts, frozenset(draw(st.sets(st.sampled_from([node["name"] for node in facts]), max_size=nodes - 1)))


@given(clusters())
def test_every_shard_comes_once_from_an_active_replica_or_there_is_no_plan(
    drawn: tuple[list[Json], frozenset[str]],
) -> None:
    facts, exclude = drawn
    usable = {
        shard: {
            node["name"]
            for node in facts
            if node["name"] not in exclude and docs(node)["shards"].get(str(shard), {}).get("state") == "Active"
        }
        for shard in docs(facts[0])["all_shards"]
    }
    lost = sorted(shard for shard, names in usable.items() if not names)
    if lost:
        with pytest.raises(TargetUnfit) as refusal:
            plan_shares(facts, "docs", exclude)
        named = [reason.split(" has no Active replica")[0] for reason in refusal.value.result["reasons"]]  # type: ignore[attr-defined]
        assert named == [f"shard {shard}" for shard in lost], "each of them is named"
        return
    shares = plan_shares(facts, "docs", exclude).shares
    assert sorted(shard for shards in shares.values() for shard in shards) == sorted(usable)
    assert all(name in usable[shard] for name, shards in shares.items() for shard in shards)
    assert all(shares.values()), "no node is asked for nothing"


@settings(max_examples=60)
@given(
    st.integers(2, 12),
    st.integers(1, 3),
    st.integers(1, 8),
    st.lists(st.integers(800, 1200), min_size=96, max_size=96),
)
def test_no_node_could_be_helped_by_another_one(nodes: int, factor: int, per_node: int, sizes: list[int]) -> None:
    """The last shard that a node was given would keep any other of its holders busy for as long. To leave nodes alone
    costs 5 % of that at most."""
    factor = min(factor, nodes)
    placement: list[list[int]] = [[] for _node in range(nodes)]
    for shard in range(nodes * per_node):
        for copied in range(factor):
            placement[(shard + copied) % nodes].append(shard)
    facts = cluster_of(placement, dict(enumerate(sizes)))

    def work_of(shares: dict[str, list[int]]) -> dict[str, float]:
        held = {
            f"n{number}": SNAPSHOT_COST * sum(sizes[shard] for shard in each) for number, each in enumerate(placement)
        }
        return {name: cost + sum(sizes[shard] for shard in shares.get(name, [])) for name, cost in held.items()}

    with mock.patch.object(backup_plan, "_spare"):
        spread = plan_shares(facts, "docs").shares
    work = work_of(spread)
    for name, shards in spread.items():
        last = min(shards, key=lambda shard: (sizes[shard], -shard))
        holders = [f"n{(last + copied) % nodes}" for copied in range(factor)]
        assert all(work[holder] + sizes[last] >= work[name] - 1e-6 for holder in holders)
    shares = plan_shares(facts, "docs").shares
    after = work_of(shares)
    assert max(after[name] for name in shares) <= SPARING * max(work[name] for name in spread) + 1e-6


@given(
    st.integers(1, 8),
    st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=12), min_size=1, max_size=15),
)
def test_no_node_works_longer_than_its_part_and_one_shard(nodes: int, collections: list[list[int]]) -> None:
    """Every node has every shard, so this is what taking the least busy one each time guarantees (Graham, 1966)."""
    load: dict[str, float] = {}
    for sizes in collections:
        facts = cluster_of([list(range(len(sizes)))] * nodes, dict(enumerate(sizes)))
        planned = plan_shares(facts, "docs", load=load)
        for name, shards in planned.shares.items():
            work = SNAPSHOT_COST * sum(sizes) + sum(sizes[shard] for shard in shards)
            load[name] = load.get(name, 0.0) + work
            assert planned.work[name] == pytest.approx(load[name])
    part = sum((1 / nodes + SNAPSHOT_COST) * sum(sizes) for sizes in collections)
    largest = max(max(sizes) + SNAPSHOT_COST * sum(sizes) for sizes in collections)
    # The last term is for rounding.
    assert max(load.values()) <= SPARING * (part + largest) + 1e-3


def test_collections_of_one_shard_are_spread_over_the_nodes() -> None:
    load: dict[str, float] = {}
    used = []
    for _collection in range(12):
        planned = plan_shares(cluster_of([[0], [0], [0]]), "docs", load=load)
        load.update(planned.work)
        used += list(planned.shares)
    assert {name: used.count(name) for name in used} == {"n0": 4, "n1": 4, "n2": 4}


def test_a_plan_is_the_same_every_time_whatever_the_order_of_the_nodes() -> None:
    facts = three_nodes()
    assert plan_shares(facts, "docs").shares == plan_shares(facts[::-1], "docs").shares


def test_bytes_decide_not_numbers_of_shards() -> None:
    facts = cluster_of([[0, 1, 2, 3], [0, 1, 2, 3]], {0: 9000, 1: 1000, 2: 1000, 3: 1000})
    shares = plan_shares(facts, "docs").shares
    assert sorted(shares.values()) == [[0], [1, 2, 3]]


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ([[0, 1], [0, 1]], {"n0": [0, 1]}),
        ([[0, 1, 2], [2], [1]], {"n0": [0, 1, 2]}),
        ([[0], [0, 1]], {"n1": [0, 1]}),
        ([[0], [1]], {"n0": [0], "n1": [1]}),
    ],
)
def test_a_node_that_would_provide_little_is_left_alone(
    placement: list[list[int]], expected: dict[str, list[int]]
) -> None:
    facts = cluster_of(placement, {0: 9000, 1: 10, 2: 20})
    assert plan_shares(facts, "docs").shares == expected


def test_excluded_nodes_provide_nothing() -> None:
    shares = plan_shares(three_nodes(), "docs", frozenset({"n1"})).shares
    assert set(shares) == {"n0", "n2"}
    assert sorted(shares["n0"] + shares["n2"]) == list(range(6))


def test_excluding_a_node_that_alone_has_a_shard_is_refused_by_its_name() -> None:
    with pytest.raises(TargetUnfit, match=r"shard 3 has no Active replica on a usable node \(n1: Active\)"):
        plan_shares(cluster_of([[0, 1], [1, 3]]), "docs", frozenset({"n1"}))


def test_only_some_shards_are_planned_anew() -> None:
    facts = three_nodes()
    docs(facts[0])["shards"]["5"] = {"state": "Dead", "points": 1, "bytes": 1, "shard_key": None}
    shares = plan_shares(facts, "docs", frozenset({"n0"}), only=[1, 4]).shares
    assert sorted(shard for shards in shares.values() for shard in shards) == [1, 4]


def test_what_is_not_asked_for_is_no_reason_to_refuse() -> None:
    facts = cluster_of([[0], [0, 1]])
    docs(facts[1])["shards"]["1"]["state"] = "Dead"
    assert plan_shares(facts, "docs", only=[0]).shares in ({"n0": [0]}, {"n1": [0]})


def test_a_replica_that_others_do_not_see_active_is_not_trusted() -> None:
    facts = three_nodes()
    docs(facts[1])["remote_faults"] = [{"shard": 0, "peer_id": "100", "state": "Dead"}]
    assert 0 in plan_shares(facts, "docs").shares["n2"], "n0 calls it Active, as it is cut off"
    docs(facts[1])["remote_faults"].append({"shard": 0, "peer_id": "102", "state": "Partial"})
    with pytest.raises(TargetUnfit, match=r"shard 0 has no Active replica on a usable node \(n0: Dead, n2: Partial\)"):
        plan_shares(facts, "docs")


def test_a_standalone_node_backs_up_what_it_has() -> None:
    planned = plan_shares(cluster_of([[0, 1]], standalone=True), "docs")
    assert (planned.shares, planned.warnings) == ({"n0": [0, 1]}, [])


def twin_names(facts: list[Json]) -> None:
    facts[1]["name"] = "n0"


def one_node_twice(facts: list[Json]) -> None:
    facts[2] = {**copy.deepcopy(facts[1]), "name": "n2"}


def another_version(facts: list[Json]) -> None:
    facts[2]["version"] = "1.15.0"


def another_cluster(facts: list[Json]) -> None:
    facts[2] |= {"peer_id": "777", "peers": ["777", "778"]}


def no_cluster(facts: list[Json]) -> None:
    facts[2] |= {"peer_id": "777", "peers": [], "leader": None}


def no_leader(facts: list[Json]) -> None:
    facts[1]["leader"] = None


def a_leader_left_alone(facts: list[Json]) -> None:
    facts[0]["unreachable"] = ["101", "102"]


def transfers(facts: list[Json]) -> None:
    docs(facts[1])["transfers"] = 1


def other_config(facts: list[Json]) -> None:
    docs(facts[2])["config_sha256"] = "d" * 64


def no_active_replica(facts: list[Json]) -> None:
    docs(facts[0])["shards"]["2"]["state"] = "Dead"
    docs(facts[1])["shards"]["2"]["state"] = "Partial"


def a_shard_nobody_holds(facts: list[Json]) -> None:
    docs(facts[0])["all_shards"].append(9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (twin_names, "n0 is the name of several nodes"),
        (one_node_twice, "n1, n2 are one and the same node, peer 101"),
        (another_version, "the nodes have different versions of Qdrant: n0 has 1.16.3; n1 has 1.16.3; n2 has 1.15.0"),
        (another_cluster, "n2 belongs to another cluster than n0"),
        (no_cluster, "n2 belongs to another cluster than n0"),
        (no_leader, "n1 sees no leader: the cluster has lost its quorum"),
        (a_leader_left_alone, "n0 reaches 1 of 3 peers: the cluster has lost its quorum"),
        (transfers, "shards are being transferred"),
        (other_config, "the nodes disagree on its configuration"),
        (no_active_replica, "shard 2 has no Active replica on a usable node (n0: Dead, n1: Partial)"),
        (a_shard_nobody_holds, "shard 9 has no Active replica on a usable node (none is here)"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(change: Callable[[list[Json]], None], reason: str) -> None:
    facts = three_nodes()
    change(facts)
    with pytest.raises(TargetUnfit) as refusal:
        plan_shares(facts, "docs")
    assert refusal.value.result["reasons"] == [reason]
    assert (refusal.value.code, refusal.value.detail) == ("preflight_failed", f"docs cannot be backed up: {reason}.")


@pytest.mark.parametrize(
    "changes",
    [[twin_names, another_version, no_leader], [transfers, other_config, no_active_replica, a_shard_nobody_holds]],
    ids=["cluster", "collection"],
)
def test_all_reasons_are_named_at_once(changes: list[Callable[[list[Json]], None]]) -> None:
    facts = three_nodes()
    for change in changes:
        change(facts)
    with pytest.raises(TargetUnfit) as refusal:
        plan_shares(facts, "docs")
    reasons = refusal.value.result["reasons"]
    assert isinstance(reasons, list)
    assert len(reasons) == len(changes), reasons


def test_two_standalone_nodes_are_no_cluster() -> None:
    with pytest.raises(TargetUnfit, match="n1 belongs to no cluster"):
        plan_shares(cluster_of([[0], [1]], standalone=True), "docs")


def test_a_collection_that_no_node_knows() -> None:
    with pytest.raises(TargetUnfit, match="none cannot be backed up: no node knows it"):
        plan_shares(three_nodes(), "none")


def test_a_peer_out_of_reach_is_warned_of_while_there_is_a_quorum() -> None:
    facts = three_nodes()
    facts[0]["unreachable"] = ["102"]
    assert plan_shares(facts[:2], "docs").warnings == ["n0 cannot reach peer 102"]
    assert plan_shares(facts, "docs").warnings == ["n0 cannot reach n2"]
