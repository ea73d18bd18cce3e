# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy brings what the backups there can be continued with: proved, without a hole, and no more than is needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    ReplicaLog,
    positions_key,
    timeline_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy_report import CopyReport
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, flip_byte, location_on, make_backup
from tests.made_wal import make_timeline, tell_positions
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

FIRST, SECOND = "20261102T020000Z-000001", "20261103T020000Z-000002"
OLD, NEW = "20261020T000000Z-00000a", "20261101T000000Z-00000b"
LOG = ReplicaLog("docs", 0, "1", NEW)
TENS = [10] * 10
ALL = Choice(newest=None)


def copy(source: Repository, *destinations: Repository, choice: Choice = ALL, **how: Any) -> CopyReport:
    return copy_backups(source, destinations, None, choice, **how)


def archived(repository: Repository) -> list[str]:
    """The chunks and records of timelines."""
    return [item.key for item in repository.list("docs/wal/0/")]


def test_the_log_from_the_backup_on_arrives_and_the_second_run_has_nothing_to_do(
    repository: Repository, standby: Repository, s3_server: SeaweedServer
) -> None:
    make_backup(repository, backup_id=FIRST, log=(32, 39))
    make_timeline(repository, OLD, TENS)
    chunks = make_timeline(repository, NEW, TENS, previous=OLD)
    seen = datetime.now(timezone.utc) - timedelta(seconds=90)
    tell_positions(repository, LOG, 99, seen)
    bucket = s3_server.create_bucket(f"{standby.location.bucket}-k")
    with Repository(location_on(s3_server, bucket, name="other", encryption="aws:kms", kms_key_id="demo-key")) as other:
        planned = copy(repository, standby, other, check=True)
        assert archived(standby) == archived(other) == []
        done = copy(repository, standby, other)
        for region in (standby, other):
            assert archived(region) == [*chunks[3:], timeline_key(LOG)], "S is 32"
            assert all(region.get(key) == repository.get(key) for key in archived(region))
        assert other.head(chunks[3]).encryption == "aws:kms"
    (plan, _plan), (entry, twin) = planned.wal, done.wal
    assert (plan["objects"], entry["objects"], twin["objects"]) == (8, 8, 8)
    assert entry["bytes"] == sum(item.size for item in standby.list("docs/wal/0/"))
    assert plan["restorable_until"] is None
    assert entry["restorable_until"] == seen.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert 90 <= entry["lag_seconds"] < 150
    assert standby.get(positions_key("docs", "1")) == repository.get(positions_key("docs", "1"))

    again = copy(repository, standby)
    assert (again.changed, again.wal[0]["objects"], again.wal[0]["bytes"]) == (False, 0, 0)


def test_what_was_archived_since_follows(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=FIRST, log=(32, 39))
    whole = make_timeline(repository, NEW, TENS)
    late = {key: repository.get(key) for key in whole[6:]}
    repository.delete(list(late))
    copy(repository, standby)
    assert archived(standby) == [*whole[3:6], timeline_key(LOG)]
    for key, data in late.items():
        repository.put(key, data)
    later = make_timeline(repository, "20261104T000000Z-00000c", [5], first=200, previous=NEW)
    assert copy(repository, standby).wal[0]["objects"] == 4 + 2
    assert set(archived(standby)) >= {*whole[3:], *later}


def test_a_hole_that_an_interrupted_copy_left_is_filled(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=FIRST, log=(2, 9))
    chunks = make_timeline(repository, NEW, TENS)
    copy(repository, standby)
    standby.delete([chunks[4], chunks[7], timeline_key(LOG)])
    standby.put(chunks[5], repository.get(chunks[5])[:100])
    assert copy(repository, standby).wal[0]["objects"] == 4
    assert {key: standby.get(key) for key in archived(standby)} == {
        key: repository.get(key) for key in archived(repository)
    }


def test_what_was_pruned_there_does_not_come_back_unless_a_backup_needs_it(
    repository: Repository, standby: Repository
) -> None:
    make_backup(repository, backup_id=FIRST, log=(2, 9))
    make_backup(repository, backup_id=SECOND, log=(62, 69))
    older = make_timeline(repository, OLD, TENS)
    chunks = make_timeline(repository, NEW, TENS, previous=OLD)
    copy(repository, standby, choice=Choice())
    assert archived(standby) == [*chunks[6:], timeline_key(LOG)], "what the newest backup needs"
    copy(repository, standby)
    assert archived(standby) == [*chunks, timeline_key(LOG)], "what the older one needs that came, too"
    standby.delete(chunks[:6])
    assert copy(repository, standby).wal[0]["objects"] == 0
    assert not set(older) & set(archived(standby))


def test_a_damaged_chunk_is_not_copied_and_the_others_are(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=FIRST, log=(2, 9))
    chunks = make_timeline(repository, NEW, TENS)
    tell_positions(repository, LOG, 99, datetime.now(timezone.utc))
    flip_byte(repository, chunks[4], 1100)
    repository.put(chunks[6], repository.get(chunks[5]))
    with pytest.raises(errors.DamagedBackup) as caught:
        copy(repository, standby)
    assert all(chunks[number] in caught.value.detail for number in (4, 6))
    assert "backup_verify" in caught.value.hint
    assert caught.value.result["wal"][0]["objects"] == 9
    assert set(archived(standby)) == {*chunks, timeline_key(LOG)} - {chunks[4], chunks[6]}
    assert list(standby.list("docs/wal/positions/")) == [], "they would say that everything is there"


def test_a_damaged_record_of_a_timeline_keeps_it_back(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=FIRST, log=(2, 9))
    make_timeline(repository, NEW, TENS)
    flip_byte(repository, timeline_key(LOG), 40)
    with pytest.raises(errors.DamagedBackup, match=r"timeline\.json"):
        copy(repository, standby)
    assert archived(standby) == []


def test_a_store_that_keeps_other_bytes_is_found_out(
    repository: Repository, standby: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers with no checksum and stores something else; what it has of that does not stay."""
    make_backup(repository, backup_id=FIRST, log=(2, 9))
    chunks = make_timeline(repository, NEW, TENS)
    copy(repository, standby, wal=False)
    assert archived(standby) == []
    put = Repository.put

    def spoiling(self: Repository, key: str, data: bytes, **how: Any) -> Any:
        if key != chunks[0]:
            return put(self, key, data, **how)
        info = put(self, key, data[:-1] + b"?", **how)
        return type(info)(**{**vars(info), "checked": False})

    monkeypatch.setattr(Repository, "put", spoiling)
    with pytest.raises(errors.DamagedBackup, match="other bytes"):
        copy(repository, standby)
    assert archived(standby) == [timeline_key(LOG)], "the first chunk goes before all others"


def test_without_an_archive_there_is_nothing_to_tell(repository: Repository, standby: Repository) -> None:
    make_backup(repository)
    assert copy(repository, standby).wal == []


def test_the_module_copies_the_log(
    repository: Repository, standby: Repository, run_module: Callable[..., dict[str, Any]]
) -> None:
    make_backup(repository, backup_id="20261101T000040Z-000001", log=(32, 39))
    make_timeline(repository, NEW, TENS)
    params = {"source": as_option(repository.location), "destinations": [as_option(standby.location)]}
    bare = run_module("backup_copy", {**params, "wal": False})
    assert (bare["wal"], archived(standby)) == ([], [])
    done = run_module("backup_copy", params)
    assert (done["changed"], done["copied"], done["wal"][0]["objects"]) == (True, [], 8)
    assert done["bytes"] == done["wal"][0]["bytes"] > 0
    assert done["wal"][0]["restorable_until"] == (layout.backup_time(NEW) + timedelta(seconds=100)).isoformat(
        timespec="milliseconds"
    ).replace("+00:00", "Z")
    again = run_module("backup_copy", params)
    assert (again["changed"], again["bytes"]) == (False, 0)
