# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to an archived log is found, wherever it is, and mended from a region that has it good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog, timeline_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_summary import Summary
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import (
    RepositoryLock,
    collection_lock,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyReport,
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, flip_byte, make_backup
from tests.made_wal import log_of, make_timeline, sealed

pytestmark = pytest.mark.s3

NEW = "20261101T000000Z-00000b"
LOG = ReplicaLog("docs", 0, "1", NEW)
RECORD = timeline_key(LOG)
TENS = [10] * 10
Finding = dict[str, Any]


def verify(*regions: Repository, level: str = "content", check: bool = False, **how: Any) -> VerifyReport:
    return verify_backups(regions, VerifyRequest(None, how.pop("choice", Choice(newest=None)), level, **how), check)


def findings(*regions: Repository, **how: Any) -> list[tuple[str, str, str, list[str], bool]]:
    """What a verification finds; it fails just where something was not repaired."""
    try:
        found = verify(*regions, **how).findings
        failed = False
    except errors.DamagedBackup as error:
        found = error.result["findings"]  # type: ignore[assignment]
        failed = True
    assert failed == any(not each["repaired"] for each in found)
    return [(each["region"], each["object"], each["problem"], each["healthy"], each["repaired"]) for each in found]


@pytest.fixture
def chunks(repository: Repository, standby: Repository) -> list[str]:
    """Two regions with the same backup and log."""
    make_backup(repository, log=(2, 9))
    keys = make_timeline(repository, NEW, TENS)
    copy_backups(repository, [standby], None, Choice())
    return keys


def test_a_log_that_is_whole_is_good(repository: Repository, standby: Repository, chunks: list[str]) -> None:
    make_timeline(repository, "20261102T000000Z-00000c", [5], first=200, previous=NEW)
    standby.delete([*chunks[:2], chunks[9]])
    report = verify(repository, standby)
    sizes = {
        region: sum(item.size for item in region.list("docs/wal/0/") if item.key.endswith(".wal"))
        for region in (repository, standby)
    }
    assert report.wal == [
        {"collection": "docs", "region": "primary", "chunks": 11, "bytes_read": sizes[repository], "verdict": "good"},
        {"collection": "docs", "region": "standby", "chunks": 7, "bytes_read": sizes[standby], "verdict": "good"},
    ], "gaps between timelines, and less at the ends of a copy, are no damage"
    assert all(entry["bytes_read"] == 0 for entry in verify(repository, standby, choice=Choice()).wal)
    assert verify(repository, wal=False).wal == []


def test_a_header_that_says_something_else_of_its_entries_is_found(repository: Repository) -> None:
    make_backup(repository, log=(2, 9))
    deleted, folded = cbor2.dumps({"delete_points": {"ids": [1]}}), cbor2.dumps({"fold_points": {}})
    known, unknown = make_timeline(repository, NEW, TENS[:2], operations=[deleted] * 10 + [folded] * 10)
    assert findings(repository) == []
    for key in (known, unknown):
        whole = repository.get(key)
        header = ChunkHeader.parse(whole)
        body = whole[len(header.dump()) :]
        repository.put(key, replace(header, summary=Summary(index=1)).dump() + body)
    # What is unknown here, a newer version may have known.
    assert findings(repository) == [("primary", known, "content", [], False)]


def test_what_is_missing_is_found_by_its_name_and_brought_back(
    repository: Repository, standby: Repository, chunks: list[str]
) -> None:
    original = {key: repository.get(key) for key in (RECORD, *chunks)}
    standby.delete([RECORD, chunks[4]])
    expected = [("standby", RECORD, "missing", ["primary"]), ("standby", chunks[4], "missing", ["primary"])]
    assert findings(repository, standby, level="exists") == [(*each, False) for each in expected]
    assert findings(repository, standby, level="exists", repair=True, check=True) == [
        (*each, True) for each in expected
    ]
    assert chunks[4] not in {item.key for item in standby.list()}
    assert findings(repository, standby, level="exists", repair=True) == [(*each, True) for each in expected]
    assert {key: standby.get(key) for key in original} == original
    assert findings(repository, standby) == []


def test_what_is_missing_everywhere_is_told_by_its_entries(
    repository: Repository, standby: Repository, chunks: list[str]
) -> None:
    repository.delete(chunks[4:6])
    standby.delete(chunks[5:6])
    folder = chunks[0].rpartition("/")[0] + "/"
    assert findings(repository, standby, level="exists", repair=True) == [
        ("primary", chunks[4], "missing", ["standby"], True),
        ("primary", folder, "missing", [], False),
        ("standby", folder, "missing", [], False),
    ]
    with pytest.raises(errors.DamagedBackup, match="entries 50 to 59 are missing, and no region has them"):
        verify(repository, standby)


def test_a_flipped_bit_is_found_and_mended_from_where_it_is_right(
    repository: Repository, standby: Repository, chunks: list[str]
) -> None:
    good = repository.get(chunks[3])
    flip_byte(repository, chunks[3], len(good) - 3)
    flip_byte(standby, chunks[6], 30)
    flip_byte(repository, chunks[8], 40)
    flip_byte(standby, chunks[8], 60)
    flip_byte(standby, RECORD, 40)
    assert findings(repository, standby, level="exists") == [("standby", RECORD, "content", ["primary"], False)]
    assert findings(repository, standby, repair=True) == [
        ("primary", chunks[3], "content", ["standby"], True),
        ("primary", chunks[8], "content", [], False),
        ("standby", RECORD, "content", ["primary"], True),
        ("standby", chunks[6], "content", ["primary"], True),
        ("standby", chunks[8], "content", [], False),
    ]
    assert repository.get(chunks[3]) == good
    assert {each[1] for each in findings(repository, standby)} == {chunks[8]}


def test_a_chunk_of_another_log_is_found_though_it_is_sound(repository: Repository) -> None:
    make_backup(repository, log=(2, 9))
    keys = make_timeline(repository, NEW, TENS)
    repository.put(keys[5], sealed(log_of([100], seed=9)[50:60], LOG))
    assert findings(repository, level="exists") == []
    assert [each[1:4] for each in findings(repository)] == [(key, "chain", []) for key in keys[5:7]]


def test_a_repair_brings_nothing_back_that_was_pruned_meanwhile(
    repository: Repository, standby: Repository, chunks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    standby.delete(chunks[4:5])
    get = Repository.get

    def pruning(self: Repository, key: str, max_bytes: int = 64 << 20) -> bytes:
        if key == chunks[4]:
            standby.delete(chunks[:8])
        return get(self, key, max_bytes)

    monkeypatch.setattr(Repository, "get", pruning)
    with pytest.raises(errors.DamagedBackup, match="was pruned"):
        verify(repository, standby, level="exists", repair=True)
    assert [item.key for item in standby.list("docs/wal/0/")] == [*chunks[8:], RECORD]


def test_daily_runs_read_the_whole_log(
    repository: Repository, standby: Repository, chunks: list[str], run_module: Callable[..., dict[str, Any]]
) -> None:
    params = {"repositories": [as_option(repository.location)]}
    assert run_module("backup_verify", params)["wal"][0]["verdict"] == "good"
    assert run_module("backup_verify", {**params, "wal": False})["wal"] == []
    some = run_module("backup_verify", {**params, "sample_percent": 1})["wal"][0]
    assert some["bytes_read"] < verify(repository).wal[0]["bytes_read"]


def test_what_a_copy_at_work_has_yet_to_bring_is_not_missing(
    repository: Repository, standby: Repository, chunks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either it is still at work, or what was missing is there by now."""
    gone = {key: standby.get(key) for key in chunks[4:6]}
    standby.delete(list(gone))
    with collection_lock(standby, "docs"):
        report = verify(repository, standby, level="exists")
    assert report.findings == []
    assert any("standby: gaps in the archived logs are not told" in text for text in report.warnings)

    enter = RepositoryLock.__enter__

    def arriving(self: RepositoryLock) -> RepositoryLock:
        held = enter(self)
        for key, data in gone.items():
            standby.put(key, data)
        return held

    monkeypatch.setattr(RepositoryLock, "__enter__", arriving)
    assert findings(repository, standby, level="exists") == []
