# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of what is really lost, and where each scenario is seen to pass and to fail for the right reason.

| scenario | PASS | FAIL |
|---|---|---|
| collection_lost | test_drill: a_scenario_passes | test_drill: vectors_that_were_swapped |
| node_lost | here: a_node_is_lost | here: a_node_is_lost_with_what_only_it_had (too old a backup) |
| cluster_lost | here: every_node_is_lost; tests/hosts/test_drill | the same two (slower than the RTO) |
| region_lost | here: the_first_region_is_down; tests/hosts/test_drill | the same two (no copy in the second) |
| bad_deploy | test_drill: a_bad_deployment | the same (another digest; no backup of then) |
| first_copy_corrupted | test_drill: a_scenario_passes | test_drill: a_second_copy_that_is_missing_or_damaged |

| reason of a FAIL | test |
|---|---|
| a restore slower than the RTO | test_drill: a_restore_slower_than_the_rto; here: every_node_is_lost |
| a backup older than the RPO | test_drill: a_backup_older_than_the_rpo; here: a_node_is_lost_with_what_only_it_had |
| recall broken by swapped vectors | test_drill: vectors_that_were_swapped |
| a payload index is missing | test_drill: a_missing_payload_index |
| pointed at production | test_drill: a_drill_pointed_at_production; test_drill_playbook: production_as_the_target |
| scratch space full | tests/faults/test_drill_disk_full |
| killed in the middle | test_drill_killed |
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import Sla, parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import (
    PlanRequest,
    plan_cluster,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import DrillRequest, drill
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_checks import CheckRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, back_up_cluster, make_sharded, start_cluster
from tests.made_backups import location_on
from tests.proofs import state_of
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
DAY = parse_level("prototype")


def drilled(target: Qdrant, regions: list[Repository], name: str, scenario: str, sla: Sla = DAY, **more: Any) -> Json:
    """The record of a drill after which the target has what it had before."""
    before = state_of(target)
    now = datetime.now(timezone.utc)
    declared = Declaration(now, more.pop("failure_at", now), scenario, "ada")
    record = drill([target], regions, DrillRequest(name, declared, sla, **more))
    assert state_of(target) == before
    return record


def found(record: Json) -> tuple[str, list[str]]:
    """The verdict and the ids of the findings."""
    return record["verdict"], [each["id"] for each in record["findings"]]


def integrity(record: Json) -> Json:
    return {check["check"]: check["passed"] for check in record["integrity"]}


# -- a cluster that loses nodes, one test after the other


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A collection with two replicas of each shard, and one with a single one."""
    with start_cluster(tmp_path_factory.mktemp("lost"), 3, api_key=secrets.token_hex(16)) as started:
        make_sharded(started.nodes, "docs", points=300)
        make_sharded(started.nodes, "single", points=60, replication_factor=1)
        yield started


@pytest.fixture(scope="module")
def regions(s3_server: SeaweedServer, cluster: Cluster) -> Iterator[list[Repository]]:
    """Both collections have a backup in each."""
    buckets = [s3_server.create_bucket(f"b-{secrets.token_hex(6)}") for _region in range(2)]
    locations = [location_on(s3_server, buckets[0]), location_on(s3_server, buckets[1], name="standby")]
    with Repository(locations[0]) as first, Repository(locations[1]) as second:
        for name in ("docs", "single"):
            back_up_cluster(cluster, first, name)
        copy_backups(first, [second], ["docs", "single"], Choice())
        yield [first, second]


@pytest.fixture(scope="module")
def digest(cluster: Cluster, regions: list[Repository]) -> str:
    """That of `docs`, before anything is lost."""
    return collection_digest(cluster.nodes[0], "docs")[1]


def test_a_node_is_lost(cluster: Cluster, regions: list[Repository], qdrant: Qdrant, digest: str) -> None:
    cluster.servers[2].kill()
    checks = CheckRequest(cluster.nodes[0], expect_digest=digest)
    record = drilled(qdrant, regions, "docs", "node_lost", checks=checks)
    assert found(record) == ("PASS", [])
    assert integrity(record)["digest"] is True


def test_a_node_is_lost_with_what_only_it_had(cluster: Cluster, regions: list[Repository], qdrant: Qdrant) -> None:
    """There can be no backup any more, so that the last one gets too old."""
    with pytest.raises(TargetUnfit, match="single cannot be backed up"):
        plan_cluster(regions[0], cluster.facts(0, 1), PlanRequest("single"))
    strict = replace(DAY, rpo_seconds=0.5)
    record = drilled(qdrant, regions, "single", "node_lost", strict, checks=CheckRequest(cluster.nodes[0]))
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", None)
    assert [each["id"] for each in record["findings"] if each["id"] in ("rpo", "rto")] == ["rpo"]
    assert "the RPO allows 0.5 s" in record["findings"][0]["text"]


def test_every_node_is_lost(cluster: Cluster, regions: list[Repository], qdrant: Qdrant, digest: str) -> None:
    for server in cluster.servers:
        server.kill()
    how = {"checks": CheckRequest(cluster.nodes[0], expect_digest=digest)}
    record = drilled(qdrant, regions, "docs", "cluster_lost", **how)
    assert found(record) == ("PASS WITH FINDINGS", ["unproved:source"]), "a source that is gone cannot be asked"
    assert set(integrity(record).values()) == {True}
    record = drilled(qdrant, regions, "docs", "cluster_lost", replace(DAY, rto_seconds=0.01), **how)
    assert found(record) == ("FAIL", ["rto", "unproved:source"])


# -- a region that is down


def test_the_first_region_is_down(
    tmp_path: Path,
    production: Qdrant,
    standby: Repository,
    qdrant: Qdrant,
    make_collection: Callable[..., str],
) -> None:
    copied, only = (make_collection(points=100, on=production) for _collection in range(2))
    checks = CheckRequest(production)
    with SeaweedServer(tmp_path) as server, Repository(location_on(server, server.create_bucket("first"))) as first:
        for name in (copied, only):
            back_up(production, first, BackupRequest(name))
        copy_backups(first, [standby], [copied], Choice())
        server.kill()
        record = drilled(qdrant, [first, standby], copied, "region_lost", checks=checks)
        assert found(record) == ("PASS", [])
        assert record["backup"]["restored_from"] == ["standby"]
        record = drilled(qdrant, [first, standby], only, "region_lost", checks=checks)
        assert (record["verdict"], record["failed_stage"]) == ("FAIL", "locate")
        assert record["failure"]["code"] == "backup_not_found"
