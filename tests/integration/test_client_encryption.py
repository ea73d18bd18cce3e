# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are encrypted before they are sent: nothing to read in the store, and everything back with the key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedBackup,
    InvalidInput,
    StoreUnreachable,
    WrongKey,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import part_upload
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
    plan_backup,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import (
    committed_ids,
    read_manifest,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import (
    RestoreRequest,
    plan_restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import PART, flip_byte, with_key
from tests.proofs import holdings, state_of, verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

KEY, OTHER = secrets.token_hex(32), secrets.token_hex(32)
# A payload that every point has, and that stands in the segments as it is.
KNOWN = "known-plaintext-in-every-payload"


def name_of(key: str) -> str:
    """What messages call a master key."""
    return fingerprint(bytes.fromhex(key))


@pytest.fixture
def collection(qdrant: Qdrant, make_collection: Callable[..., str]) -> str:
    """A collection whose points have a payload that can be searched for."""
    name = make_collection(points=300)
    body = {"payload": {"word": KNOWN}, "filter": {}}
    qdrant.call("POST", f"/collections/{name}/points/payload", body, {"wait": True})
    return name


@pytest.fixture
def target(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist; it is deleted after the test."""
    name = f"restored-{secrets.token_hex(6)}"
    yield name
    qdrant.delete_collection(name)


def everything(repository: Repository) -> dict[str, bytes]:
    return {item.key: repository.get(item.key) for item in repository.list()}


def test_the_store_sees_no_plaintext_and_a_restore_brings_all_back(
    qdrant: Qdrant, collection: str, target: str, repository: Repository, standby: Repository
) -> None:
    backup_id = back_up(qdrant, repository, BackupRequest(collection))["backup_id"]
    assert any(KNOWN.encode() in data for data in everything(repository).values()), "the test can see it where it is"
    assert read_manifest(repository, collection, backup_id)[0].probes["vectors"].keys() == {"text", "image"}

    sealed = with_key(standby, KEY)
    made = back_up(qdrant, sealed, BackupRequest(collection))
    stored = everything(standby)
    manifest = read_manifest(standby, collection, made["backup_id"])[0]
    assert made["client_encryption"] == [name_of(KEY)]
    assert not [key for key, data in stored.items() if KNOWN.encode() in data]
    assert not [key for key, data in stored.items() if b'"queries"' in data or b'"expected"' in data]
    assert KEY not in repr(sealed.location)
    assert all(KEY.encode() not in data and bytes.fromhex(KEY) not in data for data in stored.values())
    assert manifest.probes["vectors"] == {}

    # Who has no key can still prove what is stored.
    assert verify_all(standby) == [made["backup_id"]]
    assert verify_backups([standby], VerifyRequest([collection], Choice(), "content")).findings == []

    done = restore([qdrant], [sealed], RestoreRequest(collection, target=target))
    assert collection_digest(qdrant, target) == collection_digest(qdrant, collection)
    assert done["check"]["recall_at_10"] is not None, "the recorded probes were opened and asked"


def test_a_part_that_is_damaged_in_one_region_comes_from_the_next(
    qdrant: Qdrant, collection: str, target: str, repository: Repository, standby: Repository
) -> None:
    first, second = with_key(repository, KEY), with_key(standby, KEY)
    back_up(qdrant, first, BackupRequest(collection))
    # A copy needs no key, and neither does whoever looks for damage.
    copy_backups(repository, [standby], [collection], Choice())
    manifest = read_manifest(repository, collection, newest(repository, collection))[0]
    key = manifest.object_key(manifest.shards[0])
    flip_byte(repository, key, 100)

    done = restore([qdrant], [first, second], RestoreRequest(collection, target=target))

    assert collection_digest(qdrant, target) == collection_digest(qdrant, collection)
    assert [(entry["object"], entry["source"], entry["served_by"]) for entry in done["damaged"]] == [
        (key, "primary", "standby")
    ]
    verify_backups([repository, standby], VerifyRequest([collection], Choice(), "content", repair=True))
    assert verify_all(repository) == verify_all(standby) == [manifest.backup_id]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, f"is encrypted with the key {name_of(KEY)}; no key was given"),
        (OTHER, f"is encrypted with the key {name_of(KEY)}; the key given has {name_of(OTHER)}"),
    ],
    ids=["no key", "another key"],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_without_the_key_a_restore_changes_nothing(
    qdrant: Qdrant, collection: str, target: str, repository: Repository, key: str | None, words: str, overwrite: bool
) -> None:
    back_up(qdrant, with_key(repository, KEY), BackupRequest(collection))
    before = state_of(qdrant, collection), holdings(repository)
    sources = [with_key(repository, key)]
    request = RestoreRequest(collection, target=None if overwrite else target, overwrite=overwrite)
    for attempt in (plan_restore, restore):
        with pytest.raises(WrongKey, match=words) as refusal:
            attempt([qdrant], sources, request)
        assert (refusal.value.code, "Nothing was changed" in refusal.value.hint) == ("wrong_key", True)
    assert (state_of(qdrant, collection), holdings(repository)) == before


def test_a_backup_with_a_key_that_cannot_be_used_is_not_begun(
    qdrant: Qdrant, collection: str, repository: Repository
) -> None:
    before = state_of(qdrant, collection)
    for attempt in (plan_backup, back_up):
        with pytest.raises(InvalidInput, match="holds no key"):
            attempt(qdrant, with_key(repository, "short"), BackupRequest(collection))
    assert (state_of(qdrant, collection), holdings(repository)) == (before, {})


def test_what_was_encrypted_wrongly_never_reaches_the_server(
    qdrant: Qdrant, collection: str, target: str, repository: Repository
) -> None:
    """Stored bytes that match the manifest, of a manifest that is valid, and yet not the archive that was made."""
    sealed = with_key(repository, KEY)
    made = back_up(qdrant, sealed, BackupRequest(collection))["backup_id"]
    manifest = read_manifest(repository, collection, made)[0]
    for shard in manifest.shards:
        shard["object"]["client_encryption"]["plain_sha256"] = "0" * 64
    repository.put(layout.manifest_key(collection, made), Manifest(manifest.fields).dump())
    before = state_of(qdrant, collection)
    for request in (RestoreRequest(collection, target=target), RestoreRequest(collection, overwrite=True)):
        with pytest.raises(DamagedBackup, match="is not what the manifest describes"):
            restore([qdrant], [sealed], request)
    assert state_of(qdrant, collection) == before


def test_an_archive_of_several_parts_comes_back(
    qdrant: Qdrant,
    make_collection: Callable[..., str],
    target: str,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part_upload, "SMALLEST_PART", PART)
    name = make_collection(points=6000, dimensions={"text": 384}, shard_number=1)
    sealed = with_key(repository, KEY)
    made = back_up(qdrant, sealed, BackupRequest(name))["backup_id"]
    stored = read_manifest(repository, name, made)[0].shards[0]["object"]
    assert (stored["part_size"], len(stored["parts"]) > 2) == (PART, True)
    assert stored["size"] == stored["client_encryption"]["plain_size"] + 80 * len(stored["parts"])
    assert verify_all(repository) == [made]
    restore([qdrant], [sealed], RestoreRequest(name, target=target))
    assert collection_digest(qdrant, target) == collection_digest(qdrant, name)


def test_a_run_that_fails_leaves_nothing(
    qdrant: Qdrant, collection: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise StoreUnreachable("The store is gone.")

    sealed = with_key(repository, KEY)
    monkeypatch.setattr(sealed, "put", refuse_archives(sealed.put, refuse))
    with pytest.raises(StoreUnreachable, match="The store is gone"):
        back_up(qdrant, sealed, BackupRequest(collection))
    assert (holdings(repository), qdrant.snapshots(collection)) == ({}, [])


def refuse_archives(put: Callable[..., Any], refuse: Callable[..., Any]) -> Callable[..., Any]:
    """``put`` that fails for shard archives only."""
    return lambda key, *args, **more: (refuse if key.endswith(".snapshot") else put)(key, *args, **more)


def newest(repository: Repository, collection: str) -> str:
    return max(committed_ids(repository, collection))
