# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of master keys opens archived logs with the new one, without touching what is encrypted."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup, WrongKey
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    wraps_prefix,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.rewrap import rewrap_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import flip_byte, with_key
from tests.proofs import holdings
from tests.sealed_archive import KEY, SealedArchive, name_of, verify

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

NEW, OTHER = secrets.token_hex(32), secrets.token_hex(32)


def test_after_a_rotation_the_new_key_alone_restores_in_both_regions(
    sealed: SealedArchive, repository: Repository, standby: Repository
) -> None:
    sealed.fill()
    copy_backups(repository, [standby], None, Choice())
    both = [with_key(each, NEW, old_keys=[{"key": KEY}]) for each in (repository, standby)]
    chunks = {key: repository.get(key) for key in sealed.chunks}

    planned, done, again = (rewrap_backups(both, None, check=check) for check in (True, False, False))

    expected = [{"collection": sealed.name, "region": region, "data_keys": 4} for region in ("primary", "standby")]
    assert planned.wal == done.wal == [{**each, "rewrapped": 4} for each in expected]
    assert (again.wal, again.as_result()["changed"]) == ([{**each, "rewrapped": 0} for each in expected], False)
    assert {key: repository.get(key) for key in sealed.chunks} == chunks, "no chunk is written"
    sealed.repository = with_key(repository, NEW)
    sealed.step(400, 5)
    sealed.archive()
    sealed.proves(with_key(repository, NEW))
    sealed.digests.pop()
    sealed.proves(with_key(standby, NEW))
    assert verify(with_key(repository, NEW), with_key(standby, NEW)).findings == []


def test_a_copy_brings_what_a_rotation_has_added(
    sealed: SealedArchive, repository: Repository, standby: Repository
) -> None:
    sealed.fill()
    copy_backups(repository, [standby], None, Choice())
    rewrap_backups([with_key(repository, NEW, old_keys=[{"key": KEY}])], None)
    far = with_key(standby, NEW)
    sealed.refused(WrongKey, "is encrypted with the key", far)
    counts = [
        [each["objects"] for each in copy_backups(repository, [standby], None, Choice(), check=check).wal]
        for check in (True, False, False)
    ]
    assert counts == [[4], [4], [0]]
    sealed.proves(far)
    sealed.proves(with_key(standby, KEY))


def test_a_rotation_without_the_old_key_says_so(sealed: SealedArchive, repository: Repository) -> None:
    sealed.write(0, 5)
    sealed.archive()
    before = holdings(repository)
    with pytest.raises(WrongKey, match=f"archived log of '{sealed.name}' is encrypted with the key {name_of(KEY)}"):
        rewrap_backups([with_key(repository, NEW, old_keys=[{"key": OTHER}])], None)
    assert holdings(repository) == before


def test_a_verification_finds_what_the_key_here_does_not_open_and_what_a_rotation_would_pass_over(
    sealed: SealedArchive, repository: Repository, standby: Repository
) -> None:
    sealed.write(0, 5)
    sealed.archive()
    back_up(sealed.qdrant, repository, BackupRequest(sealed.name))
    copy_backups(repository, [standby], None, Choice())
    (record,) = [item.key for item in repository.list(wraps_prefix(sealed.name))]

    def found(*regions: Repository, **how: Any) -> list[tuple[str, str, list[str], bool]]:
        with pytest.raises(DamagedBackup) as failure:
            verify(*regions, **how)
        listed: Any = failure.value.result["findings"]
        return [(each["object"], each["problem"], each["healthy"], each["repaired"]) for each in listed]

    for level in ("exists", "content"):
        assert found(with_key(repository, OTHER), standby, level=level) == [(record, "key", [], False)]
    repository.delete([record])
    assert found(repository, standby) == [(record, "missing", ["standby"], False)]
    assert verify(repository, standby, repair=True).findings[0]["repaired"]
    flip_byte(repository, record, 0)
    assert found(repository, standby, level="exists") == [(record, "content", ["standby"], False)]
    assert verify(repository, standby, repair=True).findings[0]["repaired"]
    assert repository.get(record) == standby.get(record)
    assert verify(sealed.repository, standby).findings == []


def test_the_record_of_a_data_key_that_no_region_has_is_made_anew_from_a_chunk(
    sealed: SealedArchive, repository: Repository, standby: Repository
) -> None:
    sealed.fill()
    copy_backups(repository, [standby], None, Choice())
    records = {item.key: repository.get(item.key) for item in repository.list(wraps_prefix(sealed.name))}
    for region in (repository, standby):
        region.delete(list(records))
    before = [holdings(region) for region in (repository, standby)]

    planned = verify(sealed.repository, standby, repair=True, check=True)
    assert [holdings(region) for region in (repository, standby)] == before
    mended = verify(sealed.repository, standby, repair=True)

    for report in (planned, mended):
        assert {(each["object"], each["region"]) for each in report.findings} == {
            (key, region) for key in records for region in ("primary", "standby")
        }
        assert all((each["problem"], each["healthy"]) == ("missing", []) for each in report.findings)
        assert all(each["repaired"] for each in report.findings)
    for region in (repository, standby):
        assert {item.key: region.get(item.key) for item in region.list(wraps_prefix(sealed.name))} == records
    # Now a rotation finds them all, and nothing is lost with the old key.
    rewrap_backups([with_key(each, NEW, old_keys=[{"key": KEY}]) for each in (repository, standby)], None)
    sealed.proves(with_key(repository, NEW))
    assert verify(with_key(repository, NEW), with_key(standby, NEW)).findings == []


def test_a_damaged_record_of_a_data_key_is_not_written_over(sealed: SealedArchive, repository: Repository) -> None:
    sealed.write(0, 5)
    sealed.archive()
    back_up(sealed.qdrant, repository, BackupRequest(sealed.name))
    (record,) = [item.key for item in repository.list(wraps_prefix(sealed.name))]
    flip_byte(repository, record, 0)
    before = repository.get(record)
    with pytest.raises(DamagedBackup):
        verify(sealed.repository, repair=True)
    assert repository.get(record) == before
