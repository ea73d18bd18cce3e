# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore to a moment: every point as it was then, or an error that says what can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from tests.conftest import discard
from tests.followed import Followed, followed_collections, iso, moment_of
from tests.made_backups import as_option
from tests.proofs import holdings, state_of
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


@pytest.fixture(scope="module")
def story(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Followed]:
    """Four shards, two bases, and seven steps: written, indexed, deleted, idle, index dropped, base, written."""
    with followed_collections(qdrant_server, s3_server) as follow:
        story = follow(shard_number=4)
        tell(story)
        yield story


def tell(story: Followed) -> None:
    story.archive.poll()
    story.back_up()
    story.upsert(90, 120)
    story.step()
    story.qdrant.create_payload_index(story.name, "late", "keyword")
    story.upsert(120, 140)
    story.step()
    story.call("POST", "/points/delete", {"filter": {"must": [{"key": "n", "range": {"lt": 30}}]}})
    story.call("POST", "/points/payload/clear", {"points": [40, 41]})
    story.step()
    story.step()
    story.call("DELETE", "/index/n", {})
    story.upsert(0, 10)
    story.step()
    story.back_up()
    story.step()
    story.call("PUT", "/points/vectors", {"points": [{"id": 50, "vector": {"a": [0, 0, 0, 1]}}]})
    story.step()


@pytest.mark.parametrize("number", range(7))
def test_every_point_and_index_is_as_it_was_at_the_time(story: Followed, number: int) -> None:
    step = story.steps[number]
    result = story.proves(MomentRequest(step.time), step)
    assert result["backup_id"] == story.bases[number > 4]
    assert {each["shard"]: each["index"] for each in result["moment"]} == step.last
    assert (result["apart_seconds"], result["inexact"]) == (0.0, {})
    for each in result["moment"]:
        assert each["written_before"] is None or each["written_before"] <= iso(step.time)
        assert each["next_written_before"] is None or each["next_written_before"] > iso(step.time)


def test_the_steps_differ(story: Followed) -> None:
    digests = [step.digest for step in story.steps]
    assert [digests.index(digest) for digest in digests] == [0, 1, 2, 2, 4, 4, 6]
    assert [step.indexes for step in story.steps] == [["n"], *[["late", "n"]] * 3, *[["late"]] * 3]


def test_an_index_of_each_shard_is_a_moment(story: Followed) -> None:
    for step in (story.steps[2], story.steps[6]):
        result = story.proves(MomentRequest(indexes=step.last), step)
        assert {each["shard"]: each["index"] for each in result["moment"]} == step.last


def test_the_latest_moment_is_all_that_there_is(story: Followed) -> None:
    result = story.proves(MomentRequest(), story.steps[-1])
    assert (result["backup_id"], result["entries_replayed"]) == (story.bases[1], 1)


def test_a_time_outside_is_refused_with_what_can_be_had(story: Followed) -> None:
    last = story.steps[-1].time
    error = story.refused(MomentRequest(last + timedelta(hours=1)), MomentNotRestorable)
    nearest = moment_of(error.result["nearest_before"])
    assert last <= nearest < last + timedelta(seconds=5)
    assert error.result["nearest_before_base"] == story.bases[1]
    assert error.result["nearest_before"] in error.hint
    assert story.bases[1] in error.hint
    assert (error.result["nearest_after"], error.result["nearest_after_base"]) == (None, None)

    error = story.refused(MomentRequest(story.steps[0].time - timedelta(hours=1)), MomentNotRestorable)
    assert error.result["nearest_before"] is None
    assert error.result["nearest_after_base"] == story.bases[0]
    assert error.result["nearest_after"] in error.hint
    assert "no moment before it" in error.hint
    # What is named can be had.
    story.proves(MomentRequest(nearest), story.steps[-1])
    after = moment_of(error.result["nearest_after"])
    assert story.restored(MomentRequest(after))[0]["backup_id"] == story.bases[0]


def test_an_index_outside_is_refused_with_the_shard(story: Followed) -> None:
    last = story.steps[-1].last

    def refused(indexes: dict[int, int]) -> MomentNotRestorable:
        return story.refused(MomentRequest(indexes=indexes), MomentNotRestorable)

    error = refused({**last, 2: last[2] + 1})
    assert f"shard 2: its archived log ends with entry {last[2]}, before {last[2] + 1}" in error.detail
    error = refused({shard: index for shard, index in last.items() if shard != 1})
    assert "shard 1: no index is given for it" in error.detail
    error = refused({**last, 7: 1})
    assert "it has no shard 7" in error.detail


def options(story: Followed, **more: Any) -> Json:
    return {
        "url": story.qdrant.connection.url,
        "sources": [as_option(story.repository.location)],
        "collection": story.name,
        "target": f"{story.name}-then",
        "aliases": ["none"],
        "ready_timeout": 60,
        **more,
    }


def test_the_module_plans_in_check_mode_what_it_does(story: Followed, run_module: Callable[..., Json]) -> None:
    step = story.steps[2]
    # The same time by another clock on the wall.
    time = step.time.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    before = state_of(story.qdrant), holdings(story.repository)
    planned = run_module("restore", options(story, to_time=time), check=True)
    assert (state_of(story.qdrant), holdings(story.repository)) == before
    try:
        result = run_module("restore", options(story, to_time=time))
        assert collection_digest(story.qdrant, f"{story.name}-then") == step.digest
    finally:
        discard(story.qdrant, f"{story.name}-then")
    for key in ("changed", "backup_id", "moment", "apart_seconds", "entries_replayed", "inexact", "notes"):
        assert planned[key] == result[key], key
    assert result["entries_replayed"] > 4
    assert planned["verified"]["entries"] + planned["unverified"]["entries"] >= result["entries_replayed"]
    assert "verified" not in result, "all of it was proved"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"to_time": "2026-11-22T10:00:00"}, "which names no zone"),
        ({"to_time": "yesterday"}, "to_time"),
        ({"to_index": {"0": "last"}}, "to_index"),
        ({"to": "latest", "to_time": "2026-11-22T10:00:00Z"}, "to is latest, and to_time is given, too"),
        ({"to": "latest", "before": "2026-11-22T10:00:00Z"}, "to is latest, and before is given, too"),
        ({"to_index": {"0": 1}, "to_time": "2026-11-22T10:00:00Z"}, "mutually exclusive"),
    ],
    ids=str,
)
def test_what_is_no_single_moment_is_refused(
    story: Followed, run_module: Callable[..., Json], more: Json, message: str
) -> None:
    before = state_of(story.qdrant)
    refused = run_module("restore", options(story, **more))
    assert message in refused["msg"]
    assert refused.get("failure", {"code": "invalid_input"})["code"] == "invalid_input"
    assert state_of(story.qdrant) == before
