# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on hosts that can't be seen from here: at work as long as something comes from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import IncompleteBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import ShareRun
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.upload_parts import last_part_time
from tests.proofs import holdings, verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Make = Callable[..., str]


def test_the_time_of_the_newest_part(repository: Repository) -> None:
    upload_id = repository.start_upload("docs/big")
    assert last_part_time(repository, "docs/big", upload_id) is None
    before = utc_now().replace(microsecond=0)
    for number in (2, 1):
        data = f"part {number}".encode()
        repository.put_part("docs/big", upload_id, number, data, hashlib.sha256(data).hexdigest())
    found = last_part_time(repository, "docs/big", upload_id)
    assert found is not None
    assert before <= found <= utc_now() + timedelta(seconds=1)
    repository.abort_upload("docs/big", upload_id)
    assert last_part_time(repository, "docs/big", upload_id) is None


def test_a_long_backup_on_another_host_is_left_alone_until_nothing_comes_from_it_any_more(
    qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection(points=20)
    old = layout.new_backup_id(utc_now() - timedelta(days=3), "a1b2c3")
    process = {"host": "elsewhere", "kernel": "another", "pid": 1, "start": 1}
    marker = {"process": process, "url": "http://elsewhere:6333", "snapshots": [], "asked": None}
    repository.put(layout.started_key(name, old), json.dumps(marker).encode())
    shard = f"{name}/{layout.shard_key(old, 0)}"
    upload_id = repository.start_upload(shard)
    repository.put_part(shard, upload_id, 1, b"one", hashlib.sha256(b"one").hexdigest())
    at_work = holdings(repository)

    made = back_up(qdrant, repository, BackupRequest(name))
    assert made["leftovers_removed"] == []
    assert at_work.items() <= holdings(repository).items()

    def in_a_day() -> datetime:
        return utc_now() + timedelta(hours=24, minutes=1)

    later = back_up(qdrant, repository, BackupRequest(name), in_a_day)
    assert sorted(later["leftovers_removed"]) == [
        f"multipart upload of {shard}",
        f"object {layout.started_key(name, old)}",
    ]
    assert not at_work.keys() & holdings(repository).keys()
    assert verify_all(repository) == [made["backup_id"], later["backup_id"]]


def test_a_backup_whose_objects_were_swept_is_not_committed(
    qdrant: Qdrant, repository: Repository, make_collection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make_collection(points=20)
    lasting = ShareRun._lasting

    def swept(self: ShareRun, probes: dict[str, Any]) -> dict[str, Any]:
        repository.delete([self.object_key(1)])
        return lasting(self, probes)

    monkeypatch.setattr(ShareRun, "_lasting", swept)
    with pytest.raises(IncompleteBackup, match=r"/shards/1\.snapshot is not in the store any more"):
        back_up(qdrant, repository, BackupRequest(name))
    assert (holdings(repository), qdrant.snapshots(name)) == ({}, [])
