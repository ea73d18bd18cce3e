# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wraps of data keys beside what they belong to, in each repository: those that were made after a backup, and those
of archived logs."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import DamagedBackup, ObjectNotFound
from ..formats import layout
from ..formats.key_wrap import KeyRecord
from ..formats.manifest import Manifest
from ..stores.repository import Repository
from .object_copy import CHECK_STORE


def read_key_record(region: Repository, manifest: Manifest) -> KeyRecord:
    """The later wraps of a backup's data keys; an empty record where there are none."""
    key, owner = layout.keys_key(manifest.collection, manifest.backup_id), {"manifest_sha256": manifest.sha256}
    return record_at(region, key, owner)


def record_at(region: Repository, key: str, owner: Mapping[str, str]) -> KeyRecord:
    """The wraps at ``key`` of what belongs to ``owner``; an empty record where there are none."""
    try:
        return KeyRecord.parse(region.get(key), owner)
    except ObjectNotFound:
        return KeyRecord(owner)


def write_key_record(region: Repository, manifest: Manifest, record: KeyRecord) -> None:
    """As ``write_record``, of a backup."""
    write_record(region, layout.keys_key(manifest.collection, manifest.backup_id), record)


def write_record(region: Repository, key: str, record: KeyRecord) -> None:
    """Store the record and read it back; the caller holds the lock of the collection. Raises ``DamagedBackup``."""
    data = record.dump()
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
