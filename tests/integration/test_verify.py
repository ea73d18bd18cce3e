# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage is found and named with its healthy copy, repaired from there, and never made worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import collections_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.holdings import read_holdings
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.regions_catalogue import list_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyReport,
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import PART, flip_byte, location_on, make_backup, some_bytes, store_object
from tests.proofs import holdings, verify_all
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

OLDER, NEWER = "20261121T020000Z-000001", "20261122T020000Z-000002"
SHARDS = (some_bytes(2 * PART + 5, 1), some_bytes(1000, 2))
TOTAL = sum(map(len, SHARDS))
Damage = Callable[[Repository, Manifest], None]


def verify(*regions: Repository, level: str = "content", check: bool = False, **how: Any) -> VerifyReport:
    request = VerifyRequest(how.pop("collections", None), how.pop("choice", Choice(newest=None)), level, **how)
    return verify_backups(regions, request, check=check)


def failure_of(*regions: Repository, **how: Any) -> dict[str, Any]:
    """The result of a verification that has to find damage."""
    with pytest.raises(errors.DamagedBackup) as caught:
        verify(*regions, **how)
    return caught.value.result


def shard_key(manifest: Manifest, shard: int = 0) -> str:
    return manifest.object_key(manifest.shards[shard])


def verdicts(result: dict[str, Any]) -> list[list[str]]:
    return [[region["verdict"] for region in backup["regions"]] for backup in result["backups"]]


def record_of(region: Repository, backup_id: str = NEWER) -> dict[str, Any]:
    return dict(json.loads(region.get(layout.verified_key("docs", backup_id)))["levels"])


@pytest.fixture
def manifest(repository: Repository, standby: Repository) -> Manifest:
    """A backup with three parts in its first shard, in both regions."""
    made = make_backup(repository, backup_id=NEWER, shards=SHARDS)
    copy_backups(repository, [standby], None, Choice())
    return made


def test_what_is_good_is_read_whole_and_remembered(
    repository: Repository, standby: Repository, manifest: Manifest
) -> None:
    before = holdings(repository)
    planned = verify(repository, standby, check=True).as_result()
    assert holdings(repository) == before
    done = verify(repository, standby).as_result()
    for result in (planned, done):
        assert (result["changed"], result["findings"], verdicts(result)) == (True, [], [["good", "good"]])
        assert (result["bytes_read"], result["chosen"]) == (2 * TOTAL, 1)
    assert verify(repository, standby, level="exists").bytes_read == 0
    for region in (repository, standby):
        record = record_of(region)
        assert record["content"]["result"] == record["exists"]["result"] == "good"
        assert record["content"]["tool"]["name"] == "vectorops.qdrant_dr"


def test_the_records_disturb_no_catalogue_and_are_not_copied(
    repository: Repository, standby: Repository, manifest: Manifest
) -> None:
    listed = list_backups(repository)
    repository.put(layout.verified_key("gone", OLDER), b"what is left of a pruned collection")
    verify(repository, standby)
    assert list_backups(repository) == listed
    assert read_holdings(repository, "docs").uncommitted() == list_backups(repository, "gone") == []
    assert "gone" in collections_of(repository)
    standby.delete([layout.verified_key("docs", NEWER)])
    copy_backups(repository, [standby], None, Choice(newest=None))
    assert not [key for key in holdings(standby) if "/verified/" in key]


def flip(region: Repository, made: Manifest) -> None:
    flip_byte(region, shard_key(made), PART + 7)


def truncate(region: Repository, made: Manifest) -> None:
    store_object(region, shard_key(made), SHARDS[0][:-1])


def lengthen(region: Repository, made: Manifest) -> None:
    store_object(region, shard_key(made), SHARDS[0] + b"x")


def lose_object(region: Repository, made: Manifest) -> None:
    region.delete([shard_key(made, 1)])


def lose_sidecar(region: Repository, made: Manifest) -> None:
    region.delete([layout.sidecar_key(shard_key(made))])


def alter_sidecar(region: Repository, made: Manifest) -> None:
    region.put(layout.sidecar_key(shard_key(made)), b"0" * 64 + b" *0.snapshot\n")


def cut_manifest(region: Repository, made: Manifest) -> None:
    region.put(layout.manifest_key("docs", NEWER), made.dump()[:200])


def store_plain(region: Repository, key: str, data: bytes) -> None:
    """Write an object as a tool would that asks for no encryption."""
    region.client.put_object(Bucket=region.location.bucket, Key=region.location.root + key, Body=data)


def strip_encryption(region: Repository, made: Manifest) -> None:
    store_plain(region, shard_key(made, 1), SHARDS[1])


def strip_manifest(region: Repository, made: Manifest) -> None:
    store_plain(region, layout.manifest_key("docs", NEWER), made.dump())


SHARD_0, SHARD_1 = (f"docs/backups/{NEWER}/shards/{number}.snapshot" for number in (0, 1))
MANIFEST = f"docs/backups/{NEWER}/manifest.json"
# What is done -> the findings (object, part, problem), and whether they need no reading of the content.
DAMAGES: dict[str, tuple[Damage, list[tuple[str, int | None, str]], bool]] = {
    "flipped": (flip, [(SHARD_0, 2, "content")], False),
    "truncated": (truncate, [(SHARD_0, None, "size"), (SHARD_0, 3, "content")], False),
    "lengthened": (lengthen, [(SHARD_0, None, "size")], True),
    "object lost": (lose_object, [(SHARD_1, None, "missing")], True),
    "sidecar lost": (lose_sidecar, [(SHARD_0 + ".sha256", None, "missing")], True),
    "sidecar altered": (alter_sidecar, [(SHARD_0 + ".sha256", None, "content")], True),
    "manifest cut": (cut_manifest, [(MANIFEST, None, "content")], True),
    "object plain": (strip_encryption, [(SHARD_1, None, "encryption")], True),
    "manifest plain": (strip_manifest, [(MANIFEST, None, "encryption")], True),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_with_its_healthy_copy_and_repaired(
    repository: Repository, standby: Repository, manifest: Manifest, name: str
) -> None:
    damage, expected, seen_without_reading = DAMAGES[name]
    damage(standby, manifest)
    result = failure_of(repository, standby)
    found = [(entry["object"], entry["part"], entry["problem"]) for entry in result["findings"]]
    assert found == expected
    assert all((entry["region"], entry["healthy"]) == ("standby", ["primary"]) for entry in result["findings"])
    assert verdicts(result) == [["good", "damaged"]]
    assert record_of(standby)["content"]["result"] == "damaged"
    if seen_without_reading:
        shallow = failure_of(repository, standby, level="exists")
        assert shallow["findings"] == result["findings"]

    before = holdings(standby), holdings(repository)
    planned = verify(repository, standby, repair=True, check=True).as_result()
    assert (holdings(standby), holdings(repository)) == before
    done = verify(repository, standby, repair=True).as_result()
    for each in (planned, done):
        assert all(entry["repaired"] for entry in each["findings"])
        assert (len(each["findings"]), verdicts(each)) == (len(expected), [["good", "repaired"]])
    assert record_of(standby)["content"]["result"] == "repaired"
    assert verify_all(repository) == verify_all(standby) == [NEWER]
    assert standby.head(MANIFEST).encryption == "AES256"
    assert verify(repository, standby, check=True).findings == []


def test_a_whole_that_is_not_what_the_manifest_says_is_named_and_not_repaired(repository: Repository) -> None:
    """All parts are right: what was written as the whole's SHA-256 was wrong from the beginning."""
    fields = make_backup(repository, backup_id=NEWER, shards=SHARDS).fields
    fields["shards"][0]["object"]["sha256"] = "0" * 64
    repository.put(MANIFEST, Manifest(fields).dump())
    repository.put(layout.sidecar_key(SHARD_0), layout.sidecar(SHARD_0, "0" * 64))
    before = holdings(repository)
    [finding] = failure_of(repository, repair=True)["findings"]
    assert (finding["object"], finding["part"], finding["problem"]) == (SHARD_0, None, "digest")
    assert holdings(repository).items() >= before.items()


def test_copies_that_are_bad_in_different_parts_heal_each_other(
    repository: Repository, standby: Repository, manifest: Manifest
) -> None:
    flip_byte(repository, SHARD_0, 3)
    flip_byte(standby, SHARD_0, PART + 3)
    result = failure_of(repository, standby)
    assert [(entry["region"], entry["part"], entry["healthy"]) for entry in result["findings"]] == [
        ("primary", 1, ["standby"]),
        ("standby", 2, ["primary"]),
    ]
    done = verify(repository, standby, repair=True).as_result()
    assert verdicts(done) == [["repaired", "repaired"]]
    assert verify_all(repository) == verify_all(standby) == [NEWER]


def test_what_is_bad_everywhere_is_said_and_left_as_it_is(
    repository: Repository, standby: Repository, manifest: Manifest
) -> None:
    flip_byte(repository, SHARD_0, PART + 3)
    flip_byte(standby, SHARD_0, PART + 4)
    lose_object(standby, manifest)
    before = {region.name: region.get(SHARD_0) for region in (repository, standby)}
    stored = {region.name: holdings(region)[SHARD_0] for region in (repository, standby)}
    result = failure_of(repository, standby, repair=True)
    outcome = [(entry["region"], entry["part"], entry["healthy"], entry["repaired"]) for entry in result["findings"]]
    assert outcome == [("primary", 2, [], False), ("standby", 2, [], False), ("standby", None, ["primary"], True)]
    assert "No source has a good copy of part 2 of 3" in result["findings"][0]["reason"]
    for region in (repository, standby):
        assert (region.get(SHARD_0), holdings(region)[SHARD_0]) == (before[region.name], stored[region.name])
        assert list(region.uploads()) == []
    assert standby.get(SHARD_1) == SHARDS[1]


def test_a_single_region_mends_what_it_can_by_itself(repository: Repository) -> None:
    made = make_backup(repository, backup_id=NEWER, shards=SHARDS)
    lose_sidecar(repository, made)
    strip_encryption(repository, made)
    assert verdicts(verify(repository, repair=True).as_result()) == [["repaired"]]
    cut_manifest(repository, made)
    result = failure_of(repository, repair=True)
    assert [(entry["object"], entry["healthy"], entry["repaired"]) for entry in result["findings"]] == [
        (MANIFEST, [], False)
    ]


def test_another_valid_manifest_is_a_conflict_that_nobody_repairs(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=NEWER, shards=SHARDS)
    make_backup(standby, backup_id=NEWER, shards=(b"another",))
    before = holdings(standby)
    [finding] = failure_of(repository, standby, repair=True)["findings"]
    assert (finding["problem"], finding["object"], finding["repaired"]) == ("conflict", MANIFEST, False)
    assert {key: etag for key, etag in holdings(standby).items() if "/verified/" not in key} == before


def test_a_manifest_that_was_not_the_one_verified_here_is_not_put_here(
    repository: Repository, standby: Repository
) -> None:
    original = make_backup(standby, backup_id=NEWER, shards=SHARDS)
    verify(standby)
    make_backup(repository, backup_id=NEWER, shards=SHARDS, qdrant_version="1.16.4")
    cut_manifest(standby, original)
    findings = failure_of(repository, standby, repair=True)["findings"]
    assert [(entry["object"], entry["repaired"]) for entry in findings] == [(MANIFEST, False)]
    assert "may not be the one that was here" in findings[0]["reason"]
    assert standby.get(MANIFEST) == original.dump()[:200]


def test_which_backups_are_verified(repository: Repository, standby: Repository) -> None:
    for collection in ("docs", "images"):
        for backup_id in (OLDER, NEWER):
            make_backup(repository, collection, backup_id)
    make_backup(standby, "docs", OLDER)
    repository.put(layout.backup_prefix("half", NEWER) + "shards/0.snapshot", b"not committed")

    def seen(**how: Any) -> set[tuple[str, str]]:
        report = verify(repository, standby, check=True, **how)
        return {(entry["collection"], entry["backup_id"]) for entry in report.backups}

    assert seen() == {(name, backup_id) for name in ("docs", "images") for backup_id in (OLDER, NEWER)}
    # Of each region its own newest one.
    assert seen(choice=Choice()) == {("docs", NEWER), ("docs", OLDER), ("images", NEWER)}
    assert seen(collections=["docs"], choice=Choice(backup_ids=[OLDER])) == {("docs", OLDER)}
    report = verify(repository, standby, collections=["docs"], check=True)
    assert verdicts(report.as_result()) == [["good", "good"], ["good", "absent"]]
    for names, choice in (
        (["nothing"], Choice()),
        (["docs", "images"], Choice(backup_ids=["20200101T000000Z-ffffff"])),
    ):
        with pytest.raises(errors.BackupNotFound):
            verify(repository, standby, collections=names, choice=choice)


def test_a_share_each_day_reads_everything_in_turn(repository: Repository, standby: Repository) -> None:
    ids = [f"202611{day}T020000Z-00000{number}" for number, day in enumerate(range(10, 15))]
    for backup_id in ids:
        make_backup(repository, backup_id=backup_id)
    read = []
    for run in range(5):
        report = verify(repository, standby, sample_percent=20)
        assert (len(report.backups), report.chosen) == (1, 5), run
        read += [entry["backup_id"] for entry in report.backups]
    assert read == ids


def test_a_region_out_of_reach_leaves_the_others_verified(
    repository: Repository, standby: Repository, manifest: Manifest, s3_server: SeaweedServer, bucket: str
) -> None:
    denied = Repository(location_on(s3_server, bucket, name="denied", secret_key="wrong"))
    with pytest.raises(errors.StoreUnreachable, match="denied") as caught:
        verify(denied, repository, standby)
    assert verdicts(caught.value.result) == [["unreachable", "good", "good"]]
    assert [entry["region"] for entry in caught.value.result["unreachable_regions"]] == ["denied"]
    flip(repository, manifest)
    result = failure_of(denied, repository, standby, repair=False)
    assert result["findings"][0]["healthy"] == ["standby"]


def test_a_region_that_goes_away_meanwhile_is_not_called_damaged(
    repository: Repository, standby: Repository, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers the listing and the manifest, and then no more."""

    def gone(key: str, offset: int, length: int) -> bytes:
        raise errors.StoreUnreachable(f"no answer for {key} from {offset}, {length} bytes")

    monkeypatch.setattr(standby, "get_range", gone)
    with pytest.raises(errors.StoreUnreachable, match="standby: no answer") as caught:
        verify(repository, standby, repair=True)
    result = caught.value.result
    assert (result["findings"], verdicts(result)) == ([], [["good", "unreachable"]])
    assert record_of(repository)["content"]["result"] == "good"
    assert layout.verified_key("docs", NEWER) not in holdings(standby)


def test_credentials_that_may_only_read_get_a_warning(
    repository: Repository, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refuses every write."""

    def refuse(key: str, data: bytes, **_how: Any) -> None:
        raise errors.StoreDenied(f"{len(data)} bytes for {key} were refused")

    monkeypatch.setattr(repository, "put", refuse)
    report = verify(repository)
    assert (report.changed, verdicts(report.as_result())) == (False, [["good"]])
    assert "could not be kept" in report.warnings[0]


def test_what_is_missing_is_repaired_without_reading_the_rest(
    repository: Repository, standby: Repository, manifest: Manifest
) -> None:
    lose_object(standby, manifest)
    flip_byte(repository, SHARD_1, 3)
    failed = failure_of(repository, standby, level="exists", repair=True)
    assert "No source has a good copy" in failed["findings"][0]["reason"]
    store_object(repository, SHARD_1, SHARDS[1])
    done = verify(repository, standby, level="exists", repair=True).as_result()
    assert (verdicts(done), done["bytes_read"]) == ([["good", "repaired"]], 0)
    assert verify_all(standby) == [NEWER]
    assert record_of(standby).keys() == {"exists"}


def test_regions_of_different_clusters_are_refused(repository: Repository, s3_server: SeaweedServer) -> None:
    other = Repository(location_on(s3_server, repository.location.bucket, name="other", cluster="staging"))
    with pytest.raises(errors.InvalidInput, match="staging"):
        verify(repository, other)
