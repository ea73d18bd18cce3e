# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a collection from being ready, told from a node's answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import CheckFailed, OperationTimeout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.readiness import findings, wait_until_ready
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection

READY: dict[str, Any] = {
    "info": {
        "status": "green",
        "optimizer_status": "ok",
        "config": {"params": {"replication_factor": 2, "shard_number": 2}},
    },
    "cluster": {
        "peer_id": 1,
        "shard_count": 2,
        "local_shards": [{"shard_id": 0, "state": "Active"}, {"shard_id": 1, "state": "Active"}],
        "remote_shards": [
            {"shard_id": 0, "peer_id": 2, "state": "Active"},
            {"shard_id": 1, "peer_id": 3, "state": "Active"},
        ],
        "shard_transfers": [],
    },
    "peers": {"1": {}, "2": {}, "3": {}},
}


class Node:
    """A node that answers with each of ``states`` in turn, the last one for ever."""

    connection = QdrantConnection("http://node-1:6333")

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)
        self.updates: list[dict] = []

    def collection(self, name: str) -> dict:
        if len(self.states) > 1:
            self.states.pop(0)
        return self.states[0]["info"]

    def collection_cluster(self, name: str) -> dict:
        return self.states[0]["cluster"]

    def cluster(self) -> dict:
        return {"status": "enabled", "peers": self.states[0]["peers"]}

    def update_collection(self, name: str, body: dict) -> None:
        self.updates.append(body)


def changed(change) -> dict[str, Any]:
    state = copy.deepcopy(READY)
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda s: s["cluster"]["local_shards"][1].update(state="Partial"), "shard 1 on peer 1 is Partial"),
        (lambda s: s["cluster"]["remote_shards"][0].update(state="Dead"), "shard 0 on peer 2 is Dead"),
        (lambda s: s["cluster"]["remote_shards"].pop(), "shard 1 has 1 replicas, fewer than 2"),
        (
            lambda s: s["cluster"]["remote_shards"].append({"shard_id": 0, "peer_id": 3, "state": "Active"}),
            "shard 0 has 3 replicas, more than 2",
        ),
        (lambda s: s["cluster"].update(shard_count=3), "2 of 3 shards have a replica"),
        (lambda s: s["cluster"]["shard_transfers"].append({"shard_id": 1}), "shard 1 is being transferred"),
        (lambda s: s["info"].update(status="yellow"), "status is yellow"),
        (lambda s: s["info"].update(optimizer_status={"error": "disk"}), "optimizer is not ok"),
    ],
)
def test_every_flaw_is_found(change, finding: str) -> None:
    lines = findings([Node(READY), Node(changed(change))], "c")
    assert len(lines) == 1
    assert lines[0].startswith("node-1:6333: ")
    assert finding in lines[0]


def test_a_cluster_smaller_than_the_replication_factor_needs_no_more_than_it_has() -> None:
    def shrink(state: dict) -> None:
        state["peers"] = {}
        state["cluster"]["remote_shards"] = []

    assert findings([Node(changed(shrink))], "c") == []


def keyed(*keys: str, lost: int = 0) -> dict[str, Any]:
    """The state with custom sharding: the keys of its shards, and how many of their four replicas are not there."""

    def customize(state: dict) -> None:
        state["info"]["config"]["params"]["sharding_method"] = "custom"
        del state["cluster"]["remote_shards"][2 - lost :]
        for shard in state["cluster"]["local_shards"] + state["cluster"]["remote_shards"]:
            shard["shard_key"] = keys[shard["shard_id"]]

    return changed(customize)


def test_a_key_may_have_its_own_number_of_replicas() -> None:
    assert findings([Node(keyed("eu", "us", lost=1))], "c") == []
    assert findings([Node(keyed("eu", "eu", lost=2))], "c") == []


def test_a_shard_that_has_fewer_replicas_than_others_of_its_key() -> None:
    [line] = findings([Node(keyed("eu", "eu", lost=1))], "c")
    assert "shard 1 has 1 replicas, fewer than 2" in line


def test_keys_that_were_made_with_the_collection_have_its_number_of_replicas() -> None:
    assert wait_until_ready([Node(keyed("eu", "us"))], "c", 1, uniform_keys=True) < 1
    with pytest.raises(OperationTimeout, match="shard 1 has 1 replicas, fewer than 2"):
        wait_until_ready([Node(keyed("eu", "us", lost=1))], "c", 0, uniform_keys=True)


def test_fewer_shards_than_expected() -> None:
    assert "2 of 4 shards" in findings([Node(READY)], "c", expected_shards=4)[0]


def test_it_waits_until_nothing_is_found() -> None:
    yellow = changed(lambda s: s["info"].update(status="yellow"))
    assert wait_until_ready([Node(yellow, yellow, yellow, READY)], "c", 30) < 10


def test_what_was_missing_is_named_at_the_deadline() -> None:
    dead = changed(lambda s: s["cluster"]["remote_shards"][0].update(state="Dead"))
    with pytest.raises(OperationTimeout, match="shard 0 on peer 2 is Dead") as late:
        wait_until_ready([Node(dead)], "c", 0.2)
    assert late.value.result["findings"]


@pytest.mark.parametrize("broken", [{"status": "red"}, {"optimizer_status": {"error": "segment is damaged"}}])
def test_what_does_not_heal_is_not_waited_for(broken: dict) -> None:
    with pytest.raises(CheckFailed):
        wait_until_ready([Node(changed(lambda s: s["info"].update(broken)))], "c", 3600)


def test_the_optimizer_of_a_grey_collection_is_woken_once_and_only_if_asked() -> None:
    grey = changed(lambda s: s["info"].update(status="grey"))
    node = Node(grey, grey, grey, grey, READY)
    wait_until_ready([node], "c", 30, trigger_optimizer=True)
    assert node.updates == [{"optimizers_config": {}}]
    node = Node(grey)
    with pytest.raises(OperationTimeout, match="grey"):
        wait_until_ready([node], "c", 0.2)
    assert node.updates == []
