# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks read from their packs: each from the first region that has it right, near ones by one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

from ..errors import DamagedBackup, DamagedManifest, ObjectNotFound, StoreError, StoreUnreachable, WrongKey
from ..formats import layout
from ..formats.chunk_list import Chunk
from ..formats.pack import HEADER_AT_MOST, PackReader, key_context_of, read_header
from ..formats.pack_table import Pack
from ..stores.repository import Repository
from .verified_parts import NOT_REACHED, SourceHealth, add_served
from .wal_keys import ChunkKeys

# Bytes between two chunks of a pack that are read along rather than asked for apart.
_GAP = 256 * 1024
_ATTEMPTS = 2
_MOST_READERS = 1024

Json = dict[str, Any]
Place = tuple[int, int]


class PackedChunks:
    """Reads chunks of one shard archive; several threads may use it.

    Attributes:
        packs: by their numbers.
        served: per source name ``{"parts": n, "bytes": n}``; a part is what one request read.
        damaged: ``{"object", "part", "source", "reason", "served_by"}`` of each pack (one part) that was bad somewhere.
    """

    def __init__(
        self, sources: Sequence[Repository], collection: str, packs: Sequence[Pack], health: SourceHealth
    ) -> None:
        self.served: dict[str, dict[str, int]] = {}
        self.damaged: list[Json] = []
        self.packs = packs
        self._sources, self._collection, self._health = sources, collection, health
        self._keys = ChunkKeys(sources)
        self._readers: dict[tuple[str, str], PackReader] = {}
        self._wrong: WrongKey | None = None
        self._told: set[tuple[int, str]] = set()
        self._lock = Lock()

    def read(self, chunks: Sequence[Chunk]) -> dict[Place, bytes | memoryview]:
        """The bytes of the chunks by pack and offset, proved.

        Raises:
            DamagedBackup: no source has a good copy; names the pack and the reason of each source.
        WrongKey: no key opens a pack.
            StoreUnreachable: no source could be asked at all.
        """
        found: dict[Place, bytes | memoryview] = {}
        faults: dict[int, dict[str, str]] = {}
        reached = False
        for source in self._sources:
            for _attempt in range(_ATTEMPTS):
                left = [chunk for chunk in chunks if (chunk.pack, chunk.offset) not in found]
                if not left or source.name in self._health.down:
                    break
                reached |= self._read_from(source, left, found, faults)
        if len(found) < len({(chunk.pack, chunk.offset) for chunk in chunks}):
            raise self._no_good_copy(faults, reached)
        return found

    def _read_from(
        self,
        source: Repository,
        chunks: Sequence[Chunk],
        found: dict[Place, bytes | memoryview],
        faults: dict[int, dict[str, str]],
    ) -> bool:
        """Read what ``source`` has right; whether it could be asked."""
        for run in _runs(chunks):
            pack = run[0].pack
            key = layout.pack_key(self._collection, self.packs[pack].sha256)
            try:
                self._read_run(source, key, run, found)
            except NOT_REACHED as error:
                self._health.failed(source, key, error)
                faults.setdefault(pack, {})[source.name] = error.detail
                return False
            except (DamagedBackup, DamagedManifest, StoreError) as error:
                self._health.answered(source)
                missing = isinstance(error, ObjectNotFound)
                faults.setdefault(pack, {})[source.name] = "the object is missing" if missing else error.detail
            else:
                self._health.answered(source)
                self._note_damage(pack, faults.pop(pack, {}), source.name)
        return True

    def _read_run(
        self, source: Repository, key: str, run: Sequence[Chunk], found: dict[Place, bytes | memoryview]
    ) -> None:
        """Add the chunks to ``found`` that are right; raises for the first one that is not."""
        start, stop = run[0].offset, max(chunk.offset + chunk.stored for chunk in run)
        data = memoryview(source.get_range(key, start, stop - start))
        reader = self._reader(source, key, self.packs[run[0].pack])
        damage: DamagedBackup | None = None
        for chunk in run:
            at = chunk.offset - start
            try:
                found[chunk.pack, chunk.offset] = reader.open(chunk, data[at : at + chunk.stored])
            except DamagedBackup as error:
                damage = damage or error
        with self._lock:
            add_served(self.served, {source.name: {"parts": 1, "bytes": len(data)}})
        if damage is not None:
            raise damage

    def _reader(self, source: Repository, key: str, pack: Pack) -> PackReader:
        if not pack.overhead:
            return PackReader({}, b"", key)
        name = (source.name, pack.sha256)
        with self._lock:
            reader = self._readers.get(name)
        if reader is None:
            header = read_header(source.get_range(key, 0, min(pack.size, HEADER_AT_MOST)), key)
            reader = PackReader(header, self._secret(header, key), key)
            with self._lock:
                if len(self._readers) >= _MOST_READERS:
                    self._readers.clear()
                self._readers[name] = reader
        return reader

    def _secret(self, header: Json, key: str) -> bytes:
        """The data key that a header names. What it says may be damaged: then it opens for nobody."""
        context = key_context_of(header)
        if context is None:
            raise DamagedBackup(f"{key} is not encrypted, and its table says that it is.")
        try:
            return self._keys.open(header["wrap"], context)
        except WrongKey as error:
            self._wrong = self._wrong or error
            raise DamagedBackup(error.detail, error.hint) from error

    def _note_damage(self, pack: int, reasons: dict[str, str], served_by: str | None) -> None:
        key = layout.pack_key(self._collection, self.packs[pack].sha256)
        with self._lock:
            for name, reason in reasons.items():
                if name not in self._health.down and (pack, name) not in self._told:
                    self._told.add((pack, name))
                    told = {"object": key, "part": 1, "source": name, "reason": reason, "served_by": served_by}
                    self.damaged.append(told)

    def _no_good_copy(self, faults: dict[int, dict[str, str]], reached: bool) -> StoreError | DamagedBackup | WrongKey:
        if self._wrong is not None:
            return self._wrong
        for pack, reasons in faults.items():
            self._note_damage(pack, reasons, None)
        keys = [layout.pack_key(self._collection, self.packs[pack].sha256) for pack in faults]
        told = {name: reason for reasons in faults.values() for name, reason in reasons.items()} or self._health.down
        detail = "; ".join(f"{name}: {reason}" for name, reason in told.items())
        if not reached:
            return StoreUnreachable(
                f"No source could be asked for {', '.join(keys) or 'the packs'}. {detail}",
                "Make at least one of the sources reachable, and run again.",
            )
        return DamagedBackup(
            f"No source has a good copy of all chunks in {', '.join(keys)}. {detail}",
            "Add a further source that holds this backup, or use another backup.",
            damaged=list(self.damaged),
        )


def _runs(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """The chunks in the order of their places, those together that are read by one request."""
    run: list[Chunk] = []
    stop = 0
    for chunk in sorted(set(chunks), key=lambda chunk: (chunk.pack, chunk.offset)):
        if run and (chunk.pack != run[0].pack or chunk.offset > stop + _GAP):
            yield run
            run = []
        run.append(chunk)
        stop = chunk.offset + chunk.stored
    if run:
        yield run
