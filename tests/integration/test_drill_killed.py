# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that is killed in the middle: nothing of it lives on, and the next run cleans up and has it on record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.drill_playbook import DrillPlaybook, records_in, servers_below
from tests.made_backups import as_option
from tests.proofs import holdings, state_of, wait_for
from tools.servers import QdrantServer, qdrant_binary

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]
# A store so slow that a drill is in its restore for as long as a test needs to find it there.
SLOW = "64K"


@pytest.fixture
def options(
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Make,
    tmp_path: Path,
) -> Json:
    """Those of a drill from a slow store; its target is the node without a key."""
    name = make_collection(points=300, on=production)
    back_up(production, repository, BackupRequest(name))
    return {
        "url": qdrant.connection.url,
        "collection": name,
        "sla": "standard",
        "sources": [{**as_option(repository.location), "bandwidth_limit": SLOW}],
        "source": {"url": keyed_qdrant.url, "api_key": keyed_qdrant.read_only_key},
        "journal": str(tmp_path / "journal"),
        "min_copies": 1,
    }


def kill_in_its_restore(start_module: Callable[..., Any], options: Json, has_begun: Callable[[], Any]) -> None:
    """Have a drill, and kill it there, by the signal that nobody can catch."""
    process = start_module("drill", options).process
    wait_for(has_begun, "the scratch collection")
    process.kill()
    process.wait()


def recovered(run_module: Run, options: Json, check: bool = False) -> Json:
    """The one record that drill_recover gives."""
    target = {name: options[name] for name in ("url", "journal") if name in options}
    found = run_module("drill_recover", target, check=check)
    [record] = found["records"]
    drill_record.check(record)
    assert (record["verdict"], record["failed_stage"], record["failure"]["code"]) == ("FAIL", "restore", "interrupted")
    assert [stage["name"] for stage in record["stages"]] == list(drill_record.STAGES)
    outcomes = [stage["outcome"] for stage in record["stages"]]
    assert outcomes == ["done", "done", "failed", *["skipped"] * 5]
    return record


def test_the_record_of_a_killed_drill_is_a_fail_and_its_scratch_goes(
    start_module: Callable[..., Any], run_module: Run, options: Json, qdrant: Qdrant, repository: Repository
) -> None:
    before = state_of(qdrant), holdings(repository)
    scratch = f"{options['collection']}-drill"
    kill_in_its_restore(start_module, options, lambda: scratch in qdrant.collections())
    planned = recovered(run_module, options, check=True)
    assert planned["cleanup"][0]["removed"] is False
    assert scratch in qdrant.collections(), "check mode changes nothing"
    record = recovered(run_module, options)
    assert record["cleanup"] == [{"what": "collections", "removed": True, "detail": "both are gone."}]
    assert [each["id"] for each in record["findings"] if each["severity"] == "major"] == ["stage:restore"]
    assert (state_of(qdrant), holdings(repository)) == before
    assert recovered(run_module, options) == record, "until its journal is removed"


def test_another_target_is_not_touched(
    start_module: Callable[..., Any], run_module: Run, options: Json, qdrant: Qdrant
) -> None:
    kill_in_its_restore(start_module, options, lambda: f"{options['collection']}-drill" in qdrant.collections())
    elsewhere = {**options, "url": options["source"]["url"]}
    record = recovered(run_module, elsewhere)
    assert record["cleanup"][0]["removed"] is False
    assert "the next drill" in record["cleanup"][0]["detail"]
    other = run_module("drill_recover", {"journal": options["journal"], "cluster": "another"})
    assert (other["changed"], other["records"]) == (False, [])


def test_an_ephemeral_target_dies_with_its_drill_and_the_next_one_removes_its_directory(
    start_module: Callable[..., Any], run_module: Run, options: Json, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options |= {"target_kind": "ephemeral", "binary": str(qdrant_binary()), "scratch_path": str(scratch)}
    options.pop("url")

    def has_begun() -> list[Path]:
        return list(scratch.glob("*/storage/collections/*-drill/config.json"))

    kill_in_its_restore(start_module, options, has_begun)
    wait_for(lambda: not servers_below(scratch), "the end of the ephemeral Qdrant")
    [folder] = scratch.iterdir()
    record = recovered(run_module, options)
    assert record["cleanup"][0] == {
        "what": "ephemeral Qdrant",
        "removed": True,
        "detail": f"it ended with the drill, and {folder} is gone.",
    }
    assert list(scratch.iterdir()) == []
    kill_in_its_restore(start_module, {**options, "journal": str(tmp_path / "lost")}, has_begun)
    assert len(list(scratch.iterdir())) == 1
    fast = {**options, "sources": [{**options["sources"][0], "bandwidth_limit": None}]}
    assert run_module("drill", fast)["record"]["verdict"] == "PASS"
    assert list(scratch.iterdir()) == [], "without a journal, the next drill does so"


@pytest.fixture
def playbook(production: Qdrant, options: Json, tmp_path: Path) -> DrillPlaybook:
    """A drill of that collection to an ephemeral target."""
    taken = ("sla", "sources", "source", "journal", "min_copies")
    variables = {f"qdrant_drill_{name}": options[name] for name in taken}
    target = {"qdrant_drill_target": "ephemeral", "qdrant_drill_binary": str(qdrant_binary())}
    variables |= {**target, "qdrant_drill_output": str(tmp_path / "reports")}
    return DrillPlaybook(tmp_path, production, variables)


def test_a_playbook_that_is_killed_is_on_record_with_the_next_run(playbook: DrillPlaybook, tmp_path: Path) -> None:
    process = playbook.start()
    wait_for(lambda: list(tmp_path.glob("qdrant-drill-*/storage/collections/*-drill/config.json")), "the restore")
    run = psutil.Process(process.pid)
    for each in [run, *run.children(recursive=True)]:
        if each.pid not in servers_below(tmp_path):
            each.kill()
    process.communicate()
    wait_for(lambda: not servers_below(tmp_path), "the end of the ephemeral Qdrant")
    assert records_in(tmp_path) == []
    fast = [{**each, "bandwidth_limit": ""} for each in playbook.variables["qdrant_drill_sources"]]
    status, output, records = playbook.drills(qdrant_drill_sources=fast)
    assert status == 0, output
    assert [(record["verdict"], record["failed_stage"]) for record in records] == [("FAIL", "restore"), ("PASS", None)]
    assert records[0]["failure"]["code"] == "interrupted"
    assert records[1]["previous"] == []
    assert playbook.ephemeral() == []
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_drill_that_is_killed_alone_fails_its_run_with_a_record(playbook: DrillPlaybook, tmp_path: Path) -> None:
    """As by a kernel that is out of memory."""
    process = playbook.start()
    wait_for(lambda: list(tmp_path.glob("qdrant-drill-*/storage/collections/*-drill/config.json")), "the restore")
    drill = psutil.Process(servers_below(tmp_path)[0]).parent()
    assert drill
    drill.kill()
    output = process.communicate()[0]
    assert process.returncode != 0
    [record] = records_in(tmp_path / "reports")
    assert (record["verdict"], record["failed_stage"], record["failure"]["code"]) == ("FAIL", "restore", "interrupted")
    assert playbook.ephemeral() == []
    assert list((tmp_path / "journal").iterdir()) == []
    assert record["drill_id"] in output


def test_a_drill_at_work_is_left_alone(
    start_module: Callable[..., Any], run_module: Run, options: Json, qdrant: Qdrant
) -> None:
    running = start_module("drill", options)
    wait_for(lambda: f"{options['collection']}-drill" in qdrant.collections(), "the scratch collection")
    target = {"url": options["url"], "journal": options["journal"]}
    assert run_module("drill_recover", target)["records"] == []
    record = running.result()["record"]
    assert record["verdict"] == "PASS", record["findings"]
    assert run_module("drill_recover", target)["records"] == [record], "its report was not stored"


def test_a_journal_that_cannot_be_written_stops_a_drill_at_once(
    run_module: Run, options: Json, qdrant: Qdrant, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    before = state_of(qdrant)
    refused = run_module("drill", {**options, "journal": str(tmp_path / "file")})
    assert refused["failure"]["code"] == "file_error"
    assert "journal" in refused["msg"]
    assert state_of(qdrant) == before
