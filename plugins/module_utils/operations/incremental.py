# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an incremental backup finds in the repository: the chunks of the newest one before it.

That one is only where to look: each backup is complete by itself, and its manifest refers to no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..errors import DrError, EncryptionRefused, ObjectNotFound
from ..formats import layout
from ..formats.chunk_list import Chunk, ChunkList
from ..formats.content_cuts import require_numpy
from ..formats.key_wrap import master_key_of
from ..formats.manifest import Manifest
from ..formats.pack import PackKey
from ..formats.pack_table import Pack
from ..formats.sealed import open_parts
from ..formats.verification import CONTENT, GOOD_RESULTS
from ..stores.repository import Repository
from .backup_objects import listed_packs, newest_incremental, read_table
from .chunked_upload import Before, ChunkedObjects
from .data_keys import open_data_keys
from .pack_keys import new_pack_key
from .verification_record import read_record
from .verified_parts import VerifiedParts


def chunked_objects(repository: Repository, collection: str, now: datetime, warnings: list[str]) -> ChunkedObjects:
    """Where the shards of an incremental backup go; what cannot be read of the one before is stored anew, and said.

    ``now``: aware. Raises what a key or a key service raises, StoreError, and ``MissingDependency``.
    """
    require_numpy()
    key = new_pack_key(repository, collection, now)
    base = newest_incremental(repository, collection)
    if base is not None and (doubt := _unusable(repository, base, key)) is not None:
        warnings.append(f"all of {collection} is stored anew: {doubt}")
        base = None
    there = listed_packs(repository, collection) if base else {}

    def before(shard: int) -> Before | None:
        entry = next((each for each in base.shards if each["shard"] == shard), None) if base else None
        if base is None or entry is None or "archive" not in entry["object"]:
            return None
        try:
            packs = read_table([repository], base.object_key(entry), entry["object"])
            keys = open_data_keys(base, [repository])
        except DrError as error:
            warnings.append(_not_read(shard, base, error))
            return None
        pieces = _pieces(repository, base, entry, packs, keys, warnings)
        return Before(packs, _present(pieces, packs, there, collection))

    return ChunkedObjects(repository, collection, key, before)


def _unusable(repository: Repository, base: Manifest, key: PackKey | None) -> str | None:
    """Why a backup that is stored now must not name the chunks of ``base``; None where it may."""
    encrypted_with = {master_key_of(wrap) for wrap in base.data_keys.values()}
    if encrypted_with != ({master_key_of(key.wrap)} if key is not None else set()):
        return f"backup {base.backup_id} is not encrypted as the repository now is"
    try:
        repository.verify_encryption(repository.head(base.object_key(base.shards[0])))
    except (EncryptionRefused, ObjectNotFound) as error:
        return error.detail
    known = read_record(repository, base.collection, base.backup_id).levels.get(CONTENT)
    if known is not None and known["result"] not in GOOD_RESULTS:
        return f"backup {base.backup_id} was found {known['result']} when it was verified"
    return None


def _pieces(
    repository: Repository,
    base: Manifest,
    entry: dict[str, Any],
    packs: list[Pack],
    keys: dict[str, bytes],
    warnings: list[str],
) -> Iterator[bytes | Chunk]:
    """What the list of a shard has in it; where it cannot be read on, a warning ends it."""
    key, stored = base.object_key(entry), entry["object"]
    try:
        with VerifiedParts([repository], key, stored) as parts:
            yield from ChunkList(open_parts(parts, stored, keys, key), packs, key)
    except DrError as error:
        warnings.append(_not_read(entry["shard"], base, error))


def _present(
    pieces: Iterator[bytes | Chunk], packs: list[Pack], there: dict[str, int], collection: str
) -> Iterator[bytes | Chunk]:
    """Those chunks whose packs are there with their sizes: what was lost is stored again."""
    whole = [there.get(layout.pack_key(collection, pack.sha256)) == pack.size for pack in packs]
    return (piece for piece in pieces if isinstance(piece, Chunk) and whole[piece.pack])


def _not_read(shard: int, base: Manifest, error: DrError) -> str:
    return f"shard {shard} is stored anew: what backup {base.backup_id} has of it cannot be read ({error.detail})"
