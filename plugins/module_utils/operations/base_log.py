# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log that a backup keeps with each shard: read from the end of its archive, without the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import DamagedBackup
from ..formats import wal
from ..formats.collection_config import vector_names
from ..formats.manifest import Manifest
from ..formats.snapshot_tar import BLOCK
from ..formats.wal_glance import glance
from ..stores.repository import Repository
from .archive_reader import ArchiveReader
from .verified_parts import SourceHealth


def base_entries(
    sources: Sequence[Repository],
    key: str,
    shard: Mapping[str, Any],
    data_keys: Mapping[str, bytes],
    health: SourceHealth,
) -> Iterator[tuple[int, bytes]]:
    """Index and bytes (CBOR) of the entries S to L in the archive of a manifest's ``shard``.

    Raises ``DamagedBackup`` or ``StoreUnreachable``.
    """
    stored = shard["object"]
    with ArchiveReader(sources, key, stored, data_keys, health) as archive:
        yield from _entries(archive.from_offset(stored["wal_offset"]), key, shard["wal"])


def _entries(pieces: Iterable[bytes | memoryview], key: str, log: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Those in the bytes of an archive from the header of its last member on."""
    first, last = log["first"], log["last"]
    position: wal.Position | None = None
    held = b""
    for data in pieces:
        held += data
        if position is None:
            if len(held) < BLOCK + wal.HEADER_SIZE:
                continue
            position = wal.begin(key, first, held[BLOCK : BLOCK + wal.HEADER_SIZE])
            held = held[BLOCK + wal.HEADER_SIZE :]
        if position is None:
            break
        scanned = wal.scan_from(key, position, held, stop=last + 1)
        for index in range(scanned.entries.first, scanned.entries.stop):
            yield index, wal.entry_data(held, scanned.entries, index)
        held = held[scanned.entries.offset(scanned.entries.stop) :]
        position = scanned.position
        if position.index > last:
            return
    if first <= last:
        raise DamagedBackup(f"The log in {key} does not reach entry {last}.", "Use another backup.")


def inexact_in_base(
    sources: Sequence[Repository], manifest: Manifest, data_keys: Mapping[str, bytes], health: SourceHealth
) -> dict[str, int]:
    """How many entries S to L of all shards, by class, Qdrant need not replay exactly before version 1.19.

    Raises as ``base_entries``.
    """
    found: Counter[str] = Counter()
    vectors = vector_names(manifest.config)
    for shard in manifest.shards:
        if has_entries(shard):
            key = manifest.object_key(shard)
            for _index, entry in base_entries(sources, key, shard, data_keys, health):
                found.update(glance(entry).inexact(vectors))
    return dict(found)


def has_entries(shard: Mapping[str, Any]) -> bool:
    """Whether the archive of a shard has a log with any entry in it."""
    return bool(shard["wal"]["first"] <= shard["wal"]["last"])
