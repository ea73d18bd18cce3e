# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Master keys as playbooks give them, and their rotation in all regions."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    Busy,
    DamagedBackup,
    InvalidInput,
    PartlyFailed,
    StoreUnreachable,
    WrongKey,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import prune as prune_operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.data_keys import open_data_keys
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import collection_lock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.rewrap import RewrapReport, rewrap_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.emulated_s3 import kms_key
from tests.made_backups import as_option, make_backup, make_sealed_backup, with_key
from tests.proofs import holdings, verify_all

pytestmark = pytest.mark.s3

OLD, NEW, OTHER = (secrets.token_hex(32) for _number in range(3))
IDS = [f"202611{day:02}T020000Z-{day:06x}" for day in (1, 2, 3)]


def states(report: RewrapReport) -> dict[tuple[str, str], str]:
    return {(entry["region"], entry["backup_id"]): entry["state"] for entry in report.backups}


def rotated(repository: Repository) -> Repository:
    """The repository with the new key, and the old one to open with."""
    return with_key(repository, NEW, old_keys=[{"key": OLD}])


def without_locks(repository: Repository) -> dict[str, str]:
    return {key: etag for key, etag in holdings(repository).items() if not key.startswith(".locks/")}


def key_file(folder: Path, name: str, key: str) -> str:
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(f"{key}\n", encoding="ascii")
    return str(path)


@pytest.fixture
def restored(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist; it is deleted after the test."""
    name = f"restored-{secrets.token_hex(6)}"
    yield name
    qdrant.delete_collection(name)


# -- as playbooks do it


@pytest.mark.qdrant
@pytest.mark.parametrize("kind", ["file", "environment", "option", "kms"])
def test_modules_take_the_key_from_where_it_is(
    run_module: Callable[..., dict[str, Any]],
    make_collection: Callable[..., str],
    qdrant: Qdrant,
    restored: str,
    repository: Repository,
    standby: Repository,
    moto_s3: str,
    tmp_path: Path,
    kind: str,
) -> None:
    name = make_collection(points=100)
    options: dict[str, dict[str, Any]] = {
        "file": {"key_file": key_file(tmp_path, "backup.key", OLD)},
        "environment": {"key_env": "BACKUP_KEY"},
        "option": {"key": OLD},
        "kms": {"kms_key_id": kms_key(moto_s3), "kms_endpoint_url": moto_s3, "kms_region": "us-east-1"},
    }
    env = {"BACKUP_KEY": OLD} if kind == "environment" else {}
    place = {**as_option(repository.location), "client_encryption": options[kind]}
    url = qdrant.connection.url

    made = run_module("backup", {"url": url, "repository": place, "collections": [name]}, env=env)
    assert not made.get("failed"), made
    near, far = as_option(repository.location), as_option(standby.location)
    copied = run_module("backup_copy", {"source": near, "destinations": [far], "collections": [name]})
    away = {**far, "client_encryption": options[kind]}
    done = run_module("restore", {"url": url, "sources": [away], "collection": name, "target": restored}, env=env)

    assert not done.get("failed"), done
    assert collection_digest(qdrant, restored) == collection_digest(qdrant, name)
    listed = run_module("backup_info", {"repository": far})
    (shown,) = listed["backups"][0]["client_encryption"]
    assert shown.endswith(options["kms"]["kms_key_id"] if kind == "kms" else fingerprint(bytes.fromhex(OLD)))
    assert copied["copied"][0]["keys_copied"] is False

    seen, closed = (
        run_module("backup_info", {"repository": each, "manifest": True}, env=env)["backups"][0]["manifest"]["probes"]
        for each in (away, far)
    )
    measured = run_module("collection_check", {"url": url, "collection": restored, "probes": seen})
    unmeasured = run_module("collection_check", {"url": url, "collection": restored, "probes": closed})
    assert (measured.get("exact_recall_at_10"), unmeasured["failure"]["code"]) == (1.0, "invalid_input")
    assert OLD not in json.dumps([made, done, listed])

    refused = run_module("restore", {"url": url, "sources": [far], "collection": name}, check=True)
    assert refused["failure"]["code"] == "wrong_key"
    assert shown in refused["msg"]


@pytest.mark.qdrant
def test_after_a_rotation_the_new_key_alone_restores_in_both_regions(
    run_module: Callable[..., dict[str, Any]],
    make_collection: Callable[..., str],
    qdrant: Qdrant,
    restored: str,
    repository: Repository,
    standby: Repository,
    tmp_path: Path,
) -> None:
    name = make_collection(points=100)
    old, new = ({"key_file": key_file(tmp_path, f"{key[:4]}.key", key)} for key in (OLD, NEW))
    both = [as_option(region.location) for region in (repository, standby)]
    url = qdrant.connection.url
    run_module("backup", {"url": url, "repository": {**both[0], "client_encryption": old}, "collections": [name]})
    copy_backups(repository, [standby], [name], Choice())

    rotate = {"repositories": [{**place, "client_encryption": {**new, "old_keys": [old]}} for place in both]}
    planned = run_module("backup_rewrap", rotate, check=True)
    before = without_locks(repository), without_locks(standby)
    done = run_module("backup_rewrap", rotate)
    again = run_module("backup_rewrap", rotate)

    assert (planned["changed"], planned["rewrapped"], planned["backups"]) == (True, 2, done["backups"])
    assert (done["changed"], done["rewrapped"]) == (True, 2)
    assert (again["changed"], {entry["state"] for entry in again["backups"]}) == (False, {"unchanged"})
    for region, had in zip((repository, standby), before, strict=True):
        has = without_locks(region)
        key = layout.keys_key(name, done["backups"][0]["backup_id"])
        assert has == {**had, key: has[key]}, "one object more, and no other is touched"
        source = {**as_option(region.location), "client_encryption": new}
        result = run_module("restore", {"url": url, "sources": [source], "collection": name, "target": restored})
        assert not result.get("failed"), result
        assert collection_digest(qdrant, restored) == collection_digest(qdrant, name)
        qdrant.delete_collection(restored)


# -- in the store alone


def test_only_what_the_new_key_does_not_open_is_wrapped_again(repository: Repository) -> None:
    first = make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    second = make_sealed_backup(with_key(repository, NEW), backup_id=IDS[1])
    make_backup(repository, backup_id=IDS[2])

    report = rewrap_backups([rotated(repository)], None)

    assert states(report) == {
        ("primary", IDS[0]): "rewrapped",
        ("primary", IDS[1]): "unchanged",
        ("primary", IDS[2]): "not_encrypted",
    }
    for manifest in (first, second):
        keys = open_data_keys(manifest, [with_key(repository, NEW)])
        assert keys == open_data_keys(manifest, [rotated(repository)])
    assert open_data_keys(first, [with_key(repository, OLD)]) == open_data_keys(first, [with_key(repository, NEW)])
    assert verify_all(repository) == IDS


def test_what_no_key_opens_is_named_and_the_others_are_done(repository: Repository) -> None:
    make_sealed_backup(with_key(repository, OTHER), backup_id=IDS[0])
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[1])
    with pytest.raises(WrongKey, match=f"Backup {IDS[0]} of 'docs' is encrypted with the key") as failure:
        rewrap_backups([rotated(repository)], ["docs"])
    assert failure.value.result["rewrapped"] == 1
    assert [entry["backup_id"] for entry in failure.value.result["failures"]] == [IDS[0]]
    make_sealed_backup(with_key(repository, OTHER), backup_id=IDS[2])
    with pytest.raises(PartlyFailed, match="2 rotations failed"):
        rewrap_backups([rotated(repository)], ["docs"])


def test_every_region_must_have_a_key(repository: Repository, standby: Repository) -> None:
    with pytest.raises(InvalidInput, match="'standby' has no client_encryption"):
        rewrap_backups([rotated(repository), standby], None)


def test_a_region_that_cannot_be_asked_leaves_the_other_rotated(repository: Repository, standby: Repository) -> None:
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    gone = with_key(standby, NEW)
    gone.location = type(gone.location)(
        **{**vars(gone.location), "endpoint_url": "http://127.0.0.1:9", "connect_timeout": 1}
    )
    with pytest.raises(StoreUnreachable) as failure:
        rewrap_backups([gone, rotated(repository)], None)
    assert failure.value.result["rewrapped"] == 1


def test_each_region_may_have_a_key_of_its_own(repository: Repository, standby: Repository) -> None:
    """The data key is opened by what any region has, and wrapped for each."""
    manifest = make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    copy_backups(repository, [standby], ["docs"], Choice())
    rewrap_backups([rotated(repository), with_key(standby, OTHER, old_keys=[{"key": OLD}])], None)
    assert open_data_keys(manifest, [with_key(standby, OTHER)]) == open_data_keys(manifest, [with_key(repository, NEW)])
    with pytest.raises(WrongKey):
        open_data_keys(manifest, [with_key(standby, NEW)])
    # A wrap in a region that is asked helps a source that lacks it.
    assert open_data_keys(manifest, [with_key(standby, None), with_key(repository, NEW)])
    assert open_data_keys(manifest, [with_key(standby, NEW), repository])


def test_a_rotation_leaves_others_who_write_alone(repository: Repository) -> None:
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    with collection_lock(repository, "docs"), pytest.raises(Busy):
        rewrap_backups([rotated(repository)], None)
    assert layout.keys_key("docs", IDS[0]) not in holdings(repository)


def test_a_rotation_that_was_interrupted_goes_on(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for backup_id in IDS:
        make_sealed_backup(with_key(repository, OLD), backup_id=backup_id)
    region = rotated(repository)
    put = region.put

    def dying(key: str, *args: Any, **more: Any) -> Any:
        if key == layout.keys_key("docs", IDS[1]):
            raise KeyboardInterrupt
        return put(key, *args, **more)

    monkeypatch.setattr(region, "put", dying)
    with pytest.raises(KeyboardInterrupt):
        rewrap_backups([region], None)
    monkeypatch.undo()
    report = rewrap_backups([rotated(repository)], None)
    assert sorted(states(report).values()) == ["rewrapped", "rewrapped", "unchanged"]


def test_a_copy_brings_later_wraps_and_overwrites_none(repository: Repository, standby: Repository) -> None:
    manifest = make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    copy_backups(repository, [standby], ["docs"], Choice())
    rewrap_backups([rotated(repository)], None)
    rewrap_backups([with_key(standby, OTHER, old_keys=[{"key": OLD}])], None)

    planned = copy_backups(repository, [standby], ["docs"], Choice(), check=True)
    report = copy_backups(repository, [standby], ["docs"], Choice())
    again = copy_backups(repository, [standby], ["docs"], Choice())

    for done in (planned, report):
        assert [(entry["keys_copied"], entry["objects"], entry["bytes"]) for entry in done.copied] == [(True, 0, 0)]
    assert (again.copied, len(again.unchanged)) == ([], 1)
    for key in (OLD, NEW, OTHER):
        assert open_data_keys(manifest, [with_key(standby, key)]), "all three open it there"


def test_a_new_copy_comes_with_its_later_wraps(repository: Repository, standby: Repository) -> None:
    manifest = make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    rewrap_backups([rotated(repository)], None)
    report = copy_backups(repository, [standby], ["docs"], Choice())
    assert [(entry["keys_copied"], entry["objects"]) for entry in report.copied] == [(True, 1)]
    assert open_data_keys(manifest, [with_key(standby, NEW)])


@pytest.mark.parametrize("level", ["exists", "content"])
def test_a_verification_with_a_key_finds_what_that_does_not_open(
    repository: Repository, standby: Repository, level: str
) -> None:
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    copy_backups(repository, [standby], ["docs"], Choice())
    request = VerifyRequest(None, Choice(), level, repair=True)
    assert verify_backups([with_key(repository, OLD), standby], request).findings == []
    assert verify_backups([rotated(repository), standby], request).findings == [], "an old key opens as well"

    with pytest.raises(DamagedBackup, match="is encrypted with the key") as failure:
        verify_backups([with_key(repository, NEW), standby], request)
    (finding,) = failure.value.result["findings"]  # type: ignore[misc, attr-defined]
    assert (finding["region"], finding["problem"], finding["repaired"]) == ("primary", "key", False)
    assert "backup_rewrap" in failure.value.hint

    rewrap_backups([rotated(repository)], None)
    assert verify_backups([with_key(repository, NEW), standby], request).findings == []


def test_a_key_service_out_of_reach_is_not_taken_for_damage(repository: Repository) -> None:
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[0])
    kms = {"kms_key_id": "gone", "kms_endpoint_url": "http://127.0.0.1:9"}
    region = with_key(repository, OTHER, old_keys=[kms])
    record = json.loads(repository.get(layout.manifest_key("docs", IDS[0])))
    (key_id,) = record["data_keys"]
    whole = {"schema_version": 1, "kind": "vectorops.qdrant_dr/keys", "manifest_sha256": record["manifest_sha256"]}
    wraps = {key_id: [{"kind": "aws:kms", "key_id": "arn", "wrapped": "AAAA"}]}
    repository.put(layout.keys_key("docs", IDS[0]), json.dumps({**whole, "wraps": wraps}).encode())
    with pytest.raises(StoreUnreachable, match="the KMS key gone"):
        verify_backups([region], VerifyRequest(None, Choice(), "exists"))


# -- what goes with a backup


def prune(repository: Repository, keep_last: int = 1) -> Any:
    limits = PruneLimits(grace=86400.0, require_verified=False, max_delete_percent=100.0)
    return prune_backups([repository], PruneRequest(None, RetentionPolicy(keep_last=keep_last), limits))


def test_the_keys_go_with_their_backup_and_no_others(repository: Repository) -> None:
    for backup_id in IDS:
        make_sealed_backup(with_key(repository, OLD), backup_id=backup_id)
    rewrap_backups([rotated(repository)], None)
    prune(repository)
    left = without_locks(repository)
    assert [key for key in left if "/keys/" in key] == [layout.keys_key("docs", IDS[2])]
    assert {layout.folder_of(key) for key in left if layout.folder_of(key)} == {IDS[2]}


def test_keys_without_a_backup_are_swept_after_the_time_of_grace(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sealed_backup(with_key(repository, OLD), backup_id=IDS[2])
    rewrap_backups([rotated(repository)], None)
    lonely = layout.keys_key("docs", IDS[0])
    repository.put(lonely, b"{}")
    assert prune(repository).pruned[0]["swept"] == []
    ahead = datetime.now(timezone.utc) + timedelta(days=1, minutes=1)
    monkeypatch.setattr(prune_operation, "store_time", lambda _region: ahead)
    assert prune(repository).pruned[0]["swept"] == [f"object {lonely}"]
    assert layout.keys_key("docs", IDS[2]) in holdings(repository)
