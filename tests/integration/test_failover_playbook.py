# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks failover and failback as users run them: confirmations, hooks, what comes back, and their reports."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record, layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import discard, fill
from tests.followed import followed_collections
from tests.made_backups import as_option
from tests.playbook_process import playbook_command, playbook_environment, run_on_a_terminal, run_playbook
from tests.proofs import holdings, state_of, wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
LOG = """
- name: Tell of {name}
  ansible.builtin.lineinfile:
    path: "{log}"
    line: "{name} {{{{ qdrant_failover_records | default([]) | map(attribute='verdict') | join(' ') }}}}"
    create: true
    mode: "0600"
"""
PROVES = """
- name: Prove it
  ansible.builtin.set_fact:
    qdrant_failover_fence_proof: no listener is left
"""
FAILS = "- name: Switch\n  ansible.builtin.fail: {msg: no such route}\n"
NOWHERE = "http://127.0.0.1:1"


@dataclass
class Scene:
    """Home and a standby, a repository of each, and someone who runs the playbooks."""

    folder: Path
    home: Qdrant
    standby: Qdrant
    repository: Repository
    other: Repository
    name: str

    def runs(self, playbook: str, *arguments: str, **variables: Any) -> tuple[int, str, list[Json]]:
        """Status and output of a run, and the records that it wrote."""
        output = Path(tempfile.mkdtemp(dir=self.folder))
        given = {**self.variables(playbook), "qdrant_failover_output": str(output), **variables}
        given = {name: value for name, value in given.items() if value is not None}
        status, said = run_playbook(self.folder, playbook, given, *arguments)
        return status, " ".join(said.split()), self.records(output)

    def recovers(self, playbook: str, *arguments: str, **variables: Any) -> tuple[int, str, Json]:
        """The same of a run that is confirmed and writes one record."""
        status, said, records = self.runs(playbook, *arguments, qdrant_failover_confirmed=True, **variables)
        assert len(records) == 1, said[-3000:]
        return status, said, records[0]

    def records(self, output: Path) -> list[Json]:
        return [drill_record.parse(path.read_bytes()) for path in sorted(output.glob("**/record.json"))]

    def variables(self, playbook: str) -> Json:
        here = {"url": self.home.connection.url, "api_key": self.home.connection.api_key}
        there = {"url": self.standby.connection.url, "api_key": ""}
        target, source = (here, there) if playbook == "failback" else (there, {**here, "url": NOWHERE})
        return {
            "qdrant_failover_sources": [as_option((self.other if target is here else self.repository).location)],
            "qdrant_failover_report_repositories": [as_option(self.repository.location)],
            "qdrant_failover_sla": "standard",
            "qdrant_failover_reason": "the cellar is under water",
            "qdrant_failover_url": target["url"],
            "qdrant_failover_api_key": target["api_key"],
            "qdrant_failover_source": {**source, "timeout": 5},
            "qdrant_failover_collections": [self.name],
            "qdrant_failover_journal": str(self.folder / "journal"),
        }

    def hook(self, name: str, tasks: str = "") -> Json:
        """A hook that writes its name to ``log`` before its ``tasks``."""
        path = self.folder / f"{name}.yml"
        path.write_text(LOG.format(name=name, log=self.folder / "log") + tasks)
        return {f"qdrant_failover_{name}": str(path)}

    def log(self) -> list[str]:
        path = self.folder / "log"
        return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []

    def everything(self) -> Json:
        return {
            "home": state_of(self.home),
            "standby": state_of(self.standby),
            "stored": [holdings(self.repository), holdings(self.other)],
        }


@pytest.fixture
def scene(
    tmp_path: Path,
    production: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    standby: Repository,
    make_collection: Callable[..., str],
) -> Iterator[Scene]:
    """See ``Scene``; there is one collection with an alias, and its backup."""
    name = make_collection(points=200, on=production)
    production.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    back_up(production, repository, BackupRequest(name))
    with ExitStack() as cleanup:
        cleanup.callback(discard, qdrant, name)
        yield Scene(tmp_path, production, qdrant, repository, standby, name)


def points_of(qdrant: Qdrant, name: str) -> dict[Any, Json]:
    return {point["id"]: point for point in qdrant.scroll(name)}


def test_a_lost_cluster_is_recovered_to_its_last_archived_moment(
    tmp_path: Path, keyed_qdrant: QdrantServer, s3_server: SeaweedServer, qdrant: Qdrant, standby: Repository
) -> None:
    with followed_collections(keyed_qdrant, s3_server) as follow:
        story = follow()
        story.qdrant.update_aliases(
            [{"create_alias": {"collection_name": story.name, "alias_name": f"{story.name}-live"}}]
        )
        story.archive.poll()
        story.back_up()
        story.upsert(100, 140)
        newest = story.step()
        story.qdrant.delete_collection(story.name)
        scene = Scene(tmp_path, story.qdrant, qdrant, story.repository, standby, story.name)
        try:
            hooks = {**scene.hook("fence", PROVES), **scene.hook("publish"), **scene.hook("after")}
            status, said, record = scene.recovers("failover", "-vvv", **hooks)
            assert status == 0, said
            assert collection_digest(qdrant, story.name) == newest.digest
            assert qdrant.aliases()[f"{story.name}-live"] == story.name
        finally:
            discard(qdrant, story.name)
        assert scene.log() == ["fence", "publish PASS", "after PASS"]
        assert (record["kind"], record["verdict"]) == ("vectorops.qdrant_dr/failover", "PASS"), record["findings"]
        assert record["cost"]["reads"] > 0
        assert list((tmp_path / "journal").iterdir()) == []
        assert [stage["name"] for stage in record["stages"]] == ["fence", *drill_record.REAL_STAGES]
        assert {"check": "fence", "passed": True, "detail": "the old cluster is fenced: no listener is left"} in (
            record["isolation"]
        )
        assert "publish.yml" in record["stages"][-1]["detail"]
        assert (record["declared"]["operator"], record["declared"]["reason"]) == ("ada", "the cellar is under water")
        assert record["declared"]["scope"] == f"1 collections: {story.name}"
        assert 0 < record["rto_seconds"] < record["sla"]["rto_seconds"]
        folder = layout.drills_prefix(story.name) + record["drill_id"]
        assert drill_record.parse(story.repository.get(f"{folder}/record.json")) == record
        assert b"Failover" in story.repository.get(f"{folder}/report.html")
        for secret in (story.qdrant.connection.api_key, story.repository.location.secret_key):
            assert secret
            assert secret not in said


def test_nothing_happens_without_a_confirmation(scene: Scene) -> None:
    before = scene.everything()
    begun = time.monotonic()
    status, said, records = scene.runs("failover", **scene.hook("fence"))
    assert status != 0
    assert time.monotonic() - begun < 120, "nobody is waited for"
    assert "Nobody has confirmed this failover, and nothing was changed." in said
    for named in (scene.standby.connection.url, NOWHERE, f"collection {scene.name} to {scene.name}: backup", "alias"):
        assert named in said
    status, said, more = scene.runs("failover", qdrant_failover_confirmed=True)
    assert status != 0
    assert "Nobody says that the old cluster is fenced, and nothing was changed." in said
    assert (records, more, scene.log()) == ([], [], [])
    assert scene.everything() == before


def test_check_mode_tells_and_changes_nothing(scene: Scene) -> None:
    before = scene.everything()
    status, said, records = scene.runs("failover", "--check", **scene.hook("fence"))
    assert (status, records, scene.log()) == (0, [], []), said
    assert f"FAILOVER of cluster {scene.repository.location.cluster}" in said
    assert scene.everything() == before


def test_it_is_confirmed_on_a_terminal(scene: Scene) -> None:
    output = Path(tempfile.mkdtemp(dir=scene.folder))
    given = {**scene.variables("failover"), "qdrant_failover_output": str(output)}
    status, said = run_on_a_terminal(scene.folder, "failover", given, {"anything else to stop": "no"})
    assert status != 0
    assert "Nobody has confirmed" in " ".join(said.split())
    assert scene.name not in scene.standby.collections()
    answers = {"anything else to stop": "failover", "can write to it any more": "fenced"}
    status, said = run_on_a_terminal(scene.folder, "failover", given, answers)
    assert status == 0, said
    [record] = scene.records(output)
    assert [finding["id"] for finding in record["findings"]] == ["unproved:fence"]
    assert points_of(scene.standby, scene.name) == points_of(scene.home, scene.name)


def test_a_fence_that_fails_stops_everything(scene: Scene) -> None:
    before = scene.everything()
    hooks = {**scene.hook("fence", FAILS), **scene.hook("publish"), **scene.hook("after")}
    status, said, record = scene.recovers("failover", qdrant_failover_report_repositories=[], **hooks)
    assert status != 0
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "fence")
    assert record["failure"]["detail"] == "Switch: no such route"
    assert [stage["outcome"] for stage in record["stages"]] == ["failed", *["skipped"] * 7]
    assert "The stage fence broke: Switch: no such route" in said
    assert scene.log() == ["fence", "after FAIL"]
    assert scene.everything() == before


def test_a_standby_is_provisioned_once_that_is_confirmed(scene: Scene) -> None:
    before = scene.everything()
    sets = f"""
- name: Say where it is
  ansible.builtin.set_fact:
    qdrant_failover_url: {scene.standby.connection.url}
"""
    given = {**scene.hook("provision", sets), **scene.hook("fence"), "qdrant_failover_target": "fresh"}
    # What is given on the command line would win over what the tasks set.
    given["qdrant_failover_url"] = None
    status, said, records = scene.runs("failover", **given)
    assert (status != 0, records, scene.log()) == (True, [], [])
    assert "Nobody has confirmed that the target is made by the tasks of provision.yml" in said
    status, said, records = scene.runs("failover", qdrant_failover_group="nowhere", **given)
    assert (status != 0, records, scene.log()) == (True, [], [])
    assert "the target is made by the role qdrant_server on the group nowhere, and nothing was changed" in said
    assert scene.everything() == before
    status, said, record = scene.recovers("failover", **given)
    assert status == 0, said
    assert (record["verdict"], record["target"]["kind"]) == ("PASS", "fresh")
    assert [stage["name"] for stage in record["stages"]] == ["prepare", "fence", *drill_record.REAL_STAGES]
    assert record["stages"][0]["detail"] == "By provision.yml."
    assert scene.log() == ["provision", "fence"]
    assert points_of(scene.standby, scene.name) == points_of(scene.home, scene.name)


def test_a_standby_that_cannot_be_provisioned_is_a_failure(scene: Scene) -> None:
    before = scene.everything()
    hooks = {**scene.hook("provision", FAILS), **scene.hook("fence"), **scene.hook("after")}
    status, said, record = scene.recovers("failover", qdrant_failover_report_repositories=[], **hooks)
    assert status != 0
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "prepare")
    assert record["failure"]["detail"] == "Switch: no such route"
    assert "The stage prepare broke: Switch: no such route" in said
    assert scene.log() == ["provision", "after FAIL"]
    assert scene.everything() == before
    status, said, records = scene.runs("failover", "--check", **hooks)
    assert (status != 0, records) == (True, [])
    assert "no such route" in said


def test_a_run_that_is_killed_is_on_record_with_the_next_one(scene: Scene) -> None:
    slow = [{**each, "bandwidth_limit": "64K"} for each in scene.variables("failover")["qdrant_failover_sources"]]
    given = {**scene.variables("failover"), "qdrant_failover_sources": slow, "qdrant_failover_confirmed": True}
    given |= {"qdrant_failover_output": str(scene.folder / "killed"), **scene.hook("fence")}
    command = playbook_command(scene.folder, "failover", given, ())
    process = subprocess.Popen(command, env=playbook_environment(scene.folder), stdout=subprocess.DEVNULL)
    wait_for(lambda: scene.name in scene.standby.collections(), "the restore")
    run = psutil.Process(process.pid)
    for each in [run, *run.children(recursive=True)]:
        each.kill()
    process.wait()
    assert scene.records(scene.folder / "killed") == []
    status, said, records = scene.runs("failover", qdrant_failover_confirmed=True, **scene.hook("fence"))
    assert status == 0, said
    killed, done = sorted(records, key=lambda record: record["drill_id"])
    assert (killed["verdict"], killed["failed_stage"]) == ("FAIL", "restore")
    assert killed["failure"]["code"] == "interrupted"
    assert f"{scene.name} bears the mark of a restore and serves nobody" in killed["cleanup"][0]["detail"]
    assert (done["failed_stage"], done["previous"]) == (None, [])
    assert {each["opened"] for each in done["findings"]} == {killed["drill_id"]}, "open until somebody closes them"
    assert points_of(scene.standby, scene.name) == points_of(scene.home, scene.name)
    assert list((scene.folder / "journal").iterdir()) == []


def test_users_who_cannot_be_directed_are_a_failure(scene: Scene) -> None:
    hooks = {**scene.hook("fence"), **scene.hook("publish", FAILS)}
    status, _said, record = scene.recovers("failover", **hooks)
    assert status != 0
    assert (record["verdict"], record["failed_stage"], record["rto_seconds"]) == ("FAIL", "publish", None)
    assert record["failure"]["detail"] == "Switch: no such route"
    assert scene.standby.aliases()[f"{scene.name}-live"] == scene.name


def test_a_recovery_that_breaks_publishes_nothing(scene: Scene) -> None:
    for item in list(scene.repository.list()):
        if item.key.endswith("1.snapshot"):
            scene.repository.delete([item.key])
    before = state_of(scene.standby)
    status, said, record = scene.recovers("failover", qdrant_failover_fenced=True, **scene.hook("publish"))
    assert status != 0
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "restore")
    assert f"{scene.name}: FAIL. The stage restore broke" in said
    assert scene.log() == []
    assert state_of(scene.standby) == before


def test_what_was_written_since_comes_home_once_home_is_empty(scene: Scene) -> None:
    status, said, _records = scene.runs("failover", qdrant_failover_confirmed=True, **scene.hook("fence", PROVES))
    assert status == 0, said
    fill(scene.standby, scene.name, 60, {"text": 16, "image": 8}, first_id=1000)
    scene.standby.call("POST", f"/collections/{scene.name}/points/delete", {"points": [1, 2]}, {"wait": True})
    there = points_of(scene.standby, scene.name)
    assert len(there) == 258
    before = scene.everything()
    status, said, records = scene.runs(
        "failback", qdrant_failover_confirmed=True, qdrant_failover_writes_stopped=True, qdrant_failover_fenced=True
    )
    assert (status != 0, records) == (True, [])
    assert f"{scene.home.connection.url} still holds {scene.name}, {scene.name}-live, and nothing proves" in said
    status, said, records = scene.runs("failback", qdrant_failover_confirmed=True, **scene.hook("fence"))
    assert "is taken on" in said, "home keeps what it holds"
    assert scene.everything() == before
    scene.home.delete_collection(scene.name)
    status, said, records = scene.runs("failback", qdrant_failover_confirmed=True)
    assert (status != 0, records) == (True, [])
    assert "Nobody says that the writes to the cluster that serves now are stopped" in said
    hooks = {**scene.hook("stop_writes"), **scene.hook("publish")}
    status, said, record = scene.recovers("failback", **hooks)
    assert status == 0, said
    assert points_of(scene.home, scene.name) == there
    assert scene.home.aliases()[f"{scene.name}-live"] == scene.name
    assert (record["kind"], record["verdict"]) == ("vectorops.qdrant_dr/failback", "PASS")
    assert [stage["name"] for stage in record["stages"]] == [
        "stop_writes",
        "isolate",
        "backup",
        *drill_record.REAL_STAGES[1:],
    ]
    assert scene.log() == ["fence", "stop_writes", "publish PASS"]
    stored = scene.repository.folders(layout.drills_prefix(scene.name))
    kinds = [json.loads(scene.repository.get(layout.drill_key(scene.name, each)))["kind"] for each in sorted(stored)]
    assert kinds == ["vectorops.qdrant_dr/failover", "vectorops.qdrant_dr/failback"]


@pytest.mark.parametrize(
    ("playbook", "more", "said"),
    [
        ("failover", {"qdrant_failover_reason": ""}, "qdrant_failover_reason to why"),
        ("failover", {"qdrant_failover_scenario": "bad_deploy"}, "bad_deploy needs qdrant_failover_to_time"),
        ("failback", {"qdrant_failover_source": {}}, "Set qdrant_failover_source"),
    ],
)
def test_variables_that_cannot_be_right_are_refused(scene: Scene, playbook: str, more: Json, said: str) -> None:
    status, output, records = scene.runs(playbook, qdrant_failover_confirmed=True, **more)
    assert (status != 0, records) == (True, [])
    assert said in output
