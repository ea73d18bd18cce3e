# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a replay the number of points is judged, though nobody counted them at that moment: by what the log did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import CheckFailed
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import find_backup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_checks import (
    CheckRequest,
    DrillChecks,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import RestoreRun
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import (
    RestoreRequest,
    plan_restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes
from tests.conftest import discard
from tests.followed import Followed, followed_collections
from tests.proofs import wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Follow = Callable[..., Followed]


@pytest.fixture
def follow(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Follow]:
    with followed_collections(qdrant_server, s3_server) as made:
        yield made


def idle_base(story: Followed) -> None:
    """A base of a collection to which nothing was written while it was made."""
    story.archive.poll()

    def acknowledged() -> bool:
        return ack_indexes(story.server.storage_path, story.name) == dict(story.archive.last)

    wait_for(acknowledged, "the last write to be acknowledged in the log")
    story.back_up()


def busy_base(story: Followed) -> None:
    """A base whose log has writes that were not acknowledged in it when it began; Qdrant does so every five seconds."""
    for _try in range(5):
        story.upsert(0, 1)
        story.back_up()
        if find_backup([story.repository], story.name)[0].exact_points is None:
            return
    raise AssertionError("every base is idle")


@contextmanager
def filled(story: Followed) -> Iterator[RestoreRun]:
    """A restore to the newest moment that has uploaded all, and checked nothing yet."""
    target = f"{story.name}-then"
    request = RestoreRequest(story.name, target=target, aliases=[], moment=MomentRequest())
    plan = plan_restore([story.qdrant], [story.repository], request)
    run = RestoreRun([story.qdrant], [story.repository], request, plan)
    try:
        run.make_room()
        run.fill()
        yield run
    finally:
        discard(story.qdrant, target)


def judged(run: RestoreRun) -> Json:
    return DrillChecks(run.nodes, run.target, run.plan, CheckRequest()).points()


def change(run: RestoreRun, method: str, path: str, body: Json) -> None:
    run.qdrant.call(method, f"/collections/{run.target}/points{path}", body, {"wait": True})


def test_each_shard_has_what_the_base_had_and_the_log_may_have_made_of_it(follow: Follow) -> None:
    story = follow()
    idle_base(story)
    story.upsert(90, 130)
    story.call("POST", "/points/delete", {"points": [1, 2, 3]})
    story.call("POST", "/points/payload", {"payload": {"x": 1}, "filter": {}})
    story.step()
    with filled(story) as run:
        checked = run.check()
        check = judged(run)
        # More than the log can have brought: a point that is in neither.
        points = [{"id": n, "vector": {"a": [1, 1, 2, 3], "b": [1, 1]}} for n in range(1000, 1080)]
        change(run, "PUT", "", {"points": points})
        wrong = judged(run)
        with pytest.raises(CheckFailed, match="the collection has 207 points, and must have 97 to 140"):
            run.check()
    assert checked["points"] == 127
    assert checked["unmeasured"] == ["recall was recorded with the base, before the entries that were replayed"]
    assert (checked["expected_points"]["all"], check["expected"]["all"]) == ([97, 140], [97, 140])
    bounds = check["expected"]["by_shard"]
    assert [sum(each[n] for each in bounds.values()) for n in (0, 1)] == [97, 140]
    assert set(bounds) == {"0", "1"}
    assert check["passed"] is True
    assert check["tolerance"] == "at most 40 more than in the base (upserts), and at most 3 less (deletes by id)"
    assert wrong["passed"] is False
    assert "shard 0 has" in wrong["detail"]


def test_points_that_nothing_deleted_are_missed(follow: Follow) -> None:
    story = follow()
    idle_base(story)
    story.upsert(100, 110)
    story.step()
    with filled(story) as run:
        change(run, "POST", "/delete", {"filter": {"must": [{"key": "n", "range": {"lt": 20}}]}})
        check = judged(run)
        with pytest.raises(CheckFailed, match="the collection has 90 points, and must have 100 to 110"):
            run.check()
    assert (check["passed"], check["expected"]["all"]) == (False, [100, 110])


def test_after_a_delete_by_a_filter_the_upper_bound_is_left(follow: Follow) -> None:
    story = follow()
    idle_base(story)
    story.call("POST", "/points/delete", {"filter": {"must": [{"key": "n", "range": {"lt": 30}}]}})
    story.step()
    with filled(story) as run:
        check = judged(run)
    assert (check["passed"], check["expected"]["all"]) == (True, [0, 100])
    assert "any number less, since 2 entries delete by a filter" in check["tolerance"]


def test_a_base_that_was_written_to_bounds_the_collection(follow: Follow) -> None:
    story = follow()
    story.archive.poll()
    busy_base(story)
    story.upsert(100, 110)
    story.step()
    with filled(story) as run:
        checked = run.check()
    expected = checked["expected_points"]
    assert (checked["points"], expected["by_shard"]) == (110, {})
    low, high = expected["all"]
    assert low == 100, "nothing was deleted"
    assert 110 <= high < 300, "what was written before the base may have been in its count"
