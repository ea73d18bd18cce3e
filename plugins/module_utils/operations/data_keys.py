# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data keys of backups that are encrypted before they are sent: made for a share, opened for a restore."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import StoreError, WrongKey
from ..formats.key_wrap import KeyRecord, key_context, master_key_of
from ..formats.manifest import Manifest
from ..formats.probes import seal_probes
from ..formats.sealed import KEY_ID_SIZE, SALT_SIZE, PartSealer
from ..stores.master_keys import MasterKey, key_ring, open_with
from ..stores.repository import Repository
from .key_records import read_key_record

Json = dict[str, Any]
_GIVE_THE_KEY = "Give that key as client_encryption of a repository, or as one of its old_keys."


@dataclass(frozen=True)
class DataKey:
    """The key that one share of a backup is encrypted with, and its ``wrap`` for the manifest."""

    id: str
    secret: bytes = field(repr=False)
    wrap: Json

    def sealer(self) -> PartSealer:
        """What encrypts one further object."""
        return PartSealer(self.secret, self.id, os.urandom(SALT_SIZE))

    def seal_probes(self, probes: Json) -> Json:
        """Recall probes, which hold vectors and ids, as unreadable as the archives."""
        return seal_probes(probes, self.secret, self.id, os.urandom(SALT_SIZE))


def new_data_key(repository: Repository, collection: str, backup_id: str) -> DataKey | None:
    """A key for a share of this backup; None where the repository does not encrypt before it sends.

    Raises InvalidInput or MissingDependency where it cannot, and what a key service raises.
    """
    ring = key_ring(repository.location)
    if ring is None:
        return None
    key_id = os.urandom(KEY_ID_SIZE).hex()
    context = key_context(repository.location.cluster, collection, backup_id, key_id)
    return DataKey(key_id, *ring.current.generate(context))


def contexts_of(manifest: Manifest) -> Iterator[tuple[str, Json, dict[str, str]]]:
    """Id, wrap and context of each data key of a backup."""
    for key_id, wrap in manifest.data_keys.items():
        yield key_id, wrap, key_context(manifest.cluster, manifest.collection, manifest.backup_id, key_id)


def open_data_keys(manifest: Manifest, sources: Sequence[Repository]) -> dict[str, bytes]:
    """The data keys of a backup by their ids; none for one that is not encrypted.

    The keys of all ``sources`` are tried, on the wraps in the manifest and on those that were made later in any source.
    Raises ``WrongKey``, and what a key or a key service raises.
    """
    if not manifest.data_keys:
        return {}
    rings = [ring for source in sources if (ring := key_ring(source.location)) is not None]
    keys = [key for ring in rings for key in ring.keys]
    records: list[KeyRecord] | None = None
    opened: dict[str, bytes] = {}
    for key_id, wrap, context in contexts_of(manifest):
        data_key = None
        with suppress(StoreError):
            data_key = open_with(keys, [wrap], context)
        if data_key is None:
            records = later_wraps(manifest, sources) if records is None and keys else records or []
            wraps = [wrap, *(each for record in records for each in record.of(key_id))]
            data_key = open_with(keys, wraps, context)
            if data_key is None:
                error = wrong_key(manifest, wraps, keys)
                error.hint = f"Nothing was changed. {error.hint}"
                raise error
        opened[key_id] = data_key
    return opened


def later_wraps(manifest: Manifest, sources: Sequence[Repository]) -> list[KeyRecord]:
    """The records of every source that answers."""
    records = []
    for source in sources:
        with suppress(StoreError):
            if len(sources) > 1:
                source.require_connection()
            records.append(read_key_record(source, manifest))
    return records


def wrong_key(manifest: Manifest, wraps: Sequence[Json], keys: Sequence[MasterKey]) -> WrongKey:
    """The error that names the master keys of ``wraps``, and those that were given."""
    needed = " or ".join(dict.fromkeys(map(master_key_of, wraps)))
    given = ", ".join(dict.fromkeys(key.name for key in keys))
    if not given:
        told = "no key was given"
    elif set(map(master_key_of, wraps)) & {key.name for key in keys}:
        told = f"that key ({given}) does not open it: its wrap is damaged, or of another backup"
    else:
        told = f"the key given has {given}"
    return WrongKey(
        f"Backup {manifest.backup_id} of {manifest.collection!r} is encrypted with the key {needed}; {told}.",
        _GIVE_THE_KEY,
    )
