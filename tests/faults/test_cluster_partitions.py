# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that die or fall silent: the backup comes from the replicas that are right, or there is none."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    collection_digest,
    wait_until_ready,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    commit_shares,
    missing_shards,
    plan_cluster,
    store_share,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_facts import read_node
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import BackupRequest, refuse_cut_off
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import READY_SECONDS, SIZES, Cluster, copies, make_sharded, start_cluster, store_shares
from tests.conftest import fill
from tests.proofs import answers, holdings, verify_all, wait_for

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as started:
        make_sharded(started.nodes, "docs", points=300)
        yield started


@contextmanager
def silent(cluster: Cluster, number: int) -> Iterator[None]:
    """A node that answers nobody, as behind a cut; afterwards it is back, with all that it has missed."""
    pid = cluster.servers[number].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        wait_until_ready(cluster.nodes, "docs", READY_SECONDS, trigger_optimizer=True)


def follower(cluster: Cluster) -> int:
    """The number of a node that does not lead."""
    state = cluster.nodes[0].cluster()
    return 2 if state["raft_info"]["leader"] != cluster.nodes[2].cluster()["peer_id"] else 1


def restored_digest(cluster: Cluster, repository: Repository) -> tuple[int, str]:
    restore(cluster.nodes, [repository], RestoreRequest("docs", target="proof", aliases=[]))
    try:
        return collection_digest(cluster.nodes[0], "proof")
    finally:
        cluster.nodes[0].delete_collection("proof")


def test_dead_replicas_are_left_out_even_if_their_node_calls_them_active(
    cluster: Cluster, repository: Repository
) -> None:
    lost = follower(cluster)
    name = f"n{lost}"
    others = [number for number in range(3) if number != lost]
    # What the node still believes when it is cut off.
    stale = cluster.facts(lost)
    with silent(cluster, lost):
        fill(cluster.nodes[others[0]], "docs", 40, SIZES, first_id=9000)
        wait_for(lambda: all(1 in copies(cluster.nodes[number], "docs").values() for number in others), "Dead replicas")
        facts = cluster.facts(*others)
        states = {each["state"] for fact in facts for each in fact["collections"]["docs"]["remote_faults"]}
        assert states == {"Dead"}
        plan = plan_cluster(repository, [*facts, *stale], PlanRequest("docs"))
        dead = {each["shard"] for fact in facts for each in fact["collections"]["docs"]["remote_faults"]}
        assert not dead & set(plan["shares"].get(name, []))
        plan = plan_cluster(repository, facts, PlanRequest("docs"))
        assert name not in plan["shares"]
        store_shares(cluster, repository, plan)
        made = commit_shares(repository, [plan])
        assert verify_all(repository) == [made["backup_id"]]
        digest = collection_digest(cluster.nodes[others[0]], "docs")
    assert digest[0] == 340
    assert restored_digest(cluster, repository) == digest


def test_a_node_that_falls_silent_during_the_backup_is_replaced(cluster: Cluster, repository: Repository) -> None:
    lost = follower(cluster)
    name = f"n{lost}"
    others = [number for number in range(3) if number != lost]
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    if name not in plan["shares"]:
        leader = next(f"n{number}" for number in others)
        plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs", exclude=frozenset({leader})))
    assert name in plan["shares"]
    digest = collection_digest(cluster.nodes[others[0]], "docs")
    impatient = Qdrant(QdrantConnection(cluster.nodes[lost].connection.url, timeout=1, operation_timeout=2))
    with silent(cluster, lost):
        with pytest.raises(DrError) as refusal:
            store_share(impatient, repository, BackupRequest("docs"), plan, name)
        assert refusal.value.code in ("qdrant_unreachable", "timeout")
        store_shares(cluster, repository, plan, [f"n{number}" for number in others])
        assert missing_shards(repository, [plan]) == plan["shares"][name]
        request = PlanRequest(
            "docs",
            exclude=frozenset({name}),
            backup_id=plan["backup_id"],
            only=plan["shares"][name],
            attempt=1,
        )
        again = plan_cluster(repository, cluster.facts(*others), request)
        store_shares(cluster, repository, again)
        made = commit_shares(repository, [plan, again])
    assert verify_all(repository) == [made["backup_id"]]
    nodes = {entry["node"] for entry in read_manifest(repository, "docs", made["backup_id"])[0].shards}
    assert name not in nodes
    assert restored_digest(cluster, repository) == digest


def test_without_a_quorum_there_is_no_backup_and_no_restore(cluster: Cluster, repository: Repository) -> None:
    """The last test of this cluster: two of three nodes are killed. Whether the third led or not makes a difference
    in what it says of itself: a lonely leader goes on calling itself the leader."""
    plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    # A collection that one node can back up alone.
    make_sharded(cluster.nodes, "everywhere", points=60, replication_factor=3)
    leader = next(n for n, q in enumerate(cluster.nodes) if q.cluster()["raft_info"]["role"] == "Leader")
    for number, server in enumerate(cluster.servers):
        if number != leader:
            server.kill()
    alone = cluster.nodes[leader]
    wait_for(lambda: len(read_node(alone, "n", [])["unreachable"]) == 2, "the leader to notice")
    assert alone.cluster()["raft_info"]["role"] == "Leader", "which is why its word does not count"
    with pytest.raises(TargetUnfit, match="reaches 1 of 3 peers: the cluster has lost its quorum"):
        plan_cluster(repository, cluster.facts(leader), PlanRequest("docs"))
    with pytest.raises(TargetUnfit, match="it reaches 1 of 3 peers and so has lost touch with its cluster"):
        back_up(alone, repository, BackupRequest("everywhere"))
    assert (holdings(repository), alone.snapshots("everywhere")) == ({}, [])

    cluster.servers[leader].kill()
    survivor = cluster.servers[leader]
    start_without_waiting(survivor)
    wait_for(lambda: answers(alone), "the node to answer")
    wait_for(lambda: alone.cluster()["raft_info"]["role"] == "Candidate", "the node to stand for election")
    assert read_node(alone, "n", [])["leader"] is None
    with pytest.raises(TargetUnfit, match="sees no leader: the cluster has lost its quorum"):
        plan_cluster(repository, cluster.facts(leader), PlanRequest("docs"))
    with pytest.raises(TargetUnfit, match="it sees no leader and so has lost touch with its cluster"):
        refuse_cut_off(alone, "docs", plan["shares"].get(f"n{leader}", []))
    assert holdings(repository) == {}


def start_without_waiting(server: Any) -> None:
    """Start a node that cannot become ready, as its peers are down."""
    server._spawn()
