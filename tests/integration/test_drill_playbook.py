# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook drill as users run it: on a standby, on an ephemeral Qdrant, with hooks, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.drill_playbook import DrillPlaybook, drill_variables, records_in
from tests.followed import moment_of
from tests.proofs import state_of
from tools.chromium import Chromium
from tools.servers import QdrantServer, qdrant_binary

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


@pytest.fixture
def scene(
    tmp_path: Path,
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Callable[..., str],
) -> DrillPlaybook:
    """Two collections of production with backups; the target is the node without a key."""
    for _number in range(2):
        back_up(production, repository, BackupRequest(make_collection(points=200, on=production)))
    variables = drill_variables(tmp_path, keyed_qdrant, qdrant, repository.location)
    return DrillPlaybook(tmp_path, production, variables)


def test_every_collection_is_drilled_on_a_standby_with_hooks(
    scene: DrillPlaybook, qdrant: Qdrant, keyed_qdrant: QdrantServer, repository: Repository
) -> None:
    before = state_of(qdrant), state_of(scene.production)
    reports = {"qdrant_drill_report_repositories": scene.variables["qdrant_drill_sources"]}
    status, output, records = scene.drills("-vvv", **scene.hooks(), **reports)
    assert status == 0, output
    assert [record["verdict"] for record in records] == ["PASS", "PASS"], records[0]["findings"]
    assert len({record["run_id"] for record in records}) == 1
    assert records[0]["declared"]["operator"] == "ada"
    assert scene.log() == [
        "before_disaster",
        "fence",
        "provision",
        *[f"{name} {' '.join(['PASS'] * 2)}" for name in ("publish", "after")],
    ]
    assert (state_of(qdrant), state_of(scene.production)) == before
    for secret in (keyed_qdrant.read_only_key, repository.location.secret_key):
        assert secret
        assert secret not in output
    for record in records:
        key = layout.drill_key(record["collection"], record["drill_id"])
        assert json.loads(repository.get(key)) == record
        assert f'href="./{key.removesuffix("record.json")}report.html"'.encode() in repository.get(layout.DRILLS_PAGE)
    first, second = records
    later = moment_of(second["declared"]["at"]) - moment_of(first["declared"]["at"])
    assert later.total_seconds() >= sum(stage["seconds"] for stage in first["stages"]), "measured as if it were alone"


def test_a_folder_of_reports_has_a_page_of_all_drills(scene: DrillPlaybook, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    first, second = scene.production.collections()[:2]
    for name in (first, second):
        status, output, _records = scene.drills(qdrant_drill_output=str(reports), qdrant_drill_collections=[name])
        assert status == 0, output
    newest_first = records_in(reports)[::-1]
    assert [record["collection"] for record in newest_first] == [second, first]
    with Chromium(tmp_path / "profile") as browser:
        browser.open(reports / layout.DRILLS_PAGE)
        rows = "[...document.querySelectorAll('tbody tr')]"
        assert browser.run(f"{rows}.map(row => row.dataset.collection)") == [second, first]
        verdicts = [record["verdict"] for record in newest_first]
        assert browser.run(f"{rows}.map(row => row.dataset.verdict)") == verdicts
        assert browser.run("document.getElementById('shown').textContent") == "2 of 2 reports"
        assert "none of 2 protected collections" in browser.run("document.body.innerText")
        link = browser.run("document.querySelector('tbody a').href")
        assert link.startswith(reports.as_uri())
        browser.open(Path(unquote(urlsplit(link).path)))
        assert second in browser.run("document.querySelector('h1').innerText")


def test_a_region_that_is_really_gone_keeps_no_drill_from_the_other_one(scene: DrillPlaybook) -> None:
    [there] = scene.variables["qdrant_drill_sources"]
    gone = {**there, "name": "gone", "endpoint_url": "http://127.0.0.1:9"}
    given = {"qdrant_drill_scenario": "region_lost", "qdrant_drill_collections": [scene.production.collections()[0]]}
    status, output, [record] = scene.drills(**given, qdrant_drill_sources=[gone, there])
    assert status == 0, output
    assert "unreachable=0" in output
    assert record["verdict"] != "FAIL", record["findings"]
    assert record["backup"]["restored_from"] == [there["name"]]


def test_a_page_of_all_drills_that_cannot_be_written_is_said_after_the_verdicts(
    scene: DrillPlaybook, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    (blocked / layout.DRILLS_PAGE).mkdir(parents=True)
    given = {
        "qdrant_drill_report_repositories": scene.variables["qdrant_drill_sources"],
        "qdrant_drill_collections": [scene.production.collections()[0]],
        "qdrant_drill_output": str(blocked),
    }
    status, output, _records = scene.drills(**given)
    assert status != 0
    assert "The drills are recorded, but not the page that lists them." in output
    status, output, _records = scene.drills(**given, qdrant_drill_sla={"rpo_seconds": 3600, "rto_seconds": 0.01})
    assert status != 0
    assert ": FAIL. The recovery took" in output


def test_an_ephemeral_target_is_started_and_removed(scene: DrillPlaybook) -> None:
    target = {"qdrant_drill_target": "ephemeral", "qdrant_drill_binary": str(qdrant_binary()), "qdrant_drill_url": ""}
    name = scene.production.collections()[0]
    status, output, records = scene.drills(**target, qdrant_drill_collections=[name])
    assert status == 0, output
    assert records[0]["target"]["kind"] == "ephemeral"
    assert all(check["passed"] for check in records[0]["isolation"])
    assert scene.ephemeral() == []
    slow = {"rpo_seconds": 3600, "rto_seconds": 0.01}
    status, output, records = scene.drills(**target, qdrant_drill_sla=slow, qdrant_drill_collections=[name])
    assert status != 0
    assert records[0]["verdict"] == "FAIL"
    assert f"{name}: FAIL. The recovery took" in output
    assert scene.ephemeral() == []
    broken = "- name: Fail\n  ansible.builtin.fail: {msg: no network}\n"
    status, output, records = scene.drills(**target, **scene.hooks(publish=broken))
    assert status != 0
    assert scene.log()[-1].startswith("after")
    assert scene.ephemeral() == []


def test_a_preparation_that_fails_is_on_record(scene: DrillPlaybook, qdrant: Qdrant) -> None:
    before = state_of(qdrant)
    broken = "- name: Apply\n  ansible.builtin.fail: {msg: no quota}\n"
    status, output, records = scene.drills(**scene.hooks(provision=broken))
    assert status != 0
    assert [record["failed_stage"] for record in records] == ["prepare", "prepare"]
    assert records[0]["failure"]["detail"] == "Apply: no quota"
    assert {stage["outcome"] for record in records for stage in record["stages"]} == {"skipped"}
    assert "The stage prepare broke: Apply: no quota" in output
    assert scene.log()[-1] == "after FAIL FAIL"
    assert state_of(qdrant) == before
    nowhere = {"qdrant_drill_target": "ephemeral", "qdrant_drill_binary": "/nowhere"}
    status, output, records = scene.drills(**nowhere)
    assert "which is no program" in records[0]["failure"]["detail"]


def test_production_as_the_target_fails_the_play(scene: DrillPlaybook) -> None:
    source = {
        "qdrant_drill_url": scene.production.connection.url,
        "qdrant_drill_api_key": scene.production.connection.api_key,
    }
    before = state_of(scene.production)
    status, output, records = scene.drills(**source, qdrant_drill_collections=[scene.production.collections()[0]])
    assert status != 0
    assert records[0]["failed_stage"] == "isolate"
    assert "The target is not isolated" in output
    assert state_of(scene.production) == before


def test_a_sample_takes_its_share_and_check_mode_changes_nothing(scene: DrillPlaybook, qdrant: Qdrant) -> None:
    before = state_of(qdrant)
    status, output, records = scene.drills("--check", qdrant_drill_sample=True, qdrant_drill_every_days=15)
    assert (status, records) == (0, []), output
    assert output.count("tasks/one.yml for localhost") == 1
    assert state_of(qdrant) == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"qdrant_drill_scenario": "region_lost"}, "needs a second one of qdrant_drill_sources"),
        ({"qdrant_drill_scenario": "bad_deploy"}, "bad_deploy needs qdrant_drill_to_time"),
        ({"qdrant_drill_url": ""}, "Set qdrant_drill_url"),
        ({"qdrant_drill_output": ""}, "Set qdrant_drill_report_repositories or qdrant_drill_output"),
        ({"qdrant_drill_every_days": 31}, "qdrant_drill_every_days"),
    ],
)
def test_variables_that_cannot_be_right_are_refused(scene: DrillPlaybook, more: Json, said: str) -> None:
    status, output, records = scene.drills(**more)
    assert status != 0
    assert records == []
    assert said in " ".join(output.split())
