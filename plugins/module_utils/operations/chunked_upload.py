# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard archive stored as chunks: those that the repository has are named, the others are stored in packs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import IO, Any, NamedTuple

from ..formats import layout
from ..formats.chunk_list import Chunk, encode, encode_piece
from ..formats.cutting import ArchiveCutter
from ..formats.pack import PackKey
from ..formats.pack_table import Pack, of_one_part
from ..formats.pack_table import encode as encode_packs
from ..stores.repository import Repository
from .known_chunks import KnownChunks, Stored
from .object_copy import put_proved
from .pack_writer import PackWriter
from .part_upload import ObjectUpload, PartPipeline

# Bytes of records; what is beyond waits in a temporary file, which has no name and goes with the process.
_SPOOL_IN_MEMORY = 4 * 1024 * 1024
_COPIED = 64 * 1024


class Before(NamedTuple):
    """An archive that the repository has: its packs, and what it is made of."""

    packs: Sequence[Pack]
    pieces: Iterable[bytes | Chunk]


class ChunkedUpload:
    """One shard archive: ``write`` its bytes, ``finish`` it, then ``complete`` gives its manifest entry.

    ``size``: bytes of the archive so far; ``new_bytes``: of its chunks that were stored, as they were cut.
    """

    def __init__(
        self,
        pipeline: PartPipeline,
        key: str,
        writer: PackWriter,
        known: KnownChunks,
        packs: Sequence[Pack],
        records: IO[bytes],
    ) -> None:
        """``key``: of the list. ``known``: chunks in ``packs``, which are in the repository; it learns the new ones.

        ``records``: an empty file for the list, until it is sent.
        """
        self.key, self.size, self.new_bytes = key, 0, 0
        self._pipeline, self._writer, self._known = pipeline, writer, known
        self._old_packs = packs
        # Of old packs and of the new ones behind them, their numbers in this shard's own table.
        self._numbers: dict[int, int] = {}
        self._sha256 = hashlib.sha256()
        self._records = records
        self._before: Chunk | None = None
        self._cutter = ArchiveCutter(key, self._literal, self._chunk)
        self._list: ObjectUpload | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        self.size += len(view)
        if len(view) < _COPIED:
            self._sha256.update(view)
            self._cutter.feed(view)
            return
        # On another core, beside the hashes of the chunks.
        hashed = self._pipeline.hash_later(self._sha256.update, view)
        try:
            self._cutter.feed(view)
        finally:
            hashed.result()

    def finish(self) -> None:
        """No more bytes will come: the list is sent."""
        self._cutter.finish()
        self._list = self._pipeline.open(self.key)
        self._records.seek(0)
        for piece in encode(iter(lambda: self._records.read(_SPOOL_IN_MEMORY), b""), self.size):
            self._list.write(piece)
        self._list.finish()
        self._records.close()
        self._known.close()

    def complete(self) -> dict[str, Any]:
        """Wait for the packs, store the table of them, and describe the archive for the manifest."""
        if self._list is None:
            raise AssertionError("finish comes before complete")
        entry = self._list.complete()
        entry["archive"] = {"size": self.size, "sha256": self._sha256.hexdigest()}
        there = [*self._old_packs, *self._writer.finish()]
        entry["packs"] = self._store_table([there[number] for number in self._numbers])
        return entry

    def _store_table(self, packs: list[Pack]) -> dict[str, Any]:
        repository = self._pipeline.repository
        data = encode_packs(packs)
        info = put_proved(repository, layout.pack_table_key(self.key), data, "application/octet-stream")
        repository.verify_encryption(info)
        return of_one_part(len(data), hashlib.sha256(data).hexdigest())

    def _literal(self, data: bytes) -> None:
        self._records.write(encode_piece(data, self._before))

    def _chunk(self, view: memoryview) -> None:
        sha256 = hashlib.sha256(view).digest()
        place = self._known.find(sha256)
        if place is None:
            number, offset, stored = self._writer.add(view)
            self.new_bytes += len(view)
            place = Stored(len(self._old_packs) + number, offset, stored)
            self._known.add(sha256, place)
        pack = self._numbers.setdefault(place.pack, len(self._numbers))
        chunk = Chunk(sha256, len(view), place.stored, pack, place.offset)
        self._records.write(encode_piece(chunk, self._before))
        self._before = chunk


class ChunkedObjects:
    """The shard archives of one snapshot, stored as chunks. Use it as a context manager.

    ``new_bytes``: of the chunks that were stored, as they were cut.
    """

    def __init__(
        self, repository: Repository, collection: str, key: PackKey | None, before: Callable[[int], Before | None]
    ) -> None:
        """``key``: what to encrypt with. ``before``: of a shard, what the repository has of it already."""
        self._before = before
        self._opened = ExitStack()
        self._writer = self._opened.enter_context(PackWriter(repository, collection, key))
        self._uploads: list[ChunkedUpload] = []

    def __enter__(self) -> ChunkedObjects:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._opened.__exit__(*exc)

    @property
    def new_bytes(self) -> int:
        """Bytes of the chunks that were stored."""
        return sum(upload.new_bytes for upload in self._uploads)

    def open(self, pipeline: PartPipeline, key: str, shard: int) -> ChunkedUpload:
        """Begin a shard; ``key``: of its list."""
        known = self._opened.enter_context(KnownChunks())
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115 it is closed with the others
        records = self._opened.enter_context(spool)
        before = self._before(shard)
        if before is not None:
            known.learn(before.pieces)
        packs = before.packs if before is not None else []
        upload = ChunkedUpload(pipeline, key, self._writer, known, packs, records)
        self._uploads.append(upload)
        return upload
