# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of 3 nodes, backed up by one process: whatever fails on the way, each backup is whole or there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DrError,
    IncompleteBackup,
    PartlyFailed,
    QdrantError,
    QdrantUnreachable,
    StoreDenied,
    StoreUnreachable,
    TargetUnfit,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import backup_from_here as subject
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import cluster_backup_several
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup_from_here import back_up_from_here
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    plan_cluster,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import BackupRequest, ShareRun
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, make_sharded, start_cluster
from tests.conftest import StubServer
from tests.proofs import holdings, verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
NOWHERE = Qdrant(QdrantConnection("http://127.0.0.1:1"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as started:
        make_sharded(started.nodes, "docs")
        make_sharded(started.nodes, "single", points=60, replication_factor=1)
        yield started


def run(cluster: Cluster, repository: Repository, *names: str, check: bool = False, **nodes: Qdrant) -> Json:
    """Back these collections up; ``nodes`` take the place of those of the cluster."""
    every = dict(zip(cluster.names, cluster.nodes, strict=True)) | nodes
    return back_up_from_here(every, repository, [BackupRequest(name) for name in names], check=check)


def fail_on(
    monkeypatch: pytest.MonkeyPatch, *failing: str, again: bool = False, error: type[BaseException] = QdrantError
) -> None:
    """Let these nodes fail when they have stored their shards, before they have said so; ``again``: others too."""
    lasting = ShareRun._lasting

    def judge(self: ShareRun, probes: Json) -> Json:
        if self.task.node in failing or (again and self.task.attempt):
            raise error("No more.")
        return lasting(self, probes)

    monkeypatch.setattr(ShareRun, "_lasting", judge)


def spotless(cluster: Cluster, repository: Repository, *backup_ids: str) -> None:
    """These backups can be restored; nothing else is in the store, or on any node."""
    assert verify_all(repository) == sorted(backup_ids)
    assert [key for key in holdings(repository) if not any(each in key for each in backup_ids)] == []
    assert not [key for key in holdings(repository) if "/started/" in key]
    assert [node.snapshots(name) for node in cluster.nodes for name in ("docs", "single")] == [[]] * 6


def used(cluster: Cluster, repository: Repository) -> list[str]:
    """The nodes that a backup of ``docs`` is planned for."""
    return sorted(plan_cluster(repository, cluster.facts(), PlanRequest("docs"))["shares"])


def test_only_the_files_of_this_host_are_read(cluster: Cluster, repository: Repository) -> None:
    own, *others = used(cluster, repository)
    assert others
    server = cluster.servers[cluster.names.index(own)]
    paths = {"storage_path": str(server.storage_path), "snapshots_path": str(server.snapshots_path)}
    nodes = dict(zip(cluster.names, cluster.nodes, strict=True))
    # The host knows its node by another address than the others do.
    here = Qdrant(QdrantConnection(server.url.replace("127.0.0.1", "localhost")))
    made = back_up_from_here(nodes, repository, [BackupRequest("docs", **paths)], here)["backups"][0]
    manifest = read_manifest(repository, "docs", made["backup_id"])[0]
    read = {each["node"]: each["read_from"] for each in manifest.fields["snapshots"]}
    assert read == {own: "file", **dict.fromkeys(others, "http")}
    exact = {entry["node"] for entry in manifest.shards if entry["wal"]["first_found_by"] == "ack_index"}
    assert exact == {own}, "the positions of one node's log say nothing of another's"
    spotless(cluster, repository, made["backup_id"])


def test_a_node_that_fails_is_replaced_in_the_same_run(
    cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = used(cluster, repository)[0]
    fail_on(monkeypatch, failing)
    done = run(cluster, repository, "docs")
    backup_id = done["backups"][0]["backup_id"]
    spotless(cluster, repository, backup_id)
    assert done["warnings"] == [f"{failing} could not store its share: docs: No more."]
    manifest = read_manifest(repository, "docs", backup_id)[0]
    assert failing not in {entry["node"] for entry in manifest.shards}
    assert any(vector["queries"] for vector in manifest.probes["vectors"].values()), "recall can still be proved"


def test_a_collection_that_fails_leaves_nothing_and_the_others(
    cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "n1")
    with pytest.raises(PartlyFailed) as failed:
        run(cluster, repository, "single", "docs")
    result: Json = failed.value.result
    assert [(each["collection"], each["failure"]["code"]) for each in result["failures"]] == [
        ("single", TargetUnfit.code)
    ]
    assert "n1 could not store its share: single: No more." in result["warnings"]
    spotless(cluster, repository, result["backups"][0]["backup_id"])
    assert result["backups"][0]["collection"] == "docs"


def test_shards_that_no_node_can_store(
    cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, used(cluster, repository)[0], again=True)
    with pytest.raises(IncompleteBackup, match="No node could store shard") as failed:
        run(cluster, repository, "docs")
    assert len(failed.value.result["warnings"]) > 1  # type: ignore[arg-type]
    spotless(cluster, repository)


def test_an_interrupt_leaves_nothing(cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on(monkeypatch, used(cluster, repository)[-1], error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run(cluster, repository, "docs")
    spotless(cluster, repository)


@pytest.mark.parametrize(("error", "stays"), [(StoreUnreachable, True), (StoreDenied, False)])
def test_a_commit_without_an_answer_may_have_gone_through(
    cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch, error: type[DrError], stays: bool
) -> None:
    def lose(repository: Repository, plans: list[Json]) -> Json:
        raise error("No answer.")

    monkeypatch.setattr(subject, "commit_shares", lose)
    with pytest.raises(error, match="No answer"):
        run(cluster, repository, "docs")
    assert bool([key for key in holdings(repository) if key.endswith(".snapshot")]) is stays


def test_a_node_that_gives_no_answer_is_left_out(
    cluster: Cluster, repository: Repository, stub: Callable[..., StubServer]
) -> None:
    refusing = stub(403)
    done = run(cluster, repository, "docs", "docs", n1=Qdrant(QdrantConnection(refusing.url)))
    assert len(done["backups"]) == 2
    assert len(refusing.requests) == 1, "it is not asked again for the next collection"
    [warning] = done["warnings"]
    assert warning.startswith(f"n1 is left out: Qdrant at {refusing.url} ")
    spotless(cluster, repository, *(made["backup_id"] for made in done["backups"]))
    with pytest.raises(TargetUnfit, match="has no Active replica on a usable node"):
        run(cluster, repository, "single", n1=NOWHERE)
    with pytest.raises(QdrantUnreachable, match="No node of the cluster can be asked"):
        run(cluster, repository, "docs", **dict.fromkeys(cluster.names, NOWHERE))


def test_check_mode_says_what_would_be_done(
    cluster: Cluster, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = run(cluster, repository, "docs", check=True)
    assert (planned["changed"], planned["backups"][0]["created"]) == (True, True)
    assert "backup_id" not in planned["backups"][0]
    spotless(cluster, repository)

    refusing = used(cluster, repository)[0]
    read = cluster_backup_several.read_collection

    def refuse(qdrant: Qdrant, *arguments: Any) -> Json:
        if qdrant is cluster.node(refusing):
            raise TargetUnfit("Not now.")
        return read(qdrant, *arguments)

    monkeypatch.setattr(cluster_backup_several, "read_collection", refuse)
    planned = run(cluster, repository, "docs", check=True)
    assert planned["warnings"] == [f"{refusing} could not store its share: docs: Not now."]
    with pytest.raises(TargetUnfit, match="has no Active replica on a usable node"):
        run(cluster, repository, "single", check=True)
    spotless(cluster, repository)
