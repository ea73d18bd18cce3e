# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of many bases serves a moment: whatever is listed as restorable is found, and a refusal does not take long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archived_wal import ArchivedWal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest, choose_base
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import make_backup
from tests.made_wal import SECOND, make_timeline

pytestmark = pytest.mark.s3

FOLLOWED = "20261122T020000Z-aaaaaa"
BEGIN = layout.backup_time(FOLLOWED)
ENTRIES = 60


def make_base(repository: Repository, second: int, replica: int = 1) -> str:
    """A backup that has what was written until then."""
    backup_id = layout.new_backup_id(BEGIN + timedelta(seconds=second), f"{second:06x}")
    make_backup(repository, backup_id=backup_id, log=(1, second - 1), peer_id=replica)
    return backup_id


def test_a_base_is_found_behind_however_many_others_whose_log_was_not_archived(repository: Repository) -> None:
    make_timeline(repository, FOLLOWED, [ENTRIES])
    serves = make_base(repository, 5)
    for second in range(10, 34, 2):
        make_base(repository, second, replica=2)
    moment = BEGIN + 50 * SECOND
    (only,) = restorable(repository, "docs").ranges
    assert only.begin < moment < only.until
    assert only.bases == (serves,)

    manifest, shards, _notes = choose_base([repository], ArchivedWal([repository], "docs"), None, MomentRequest(moment))

    assert (manifest.backup_id, shards[0].cut.last) == (serves, 49)


@pytest.mark.parametrize("by_index", [False, True], ids=["time", "index"])
def test_a_moment_after_the_end_of_a_log_is_looked_for_in_it_once_and_the_refusal_can_be_read(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, by_index: bool
) -> None:
    make_timeline(repository, FOLLOWED, [ENTRIES])
    bases = [make_base(repository, second) for second in range(5, 45, 2)]
    asked, headers = [], ArchivedWal.headers

    def counted(archive: ArchivedWal, log: ReplicaLog, first: int = 0) -> list[ChunkHeader]:
        asked.append(log)
        return headers(archive, log, first)

    monkeypatch.setattr(ArchivedWal, "headers", counted)
    request = MomentRequest(indexes={0: ENTRIES}) if by_index else MomentRequest(BEGIN + (ENTRIES + 9) * SECOND)
    with pytest.raises(MomentNotRestorable) as refused:
        choose_base([repository], ArchivedWal([repository], "docs"), None, request)
    assert len(asked) <= 2
    assert len(refused.value.detail) < 2000
    assert f"base {bases[-1]}: " in refused.value.detail
    assert "; and 10 older bases lack it, too." in refused.value.detail
    if not by_index:
        assert f"is {(BEGIN + ENTRIES * SECOND):%Y-%m-%dT%H:%M:%S}" in refused.value.hint
        assert f"from base {bases[-1]}." in refused.value.hint
