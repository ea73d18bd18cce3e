# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module drill, and what drill_info has to drill next, as playbooks use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests import made_drills
from tests.made_backups import as_option
from tests.proofs import holdings, state_of, wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]


@pytest.fixture
def options(
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Callable[..., str],
) -> Json:
    """Those of a drill of a collection on the node with keys, with the one without as its target."""
    name = make_collection(points=300, on=production)
    back_up(production, repository, BackupRequest(name))
    return {
        "url": qdrant.connection.url,
        "collection": name,
        "sla": "standard",
        "sources": [as_option(repository.location)],
        "source": {"url": keyed_qdrant.url, "api_key": keyed_qdrant.read_only_key},
        "min_copies": 1,
    }


def test_a_drill_gives_a_record_without_secrets(
    run_module: Run, options: Json, qdrant: Qdrant, repository: Repository, keyed_qdrant: QdrantServer
) -> None:
    before = state_of(qdrant), holdings(repository)
    result = run_module("drill", {**options, "operator": "ada", "commands": ["ansible-playbook drill.yml"]})
    record = result["record"]
    assert record["verdict"] == "PASS", record["findings"]
    assert (state_of(qdrant), holdings(repository)) == before
    assert record["sla"] == {"tier": "standard", "rpo_seconds": 3600.0, "rto_seconds": 14400.0}
    assert (record["declared"]["operator"], record["run_id"]) == ("ada", record["drill_id"])
    assert len(record["configuration_sha256"]) == 64
    assert record["versions"]["ansible"]
    assert record["coverage"]["drilled_within"][options["collection"]]
    for secret in (keyed_qdrant.read_only_key, repository.location.secret_key):
        assert secret
        assert secret not in json.dumps(record)


def test_two_drills_alike_have_one_configuration(run_module: Run, options: Json) -> None:
    first, second, other = (
        run_module("drill", {**options, **more})["record"]["configuration_sha256"]
        for more in ({}, {"source": {**options["source"], "api_key": "other"}, "run_id": None}, {"min_copies": 2})
    )
    assert first == second != other


def test_check_mode_says_what_would_be_drilled(
    run_module: Run, options: Json, qdrant: Qdrant, production: Qdrant
) -> None:
    before = state_of(qdrant), state_of(production)
    planned = run_module("drill", options, check=True)
    assert planned["changed"]
    assert planned["plan"]["target"] == f"{options['collection']}-drill"
    assert planned["plan"]["plan"]["aliases"] == []
    assert (state_of(qdrant), state_of(production)) == before
    wrong = {**options, "url": options["source"]["url"], "api_key": production.connection.api_key}
    refused = run_module("drill", wrong, check=True)
    assert refused["failure"]["code"] == "not_isolated"


def test_the_verdict_fails_the_module_only_if_asked(run_module: Run, options: Json) -> None:
    tight = {**options, "sla": {"rpo_seconds": "1h", "rto_seconds": 0.01}}
    assert run_module("drill", tight)["record"]["verdict"] == "FAIL"
    failed = run_module("drill", {**tight, "fail_on_verdict": True})
    assert failed["failure"]["code"] == "drill_failed"
    assert "the RTO allows 0.01 s" in failed["msg"]
    assert failed["record"]["verdict"] == "FAIL"


def test_what_a_killed_drill_has_left_is_removed_by_the_next(
    run_module: Run, start_module: Callable[..., Any], options: Json, qdrant: Qdrant
) -> None:
    before = state_of(qdrant)
    scratch = f"{options['collection']}-drill"
    killed = start_module("drill", options).process
    wait_for(lambda: scratch in qdrant.collections(), "the scratch collection")
    killed.kill()
    killed.wait()
    assert scratch in qdrant.collections()
    record = run_module("drill", options)["record"]
    assert record["verdict"] == "PASS"
    assert record["stages"][0]["detail"] == f"Removed what an interrupted drill had left: {scratch}."
    assert state_of(qdrant) == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scenario": "region_lost"}, "needs a second region"),
        ({"scenario": "bad_deploy"}, "none is given"),
        ({"sla": [{"collections": ["other"], "sla": "standard"}]}, "sla says nothing of"),
        ({"sla": "gold"}, "is no tier"),
        ({"to_time": "2026-11-22T10:00:00"}, "names no zone"),
        ({"declared_at": "2126-11-22T10:00:00Z"}, "which is to come"),
        ({"source": None, "source_quiet": True}, "source_quiet is set without source"),
        ({"recall_tolerance": 2}, "recall_tolerance is 2"),
        ({"min_copies": 0}, "min_copies is 0"),
        ({"run_id": "x"}, "run_id is 'x'"),
        ({"target": "a/b"}, "cannot be the name of a collection"),
    ],
)
def test_options_that_cannot_be_right_are_refused(run_module: Run, options: Json, more: Json, said: str) -> None:
    refused = run_module("drill", {**options, **more})
    assert refused["failure"]["code"] == "invalid_input"
    assert said in refused["msg"]


def test_what_is_due_goes_by_the_records_of_all_regions(
    run_module: Run, repository: Repository, standby: Repository
) -> None:
    for name in ("a", "b", "c", "d"):
        repository.put(layout.manifest_key(name, "20261122T020000Z-a1b2c3"), b"{}")
    today = (datetime.now(timezone.utc) - made_drills.DECLARED).days
    drilled = [("a", today, repository), ("b", today - 40, repository), ("b", today - 1, standby)]
    for name, day, region in [*drilled, ("c", today - 99, repository)]:
        report = made_drills.passed(day, collection=name)
        run_module("drill_report", {"record": report, "repositories": [as_option(region.location)]})
    asked = {"repositories": [as_option(each.location) for each in (repository, standby)], "days": 30, "limit": 1}
    found = run_module("drill_info", {**asked, "every_days": 15})
    assert (found["turn"], found["due"]) == (["d", "c"], ["d", "c"])
    assert run_module("drill_info", {**asked, "protected": ["a"], "every_days": 30})["turn"] == ["a"]
    assert run_module("drill_info", {**asked, "protected": ["all"], "every_days": 30})["turn"] == ["d", "c", "b", "a"]
    refused = run_module("drill_info", {**asked, "every_days": 31})
    assert refused["failure"]["code"] == "invalid_input"
