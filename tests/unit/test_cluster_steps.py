# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a cluster's backup for several collections: what a second attempt asks for, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import wanted_collections
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput, TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.backup_plan import plan_shares, shards_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import PlanRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup_several import (
    commit_several,
    further_requests,
    plan_several,
)

Json = dict[str, Any]


def plan(collection: str, shares: dict[str, list[int]], attempt: int = 0, **changes: Any) -> Json:
    return {
        "collection": collection,
        "needed": True,
        "reason": "there is no committed backup yet",
        "backup_id": "20261122T020000Z-a1b2c3",
        "attempt": attempt,
        "started": "2026-11-22T02:00:00.000Z",
        "type": "full",
        "shares": shares,
        "all_shards": [0, 1, 2],
        "warnings": [],
        **changes,
    }


def node(name: str, shards: list[int], **changes: Any) -> Json:
    held = {str(number): {"state": "Active", "points": 9, "bytes": 9, "shard_key": None} for number in shards}
    docs = {"shards": held, "all_shards": [0, 1, 2], "transfers": 0, "config_sha256": "0", "remote_faults": []}
    return {
        "name": name,
        "version": "1.16.3",
        "peer_id": name,
        "peers": ["a", "b", "c"],
        "leader": 1,
        "unreachable": [],
        "collections": {"docs": docs},
        **changes,
    }


def test_a_second_attempt_leaves_out_who_failed_each_for_its_collection() -> None:
    plans = [plan("docs", {"a": [0], "b": [1, 2]}), plan("items", {"a": [0, 1], "c": [2]})]
    docs, items = further_requests(plans, {"docs": [2], "items": [0, 1]}, frozenset({"d"}))
    assert (docs.exclude, docs.only, docs.attempt) == ({"b", "d"}, [2], 1)
    assert (items.exclude, items.only, items.attempt) == ({"a", "d"}, [0, 1], 1)
    assert docs.backup_id == plans[0]["backup_id"]


def test_who_failed_in_any_attempt_is_left_out() -> None:
    plans = [plan("docs", {"a": [0], "b": [1]}), plan("docs", {"c": [1]}, attempt=1)]
    (request,) = further_requests(plans, {"docs": [1]})
    assert (request.exclude, request.attempt) == ({"b", "c"}, 2)


def test_shards_that_are_stored_need_no_replica_any_more() -> None:
    nodes = [node("a", [0]), node("b", [1, 2]), node("c", [1])]
    assert plan_shares(nodes, "docs", frozenset({"a", "b"}), only=[1]).shares == {"c": [1]}
    with pytest.raises(TargetUnfit, match="shard 2 has no Active replica"):
        plan_shares(nodes, "docs", frozenset({"a", "b"}), only=[1, 2])


def test_a_node_that_cannot_tell_is_done_without_or_named() -> None:
    silent = node("c", [], collections={"docs": {"error": "it answered with 500"}})
    whole = [node("a", [0, 1]), node("b", [1, 2]), silent]
    assert sorted(n for shards in plan_shares(whole, "docs").shares.values() for n in shards) == [0, 1, 2]
    assert shards_of(whole, "docs") == [0, 1, 2]
    for nodes in ([node("a", [0, 1]), silent], [silent]):
        with pytest.raises(TargetUnfit, match="c: it answered with 500"):
            plan_shares(nodes, "docs")


def test_missing_shards_of_a_backup_that_never_began_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no backup of docs"):
        further_requests([plan("items", {"a": [0]})], {"docs": [1]})


# What is refused before the repository is asked for anything.
NO_REPOSITORY: Any = None


@pytest.mark.parametrize(
    ("plans", "words"),
    [
        ([{"collection": "docs"}], "has no needed"),
        ([plan("docs", {}), plan("docs", {}, attempt=1, backup_id="20261122T020000Z-a1b2c4")], "several backups"),
        ([plan("../docs", {})], "cannot be the name of a collection"),
        ([plan("docs", {}, backup_id="../../other")], "is not a backup id"),
    ],
)
def test_plans_that_cannot_be_right_are_refused(plans: list[Json], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        commit_several(NO_REPOSITORY, plans)


def test_nodes_that_say_nothing_are_refused() -> None:
    with pytest.raises(InvalidInput, match="nodes is empty"):
        plan_several(NO_REPOSITORY, [], [], [])
    with pytest.raises(InvalidInput, match="has no name, version"):
        plan_several(NO_REPOSITORY, [{}], [], [])


def test_collections_that_are_planned_together_share_the_nodes() -> None:
    held = {"0": {"state": "Active", "points": 9, "bytes": 9, "shard_key": None}}
    one = {"shards": held, "all_shards": [0], "transfers": 0, "config_sha256": "0", "remote_faults": []}
    names = [f"c{number}" for number in range(6)]
    nodes = [node(name, [], collections=dict.fromkeys(names, one)) for name in "abc"]
    # The shards of backups that have begun: for those nothing is read from the repository.
    requests = [PlanRequest(name, None, frozenset(), "20261122T020000Z-a1b2c3", [0], 1) for name in names]
    plans = plan_several(NO_REPOSITORY, nodes, requests, [])["plans"]
    assert sorted(name for each in plans for name in each["shares"]) == ["a", "a", "b", "b", "c", "c"]


def test_names_of_collections() -> None:
    assert wanted_collections(["all"]) is None
    assert wanted_collections(["a", "b", "a"]) == ["a", "b"]
    for names in ([], ["all", "a"], ["a/b"]):
        with pytest.raises(InvalidInput):
            wanted_collections(names)
