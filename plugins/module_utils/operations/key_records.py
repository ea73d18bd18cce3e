# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wraps of data keys that were made after their backup, in each repository beside it."""

from __future__ import annotations

from ..errors import DamagedBackup, ObjectNotFound
from ..formats import layout
from ..formats.key_wrap import KeyRecord
from ..formats.manifest import Manifest
from ..stores.repository import Repository
from .object_copy import CHECK_STORE


def read_key_record(region: Repository, manifest: Manifest) -> KeyRecord:
    """The later wraps of a backup's data keys; an empty record where there are none."""
    try:
        data = region.get(layout.keys_key(manifest.collection, manifest.backup_id))
    except ObjectNotFound:
        return KeyRecord(manifest.sha256)
    return KeyRecord.parse(data, manifest.sha256)


def write_key_record(region: Repository, manifest: Manifest, record: KeyRecord) -> None:
    """Store the record and read it back; the caller holds the lock of the collection. Raises ``DamagedBackup``."""
    key, data = layout.keys_key(manifest.collection, manifest.backup_id), record.dump()
    region.put(key, data, content_type="application/json")
    if region.get(key) != data:
        raise DamagedBackup(f"{region.url(key)} does not read back as it was written.", CHECK_STORE)


def missing_wraps(source: Repository, destination: Repository, manifest: Manifest) -> KeyRecord | None:
    """The record that ``destination`` would have with all wraps of ``source``; None where it lacks none of them."""
    if not manifest.data_keys:
        return None
    there, wanted = read_key_record(destination, manifest), read_key_record(source, manifest)
    if not there.lacks(wanted):
        return None
    there.take(wanted)
    return there
