# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Qdrant's write-ahead log on disk: segments of entries, each with a CRC chained to the one before.

The format is described in docs/formats.md. A segment is an 8-byte header (``wal``, a zero byte, u32le seed) and
entries at 8-byte steps: u64le length, data, ``(4 - length) & 7`` zero bytes, u32le CRC. The CRC is CRC32-C over
length, data and padding, continued from the CRC of the entry before; the first one continues from the seed.
Reading stops at the first entry whose CRC does not fit: a torn tail or preallocated zeros. Qdrant writes the CRC last,
so a file can be read while it is written: ``begin`` and ``scan_from`` go on where they stopped.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import IntegrityError, MissingDependency, WalGap

MAGIC = b"wal\x00"
HEADER_SIZE = 8
_CRC_SIZE = 4
_SMALLEST = 16
_BLOCK = 1 << 20
_NAME = re.compile(r"^(closed|open)-(\d+)$")
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True)
class Segment:
    """The valid entries in some bytes: a whole file, or framed entries alone.

    ``first``: index of the first one, ``seed``: what its CRC continues from, ``start``: the offset where it begins;
    ``ends[i]``: the offset after entry ``i``. ``name`` is the file's.
    """

    name: str
    first: int
    seed: int
    ends: array[int]
    start: int = HEADER_SIZE

    @property
    def stop(self) -> int:
        """The index after the last valid entry."""
        return self.first + len(self.ends)

    def offset(self, index: int) -> int:
        """Where the entry with this index begins (or, for ``stop``, where the last one ends)."""
        position = index - self.first
        return self.start if position == 0 else self.ends[position - 1]

    def framed_size(self, first: int, stop: int) -> int:
        """The bytes of the entries ``first`` (inclusive) to ``stop`` (exclusive) with their framing."""
        return self.offset(stop) - self.offset(first)


@dataclass(frozen=True)
class Position:
    """Where a reader of one file stands.

    ``index`` of the next entry, its ``offset`` in the file, and the ``crc`` that its own one continues from. The four
    bytes before ``offset`` hold ``crc``, always.
    """

    index: int
    offset: int
    crc: int


@dataclass(frozen=True)
class Scanned:
    """What was found from a position on.

    ``entries``: with offsets into the bytes that were scanned. ``position``: after them. ``wanted``: the bytes from
    there on that it takes to judge the next entry, where there were fewer; 0 where the next entry is not valid (yet).
    """

    entries: Segment
    position: Position
    wanted: int


def _extend() -> object:
    try:
        from google_crc32c import extend
    except ImportError as error:
        raise MissingDependency(
            "The Python package google-crc32c is not installed on this host.", "Run: pip install google-crc32c"
        ) from error
    return extend


def _continued(crc: bytes) -> int:
    """The state in which CRC32-C goes on after an entry with this CRC (as stored): reversed bits, complemented."""
    return int.from_bytes(crc.translate(_REVERSED), "big") ^ 0xFFFFFFFF


def begin(name: str, first: int, header: bytes) -> Position | None:
    """Where the entries of a file begin, None while its header is not written.

    ``header``: its first 8 bytes, or fewer where it has fewer; ``first``: the index of its first entry. Raises
    ``IntegrityError`` for a file of another format.
    """
    if len(header) < HEADER_SIZE or header[:4] == b"\x00\x00\x00\x00":
        return None
    if header[:4] != MAGIC:
        raise IntegrityError(f"The WAL file {name} does not begin with 'wal': its format is unknown.")
    return Position(first, HEADER_SIZE, int.from_bytes(header[4:8], "little"))


def scan_from(name: str, position: Position, data: bytes, stop: int | None = None, at: int = 0) -> Scanned:
    """The longest valid run of entries in ``data``, bytes of the file ``name`` of which ``position`` stands at ``at``.

    ``stop``: go no further than to this index.
    """
    limit = None if stop is None else stop - position.index
    ends, crc, wanted = _run(data, at, position.crc, limit)
    entries = Segment(name, position.index, position.crc, ends, start=at)
    end = entries.offset(entries.stop)
    return Scanned(entries, Position(entries.stop, position.offset + end - at, crc), wanted)


def scan(name: str, first: int, data: bytes) -> Segment:
    """The longest valid run of entries in the file ``name`` with content ``data`` (sparse tails may be left out)."""
    position = begin(name, first, data[:HEADER_SIZE])
    if position is None:
        return Segment(name, first, 0, array("Q"))
    return scan_from(name, position, data, at=position.offset).entries


def _run(data: bytes, position: int, crc: int, limit: int | None) -> tuple[array[int], int, int]:
    """The ends of at most ``limit`` valid entries from an offset on, the CRC after them, and how much more is wanted.

    An entry of no bytes is none: Qdrant writes none, and one time in 2^32 the CRC of preallocated zeros is zero.
    """
    extend, number = _extend(), int.from_bytes
    ends: array[int] = array("Q")
    size = len(data)
    seed = crc.to_bytes(_CRC_SIZE, "little")
    while limit is None or len(ends) < limit:
        wanted = _SMALLEST
        if position + wanted <= size:
            length = number(data[position : position + 8], "little")
            wanted = 8 + length + ((4 - length) & 7) + _CRC_SIZE
        end = position + wanted
        if end > size:
            return ends, number(seed, "little"), wanted
        crc_at = end - _CRC_SIZE
        # The C extension takes bytes only. A copy of 4 KiB costs less than its CRC.
        new = extend(_continued(seed), data[position:crc_at])  # type: ignore[operator]
        found = data[crc_at:end]
        if not length or new != number(found, "little"):
            break
        seed, position = found, end
        ends.append(end)
    return ends, number(seed, "little"), 0


def entry_data(data: bytes, segment: Segment, index: int) -> bytes:
    """The bytes (CBOR) that Qdrant wrote as the operation with this index."""
    start = segment.offset(index)
    length = int.from_bytes(data[start : start + 8], "little")
    return data[start + 8 : start + 8 + length]


def entry_crc(data: bytes, segment: Segment, index: int) -> int:
    """The CRC of the entry with this index; for ``segment.first - 1`` what the first one continues from."""
    if index < segment.first:
        return segment.seed
    end = segment.offset(index + 1)
    return int.from_bytes(data[end - _CRC_SIZE : end], "little")


def in_order(names: Iterable[str]) -> list[str]:
    """File names in the order of their entries: closed ones by first index, then open ones by id; no others."""
    known = [(match.group(1), int(match.group(2)), name) for name in names if (match := _NAME.match(name))]
    return [name for _kind, _number, name in sorted(known)]


def first_index(name: str, follows: int) -> int:
    """The first index of a file: in the name of a closed one, after the last closed one for an open one."""
    match = _NAME.match(name)
    if match is None:
        raise IntegrityError(f"{name!r} is not the name of a WAL segment.")
    return int(match.group(2)) if match.group(1) == "closed" else follows


def cover(segments: list[Segment], first: int) -> list[Segment]:
    """The segments, in order, that hold the entries from index ``first`` on, without a gap.

    Raises ``WalGap`` where an entry from ``first`` on is missing. ``first`` may be the index after the last entry.
    """
    needed = [segment for segment in segments if segment.stop > first and segment.ends]
    expected = first
    for segment in needed:
        if segment.first > expected:
            raise WalGap(
                f"The write-ahead log lacks the entries {expected} to {segment.first - 1}.",
                "Take another backup; raise wal_retain_closed where this happens often.",
            )
        expected = segment.stop
    stop = segments[-1].stop if segments else 0
    if not needed and stop < first:
        raise WalGap(
            f"The write-ahead log ends at {stop - 1}, before the first entry needed, {first}.", "Take another backup."
        )
    return needed


class Writer:
    """Frames entries of several segments as one segment: same data, one CRC chain from ``seed``."""

    def __init__(self, seed: int) -> None:
        self._crc = seed.to_bytes(_CRC_SIZE, "little")
        self.header = MAGIC + self._crc

    def reframe(self, data: bytes, segment: Segment, first: int, stop: int) -> Iterator[bytes | memoryview]:
        """Blocks of the new segment: the entries ``first`` (inclusive) to ``stop`` (exclusive) of ``segment``.

        Where their own chain goes on from what was written, they stay as they are.
        """
        if entry_crc(data, segment, first - 1) == int.from_bytes(self._crc, "little"):
            self._crc = entry_crc(data, segment, stop - 1).to_bytes(_CRC_SIZE, "little")
            yield memoryview(data)[segment.offset(first) : segment.offset(stop)]
            return
        extend = _extend()
        crc = self._crc
        start = segment.offset(first)
        pieces: list[bytes] = []
        pending = 0
        for index in range(first, stop):
            end = segment.offset(index + 1)
            body = data[start : end - _CRC_SIZE]
            crc = extend(_continued(crc), body).to_bytes(_CRC_SIZE, "little")  # type: ignore[operator]
            pieces += (body, crc)
            pending += end - start
            if pending >= _BLOCK:
                yield b"".join(pieces)
                pieces, pending = [], 0
            start = end
        self._crc = crc
        yield b"".join(pieces)
