# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages of snapshots, and seconds that are free for a new one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy, InvalidInput, OperationTimeout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import (
    create_snapshot,
    newest_snapshot,
    old_snapshots,
    snapshot_time,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)


def snapshot(seconds_ago: int, checksum: str | None = "aa", size: int = 1) -> dict:
    when = NOON - timedelta(seconds=seconds_ago)
    return {"name": f"c-1-{when:%Y-%m-%d-%H-%M-%S}.snapshot", "size": size, "checksum": checksum}


class Node:
    """A node whose clock ticks half a second with each look, with a late Date header."""

    connection = QdrantConnection("http://node", operation_timeout=5)

    def __init__(
        self, existing: list[dict], answers: bool = True, late: list[list[dict]] | None = None, checksum: str = "aa"
    ) -> None:
        self.checksum = checksum
        self.existing = existing
        self.looks = 0
        self.created: list[datetime] = []
        self.answers = answers
        self.late = late or []

    def collection_cluster(self, name: str) -> dict:
        return {"peer_id": id(self)}

    def server_time(self) -> datetime:
        self.looks += 1
        return (NOON + timedelta(seconds=self.looks / 2)).replace(microsecond=0)

    def snapshots(self, name: str) -> list[dict]:
        if self.created and self.late:
            return self.existing + (self.late.pop(0) if len(self.late) > 1 else self.late[0])
        return self.existing

    def create_snapshot(self, name: str) -> dict:
        self.created.append(NOON + timedelta(seconds=self.looks / 2))
        if not self.answers:
            raise OperationTimeout("no answer.")
        new = snapshot(int((NOON - self.created[-1]).total_seconds()), self.checksum)
        self.existing = [item for item in self.existing if item["name"] != new["name"]] + [new]
        return new


def test_the_time_of_a_snapshot() -> None:
    assert snapshot_time(snapshot(0)) == NOON
    assert snapshot_time({"name": "mine.snapshot", "creation_time": "2026-11-22T12:00:00"}) == NOON
    assert snapshot_time({"name": "mine.snapshot", "creation_time": None}) is None


def test_newest() -> None:
    assert newest_snapshot([snapshot(5), snapshot(1), snapshot(9)]) == snapshot(1)
    assert newest_snapshot([]) is None


def test_old_ones_are_older_than_asked() -> None:
    existing = [snapshot(60), snapshot(61), snapshot(3600), snapshot(0)]
    assert old_snapshots(existing, NOON, 60) == [snapshot(3600), snapshot(61)]
    with pytest.raises(InvalidInput):
        old_snapshots(existing, NOON, -1)


def test_it_waits_for_a_second_that_no_snapshot_has(tmp_path) -> None:
    node = Node([snapshot(0), snapshot(-1), snapshot(-2)])
    created, info = create_snapshot(node, "c", tmp_path / "locks")
    assert node.created == [NOON + timedelta(seconds=3)]
    assert len(node.existing) == 4
    assert created in node.existing
    assert not info["polled"]


def test_the_next_second_must_be_free_too_because_the_date_is_late(tmp_path) -> None:
    node = Node([snapshot(-1)])
    create_snapshot(node, "c", tmp_path / "locks")
    assert node.created == [NOON + timedelta(seconds=2)]


def test_a_snapshot_from_the_future_does_not_hold_it_up(tmp_path) -> None:
    node = Node([snapshot(-86400)])
    create_snapshot(node, "c", tmp_path / "locks")
    assert node.looks < 5


def test_another_clients_snapshot_of_the_same_name_is_noticed(tmp_path) -> None:
    node = Node([])
    node.snapshots = lambda name: [{**snapshot(-1), "checksum": "bb"}, {**snapshot(0), "checksum": "bb"}]  # type: ignore[method-assign]
    with pytest.raises(Busy, match="same second"):
        create_snapshot(node, "c", tmp_path / "locks")


def test_a_checksum_that_qdrant_has_not_written_yet_is_waited_for(tmp_path) -> None:
    """Seen on a busy machine: the answer and the list say ``""`` for a moment."""
    node = Node([], late=[[snapshot(0, "")], [snapshot(0, "")], [snapshot(0, "cc")]], checksum="")
    created, _info = create_snapshot(node, "c", tmp_path / "locks")
    assert created == snapshot(0, "cc")


def test_without_an_answer_it_looks_for_the_finished_snapshot_and_asks_once(tmp_path) -> None:
    growing = [[], [snapshot(-9, None, 5)], [snapshot(-9, None, 9)], [snapshot(-9, "cc", 10)]]
    node = Node([snapshot(60)], answers=False, late=growing)
    created, info = create_snapshot(node, "c", tmp_path / "locks")
    assert created == snapshot(-9, "cc", 10)
    assert info["polled"]
    assert len(node.created) == 1


def test_the_caller_hears_of_the_call_before_it(tmp_path) -> None:
    node = Node([snapshot(60)])
    heard: list = []
    create_snapshot(
        node, "c", tmp_path / "locks", on_ask=lambda at, names: heard.append((at, names, list(node.created)))
    )
    assert heard == [(NOON, [snapshot(60)["name"]], [])]
