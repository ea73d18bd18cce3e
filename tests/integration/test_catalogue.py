# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of a repository, and the choice of a backup from several regions."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import (
    find_backup,
    freshness,
    newest_committed,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.holdings import read_holdings
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.regions_catalogue import (
    list_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, location_on, make_backup, manifest_of
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

MONDAY, TUESDAY, WEDNESDAY = ("20261123T020000Z-aaaaaa", "20261124T020000Z-bbbbbb", "20261125T020000Z-cccccc")
NOON_OF_TUESDAY = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture
def repository(s3_server: SeaweedServer, bucket: str) -> Repository:
    return Repository(location_on(s3_server, bucket))


@pytest.fixture
def standby(s3_server: SeaweedServer, bucket: str) -> Repository:
    """A second repository, which stands for another region."""
    return Repository(location_on(s3_server, bucket, prefix="standby", name="standby"))


@pytest.fixture
def unreachable(s3_server: SeaweedServer, bucket: str) -> Repository:
    return Repository(location_on(s3_server, bucket, name="gone", endpoint_url="http://127.0.0.1:1"), max_attempts=1)


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["backup_id"] for entry in entries]


def damage_manifest(repository: Repository, backup_id: str) -> None:
    key = layout.manifest_key("docs", backup_id)
    repository.put(key, repository.get(key)[:-40])


def test_backups_are_listed_newest_first(repository: Repository) -> None:
    assert list_backups(repository) == list_backups(repository, "docs") == []
    manifests = {backup_id: make_backup(repository, "docs", backup_id) for backup_id in (TUESDAY, MONDAY, WEDNESDAY)}
    make_backup(repository, "other", TUESDAY)
    entries = list_backups(repository, "docs")
    assert entries == [
        {**manifests[backup_id].summary(), "regions": ["primary"]} for backup_id in (WEDNESDAY, TUESDAY, MONDAY)
    ]
    assert [entry["collection"] for entry in list_backups(repository)] == ["docs", "docs", "other", "docs"]
    assert ids(list_backups(repository, "docs", since=NOON_OF_TUESDAY)) == [WEDNESDAY]
    assert ids(list_backups(repository, "docs", until=NOON_OF_TUESDAY)) == [TUESDAY, MONDAY]
    assert ids(list_backups(repository, "docs", limit=1)) == [WEDNESDAY]
    assert list_backups(repository, "other", manifests=True)[0]["manifest"]["backup_id"] == TUESDAY


def test_a_long_listing_misses_and_repeats_nothing(repository: Repository) -> None:
    """More than the 1,000 keys of a page, so it is read in ranges; some ids are ahead of this host's clock."""
    held = [
        f"{year}{month:02}{1 + day:02}T{hour:02}0000Z-{day:06x}"
        for year in (2024, 2026, 2199)
        for month in (1, 11)
        for day in range(28)
        for hour in (3, 15)
    ]
    keys = [layout.backup_prefix("docs", name) + file for name in held for file in ("a", layout.MANIFEST, "nodes/b")]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: repository.put(key, b"x"), keys))
    found = read_holdings(repository, "docs")
    assert [item.key for items in found.folders.values() for item in items] == sorted(keys)
    assert list(found.manifests) == sorted(held)


def test_what_is_not_committed_is_no_backup(repository: Repository) -> None:
    make_backup(repository, "docs", MONDAY)
    repository.put(layout.backup_prefix("docs", WEDNESDAY) + "shards/0.snapshot", b"half")
    repository.put("docs/backups/not-a-backup/manifest.json", b"{}")
    assert ids(list_backups(repository, "docs", limit=1)) == [MONDAY]
    assert read_holdings(repository, "docs").uncommitted() == [WEDNESDAY]
    newest = newest_committed(repository, "docs")
    assert newest is not None
    assert newest.backup_id == MONDAY


def test_a_damaged_manifest_is_named_and_hides_nothing(repository: Repository) -> None:
    make_backup(repository, "docs", MONDAY)
    make_backup(repository, "docs", TUESDAY)
    damage_manifest(repository, TUESDAY)
    damaged, good = list_backups(repository, "docs")
    assert (damaged["backup_id"], damaged["state"], damaged["collection"]) == (TUESDAY, "damaged", "docs")
    assert "complete JSON" in damaged["reason"]
    assert (good["backup_id"], good["state"]) == (MONDAY, "committed")
    newest = newest_committed(repository, "docs")
    assert newest is not None
    assert newest.backup_id == MONDAY


def altered(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **changes}).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "complete JSON"),
        (altered(schema_version=3), "schema version 3"),
        (altered(points={"before": 8, "after": 8}), "altered"),
        (lambda data: manifest_of("another", MONDAY, (b"x",)).dump(), "'another'"),
        (lambda data: manifest_of("docs", TUESDAY, (b"x",)).dump(), TUESDAY),
        (lambda data: b"", "complete JSON"),
    ],
    ids=["cut", "schema", "altered", "collection", "id", "empty"],
)
def test_a_manifest_that_is_not_this_backups_is_refused(
    repository: Repository, change: Callable[[bytes], bytes], words: str
) -> None:
    make_backup(repository, "docs", MONDAY)
    key = layout.manifest_key("docs", MONDAY)
    repository.put(key, change(repository.get(key)))
    with pytest.raises(errors.DamagedManifest, match=words):
        find_backup([repository], "docs", MONDAY)
    assert list_backups(repository, "docs")[0]["state"] == "damaged"


def test_the_newest_of_all_regions_is_found(repository: Repository, standby: Repository) -> None:
    make_backup(repository, "docs", MONDAY)
    make_backup(standby, "docs", TUESDAY)
    manifest, notes = find_backup([repository, standby], "docs")
    assert (manifest.backup_id, notes) == (TUESDAY, [])
    assert find_backup([repository, standby], "docs", before=NOON_OF_TUESDAY - timedelta(days=1))[0].backup_id == MONDAY
    assert find_backup([repository, standby], "docs", MONDAY)[0].backup_id == MONDAY


def test_a_backup_that_was_not_finished_by_then_is_too_new(repository: Repository) -> None:
    make_backup(repository, "docs", MONDAY)
    window = dict.fromkeys(("started", "snapshot_started", "finished"), "2026-11-24T02:00:00Z")
    make_backup(repository, "docs", TUESDAY, window={**window, "snapshot_finished": "2026-11-24T12:00:01.000Z"})
    assert find_backup([repository], "docs", before=NOON_OF_TUESDAY)[0].backup_id == MONDAY
    assert find_backup([repository], "docs", before=NOON_OF_TUESDAY + timedelta(seconds=2))[0].backup_id == TUESDAY


def test_a_damaged_manifest_is_taken_from_the_next_region(repository: Repository, standby: Repository) -> None:
    for each in (repository, standby):
        make_backup(each, "docs", TUESDAY)
    damage_manifest(repository, TUESDAY)
    manifest, notes = find_backup([repository, standby], "docs")
    assert manifest.backup_id == TUESDAY
    assert [(note["source"], note["object"]) for note in notes] == [("primary", layout.manifest_key("docs", TUESDAY))]
    damage_manifest(standby, TUESDAY)
    with pytest.raises(errors.DamagedManifest, match=r"primary: .* standby: "):
        find_backup([repository, standby], "docs", TUESDAY)


def test_a_region_that_cannot_be_asked_is_noted(
    repository: Repository, unreachable: Repository, s3_server: SeaweedServer, bucket: str
) -> None:
    make_backup(repository, "docs", MONDAY)
    denied = Repository(location_on(s3_server, bucket, name="denied", secret_key="wrong"))
    manifest, notes = find_backup([unreachable, denied, repository], "docs")
    assert manifest.backup_id == MONDAY
    assert [note["source"] for note in notes] == ["gone", "denied"]
    with pytest.raises(errors.StoreUnreachable, match=r"gone: .*no connection.*denied: .*SignatureDoesNotMatch"):
        find_backup([unreachable, denied], "docs")


def test_nothing_fits(repository: Repository) -> None:
    with pytest.raises(errors.BackupNotFound, match="There are no backups of it"):
        find_backup([repository], "docs")
    make_backup(repository, "docs", TUESDAY)
    for how in ({"backup_id": MONDAY}, {"before": NOON_OF_TUESDAY - timedelta(days=1)}):
        with pytest.raises(errors.BackupNotFound, match=f"There are: {TUESDAY}"):
            find_backup([repository], "docs", **how)


def test_freshness(repository: Repository) -> None:
    make_backup(repository, "docs", TUESDAY)
    newest = newest_committed(repository, "docs")
    assert freshness(newest.fields, NOON_OF_TUESDAY, 36000) == {
        "newest": TUESDAY,
        "age_seconds": 36000.0,
        "rpo_met": True,
    }
    assert freshness(newest.fields, NOON_OF_TUESDAY, 35999)["rpo_met"] is False
    assert freshness(newest.fields, NOON_OF_TUESDAY)["rpo_met"] is None
    assert freshness(None, NOON_OF_TUESDAY, 60) == {"newest": None, "age_seconds": None, "rpo_met": False}


def test_the_module_backup_info(repository: Repository, run_module: Callable[..., dict[str, Any]]) -> None:
    make_backup(repository, "docs", MONDAY)
    make_backup(repository, "docs", TUESDAY)
    make_backup(repository, "other", MONDAY)
    repository.put(layout.backup_prefix("docs", WEDNESDAY) + "shards/0.snapshot", b"half")
    option = as_option(repository.location)
    for check in (False, True):
        result = run_module("backup_info", {"repository": option, "collection": "docs", "rpo": "1h"}, check=check)
        assert result["changed"] is False
        assert ids(result["backups"]) == [TUESDAY, MONDAY]
        assert (result["newest"], result["rpo_met"]) == (TUESDAY, result["age_seconds"] <= 3600)
        assert result["uncommitted"] == [{"region": "primary", "collection": "docs", "backup_id": WEDNESDAY}]
    result = run_module("backup_info", {"repository": option, "manifest": True, "limit": 1})
    assert [(entry["collection"], entry["manifest"]["backup_id"]) for entry in result["backups"]] == [
        ("docs", TUESDAY),
        ("other", MONDAY),
    ]
    assert [entry["collection"] for entry in result["freshness"]] == ["docs", "other"]
    assert "rpo_met" not in result


@pytest.mark.parametrize(
    ("params", "repository_changes", "code"),
    [
        ({"rpo": "soon"}, {}, "invalid_input"),
        ({"since": "soon"}, {}, "invalid_input"),
        ({"limit": 0}, {}, "invalid_input"),
        ({"collection": "a/b"}, {}, "invalid_input"),
        ({}, {"kms_key_id": "k"}, "invalid_input"),
        ({}, {"bucket": "no-such-bucket"}, "bucket_not_found"),
        ({}, {"secret_key": "wrong-secret"}, "store_denied"),
        ({}, {"endpoint_url": "http://127.0.0.1:1", "connect_timeout": 1}, "store_unreachable"),
    ],
)
def test_the_module_fails_in_clear_words(
    repository: Repository,
    run_module: Callable[..., dict[str, Any]],
    params: dict[str, Any],
    repository_changes: dict[str, Any],
    code: str,
) -> None:
    option = {**as_option(repository.location), **repository_changes}
    result = run_module("backup_info", {"repository": option, **params})
    assert result["failed"]
    assert result["failure"]["code"] == code
    assert result["failure"]["detail"] in result["msg"]
    assert option["secret_key"] not in json.dumps(result)
