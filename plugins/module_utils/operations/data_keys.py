# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data keys of what is encrypted before it is sent: made for a share of a backup, opened for a restore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from ..errors import StoreError, WrongKey
from ..formats.key_wrap import (
    LOG_KEY_RANDOM,
    KeyRecord,
    key_context,
    log_key_context,
    log_key_id,
    master_key_of,
)
from ..formats.manifest import Manifest
from ..formats.probes import seal_probes
from ..formats.sealed import KEY_ID_SIZE, SALT_SIZE, PartSealer
from ..formats.wal_chunk import seal_chunk
from ..formats.wal_chunk_header import ChunkHeader
from ..stores.master_keys import KeyRing, MasterKey, key_ring, open_with
from ..stores.repository import Repository
from .key_records import read_key_record

Json = dict[str, Any]
_GIVE_THE_KEY = "Give that key as client_encryption of a repository, or as one of its old_keys."


@dataclass(frozen=True)
class DataKey:
    """What a share of a backup, or the WAL archive for a while, is encrypted with; ``wrap``: to keep beside that."""

    id: str
    secret: bytes = field(repr=False)
    wrap: Json

    def sealer(self) -> PartSealer:
        """What encrypts one further object."""
        return PartSealer(self.secret, self.id, os.urandom(SALT_SIZE))

    def seal_chunk(self, header: ChunkHeader, body: bytearray) -> ChunkHeader:
        """Encrypt the body of a chunk of the WAL archive where it is; the header that it has then."""
        return seal_chunk(header, body, self.secret, self.id, self.wrap, os.urandom(SALT_SIZE))

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


def new_log_key(ring: KeyRing, cluster: str, collection: str, replica: str, now: datetime) -> DataKey:
    """A key for what the archiver of a node stores of a collection; raises what a key service raises."""
    key_id = log_key_id(now, os.urandom(LOG_KEY_RANDOM))
    return DataKey(key_id, *ring.current.generate(log_key_context(cluster, collection, replica, key_id)))


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
    keys = keys_of(sources)

    @cache
    def later() -> list[KeyRecord]:
        return later_wraps(manifest, sources)

    opened = {}
    for key_id, wrap, context in contexts_of(manifest):
        more = (each for record in later() for each in record.of(key_id))
        opened[key_id] = open_data_key(keys, wrap, more, context, named(manifest))
    return opened


def keys_of(sources: Sequence[Repository]) -> list[MasterKey]:
    """The master keys of all sources. Raises what ``KeyRing`` does."""
    rings = [ring for source in sources if (ring := key_ring(source.location)) is not None]
    return [key for ring in rings for key in ring.keys]


def open_data_key(
    keys: Sequence[MasterKey], wrap: Json, later: Iterable[Json], context: dict[str, str], what: str
) -> bytes:
    """A data key by its first ``wrap``, or else by ``later`` ones, which are only then asked for.

    ``what`` is encrypted with it. Raises ``WrongKey``, and what a key service raises.
    """
    with suppress(StoreError):
        data_key = open_with(keys, [wrap], context)
        if data_key is not None:
            return data_key
    wraps = [wrap, *(later if keys else ())]
    data_key = open_with(keys, wraps, context)
    if data_key is None:
        error = wrong_key(what, wraps, keys)
        error.hint = f"Nothing was changed. {error.hint}"
        raise error
    return data_key


def later_wraps(manifest: Manifest, sources: Sequence[Repository]) -> list[KeyRecord]:
    """The records of every source that answers."""
    return from_all(sources, lambda source: read_key_record(source, manifest))


def from_all(sources: Sequence[Repository], read: Callable[[Repository], KeyRecord]) -> list[KeyRecord]:
    """What each source has that answers."""
    records = []
    for source in sources:
        with suppress(StoreError):
            if len(sources) > 1:
                source.require_connection()
            records.append(read(source))
    return records


def named(manifest: Manifest) -> str:
    """What messages call a backup."""
    return f"Backup {manifest.backup_id} of {manifest.collection!r}"


def wrong_key(what: str, wraps: Sequence[Json], keys: Sequence[MasterKey]) -> WrongKey:
    """The error that names the master keys of ``wraps``, and those that were given; ``what`` is encrypted."""
    needed = " or ".join(dict.fromkeys(map(master_key_of, wraps)))
    given = ", ".join(dict.fromkeys(key.name for key in keys))
    if not given:
        told = "no key was given"
    elif set(map(master_key_of, wraps)) & {key.name for key in keys}:
        told = f"that key ({given}) does not open it: its wrap is damaged, or of something else"
    else:
        told = f"the key given has {given}"
    return WrongKey(f"{what} is encrypted with the key {needed}; {told}.", _GIVE_THE_KEY)
