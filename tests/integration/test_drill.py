# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on real servers: each scenario passes, and each fails for its own reason; nothing is ever left."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput, QdrantError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record, layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import Sla, parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import drill as drill_operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import drill_controls
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import (
    DrillRequest,
    drill,
    plan_drill,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_checks import CheckRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.probe import record_probes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.followed import Followed, followed_collections
from tests.made_backups import flip_byte, with_key
from tests.proofs import holdings, state_of
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
DAY = parse_level("prototype")


@dataclass
class Scene:
    """A collection on a production node with keys, its backup in two regions, and a target that has no key to it."""

    production: Qdrant
    target: Qdrant
    regions: list[Repository]
    name: str

    def request(self, scenario: str = "collection_lost", sla: Sla = DAY, **more: Any) -> DrillRequest:
        now = datetime.now(timezone.utc)
        declared = Declaration(now, more.pop("failure_at", now), scenario, "ada", "monthly")
        return DrillRequest(self.name, declared, sla, **{"checks": CheckRequest(self.production), **more})

    def drill(self, scenario: str = "collection_lost", *, regions: list[Repository] | None = None, **more: Any) -> Json:
        """The record of a drill that has left nothing on any server, whatever its verdict is."""
        before = self._everything()
        target = more.pop("target_node", self.target)
        record = drill([target], regions or self.regions, self.request(scenario, **more))
        assert self._everything() == before
        assert [stage["name"] for stage in record["stages"]] == list(drill_record.STAGES)
        assert all(left["removed"] for left in record["cleanup"])
        drill_record.check({**record, "configuration_sha256": "0" * 64})
        return record

    def _everything(self) -> Json:
        return {
            "production": state_of(self.production, self.name),
            "target": state_of(self.target),
            "regions": [holdings(region) for region in self.regions],
        }

    def back_up(self, **how: Any) -> str:
        made = str(back_up(self.production, self.regions[0], BackupRequest(self.name, **how))["backup_id"])
        copy_backups(self.regions[0], self.regions[1:], [self.name], Choice())
        return made

    def rewrite(self, backup_id: str, **fields: Any) -> None:
        """Change a manifest in all regions."""
        for region in self.regions:
            manifest = read_manifest(region, self.name, backup_id)[0]
            changed = type(manifest)({**manifest.fields, **fields})
            region.put(layout.manifest_key(self.name, backup_id), changed.dump())


@pytest.fixture
def scene(
    production: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    standby: Repository,
    make_collection: Callable[..., str],
) -> Scene:
    """See ``Scene``; the backup is made."""
    name = make_collection(points=300, on=production)
    production.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    made = Scene(production, qdrant, [repository, standby], name)
    made.back_up()
    return made


def failed(record: Json) -> list[str]:
    """The ids of the findings of a drill that failed."""
    assert record["verdict"] == "FAIL", record["findings"]
    return [each["id"] for each in record["findings"] if each["severity"] == "major"]


def integrity(record: Json) -> dict[str, bool | None]:
    return {check["check"]: check["passed"] for check in record["integrity"]}


@pytest.mark.parametrize(
    "scenario", ["collection_lost", "node_lost", "cluster_lost", "region_lost", "first_copy_corrupted"]
)
def test_a_scenario_passes(scene: Scene, scenario: str) -> None:
    record = scene.drill(scenario)
    assert (record["verdict"], record["findings"]) == ("PASS", [])
    assert [stage["outcome"] for stage in record["stages"]] == [*["done"] * 3, "skipped", *["done"] * 4]
    assert set(integrity(record).values()) == {True}
    assert len(record["integrity"]) == 10
    assert 0 < record["rto_seconds"] < 60
    assert 0 < record["rpo_seconds"] < 60
    assert record["rpo_bound"] == "at most"
    refused = {control["control"]: (control["refused"], control["code"]) for control in record["controls"]}
    assert refused == {
        "flipped_byte": (True, "damaged_backup"),
        "missing_object": (True, "damaged_backup"),
        "wrong_key": (None, "not_applicable"),
    }
    assert all(check["passed"] for check in record["isolation"])
    served_by = "standby" if scenario in ("region_lost", "first_copy_corrupted") else "primary"
    assert record["backup"]["restored_from"] == [served_by]
    assert [region["simulated"] for region in record["regions"]] == [
        {"region_lost": "lost", "first_copy_corrupted": "corrupted"}.get(scenario),
        None,
    ]
    assert bool(record["backup"]["damaged_by_scenario"]) is (scenario == "first_copy_corrupted")


@pytest.mark.parametrize("scenario", ["region_lost", "first_copy_corrupted"])
def test_an_incremental_backup_passes_and_its_controls_are_refused(scene: Scene, scenario: str) -> None:
    made = scene.back_up(type="incremental")
    record = scene.drill(scenario)
    assert record["backup"]["backup_id"] == made
    assert (record["verdict"], record["findings"]) == ("PASS", [])
    refused = {control["control"]: control["refused"] for control in record["controls"]}
    assert (refused["flipped_byte"], refused["missing_object"]) == (True, True)
    assert "standby" in record["backup"]["restored_from"], "what is right in a range that is damaged is taken, too"


def test_the_time_counts_from_the_declaration_and_controls_do_not_count(scene: Scene) -> None:
    request = scene.request()
    early = replace(request.declaration, at=request.declaration.at - timedelta(seconds=100))
    record = drill([scene.target], scene.regions, replace(request, declaration=early))
    ends = {stage["name"]: datetime.fromisoformat(stage["ended"].replace("Z", "+00:00")) for stage in record["stages"]}
    assert record["rto_seconds"] == pytest.approx((ends["first_query"] - early.at).total_seconds(), abs=0.05)
    assert record["rto_seconds"] > 100
    assert ends["controls"] > ends["first_query"]


def test_a_restore_slower_than_the_rto_fails(scene: Scene) -> None:
    record = scene.drill(sla=replace(DAY, rto_seconds=0.01))
    assert failed(record) == ["rto"]
    assert "allows 0.01 s" in record["findings"][0]["text"]
    assert record["failed_stage"] is None


def test_a_backup_older_than_the_rpo_fails(scene: Scene) -> None:
    record = scene.drill(failure_at=datetime.now(timezone.utc) + timedelta(hours=25))
    assert failed(record) == ["rpo"]
    assert 25 * 3600 <= record["rpo_seconds"] < 25 * 3600 + 60


def test_vectors_that_were_swapped_fail_by_their_recall(scene: Scene) -> None:
    """The probes are of the time before: what a restore of bytes that are right, and of wrong data, would be."""
    probes = record_probes(scene.production, scene.name)
    points = list(scene.production.scroll(scene.name))
    vectors = [point["vector"] for point in points]
    swapped = [{**point, "vector": vector} for point, vector in zip(points, vectors[150:] + vectors[:150], strict=True)]
    scene.production.upsert(scene.name, swapped, {})
    scene.rewrite(scene.back_up(), probes=probes)
    record = scene.drill()
    assert {"stage:verify", "integrity:recall"} <= set(failed(record))
    assert record["failed_stage"] == "verify"
    assert integrity(record)["points"] is True, "the count does not tell"
    assert record["rto_seconds"] is None, "the target was never healthy"


class Forgetful(Qdrant):
    """A node that loses a payload index right after the upload of a shard."""

    def upload_shard_snapshot(self, name: str, *args: Any, **more: Any) -> None:
        super().upload_shard_snapshot(name, *args, **more)
        self.call("DELETE", f"/collections/{name}/index/number", None, {"wait": True})


def test_a_missing_payload_index_fails(scene: Scene) -> None:
    record = scene.drill(target_node=Forgetful(scene.target.connection))
    assert failed(record) == ["stage:verify", "integrity:payload_indexes"]
    assert "number" in record["failure"]["detail"]


@pytest.mark.parametrize("told", [True, False], ids=["source given", "only the bucket"])
def test_a_drill_pointed_at_production_does_nothing(scene: Scene, told: bool) -> None:
    before = state_of(scene.production, scene.name)
    request = scene.request(checks=CheckRequest(scene.production if told else None))
    record = drill([scene.production], scene.regions, request)
    assert state_of(scene.production, scene.name) == before
    assert record["failed_stage"] == "isolate"
    assert record["failure"]["code"] == "not_isolated"
    assert "isolation:recorded_peers" in failed(record)
    assert {stage["outcome"] for stage in record["stages"][1:]} == {"skipped"}
    if told:
        found = {each["check"]: each["passed"] for each in record["isolation"]}
        assert (found["processes"], found["addresses"], found["credentials"]) == (False, False, False)


def test_credentials_that_may_write_to_production_fail_or_are_a_finding(
    scene: Scene, keyed_qdrant: QdrantServer
) -> None:
    same = Qdrant(replace(scene.target.connection, api_key=keyed_qdrant.api_key))
    record = scene.drill(target_node=same)
    assert "isolation:credentials" in failed(record)
    assert "everything and the collection" in record["failure"]["detail"]
    record = scene.drill(target_node=same, shared_credentials=True)
    assert [each["id"] for each in record["findings"]] == ["unproved:credentials"]
    reader = Qdrant(replace(scene.target.connection, api_key=keyed_qdrant.read_only_key))
    assert scene.drill(target_node=reader)["verdict"] == "PASS"


def test_a_second_copy_that_is_missing_or_damaged_shows(scene: Scene) -> None:
    [backup_id] = [item.split("/")[2] for item in holdings(scene.regions[1]) if item.endswith("manifest.json")]
    shard = f"{scene.name}/{layout.shard_key(backup_id, 0)}"
    flip_byte(scene.regions[1], shard, 1000)
    record = scene.drill("first_copy_corrupted")
    assert failed(record)[0] == "stage:restore"
    assert record["failure"]["code"] == "damaged_backup"
    healed = scene.drill(regions=scene.regions[::-1])
    assert (healed["verdict"], [each["id"] for each in healed["findings"]]) == (
        "PASS WITH FINDINGS",
        ["damaged_copy:standby"],
    )
    scene.regions[1].delete([layout.manifest_key(scene.name, backup_id)])
    record = scene.drill("region_lost")
    assert failed(record) == ["stage:locate"]
    assert record["failure"]["code"] == "backup_not_found"
    assert [each["id"] for each in scene.drill()["findings"]] == ["redundancy"]


def test_a_control_that_is_not_refused_fails(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_controls, "DamagedRegion", lambda region: Repository(region.location))
    record = scene.drill()
    assert failed(record) == ["control:flipped_byte"]


def test_a_wrong_key_is_refused_and_the_right_one_passes(scene: Scene) -> None:
    key = secrets.token_hex(32)
    scene.regions = [with_key(region, key) for region in scene.regions]
    scene.back_up()
    record = scene.drill()
    assert record["verdict"] == "PASS"
    assert record["backup"]["client_encryption"]
    assert record["controls"][2]["code"] == "wrong_key"
    assert key not in str(record)


class Failing(Qdrant):
    """A node whose disk is full when the first shard arrives."""

    def upload_shard_snapshot(self, name: str, *args: Any, **more: Any) -> None:
        raise QdrantError("No space left on device.")


class Broken(Qdrant):
    """A node that answers what nobody expects."""

    def upload_shard_snapshot(self, name: str, *args: Any, **more: Any) -> None:
        raise TypeError("list indices must be integers")


@pytest.mark.parametrize(("node", "code"), [(Failing, "qdrant_error"), (Broken, "unexpected")])
def test_a_drill_that_breaks_cleans_up_and_says_where(scene: Scene, node: type[Qdrant], code: str) -> None:
    record = scene.drill(target_node=node(scene.target.connection))
    assert failed(record)[0] == "stage:restore"
    assert record["failure"]["code"] == code
    outcomes = {stage["name"]: stage["outcome"] for stage in record["stages"]}
    assert outcomes == {
        **dict.fromkeys(("isolate", "locate", "cleanup"), "done"),
        "restore": "failed",
        **dict.fromkeys(("replay", "verify", "first_query", "controls"), "skipped"),
    }


def test_what_a_killed_drill_has_left_is_removed_by_the_next(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark of a process that has ended; test_drill_module kills a real one."""
    request = scene.request()
    monkeypatch.setattr(drill_operation.Scratch, "clean", lambda *_args: [])
    drill([scene.target], scene.regions, request)
    assert request.scratch() in scene.target.collections()
    monkeypatch.undo()
    busy = drill([scene.target], scene.regions, request)
    assert (busy["failed_stage"], busy["failure"]["code"]) == ("isolate", "busy")
    assert request.scratch() in scene.target.collections()


def test_a_name_that_is_someone_elses_is_not_touched(scene: Scene, make_collection: Callable[..., str]) -> None:
    taken = make_collection(name=scene.request().scratch(), points=5)
    record = scene.drill()
    assert (record["failed_stage"], record["failure"]["code"]) == ("isolate", "target_exists")
    assert scene.target.count(taken) == 5


def test_a_plan_says_what_would_happen_and_changes_nothing(scene: Scene) -> None:
    before = state_of(scene.production), state_of(scene.target), [holdings(region) for region in scene.regions]
    planned = plan_drill([scene.target], scene.regions, scene.request("region_lost"))
    assert (state_of(scene.production), state_of(scene.target), [holdings(r) for r in scene.regions]) == before
    assert planned["target"] == f"{scene.name}-drill"
    assert [region["has_backup"] for region in planned["regions"]] == [False, True]
    assert all(check["passed"] for check in planned["isolation"])
    assert planned["plan"]["aliases"] == []


def test_requests_that_cannot_be_right_are_refused(scene: Scene) -> None:
    with pytest.raises(InvalidInput, match="needs a second region"):
        drill([scene.target], scene.regions[:1], scene.request("region_lost"))
    with pytest.raises(InvalidInput, match="goes back to a time"):
        scene.request("bad_deploy")


def test_everything_is_compared_with_a_source_that_is_quiet(scene: Scene) -> None:
    record = scene.drill(checks=CheckRequest(scene.production, quiet=True))
    assert record["verdict"] == "PASS"
    [digest] = [check for check in record["integrity"] if check["check"] == "digest"]
    assert digest["expected"] == collection_digest(scene.production, scene.name)[1]
    scene.production.call("POST", f"/collections/{scene.name}/points/delete", {"points": [1]}, {"wait": True})
    record = scene.drill(checks=CheckRequest(scene.production, quiet=True))
    assert "integrity:digest" in failed(record)


# -- with an archived log


@pytest.fixture
def followed(keyed_qdrant: QdrantServer, s3_server: SeaweedServer, qdrant: Qdrant) -> Iterator[tuple[Followed, Scene]]:
    """A collection on the production node that was written to after its backup, with its log in one region."""
    with followed_collections(keyed_qdrant, s3_server) as follow:
        story = follow()
        story.archive.poll()
        story.back_up()
        story.upsert(100, 140)
        story.step()
        yield story, Scene(story.qdrant, qdrant, [story.repository], story.name)


def test_the_newest_moment_is_restored_and_compared_with_a_quiet_source(followed: tuple[Followed, Scene]) -> None:
    story, scene = followed
    record = scene.drill(checks=CheckRequest(scene.production, quiet=True), min_copies=1)
    assert set(integrity(record).values()) <= {True, None}
    assert {name for name, passed in integrity(record).items() if passed is None} <= {"recall"}
    assert record["backup"]["entries_replayed"] > 0
    assert (record["rpo_bound"], [stage["outcome"] for stage in record["stages"]]) == ("exact", ["done"] * 8)
    late = datetime.now(timezone.utc) + timedelta(seconds=100)
    record = scene.drill(min_copies=1, failure_at=late, sla=replace(DAY, rpo_seconds=60))
    assert failed(record)[0] == "rpo"
    assert record["rpo_seconds"] == pytest.approx((late - story.archive.checked[0]).total_seconds(), abs=0.01)


def test_a_bad_deployment_is_undone_up_to_its_time(followed: tuple[Followed, Scene]) -> None:
    story, scene = followed
    good = story.steps[-1]
    story.call("POST", "/points/delete", {"filter": {"must": [{"key": "n", "range": {"lt": 60}}]}})
    story.step()
    deployed = {"to_time": good.time, "failure_at": good.time, "min_copies": 1}
    record = scene.drill("bad_deploy", checks=CheckRequest(scene.production, expect_digest=good.digest[1]), **deployed)
    assert (record["verdict"], record["findings"]) == ("PASS", [])
    assert integrity(record)["digest"] is True
    assert integrity(record)["points"] is True, "the source has gone on, and the digest proves them all"
    without = scene.drill("bad_deploy", **deployed)
    assert integrity(without)["points"] is True, "within what the log can have made of the base's"
    assert [each["id"] for each in without["findings"]] == ["unmeasured:samples"], "the source has gone on"
    assert (record["rpo_seconds"] < 5, record["rpo_bound"]) == (True, "exact")
    wrong = scene.drill(
        "bad_deploy", checks=CheckRequest(scene.production, expect_digest=story.steps[-1].digest[1]), **deployed
    )
    assert "integrity:digest" in failed(wrong)
    before = good.time - timedelta(hours=1)
    record = scene.drill("bad_deploy", to_time=before, failure_at=before, min_copies=1)
    assert (record["failed_stage"], record["failure"]["code"]) == ("locate", "backup_not_found")


def test_a_log_with_a_gap_is_a_finding_and_the_backup_is_taken(followed: tuple[Followed, Scene]) -> None:
    story, scene = followed
    for first in (140, 150, 160):
        story.upsert(first, first + 10)
        story.step()
    chunks = sorted(key for key in holdings(story.repository) if "/wal/0/" in key and key.endswith(".wal"))
    story.repository.delete(chunks[-2:-1])
    record = scene.drill(min_copies=1)
    assert "log_refused" in [each["id"] for each in record["findings"]]
    assert (record["verdict"], record["backup"]["moment"]) == ("PASS WITH FINDINGS", None)
    assert record["rpo_bound"] == "at most"
