# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose half-restored collection a mark makes of one, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import restore_mark
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_mark import (
    METADATA_KEY,
    Mark,
    half_restored,
)

BEGUN = 1_795_000_000.0
HOUR = 3600.0


class Node:
    """A node with one collection, which bears marks; nothing else is asked of it."""

    def __init__(self, aliases: dict[str, str], metadata: dict[str, Any] | None = None) -> None:
        self._aliases, self._metadata = aliases, metadata

    def collections(self) -> list[str]:
        return ["docs"]

    def aliases(self) -> dict[str, str]:
        return self._aliases

    def collection(self, name: str) -> dict[str, Any]:
        return {"config": {"metadata": self._metadata}}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Mark:
    """The mark of a process on another host."""
    process = {"host": "other", "kernel": "another-boot", "pid": 12, "start": 99}
    with monkeypatch.context() as there:
        there.setattr(restore_mark, "this_process", lambda: process)
        return Mark("docs", lambda: BEGUN)


def both_places(mark: Mark) -> list[Node]:
    return [Node({mark.alias: "docs"}), Node({}, {METADATA_KEY: mark.text, "owner": "search"})]


def test_a_process_that_cannot_be_seen_has_a_day_and_is_told_until_when(elsewhere: Mark) -> None:
    for node in both_places(elsewhere):
        with pytest.raises(Busy, match="process 12 on other") as refusal:
            half_restored(node, "docs", lambda: BEGUN + 24 * HOUR)
        assert "from 2026-11-19T11:06:40Z on it counts as interrupted" in refusal.value.hint
        assert half_restored(node, "docs", lambda: BEGUN + 24 * HOUR + 1)


def test_a_process_that_runs_is_waited_for_however_long() -> None:
    for node in both_places(Mark("docs", lambda: BEGUN)):
        with pytest.raises(Busy) as refusal:
            half_restored(node, "docs", lambda: BEGUN + 1000 * HOUR)
        assert refusal.value.hint == "Wait for it."


def test_marks_of_others_mean_nothing(elsewhere: Mark) -> None:
    others = {elsewhere.alias: "docs2", "qdrant_dr:restoring:docs2:pid=1": "docs", "docs-live": "docs"}
    assert not half_restored(Node(others, {"owner": "search"}), "docs")
    assert not half_restored(Node(others), "docs3")


def test_a_mark_is_renewed_long_before_its_time_is_up() -> None:
    now = [BEGUN]
    mark = Mark("docs", lambda: now[0])
    assert not mark.is_old()
    now[0] += 2 * HOUR
    assert mark.is_old()
    assert not mark.renewed().is_old()
    assert mark.renewed().alias != mark.alias
