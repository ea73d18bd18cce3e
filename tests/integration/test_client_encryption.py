# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are encrypted before they are sent: nothing to read in the store, and everything back with the key."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import (
    RestoreRequest,
    restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ClientEncryption
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.proofs import verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

KEY, OTHER = secrets.token_hex(32), secrets.token_hex(32)
# A payload that every point has, and that stands in the segments as it is.
KNOWN = "known-plaintext-in-every-payload"


def name_of(key: str) -> str:
    """What messages call a master key."""
    return fingerprint(bytes.fromhex(key))


def with_key(repository: Repository, key: str | None = KEY, **more: Any) -> Repository:
    """The same repository, with this key for client-side encryption."""
    sealing = ClientEncryption.of({"key": key, **more}) if key or more else None
    return Repository(replace(repository.location, client_encryption=sealing))


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
    probes = read_manifest(repository, collection, backup_id)[0].probes
    a_point_in_it = json.dumps(probes["vectors"]["text"]["queries"][0]["expected"][0]["id"])
    assert a_point_in_it in json.dumps(probes)

    sealed = with_key(standby)
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
