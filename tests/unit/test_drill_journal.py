# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a drill that was killed, wherever that was; nothing is asked, since its target is another one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_record import STAGES
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import drill_journal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_journal import (
    Journal,
    close_journals,
    note_concluded,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tests import made_drills

Json = dict[str, Any]
ELSEWHERE = Qdrant(QdrantConnection("http://127.0.0.1:1"))


def noted(folder: Path, done: int, at_work: bool, **fields: Any) -> Path:
    """The journal of a drill with so many stages behind it, and one more at work; ``fields`` of its record."""
    record = {**made_drills.passed(), **fields}
    stages = record["stages"][: done + at_work]
    if at_work:
        stages[-1] = {**stages[-1], "ended": None}
    whole = {name: value for name, value in record.items() if name not in ("verdict", "findings")}
    Journal(folder, {**whole, "stages": stages, "regions": []}, min_copies=1, storage_path=None, stages=STAGES)
    return folder / f"{record['drill_id']}.json"


def closed(folder: Path) -> list[Json]:
    return [drill_record.check(record) for record in close_journals(folder, ELSEWHERE)]


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_journal, "has_ended", lambda _process: True)


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(
    ("done", "at_work", "stage"),
    [(0, False, "isolate"), (0, True, "isolate"), (2, False, "restore"), (7, True, "cleanup"), (8, False, "cleanup")],
)
def test_a_drill_fails_at_the_stage_in_which_it_was_killed(
    tmp_path: Path, done: int, at_work: bool, stage: str
) -> None:
    noted(tmp_path / "new", done, at_work)
    [record] = closed(tmp_path / "new")
    assert (record["verdict"], record["failed_stage"], record["failure"]["code"]) == ("FAIL", stage, "interrupted")
    assert [each["name"] for each in record["stages"]] == list(STAGES)


@pytest.mark.usefixtures("killed")
def test_what_broke_before_stays_the_reason(tmp_path: Path) -> None:
    broken = {"code": "damaged_backup", "detail": "A part is damaged.", "hint": ""}
    noted(tmp_path, 7, True, failed_stage="restore", failure=broken)
    [record] = closed(tmp_path)
    assert (record["failed_stage"], record["failure"]) == ("restore", broken)
    assert record["stages"][-1]["outcome"] == "failed"


def test_a_process_that_cannot_be_seen_has_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = noted(tmp_path, 2, True)
    assert closed(tmp_path) == [], "it is this process"
    monkeypatch.setattr(drill_journal, "has_ended", lambda _process: None)
    assert closed(tmp_path) == []
    long_ago = path.stat().st_mtime - 25 * 3600
    os.utime(path, (long_ago, long_ago))
    assert len(closed(tmp_path)) == 1


@pytest.mark.usefixtures("killed")
def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[")
    assert closed(tmp_path) == []
    assert closed(tmp_path / "none") == []


def test_a_journal_has_what_was_concluded_and_only_where_there_is_one(tmp_path: Path) -> None:
    journal = tmp_path / "20261122T020000Z-a1b2c3.json"
    journal.write_text(json.dumps({"process": {"pid": 1}, "record": {"drill_id": journal.stem, "verdict": "PASS"}}))
    concluded = {"drill_id": journal.stem, "verdict": "FAIL"}
    note_concluded(tmp_path, [concluded, {"drill_id": "20261122T020000Z-ffffff", "verdict": "PASS"}])
    assert json.loads(journal.read_text()) == {"process": {"pid": 1}, "record": concluded}
    assert list(tmp_path.iterdir()) == [journal]
