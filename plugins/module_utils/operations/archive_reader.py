# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shard archives as they were split off their snapshots, whether they are stored whole or as chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..errors import DamagedBackup
from ..formats.chunk_list import Chunk, ChunkList
from ..formats.sealed import OVERHEAD, PartOpener, open_parts, plain_facts
from ..stores.repository import Repository
from .at_once import read_ahead
from .backup_objects import read_table
from .pack_reader import PackedChunks
from .verified_parts import SourceHealth, VerifiedParts, add_served

# Bytes of the archive that are read together.
_GROUP = 4 * 1024 * 1024

Json = dict[str, Any]


class _Group(NamedTuple):
    """Some pieces of an archive, which begin at ``start`` in it."""

    start: int
    size: int
    pieces: list[bytes | Chunk]


class ArchiveReader:
    """One shard archive of a manifest, proved; in constant memory. Use it as a context manager.

    ``served`` and ``damaged``: as those of ``VerifiedParts``, of all objects that were read.
    """

    def __init__(
        self,
        sources: Sequence[Repository],
        key: str,
        stored: Json,
        data_keys: Mapping[str, bytes],
        health: SourceHealth | None = None,
        ahead: int = 4,
    ) -> None:
        """
        Args:
            sources: where to look, in this order.
            key: of the shard's object, relative to a repository's root.
            stored: the manifest's ``object``.
            data_keys: by id, those of the backup.
            health: shared by several archives of one run.
            ahead: parts, or groups of chunks, that are read ahead.
        """
        self.key, self._stored, self._data_keys = key, stored, data_keys
        self._sources, self._health, self._ahead = sources, health or SourceHealth(), ahead
        self._object = VerifiedParts(sources, key, stored, ahead, self._health)
        self._packed: PackedChunks | None = None

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._object.close()

    @property
    def served(self) -> dict[str, dict[str, int]]:
        """Per source name ``{"parts": n, "bytes": n}`` of what came from it."""
        total: dict[str, dict[str, int]] = {}
        for each in self._readers():
            add_served(total, each.served)
        return total

    @property
    def damaged(self) -> list[Json]:
        """What was bad or missing in a source."""
        return [fault for each in self._readers() for fault in each.damaged]

    def _readers(self) -> Iterator[VerifiedParts | PackedChunks]:
        yield self._object
        if self._packed is not None:
            yield self._packed

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """All bytes, the last of them only when size and SHA-256 are those of the manifest.

        Raises ``DamagedBackup``, ``StoreUnreachable``, or ``WrongKey``.
        """
        if "archive" not in self._stored:
            yield from open_parts(self._object, self._stored, self._data_keys, self.key)
            return
        expected = plain_facts(self._stored)
        sha256, size = hashlib.sha256(), 0
        packs = self._open_packs()
        for data in read_ahead(partial(_bytes_of, packs), self._groups(packs), self._ahead):
            sha256.update(data)
            size += len(data)
            if size >= expected[0]:
                self._require(expected, size, sha256.hexdigest())
            yield data
        self._require(expected, size, sha256.hexdigest())

    def _require(self, expected: tuple[int, str], *found: int | str) -> None:
        if found != expected:
            raise DamagedBackup(f"What {self.key} lists is not the archive that the manifest describes.")

    def from_offset(self, offset: int) -> Iterator[bytes | memoryview]:
        """The bytes from ``offset`` on, without reading those before; raises as iterating does."""
        if "archive" not in self._stored:
            yield from self._parts_from(offset)
            return
        packs = self._open_packs()
        for group in self._groups(packs):
            if group.start + group.size > offset:
                yield _bytes_of(packs, group)[max(0, offset - group.start) :]

    def _parts_from(self, offset: int) -> Iterator[bytes]:
        sealed = self._stored.get("client_encryption")
        count = len(self._stored["parts"])
        opener = None
        if sealed:
            opener = PartOpener(self._data_keys[sealed["data_key"]], sealed["data_key"], count, self.key)
        plain_part = self._stored["part_size"] - (OVERHEAD if sealed else 0)
        for number in range(offset // plain_part + 1, count + 1):
            data = self._object.fetch(number)
            plain = opener.open(data, number) if opener else data
            yield plain[max(0, offset - (number - 1) * plain_part) :]

    def _open_packs(self) -> PackedChunks:
        packs = read_table(self._sources, self.key, self._stored, self._health)
        self._packed = PackedChunks(self._sources, self.key.split("/", 1)[0], packs, self._health)
        return self._packed

    def _groups(self, packed: PackedChunks) -> Iterator[_Group]:
        plain = open_parts(self._object, self._stored, self._data_keys, self.key)
        start = size = 0
        pieces: list[bytes | Chunk] = []
        for piece in ChunkList(plain, packed.packs, self.key):
            pieces.append(piece)
            size += piece.size if isinstance(piece, Chunk) else len(piece)
            if size >= _GROUP:
                yield _Group(start, size, pieces)
                start, size, pieces = start + size, 0, []
        if pieces:
            yield _Group(start, size, pieces)


def _bytes_of(packed: PackedChunks, group: _Group) -> bytes:
    found = packed.read([piece for piece in group.pieces if isinstance(piece, Chunk)])
    return b"".join(found[piece.pack, piece.offset] if isinstance(piece, Chunk) else piece for piece in group.pieces)
