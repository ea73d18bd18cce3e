# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what a shard archive is made of: chunks in packs, and the bytes between them.

The magic ``QDRLIST\\x01``, then one zstd frame with what the archive has in it, in order, each with its kind in one
byte. Numbers are unsigned LEB128::

    0  end         size of the archive
    1  literal     length, the bytes
    2  chunk       SHA-256 32, length, stored length, number of the pack (from 0 on), offset in it
    3  next chunk  the same without pack and offset: it follows the chunk before in the same pack

The numbers of packs are those of the shard's table of packs (``pack_table``). The stored length is that in the pack,
with what each chunk has there beside its data. Without that, a chunk is stored as it is where it has its full length,
and else as one zstd frame. A list proves nothing by itself: the manifest has its SHA-256, and a chunk is what its own
SHA-256 says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import DamagedBackup
from .content_cuts import LARGEST_CHUNK
from .pack_table import LARGEST_OVERHEAD, MOST_PACKS, Pack
from .zstd import zstandard

MAGIC = b"QDRLIST\x01"
_END, _LITERAL, _CHUNK, _NEXT = range(4)
_SHA256_SIZE = 32
# What lies between two chunks: some headers, and files that are too small to be chunks.
_LONGEST_LITERAL = 1 << 26
_LARGEST_NUMBER = 1 << 63
# Bits.
_LONGEST_NUMBER = 63
_READ_SIZE = 1 << 18
_LEVEL = 3
_HINT = "Use another backup, or a copy of this one in another region."


class Chunk(NamedTuple):
    """``size`` bytes with this SHA-256: the ``stored`` bytes from ``offset`` on in the pack with this number."""

    sha256: bytes
    size: int
    stored: int
    pack: int
    offset: int


def encode_piece(piece: bytes | Chunk, before: Chunk | None) -> bytes:
    """One record; ``before``: the chunk before, None before the first one."""
    if isinstance(piece, bytes):
        return bytes([_LITERAL]) + _number(len(piece)) + piece
    follows = before is not None and (before.pack, before.offset + before.stored) == (piece.pack, piece.offset)
    record = bytes([_NEXT if follows else _CHUNK]) + piece.sha256 + _number(piece.size) + _number(piece.stored)
    return record if follows else record + _number(piece.pack) + _number(piece.offset)


def encode(records: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The object to store, in pieces. ``records``: those of ``encode_piece``; ``size``: of the archive, in bytes."""
    compressor = zstandard().ZstdCompressor(level=_LEVEL).compressobj()
    yield MAGIC
    for record in records:
        yield compressor.compress(record)
    yield compressor.compress(bytes([_END]) + _number(size))
    yield compressor.flush()


class ChunkList:
    """A list that is read while its bytes come: iterate over the pieces, once.

    Raises ``DamagedBackup`` for what is no list, or is cut short, or refers to what is not there.
    """

    def __init__(self, data: Iterable[bytes | memoryview], packs: Sequence[Pack], what: str) -> None:
        """``what``: the object in messages."""
        self.packs = packs
        self._reader = _Reader(data, what)

    def __iter__(self) -> Iterator[bytes | Chunk]:
        before: Chunk | None = None
        size = 0
        while (kind := self._reader.take(1)[0]) != _END:
            if kind == _LITERAL:
                piece: bytes | Chunk = self._reader.take(self._reader.number(_LONGEST_LITERAL))
                size += len(piece)
            else:
                piece = before = self._chunk(kind, before)
                size += piece.size
            yield piece
        if self._reader.number(_LARGEST_NUMBER) != size or not self._reader.is_over():
            raise self._reader.damage("does not have the bytes of its archive")

    def _chunk(self, kind: int, before: Chunk | None) -> Chunk:
        sha256 = self._reader.take(_SHA256_SIZE)
        size, stored = self._reader.number(LARGEST_CHUNK), self._reader.number(LARGEST_CHUNK + LARGEST_OVERHEAD)
        if kind == _CHUNK:
            pack, offset = self._reader.number(MOST_PACKS), self._reader.number(_LARGEST_NUMBER)
        elif kind == _NEXT and before is not None:
            pack, offset = before.pack, before.offset + before.stored
        else:
            raise self._reader.damage(f"has a record of the unknown kind {kind}")
        found = self.packs[pack] if pack < len(self.packs) else None
        if found is None or not found.overhead < stored <= size + found.overhead or offset + stored > found.size:
            raise self._reader.damage("names a chunk that no pack can have")
        return Chunk(sha256, size, stored, pack, offset)


class _Source:
    """The pieces of an object as a file that is read."""

    def __init__(self, data: Iterable[bytes | memoryview]) -> None:
        self._data = iter(data)
        self._held: bytes | memoryview = b""

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; nothing at the end."""
        while not self._held:
            piece = next(self._data, None)
            if piece is None:
                return b""
            self._held = memoryview(piece)
        taken, self._held = self._held[:size], self._held[size:]
        return bytes(taken)


class _Reader:
    """The plain bytes of a list, some at a time."""

    def __init__(self, data: Iterable[bytes | memoryview], what: str) -> None:
        self._what = what
        source = _Source(data)
        if b"".join(source.read(1) for _byte in MAGIC) != MAGIC:
            raise self.damage("is no list of chunks that this version can read")
        self._plain = zstandard().ZstdDecompressor().stream_reader(source)
        self._held = b""
        self._at = 0

    def damage(self, reason: str) -> DamagedBackup:
        """The error that says so."""
        return DamagedBackup(f"{self._what} {reason}.", _HINT)

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        while len(self._held) - self._at < size:
            self._more()
        data = self._held[self._at : self._at + size]
        self._at += size
        return data

    def number(self, most: int) -> int:
        """The next number, which is at most ``most``."""
        value = place = 0
        while (byte := self.take(1)[0]) & 0x80 and place < _LONGEST_NUMBER:
            value |= (byte & 0x7F) << place
            place += 7
        value |= byte << place
        if value > most:
            raise self.damage("has a number that is too large")
        return value

    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self._at == len(self._held) and not self._read()

    def _more(self) -> None:
        more = self._read()
        if not more:
            raise self.damage("is cut short")
        self._held = self._held[self._at :] + more
        self._at = 0

    def _read(self) -> bytes:
        try:
            return bytes(self._plain.read(_READ_SIZE))
        except zstandard().ZstdError as error:
            raise self.damage("is damaged") from error


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
