# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failovers and failbacks between two real servers: nothing is published before all is proved, nothing overwritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    InvalidInput,
    NotFenced,
    QdrantError,
    TargetExists,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_kind import FAILBACK, FAILOVER
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import DrillRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_checks import CheckRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.failover import (
    FailoverRequest,
    Fence,
    conclude,
    fail_over,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.failover_plan import plan_failover
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_mark import half_restored
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import start_cluster
from tests.conftest import discard, fill
from tests.followed import Followed, followed_collections
from tests.proofs import holdings, state_of
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
PROVED = Fence(proof="the port of the old cluster is closed")
NO_WORD = Fence()
DAY = parse_level("prototype")


@dataclass
class Scene:
    """Collections with aliases on the home cluster and their backups; the other one is the standby."""

    home: Qdrant
    standby: Qdrant
    repository: Repository
    other: Repository
    names: list[str] = field(default_factory=list)

    def drills(self, *names: str, targets: Json | None = None, **more: Any) -> list[DrillRequest]:
        now = datetime.now(timezone.utc)
        declared = Declaration(now, now, "cluster_lost", "ada", "lost")
        facts = {"configuration_sha256": "0" * 64}
        return [
            DrillRequest(name, declared, DAY, target=(targets or {}).get(name, name), facts=facts, min_copies=1, **more)
            for name in names or self.names
        ]

    def fails_over(self, *names: str, fence: Fence = PROVED, node: Qdrant | None = None, **more: Any) -> list[Json]:
        request = FailoverRequest(FAILOVER, self.drills(*names, **more), fence)
        records = fail_over([node or self.standby], [self.repository], request)
        return [drill_record.check(record) for record in records]

    def failback(self, fence: Fence = NO_WORD, save: bool = True, **more: Any) -> FailoverRequest:
        drills = self.drills(checks=CheckRequest(self.standby, quiet=True), target_kind="home", **more)
        return FailoverRequest(FAILBACK, drills, fence, [self.standby], save)

    def fails_back(self, **more: Any) -> list[Json]:
        records = fail_over([self.home], [self.other], self.failback(**more))
        return [drill_record.check(record) for record in records]

    def everything(self) -> Json:
        """What is on both servers, and in both repositories."""
        return {
            "home": state_of(self.home),
            "standby": state_of(self.standby),
            "stored": [holdings(self.repository), holdings(self.other)],
        }


@pytest.fixture
def scene(
    production: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    standby: Repository,
    make_collection: Callable[..., str],
) -> Iterator[Scene]:
    """See ``Scene``; there are two collections."""
    made = Scene(production, qdrant, repository, standby)
    with ExitStack() as cleanup:
        for _number in range(2):
            made.names.append(name := make_collection(points=200, on=production))
            for suffix in ("", "-2"):
                cleanup.callback(discard, qdrant, name + suffix)
                cleanup.callback(discard, production, name + suffix)
            production.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
            back_up(production, repository, BackupRequest(name))
        made.names.sort()
        yield made


def points_of(qdrant: Qdrant, name: str) -> dict[Any, Json]:
    return {point["id"]: point for point in qdrant.scroll(name)}


def integrity(record: Json) -> dict[str, bool | None]:
    return {check["check"]: check["passed"] for check in record["integrity"]}


def test_all_collections_are_recovered_checked_and_published(scene: Scene) -> None:
    there = {name: points_of(scene.home, name) for name in scene.names}
    records = scene.fails_over()
    assert [(record["verdict"], record["findings"]) for record in records] == [("PASS", []), ("PASS", [])]
    for name, record in zip(scene.names, records, strict=True):
        assert points_of(scene.standby, name) == there[name]
        assert scene.standby.aliases()[f"{name}-live"] == name
        assert not half_restored(scene.standby, name)
        assert record["kind"] == "vectorops.qdrant_dr/failover"
        assert [stage["name"] for stage in record["stages"]] == list(drill_record.REAL_STAGES)
        assert set(integrity(record)) >= {
            "points",
            "digest",
            "schema",
            "payload_indexes",
            "recall",
            "first_query_latency",
        }
        assert set(integrity(record).values()) == {True}
        assert record["rto_seconds"] >= sum(stage["seconds"] for stage in record["stages"])
        assert (record["controls"], record["cleanup"], record["coverage"]) == ([], [], None)


@pytest.fixture
def followed(
    keyed_qdrant: QdrantServer, s3_server: SeaweedServer, qdrant: Qdrant, standby: Repository
) -> Iterator[tuple[Followed, Scene]]:
    """A collection that was written to after its backup, and its log is archived."""
    with followed_collections(keyed_qdrant, s3_server) as follow:
        story = follow()
        story.archive.poll()
        story.back_up()
        story.upsert(100, 140)
        story.step()
        yield story, Scene(story.qdrant, qdrant, story.repository, standby, [story.name])
        discard(qdrant, story.name)


def test_the_newest_archived_moment_comes_back(qdrant: Qdrant, followed: tuple[Followed, Scene]) -> None:
    story, scene = followed
    story.qdrant.delete_collection(story.name)
    [record] = scene.fails_over()
    assert collection_digest(qdrant, story.name) == story.steps[-1].digest
    assert (record["verdict"], record["findings"]) == ("PASS", [])
    (points,) = (check for check in record["integrity"] if check["check"] == "points")
    assert points["expected"]["all"][0] <= 140 <= points["expected"]["all"][1]
    assert "more than in the base (upserts)" in points["tolerance"]
    assert record["backup"]["entries_replayed"] > 0
    assert record["rpo_bound"] == "exact"


class Losing(Qdrant):
    """A node that loses points of what was uploaded, and says nothing."""

    def upload_shard_snapshot(self, name: str, *args: Any, **more: Any) -> None:
        super().upload_shard_snapshot(name, *args, **more)
        lost = {"filter": {"must": [{"key": "n", "range": {"lt": 50}}]}}
        self.call("POST", f"/collections/{name}/points/delete", lost, {"wait": True})


def test_points_that_the_log_does_not_account_for_are_not_published(
    qdrant: Qdrant, followed: tuple[Followed, Scene]
) -> None:
    _story, scene = followed
    [record] = scene.fails_over(node=Losing(qdrant.connection))
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "verify")
    assert "the collection has 90 points, and must have 100 to " in record["failure"]["detail"]


def test_nothing_happens_while_nothing_says_that_the_old_cluster_is_fenced(scene: Scene) -> None:
    before = scene.everything()
    with pytest.raises(NotFenced, match="Nothing says that the old cluster is fenced"):
        plan_failover([scene.standby], [scene.repository], FailoverRequest(FAILOVER, scene.drills(), NO_WORD))
    records = scene.fails_over(fence=Fence(planned=True))
    assert [(record["verdict"], record["failed_stage"]) for record in records] == [
        ("FAIL", "isolate"),
        ("FAIL", "publish"),
    ]
    assert records[0]["failure"]["code"] == "not_fenced"
    assert scene.everything() == before
    [record] = scene.fails_over(scene.names[0], fence=Fence(word=True))
    assert [finding["id"] for finding in record["findings"]] == ["unproved:fence"]
    assert "ada says" in record["findings"][0]["text"]


class Full(Qdrant):
    """A node whose disk is full for one collection."""

    name = ""

    def upload_shard_snapshot(self, name: str, *args: Any, **more: Any) -> None:
        if name == self.name:
            raise QdrantError("No space left on device.")
        super().upload_shard_snapshot(name, *args, **more)


def test_one_collection_that_cannot_be_recovered_keeps_all_from_being_published(scene: Scene) -> None:
    node = Full(scene.standby.connection)
    first, second = scene.names
    node.name = second
    aliases = scene.standby.aliases()
    records = scene.fails_over(node=node)
    assert [(record["verdict"], record["failed_stage"]) for record in records] == [
        ("FAIL", "publish"),
        ("FAIL", "restore"),
    ]
    assert f"since {second} could not be recovered" in records[0]["failure"]["detail"]
    assert [record["rto_seconds"] for record in records] == [None, None]
    assert {name for name in scene.standby.aliases() if name not in aliases} == {
        name for name in scene.standby.aliases() if first in name and "restoring" in name
    }
    assert second not in scene.standby.collections()
    assert half_restored_later(scene.standby, first), "the next run removes it"


def half_restored_later(qdrant: Qdrant, name: str) -> bool:
    """Whether it bears the mark of a restore, which this very process has left."""
    return any("restoring" in alias and to == name for alias, to in qdrant.aliases().items())


def test_a_name_that_is_taken_is_refused_and_another_one_taken(
    scene: Scene, make_collection: Callable[..., str]
) -> None:
    name = scene.names[0]
    make_collection(name=name, points=5)
    scene.standby.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    before = scene.everything()
    request = FailoverRequest(FAILOVER, scene.drills(name), PROVED)
    with pytest.raises(TargetExists, match="nothing there is overwritten"):
        plan_failover([scene.standby], [scene.repository], request)
    [record] = scene.fails_over(name)
    assert (record["failed_stage"], record["failure"]["code"]) == ("isolate", "target_exists")
    assert scene.everything() == before
    targets = {name: f"{name}-2"}
    planned = plan_failover(
        [scene.standby], [scene.repository], replace(request, drills=scene.drills(name, targets=targets))
    )
    told = "\n".join(planned["announcement"])
    assert f"alias {name}-live moves from {name} to {name}-2" in told
    assert f"collection {name} to {name}-2: backup 2" in told
    assert scene.standby.connection.url in told
    assert scene.everything() == before
    [record] = scene.fails_over(name, targets=targets)
    assert record["verdict"] == "PASS"
    assert scene.standby.aliases()[f"{name}-live"] == f"{name}-2"
    assert scene.standby.count(name) == 5


def test_the_old_cluster_is_no_target(scene: Scene) -> None:
    before = scene.everything()
    [record] = scene.fails_over(scene.names[0], node=scene.home, targets={scene.names[0]: f"{scene.names[0]}-2"})
    assert (record["failed_stage"], record["failure"]["code"]) == ("isolate", "not_isolated")
    assert scene.everything() == before


def test_an_alias_that_two_backups_recorded_is_refused_before_anything_happens(scene: Scene) -> None:
    """As before and after a switch from one collection to the other."""
    alias = f"{scene.names[0]}-live"
    switch = [
        {"delete_alias": {"alias_name": alias}},
        {"create_alias": {"collection_name": scene.names[1], "alias_name": alias}},
    ]
    scene.home.update_aliases(switch)
    back_up(scene.home, scene.repository, BackupRequest(scene.names[1]))
    before_it = scene.everything()
    request = FailoverRequest(FAILOVER, scene.drills(), PROVED)
    with pytest.raises(InvalidInput, match=f"the same alias: {alias}") as refusal:
        plan_failover([scene.standby], [scene.repository], request)
    assert "recover the others by themselves" in refusal.value.hint
    assert scene.everything() == before_it


def test_the_time_ends_when_users_are_directed(scene: Scene) -> None:
    records = scene.fails_over()
    later = datetime.now(timezone.utc) + timedelta(seconds=50)
    done = conclude(records, "tasks of dns.yml", None, 1, later)
    assert [record["verdict"] for record in done] == ["PASS", "PASS"]
    assert all(record["rto_seconds"] > 49 for record in done)
    assert all("tasks of dns.yml" in record["stages"][-1]["detail"] for record in done)
    late = conclude(records, "tasks of dns.yml", None, 1, later + timedelta(days=2))
    assert [record["findings"][0]["id"] for record in late] == ["rto", "rto"]
    broken = conclude(records, "tasks of dns.yml", "Switch: no such zone", 1, later)
    for record in broken:
        drill_record.check(record)
        assert (record["verdict"], record["failed_stage"], record["rto_seconds"]) == ("FAIL", "publish", None)
        assert record["failure"]["detail"] == "Switch: no such zone"
    assert conclude(records, None, None, 1, later) == records


def test_what_broke_before_is_on_record(scene: Scene) -> None:
    before = scene.everything()
    now = "2026-11-22T02:00:00Z"
    stage = {"name": "fence", "begun": now, "ended": now, "seconds": 0.0, "outcome": "failed", "detail": "no route"}
    request = FailoverRequest(FAILOVER, scene.drills(), NO_WORD, before=[stage], broke=("fence", "no route"))
    records = fail_over([scene.standby], [scene.repository], request)
    assert [(record["verdict"], record["failed_stage"]) for record in records] == [("FAIL", "fence")] * 2
    assert [each["outcome"] for each in records[0]["stages"]] == ["failed", *["skipped"] * 7]
    assert scene.everything() == before


# -- the way home


@pytest.fixture
def away(scene: Scene) -> Scene:
    """After a failover, the standby was written to."""
    assert {record["verdict"] for record in scene.fails_over()} == {"PASS"}
    for name in scene.names:
        fill(scene.standby, name, 60, {"text": 16, "image": 8}, first_id=1000)
        scene.standby.call("POST", f"/collections/{name}/points/delete", {"points": [1, 2]}, {"wait": True})
    return scene


def test_what_was_written_since_comes_home(away: Scene) -> None:
    there = {name: points_of(away.standby, name) for name in away.names}
    for name in away.names:
        away.home.delete_collection(name)
    records = away.fails_back()
    assert [record["verdict"] for record in records] == ["PASS", "PASS"], records[0]["findings"]
    for name, record in zip(away.names, records, strict=True):
        assert points_of(away.home, name) == there[name]
        assert len(there[name]) == 258
        assert away.home.aliases()[f"{name}-live"] == name
        assert record["kind"] == "vectorops.qdrant_dr/failback"
        stages = [stage["name"] for stage in record["stages"]]
        assert stages == ["isolate", "backup", *drill_record.REAL_STAGES[1:]]
        assert integrity(record)["digest"] is True
        assert integrity(record)["samples"] is True
        assert {check["check"] for check in record["isolation"]} >= {"empty", "processes"}
        assert (record["target"]["kind"], record["rpo_seconds"]) == ("home", 0.0)


def test_nothing_comes_home_while_home_holds_a_collection_or_an_alias(away: Scene) -> None:
    first, second = away.names
    before = away.everything()
    with pytest.raises(NotFenced, match=f"still holds {first}, {first}-live, {second}, {second}-live, and nothing"):
        plan_failover([away.home], [away.other], away.failback())
    records = away.fails_back(fence=Fence(word=True))
    assert records[0]["failure"]["code"] == "not_fenced", "a word is no proof"
    assert away.everything() == before
    away.home.delete_collection(first)
    away.home.update_aliases(
        [
            {"create_alias": {"collection_name": second, "alias_name": f"{first}-live"}},
            {"delete_alias": {"alias_name": f"{second}-live"}},
        ]
    )
    with pytest.raises(NotFenced, match=f"still holds {first}-live, {second}, and nothing"):
        plan_failover([away.home], [away.other], away.failback())


def test_a_home_that_is_proven_fenced_keeps_what_it_holds(away: Scene) -> None:
    there = {name: points_of(away.standby, name) for name in away.names}
    kept = {name: points_of(away.home, name) for name in away.names}
    with pytest.raises(TargetExists, match="nothing there is overwritten"):
        plan_failover([away.home], [away.other], away.failback(fence=Fence(planned=True)))
    targets = {name: f"{name}-2" for name in away.names}
    planned = plan_failover([away.home], [away.other], away.failback(fence=Fence(planned=True), targets=targets))
    assert any("FAILBACK" in line for line in planned["announcement"])
    assert any(f"alias {away.names[0]}-live moves" in line for line in planned["announcement"])
    assert away.fails_back(fence=Fence(planned=True), targets=targets)[0]["failure"]["code"] == "not_fenced"
    records = away.fails_back(fence=PROVED, targets=targets)
    assert {record["verdict"] for record in records} == {"PASS"}
    for name in away.names:
        assert points_of(away.home, f"{name}-2") == there[name]
        assert points_of(away.home, name) == kept[name]
        assert away.home.aliases()[f"{name}-live"] == f"{name}-2"
    assert any("the port of the old cluster is closed" in check["detail"] for check in records[0]["isolation"])


def test_a_write_to_the_standby_keeps_home_from_serving(away: Scene) -> None:
    """Writes had to be stopped; one comes after the backup."""
    for name in away.names:
        away.home.delete_collection(name)
    for name in away.names:
        back_up(away.standby, away.other, BackupRequest(name))
    fill(away.standby, away.names[1], 1, {"text": 16, "image": 8}, first_id=5000)
    records = away.fails_back(save=False)
    assert [record["failed_stage"] for record in records] == ["publish", "verify"]
    assert "digest" in records[1]["failure"]["detail"]
    assert not {f"{name}-live" for name in away.names} & {*away.home.aliases()}


def test_home_does_not_serve_where_the_standby_cannot_be_compared(away: Scene) -> None:
    """It answers, but for the points: nothing proves that all of them came home."""

    class Mute(Qdrant):
        def scroll(self, *_args: Any, **_named: Any) -> Any:
            raise QdrantError("too many requests", "")

    for name in away.names:
        away.home.delete_collection(name)
    mute = Mute(away.standby.connection)
    drills = away.drills(checks=CheckRequest(mute, quiet=True, compared=True), target_kind="home")
    request = FailoverRequest(FAILBACK, drills, NO_WORD, [mute], True)
    records = [drill_record.check(record) for record in fail_over([away.home], [away.other], request)]
    assert {record["verdict"] for record in records} == {"FAIL"}
    assert integrity(records[0])["digest"] is False
    assert not {f"{name}-live" for name in away.names} & {*away.home.aliases()}


def test_a_cluster_takes_over_and_gives_back(scene: Scene, tmp_path: Path) -> None:
    name = scene.names[0]
    with start_cluster(tmp_path, 3) as cluster:
        away = FailoverRequest(FAILOVER, scene.drills(name, replication_factor=2), PROVED)
        [record] = fail_over(cluster.nodes, [scene.repository], away)
        assert record["verdict"] == "PASS", record["findings"]
        assert len(record["target"]["nodes"]) == 3
        assert {node.aliases()[f"{name}-live"] for node in cluster.nodes} == {name}
        fill(cluster.nodes[1], name, 60, {"text": 16, "image": 8}, first_id=1000)
        there = points_of(cluster.nodes[2], name)
        scene.home.delete_collection(name)
        checks = CheckRequest(cluster.nodes[0], quiet=True)
        drills = scene.drills(name, checks=checks, target_kind="home", replication_factor=1)
        [record] = fail_over([scene.home], [scene.other], FailoverRequest(FAILBACK, drills, NO_WORD, cluster.nodes))
    assert record["verdict"] == "PASS", record["findings"]
    assert len(there) == 260
    assert points_of(scene.home, name) == there
