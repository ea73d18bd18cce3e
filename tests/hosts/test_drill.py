# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on real hosts, and the real thing: a cluster and a region are lost, and fresh hosts take the place.

The order matters: what one test takes away stays away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tests.cluster import make_sharded
from tests.drill_playbook import records_in
from tests.hosts.controller import (
    Playbook,
    addresses,
    generated_key,
    on,
    power,
    qdrant,
    repository,
    repository_option,
    take_down,
)
from tests.proofs import wait_for

SOURCE, FRESH = addresses("source"), addresses("fresh")
POINTS = 2000
# In stores that all scenarios share: what another one has backed up is not protected here.
CLUSTER = "lost"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def digest() -> str:
    """That of the collection `docs`, which has a backup in both regions."""
    made = make_backed_up("docs", POINTS)
    first, second = regions()
    copied = Playbook(
        "replicate",
        qdrant_hosts="localhost",
        qdrant_replicate_source=first,
        qdrant_replicate_destinations=[second],
    )
    assert copied.status == 0, copied.output[-3000:]
    return made


def make_backed_up(name: str, points: int) -> str:
    """Make a collection with an alias on the source, and a backup in the first region; returns its digest."""
    nodes = [qdrant(address) for address in SOURCE.values()]
    make_sharded(nodes, name, points=points)
    nodes[0].update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    run = Playbook("backup", qdrant_hosts="source", qdrant_backup_collections=[name])
    assert run.status == 0, run.output[-3000:]
    return collection_digest(nodes[0], name)[1]


def regions() -> list[Json]:
    return [repository_option(CLUSTER, store) for store in ("first", "store")]


def fresh_node(name: str = "node3") -> Qdrant:
    return qdrant(FRESH[name], generated_key("fresh_key"))


def drill(folder: Path, scenario: str, digest: str, **more: Any) -> tuple[Playbook, Json]:
    """A run of the playbook, and the record that it has written; nothing of it is left on the target."""
    variables = {
        "qdrant_drill_scenario": scenario,
        "qdrant_drill_collections": ["docs"],
        "qdrant_drill_sla": "standard",
        "qdrant_drill_sources": regions(),
        "qdrant_drill_report_repositories": regions()[1:],
        "qdrant_drill_target": "fresh",
        "qdrant_drill_url": f"http://{FRESH['node3']}:6333",
        "qdrant_drill_node_urls": [f"http://{FRESH['node4']}:6333"],
        "qdrant_drill_api_key": "{{ hostvars['node3'].qdrant_server_api_key }}",
        "qdrant_drill_source": {"url": f"http://{SOURCE['node1']}:6333", "api_key": generated_key(), "timeout": 4},
        "qdrant_drill_expect_digests": {"docs": digest},
        "qdrant_drill_output": str(folder),
        "qdrant_drill_journal": str(folder / "journal"),
    }
    run = Playbook("drill", **{**variables, **more})
    [record] = records_in(folder)
    assert [fresh_node(name).collections() for name in FRESH] == [[], []]
    assert fresh_node().aliases() == {}
    return run, record


def integrity(record: Json) -> Json:
    return {check["check"]: check["passed"] for check in record["integrity"]}


def failures(record: Json) -> list[str]:
    assert record["verdict"] == "FAIL"
    return [each["id"] for each in record["findings"] if each["severity"] == "major"]


def test_a_lost_cluster_comes_back_on_hosts_that_had_nothing(digest: str, tmp_path: Path) -> None:
    assert on(FRESH["node3"], "test -e /usr/local/bin/qdrant").returncode == 1
    run, record = drill(tmp_path, "cluster_lost", digest, qdrant_drill_group="fresh")
    assert run.status == 0, run.output[-3000:]
    assert record["verdict"] == "PASS", record["findings"]
    assert record["target"]["kind"] == "fresh"
    assert len(fresh_node().cluster()["peers"]) == 2
    assert record["backup"]["points"] == POINTS
    assert set(integrity(record).values()) == {True}
    assert record["rto_seconds"] > sum(stage["seconds"] for stage in record["stages"][:6]), "with the hosts' set-up"
    assert record["backup"]["restored_from"] == ["first"]


def test_a_lost_region_is_made_up_for_by_the_second(digest: str, tmp_path: Path) -> None:
    make_backed_up("uncopied", 60)
    take_down("first")
    run, record = drill(tmp_path, "region_lost", digest)
    assert run.status == 0, run.output[-3000:]
    assert record["verdict"] == "PASS", record["findings"]
    assert record["backup"]["restored_from"] == ["store"]
    assert integrity(record)["digest"] is True
    with repository(CLUSTER) as second:
        stored = second.get(layout.drill_key("docs", record["drill_id"]))
    assert json.loads(stored) == record, "its report is in the region that is left"


def test_a_lost_region_with_the_only_copy_fails(digest: str, tmp_path: Path) -> None:
    run, record = drill(tmp_path, "region_lost", digest, qdrant_drill_collections=["uncopied"])
    assert run.status != 0
    assert (record["failed_stage"], record["failure"]["code"]) == ("locate", "backup_not_found")
    assert failures(record) == ["stage:locate"]
    assert "uncopied: FAIL. The stage locate broke" in run.text


def test_a_cluster_without_power_comes_back_too_late_for_a_tight_rto(digest: str, tmp_path: Path) -> None:
    for name in SOURCE:
        power("cut", name)
    tight = {"rpo_seconds": 3600, "rto_seconds": 0.5}
    left = {"qdrant_drill_sources": regions()[1:], "qdrant_drill_min_copies": 1}
    run, record = drill(tmp_path, "cluster_lost", digest, qdrant_drill_sla=tight, **left)
    assert run.status != 0
    assert failures(record) == ["rto"]
    assert record["failed_stage"] is None
    assert (integrity(record)["digest"], integrity(record)["points"]) == (True, True), "all is there, but late"
    assert "unproved:source" in [each["id"] for each in record["findings"]]
    verify = next(stage for stage in record["stages"] if stage["name"] == "verify")
    assert verify["seconds"] < 8, "a source that did not answer is not waited for again"
    assert "the RTO allows 0.5 s" in run.text


FENCE = """
- name: Knock on the old cluster
  ansible.builtin.wait_for:
    host: {host}
    port: 6333
    state: stopped
    timeout: 10

- name: Say what proves it
  ansible.builtin.set_fact:
    qdrant_failover_fence_proof: nobody listens on {host}
"""


def node_option(address: str, other: str, api_key: str) -> Json:
    """A cluster of two, as the option `source` has it."""
    return {
        "url": f"http://{address}:6333",
        "node_urls": [f"http://{other}:6333"],
        "api_key": api_key,
        "timeout": 4,
    }


def failover(folder: Path, playbook: str = "failover", **more: Any) -> tuple[Playbook, list[Json]]:
    """A run from the lost cluster to the fresh one or, with `failback`, home; and the records that it has written.

    Into a folder alone: in a repository they would carry on what the drills before have found.
    """
    old = node_option(*SOURCE.values(), generated_key())
    new = node_option(*FRESH.values(), generated_key("fresh_key"))
    target, source = (old, new) if playbook == "failback" else (new, old)
    variables = {
        "qdrant_failover_reason": "the power is gone",
        "qdrant_failover_sla": "standard",
        "qdrant_failover_collections": ["docs"],
        "qdrant_failover_sources": regions()[1:],
        "qdrant_failover_url": target["url"],
        "qdrant_failover_node_urls": target["node_urls"],
        "qdrant_failover_api_key": target["api_key"],
        "qdrant_failover_source": source,
        "qdrant_failover_target": "fresh",
        "qdrant_failover_output": str(folder),
        "qdrant_failover_journal": str(folder / "journal"),
    }
    run = Playbook(playbook, **{**variables, **more})
    return run, records_in(folder)


def test_the_lost_cluster_is_failed_over_to_hosts_that_are_made_its_place(digest: str, tmp_path: Path) -> None:
    fence = tmp_path / "fence.yml"
    fence.write_text(FENCE.format(host=SOURCE["node1"]))
    given = {"qdrant_failover_group": "fresh", "qdrant_failover_fence": str(fence)}
    run, records = failover(tmp_path, **given)
    assert (run.status != 0, records) == (True, [])
    assert "Nobody has confirmed that the target is made by the role qdrant_server on the group fresh" in run.text
    assert set(FRESH).isdisjoint(run.changed)

    run, records = failover(tmp_path, qdrant_failover_confirmed=True, **given)
    assert run.status == 0, run.output[-3000:]
    [record] = records
    assert (record["kind"], record["verdict"]) == ("vectorops.qdrant_dr/failover", "PASS"), record["findings"]
    assert (record["target"]["kind"], record["stages"][0]["name"]) == ("fresh", "fence")
    assert [check["detail"] for check in record["isolation"] if check["check"] == "fence"] == [
        f"the old cluster is fenced: nobody listens on {SOURCE['node1']}"
    ]
    for name in FRESH:
        assert collection_digest(fresh_node(name), "docs")[1] == digest
        assert fresh_node(name).aliases() == {"docs-live": "docs"}


def test_nobody_goes_home_while_that_still_holds_what_was_lost(digest: str, tmp_path: Path) -> None:
    for name in SOURCE:
        power("start", name)
    home = [qdrant(address) for address in SOURCE.values()]
    wait_for(lambda: all(_has(node, "docs") for node in home), "the cluster that was without power")
    standby = repository_option("standby", "store")
    run, records = failover(
        tmp_path,
        "failback",
        qdrant_failover_sources=[standby],
        qdrant_failover_confirmed=True,
        qdrant_failover_writes_stopped=True,
        qdrant_failover_fenced=True,
    )
    assert (run.status != 0, records) == (True, [])
    assert "still holds docs, docs-live, and nothing proves that it is fenced." in run.text
    assert fresh_node().aliases() == {"docs-live": "docs"}, "the standby goes on serving"
    assert home[0].aliases()["docs-live"] == "docs"
    assert collection_digest(home[0], "docs")[1] == digest, "home is as it was"


def _has(node: Qdrant, collection: str) -> bool:
    try:
        return collection in node.collections() and node.count(collection) == POINTS
    except DrError:
        return False
