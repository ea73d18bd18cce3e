# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit of a backup: its sidecars, then its manifest, read back."""

from __future__ import annotations

from typing import Any

from ..errors import DamagedBackup, DamagedManifest, IncompleteBackup, ObjectNotFound
from ..formats import layout
from ..formats.manifest import Manifest
from ..stores.repository import Repository
from .backup_objects import require_packs, shard_objects
from .object_copy import CHECK_STORE, put_proved


def commit(repository: Repository, manifest: Manifest) -> None:
    """Store the sidecars and, last, the manifest.

    Raises ``IncompleteBackup`` where an object is not there any more, ``DamagedBackup`` where it is not what the
    manifest says, ``EncryptionRefused``; ``DamagedManifest`` where the store gives other bytes of it back.
    """
    for shard in manifest.shards:
        key = manifest.object_key(shard)
        content = layout.sidecar(key, shard["object"]["sha256"])
        put_proved(repository, layout.sidecar_key(key), content, "text/plain")
    # Another host may have taken a run that it could not see for dead, and swept its objects.
    for key, stored in shard_objects(manifest):
        _prove_stored(repository, key, stored)
    require_packs(repository, manifest)
    key = layout.manifest_key(manifest.collection, manifest.backup_id)
    repository.put(key, manifest.dump(), if_none_match=True, content_type="application/json")
    if repository.get(key) != manifest.dump():
        raise DamagedManifest(f"The store gave other bytes for {key} than were written.", CHECK_STORE)


def _prove_stored(repository: Repository, key: str, expected: dict[str, Any]) -> None:
    try:
        stored = repository.head(key)
    except ObjectNotFound as error:
        raise IncompleteBackup(f"{key} is not in the store any more.", "Run the backup again.") from error
    repository.verify_encryption(stored)
    if stored.size != expected["size"]:
        raise DamagedBackup(f"{key} has {stored.size} bytes, its node stored {expected['size']}.", "Run it again.")
