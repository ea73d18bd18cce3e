# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host agent verifies and prunes in the repository and in all destinations; no Qdrant is asked for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.made_backups import flip_byte, make_backup
from tests.proofs import holdings, verify_all

pytestmark = pytest.mark.s3

DAYS = [f"2026110{day}T020000Z-00000{day}" for day in range(1, 6)]
NOWHERE = Qdrant(QdrantConnection("http://127.0.0.1:1"))

MakeAgent = Callable[..., Agent]


@pytest.fixture
def regions(repository: Repository, standby: Repository) -> tuple[Repository, Repository]:
    """Two regions with the same backups."""
    for region in (repository, standby):
        for backup_id in DAYS:
            make_backup(region, backup_id=backup_id)
    return repository, standby


def archive(backup_id: str) -> str:
    return f"docs/backups/{backup_id}/shards/0.snapshot"


def without_locks(repository: Repository) -> dict[str, str]:
    return {key: etag for key, etag in holdings(repository).items() if not key.startswith(".locks/")}


def test_verify_finds_damage_in_any_region_and_repairs_it_if_told_to(
    agent: MakeAgent, regions: tuple[Repository, Repository]
) -> None:
    host = agent(NOWHERE, *regions)
    good = host.runs("verify")
    assert (good.returncode, good.stdout.count(" is good in ")) == (0, 10), good.stderr
    flip_byte(regions[1], archive(DAYS[2]), 3)
    found = host.runs("verify")
    assert found.returncode == 65, "trying again would read it all again"
    assert f"qdrant-dr: Damaged, and not repaired: standby: {archive(DAYS[2])}, part 1: " in found.stderr
    assert found.stderr.count("\n") == 1
    host.config["verify"] = {"repair": True}
    before = [holdings(region) for region in regions]
    planned = host.runs("verify", "--check")
    assert f"docs: {DAYS[2]} would be repaired in standby" in planned.stdout.splitlines()
    assert [holdings(region) for region in regions] == before
    done = host.runs("verify")
    assert done.returncode == 0, done.stderr
    assert f"docs: {DAYS[2]} is repaired in standby" in done.stdout.splitlines()
    assert verify_all(regions[1]) == DAYS


def test_each_run_verifies_the_share_whose_turn_it_is(agent: MakeAgent, regions: tuple[Repository, Repository]) -> None:
    host = agent(NOWHERE, *regions, verify={"sample_percent": 40, "level": "exists", "collections": ["docs"]})
    runs = [json.loads(host.runs("verify", "--json").stdout) for _number in range(3)]
    assert [entry["level"] for entry in runs[0]["backups"]] == ["exists"] * 2
    assert [len(run["backups"]) for run in runs] == [2, 2, 2]
    assert {entry["backup_id"] for run in runs for entry in run["backups"]} == set(DAYS)


def test_an_unreachable_region_leaves_the_others_to_be_verified(
    agent: MakeAgent, regions: tuple[Repository, Repository]
) -> None:
    gone = Repository(replace(regions[0].location, endpoint_url="http://127.0.0.1:1", connect_timeout=1.0))
    tried = agent(NOWHERE, gone, regions[1]).runs("verify", "--json")
    assert tried.returncode == 1
    result = json.loads(tried.stdout)
    assert [entry["region"] for entry in result["unreachable_regions"]] == ["primary"]
    assert {entry["regions"][1]["verdict"] for entry in result["backups"]} == {"good"}
    assert len([key for key in holdings(regions[1]) if key.startswith("docs/verified/")]) == len(DAYS)


def test_prune_keeps_what_the_rules_keep_in_every_region(
    agent: MakeAgent, regions: tuple[Repository, Repository]
) -> None:
    rules = {"keep_last": 3, "overrides": [{"regions": ["standby"], "keep_last": 2}], "max_delete_percent": 60}
    host = agent(NOWHERE, *regions, prune=rules)
    before = [holdings(region) for region in regions]
    planned = host.runs("prune", "--check")
    assert planned.returncode == 0, planned.stderr
    assert f"docs: {DAYS[0]} in primary would be removed (" in planned.stdout
    assert [holdings(region) for region in regions] == before
    done = host.runs("prune")
    assert (done.returncode, done.stdout.count(" was removed (")) == (0, 5), done.stderr
    assert [verify_all(region) for region in regions] == [DAYS[2:], DAYS[3:]]
    again = json.loads(host.runs("prune", "--json").stdout)
    assert (again["changed"], again["removed"]) == (False, 0)


def refused_after(change: dict[str, Any], host: Agent, regions: tuple[Repository, Repository]) -> tuple[int, str]:
    """The exit code of a prune that must leave everything, and what it said."""
    host.config["prune"] = change
    before = [without_locks(region).keys() - {f"docs/verified/{DAYS[-1]}.json"} for region in regions]
    refused = host.runs("prune")
    assert [without_locks(region).keys() - {f"docs/verified/{DAYS[-1]}.json"} for region in regions] == before
    return refused.returncode, refused.stderr


def test_a_prune_that_goes_too_far_removes_nothing(agent: MakeAgent, regions: tuple[Repository, Repository]) -> None:
    host = agent(NOWHERE, *regions)
    status, said = refused_after({}, host, regions)
    assert (status, "No rule says what to keep." in said) == (1, True)
    status, said = refused_after({"keep_last": 4, "verify_newest": False}, host, regions)
    assert (status, "verified" in said) == (1, True), "no region has a newest backup that was verified"
    status, said = refused_after(
        {"keep_last": 1, "overrides": [{"regions": ["standby"], "keep_last": 5}]}, host, regions
    )
    assert (status, "which is 80% and more than 50%" in said) == (65, True)
    flip_byte(regions[0], archive(DAYS[-1]), 3)
    status, said = refused_after({"keep_last": 4}, host, regions)
    assert (status, f"primary: {archive(DAYS[-1])}" in said) == (65, True)


@pytest.mark.parametrize("command", ["verify", "prune"])
def test_one_run_at_a_time(agent: MakeAgent, regions: tuple[Repository, Repository], command: str) -> None:
    host = agent(NOWHERE, *regions, prune={"keep_last": 4})
    with RepositoryLock(regions[0], command):
        refused = host.runs(command)
        assert host.runs(command, "--check").returncode == 0
    assert refused.returncode == 75
    assert f"The lock {command!r} of " in refused.stderr
    assert [verify_all(region) for region in regions] == [DAYS, DAYS]
