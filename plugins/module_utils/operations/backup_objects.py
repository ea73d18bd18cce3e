# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All objects that a backup is made of, each with what its bytes have to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import DamagedBackup, IncompleteBackup, ObjectNotFound
from ..formats import layout
from ..formats.manifest import Manifest
from ..formats.pack_table import Pack
from ..formats.pack_table import parse as parse_packs
from ..stores.repository import Repository
from .catalogue import newest_committed
from .verified_parts import SourceHealth, VerifiedParts

Json = dict[str, Any]


def read_table(sources: Sequence[Repository], key: str, stored: Json, health: SourceHealth | None = None) -> list[Pack]:
    """The packs of a shard whose manifest ``object`` is ``stored``; none for one that is not stored as chunks.

    ``key``: of that object. Raises ``DamagedBackup`` or ``StoreUnreachable``.
    """
    if "packs" not in stored:
        return []
    table = layout.pack_table_key(key)
    parts = VerifiedParts(sources, table, stored["packs"], health=health)
    return parse_packs(b"".join(parts.fetch(number) for number in range(1, len(parts) + 1)), table)


def packs_of(sources: Sequence[Repository], manifest: Manifest, health: SourceHealth | None = None) -> dict[str, Pack]:
    """The packs that a backup needs, by their names; raises as ``read_table``."""
    found: dict[str, Pack] = {}
    for shard in manifest.shards:
        for pack in read_table(sources, manifest.object_key(shard), shard["object"], health):
            found[pack.sha256] = pack
    return found


def objects_of(
    sources: Sequence[Repository], manifest: Manifest, health: SourceHealth | None = None
) -> Iterator[tuple[str, Json]]:
    """Key and description of each object, in the order of the shards, the packs last; raises as ``read_table``."""
    yield from shard_objects(manifest)
    for pack in packs_of(sources, manifest, health).values():
        yield layout.pack_key(manifest.collection, pack.sha256), pack.stored


def shard_objects(manifest: Manifest) -> Iterator[tuple[str, Json]]:
    """Key and description of each object that the backup has for itself, in the order of the shards."""
    for shard in manifest.shards:
        key = manifest.object_key(shard)
        yield key, shard["object"]
        if "packs" in shard["object"]:
            yield layout.pack_table_key(key), shard["object"]["packs"]


def newest_incremental(repository: Repository, collection: str) -> Manifest | None:
    """The newest committed backup that is stored as chunks, None without one."""
    return newest_committed(repository, collection, fits=lambda manifest: manifest.in_chunks)


def listed_packs(repository: Repository, collection: str) -> dict[str, int]:
    """The packs that there are, with their sizes, by their keys."""
    return {item.key: item.size for item in repository.list(layout.packs_prefix(collection))}


def held_packs(destination: Repository, manifest: Manifest) -> set[str]:
    """The keys of the packs that a copy of this backup need not bring: the newest one there has them, and they were
    proved when they came."""
    collection = manifest.collection
    newest = newest_incremental(destination, collection) if manifest.in_chunks else None
    if newest is None:
        return set()
    there = listed_packs(destination, collection)
    try:
        packs = packs_of([destination], newest).values()
    except DamagedBackup:
        return set()
    keys = {layout.pack_key(collection, pack.sha256): pack.size for pack in packs}
    return {key for key, size in keys.items() if there.get(key) == size}


def require_packs(repository: Repository, manifest: Manifest) -> None:
    """Raise ``IncompleteBackup`` or ``DamagedBackup`` unless all packs of a backup are there, with their sizes."""
    needed = packs_of([repository], manifest)
    if not needed:
        return
    there = listed_packs(repository, manifest.collection)
    for pack in needed.values():
        key = layout.pack_key(manifest.collection, pack.sha256)
        try:
            size = there[key] if key in there else repository.head(key).size
        except ObjectNotFound as error:
            raise IncompleteBackup(f"{key} is not in the store any more.", "Run the backup again.") from error
        if size != pack.size:
            raise DamagedBackup(f"{key} has {size} bytes, and not {pack.size}.", "Run the backup again.")
