# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit of a backup: its sidecars, then its manifest, read back."""

from __future__ import annotations

from ..errors import DamagedManifest
from ..formats import layout
from ..formats.manifest import Manifest
from ..stores.repository import Repository
from .object_copy import CHECK_STORE, put_proved


def commit(repository: Repository, manifest: Manifest) -> None:
    """Store the sidecars and, last, the manifest.

    Raises ``DamagedManifest`` or ``DamagedBackup`` where the store gives other bytes back than were written.

    Every object that the manifest names must be complete before.
    """
    for shard in manifest.shards:
        key = manifest.object_key(shard)
        content = layout.sidecar(key, shard["object"]["sha256"])
        put_proved(repository, layout.sidecar_key(key), content, "text/plain")
    key = layout.manifest_key(manifest.collection, manifest.backup_id)
    repository.put(key, manifest.dump(), if_none_match=True, content_type="application/json")
    if repository.get(key) != manifest.dump():
        raise DamagedManifest(f"The store gave other bytes for {key} than were written.", CHECK_STORE)
