# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is not well, wrongly described or loses nodes during its backup: nothing is half committed."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DrError,
    IncompleteBackup,
    QdrantError,
    TargetUnfit,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    abandon,
    commit_shares,
    missing_shards,
    plan_cluster,
    store_share,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_facts import read_node
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import ShareRun
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, back_up_cluster, make_sharded, start_cluster, store_shares
from tests.faults.proxy import FaultProxy, Rule
from tests.proofs import holdings, verify_all, wait_for

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
FOREVER = 200.0
# Not fork: this process has threads.
CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as started:
        make_sharded(started.nodes, "docs", points=300)
        yield started


@pytest.fixture
def plan(cluster: Cluster, repository: Repository) -> Json:
    """The plan of a backup by more than one node."""
    planned = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    assert len(planned["shares"]) > 1
    return planned


def replan(cluster: Cluster, repository: Repository, plans: list[Json], lost: str) -> Json:
    """The plan that gives what is missing to the nodes that are left."""
    first, attempt = plans[0], plans[-1]["attempt"] + 1
    only = missing_shards(repository, plans)
    request = PlanRequest("docs", exclude=frozenset({lost}), backup_id=first["backup_id"], only=only, attempt=attempt)
    return plan_cluster(repository, cluster.facts(), request)


def proven(cluster: Cluster, repository: Repository, backup_id: str, *later: str) -> None:
    """The backup is whole, and what is restored from it is what there was; nothing but ``later`` ones is left."""
    assert sorted(verify_all(repository)) == sorted([backup_id, *later])
    assert not [key for key in holdings(repository) if "/started/" in key or key.startswith("upload of")]
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]
    restore(cluster.nodes, [repository], RestoreRequest("docs", backup_id=backup_id, target="proof", aliases=[]))
    try:
        digest = collection_digest(cluster.nodes[0], "docs")
        assert [collection_digest(node, "proof") for node in cluster.nodes] == [digest] * 3
    finally:
        cluster.nodes[0].delete_collection("proof")


def twin_name(facts: list[Json], stranger: Json) -> None:
    facts[1]["name"] = "n0"


def same_node_twice(facts: list[Json], stranger: Json) -> None:
    facts[2] = {**facts[1], "name": "n2"}


def stranger_in_the_group(facts: list[Json], stranger: Json) -> None:
    facts.append(stranger)


def other_version(facts: list[Json], stranger: Json) -> None:
    facts[2]["version"] = "1.15.4"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (twin_name, "n0 is the name of several nodes"),
        (same_node_twice, "n1, n2 are one and the same node"),
        (stranger_in_the_group, "stray belongs to another cluster than n0"),
        (other_version, "the nodes have different versions of Qdrant"),
    ],
)
def test_an_inventory_that_is_wrong_is_refused_before_anything_is_done(
    cluster: Cluster,
    repository: Repository,
    qdrant: Qdrant,
    change: Callable[[list[Json], Json], None],
    reason: str,
) -> None:
    facts = cluster.facts()
    change(facts, read_node(qdrant, "stray"))
    with pytest.raises(TargetUnfit, match=reason) as refusal:
        plan_cluster(repository, facts, PlanRequest("docs"))
    assert len(refusal.value.result["reasons"]) == 1  # type: ignore[arg-type]
    assert holdings(repository) == {}


def test_clocks_apart_by_minutes_are_said_and_harm_nothing(
    cluster: Cluster, repository: Repository, plan: Json
) -> None:
    late, *others = sorted(plan["shares"])
    share = store_share(
        cluster.node(late),
        repository,
        cluster.request(late, "docs"),
        plan,
        late,
        lambda: utc_now() - timedelta(minutes=10),
    )
    (warning,) = share["warnings"]
    assert re.fullmatch(r"the clock of this host is -(599|60[0-2]) s off that of the store: .*", warning)
    assert [share["warnings"] for share in store_shares(cluster, repository, plan, others)] == [[]] * len(others)
    proven(cluster, repository, commit_shares(repository, [plan])["backup_id"])


def test_a_missing_share_is_no_backup(cluster: Cluster, repository: Repository, plan: Json) -> None:
    lazy, *others = sorted(plan["shares"])
    store_shares(cluster, repository, plan, others)
    with pytest.raises(IncompleteBackup) as refusal:
        commit_shares(repository, [plan])
    assert refusal.value.result["missing"] == plan["shares"][lazy] == missing_shards(repository, [plan])
    assert verify_all(repository) == []

    store_shares(cluster, repository, plan, [lazy])
    proven(cluster, repository, commit_shares(repository, [plan])["backup_id"])


def test_an_object_that_is_gone_before_the_commit(cluster: Cluster, repository: Repository, plan: Json) -> None:
    store_shares(cluster, repository, plan)
    repository.delete([key for key in holdings(repository) if key.endswith("/shards/3.snapshot")])
    with pytest.raises(IncompleteBackup, match=r"3\.snapshot is not in the store any more"):
        commit_shares(repository, [plan])
    assert verify_all(repository) == []


def test_what_is_abandoned_leaves_nothing(cluster: Cluster, repository: Repository, plan: Json) -> None:
    store_shares(cluster, repository, plan, sorted(plan["shares"])[:1])
    stored = [key for key in holdings(repository) if "/started/" not in key]
    removed = abandon(repository, "docs", plan["backup_id"])
    assert sorted(removed) == sorted(f"object {key}" for key in stored)
    assert holdings(repository) == {}
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]


def test_a_share_that_fails_takes_its_own_away_and_no_more(
    cluster: Cluster, repository: Repository, plan: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *others = sorted(plan["shares"])
    store_shares(cluster, repository, plan, others)
    before = holdings(repository)

    def fail(self: ShareRun, probes: Json) -> Json:
        raise QdrantError("No more.")

    with monkeypatch.context() as patched:
        patched.setattr(ShareRun, "_lasting", fail)
        with pytest.raises(QdrantError, match="No more"):
            store_shares(cluster, repository, plan, [bad])
    assert holdings(repository) == before
    plans = [plan, replan(cluster, repository, [plan], bad)]
    store_shares(cluster, repository, plans[1])
    proven(cluster, repository, commit_shares(repository, plans)["backup_id"])


def test_two_backups_at_once(cluster: Cluster, repository: Repository) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(back_up_cluster, cluster, repository, "docs") for _each in range(2)]
        ids = sorted(job.result()["backup_id"] for job in jobs)
    assert verify_all(repository) == ids
    assert len(set(ids)) == 2
    assert not [key for key in holdings(repository) if "/started/" in key]
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]


def store_in_process(url: str, repository: Repository, request: Any, plan: Json, node: str) -> None:
    """A node's share in a process of its own, which a test can kill or stop."""
    qdrant = Qdrant(QdrantConnection(url))
    with Repository(repository.location) as mine:
        store_share(qdrant, mine, request, plan, node)


class Share:
    """A share at work in a process, held at its first upload."""

    def __init__(self, cluster: Cluster, proxied: Repository, proxy: FaultProxy, plan: Json, node: str) -> None:
        self.proxy = proxy
        moment = proxy.add(Rule(method="PUT", path=r"/shards/", delay=FOREVER))
        arguments = (cluster.node(node).connection.url, HeldRepository(proxied.location), cluster.request(node, "docs"))
        self.process = CONTEXT.Process(target=store_in_process, args=(*arguments, plan, node), daemon=True)
        self.process.start()
        wait_for(lambda: moment.hits or not self.process.is_alive(), "its first upload")
        assert self.process.is_alive()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


class HeldRepository:
    """What a process needs to open a repository of its own."""

    def __init__(self, location: Any) -> None:
        self.location = location


def test_a_node_that_dies_in_its_share_is_replaced_in_the_same_run(
    cluster: Cluster, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, plan: Json
) -> None:
    dying, *others = sorted(plan["shares"])
    share = Share(cluster, proxied, s3_proxy, plan, dying)
    share.signal(signal.SIGKILL)
    share.process.join()
    s3_proxy.clear()
    store_shares(cluster, repository, plan, others)
    assert missing_shards(repository, [plan]) == plan["shares"][dying]
    again = replan(cluster, repository, [plan], dying)
    assert again["backup_id"] == plan["backup_id"]
    assert dying not in again["shares"]
    store_shares(cluster, repository, again)

    made = commit_shares(repository, [plan, again])
    manifest = read_manifest(repository, "docs", made["backup_id"])[0]
    attempts = {entry["shard"]: "-1.snapshot" in entry["object"]["key"] for entry in manifest.shards}
    assert [shard for shard, second in attempts.items() if second] == plan["shares"][dying]
    assert any(vector["queries"] for vector in manifest.probes["vectors"].values()), "recall can still be proved"
    left = cluster.node(dying).snapshots("docs")
    assert len(left) == 1, "the dead process could not remove its snapshot"

    next_plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    assert dying in next_plan["shares"]
    others_first = sorted(next_plan["shares"], key=lambda name: name == dying)
    results = [store_shares(cluster, repository, next_plan, [name])[0] for name in others_first]
    assert [result["leftovers_removed"] for result in results[:-1]] == [[]] * (len(results) - 1)
    assert f"snapshot {left[0]['name']} on {cluster.node(dying).connection.url}" in results[-1]["leftovers_removed"]
    commit_shares(repository, [next_plan])
    proven(cluster, repository, made["backup_id"], next_plan["backup_id"])


def test_what_a_dead_run_has_left_is_removed_by_the_next_one(
    cluster: Cluster, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, plan: Json
) -> None:
    dying = min(plan["shares"])
    share = Share(cluster, proxied, s3_proxy, plan, dying)
    share.signal(signal.SIGKILL)
    share.process.join()
    s3_proxy.clear()
    snapshot = cluster.node(dying).snapshots("docs")[0]["name"]
    next_plan = plan_cluster(repository, cluster.facts(), PlanRequest("docs"))
    results = store_shares(cluster, repository, next_plan)
    removed = [line for result in results for line in result["leftovers_removed"]]
    assert f"snapshot {snapshot} on {cluster.node(dying).connection.url}" in removed
    made = commit_shares(repository, [next_plan])
    assert not [key for key in holdings(repository) if plan["backup_id"] in key]
    proven(cluster, repository, made["backup_id"])


@pytest.mark.parametrize("late", ["before the commit", "after the commit"])
def test_a_node_that_was_given_up_and_comes_to_its_end_after_all(
    cluster: Cluster, repository: Repository, plan: Json, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    zombie, *others = sorted(plan["shares"])
    plans = [plan]
    made: Json = {}
    lasting = ShareRun._lasting

    def carry_on(self: ShareRun, probes: Json) -> Json:
        """While the zombie has its objects stored and not yet said so, the others do its work."""
        if self.task.node == zombie and self.task.attempt == 0:
            store_shares(cluster, repository, plan, others)
            plans.append(replan(cluster, repository, plans, zombie))
            store_shares(cluster, repository, plans[1])
            if late == "after the commit":
                made.update(commit_shares(repository, plans))
        return lasting(self, probes)

    monkeypatch.setattr(ShareRun, "_lasting", carry_on)
    if late == "after the commit":
        with pytest.raises(IncompleteBackup, match="was committed without this share"):
            store_shares(cluster, repository, plan, [zombie])
    else:
        store_shares(cluster, repository, plan, [zombie])
        made.update(commit_shares(repository, plans))
    manifest = read_manifest(repository, "docs", made["backup_id"])[0]
    assert zombie not in {entry["node"] for entry in manifest.shards}
    archives = [key for key in holdings(repository) if key.endswith(".snapshot")]
    assert len(archives) == 6, "what the zombie has stored is gone"
    assert not [key for key in holdings(repository) if key.endswith(f"/nodes/{zombie}.json")]
    proven(cluster, repository, made["backup_id"])


def test_a_share_that_cannot_be_said_to_be_lost_stays(
    cluster: Cluster, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, plan: Json
) -> None:
    """The store has the share and loses its answer: a commit may have seen it, so nothing of it may go."""
    unlucky, *others = sorted(plan["shares"])
    store_shares(cluster, repository, plan, others)
    s3_proxy.add(Rule(method="PUT", path=r"/nodes/", lose_response=True, times=None))
    with pytest.raises(DrError):
        store_shares(cluster, proxied, plan, [unlucky])
    s3_proxy.clear()
    assert missing_shards(repository, [plan]) == []
    proven(cluster, repository, commit_shares(repository, [plan])["backup_id"])
