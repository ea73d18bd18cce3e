# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write-ahead logs and collection snapshots made by hand, in the form and member order of Qdrant 1.16.3.

The encoder of the log is written from the description of the format, without the code that it helps to test.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SEED = 0x8C74205A
# The first bytes of a log that Qdrant 1.16.3 wrote: the header and its fake entry 0.
RECORDED = bytes.fromhex(
    "77616c005a20748c1900000000000000bf6d7570736572745f706f696e7473a166706f696e747380ff00000039a9c8ce"
)
RECORDED_ENTRY = RECORDED[16:41]
OWNER = "20d5a5d5-5f3d-4f4d-8f0a-7d9a6f1f6a01"


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _bit in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def chained_crc(previous: int, data: bytes) -> int:
    """CRC32-C of ``data`` with the bit-reversed CRC of the entry before as its initial state."""
    state = int(f"{previous:032b}"[::-1], 2)
    for byte in data:
        state = _TABLE[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def wal_segment(entries: Iterable[bytes], seed: int = SEED, capacity: int = 0) -> bytes:
    """A segment file with these entries, filled up with zeros to ``capacity`` bytes."""
    content = bytearray(b"wal\x00" + seed.to_bytes(4, "little"))
    crc = seed
    for entry in entries:
        framed = len(entry).to_bytes(8, "little") + entry + bytes((4 - len(entry)) & 7)
        crc = chained_crc(crc, framed)
        content += framed + crc.to_bytes(4, "little")
    return bytes(content.ljust(capacity, b"\x00"))


def numbered(first: int, stop: int) -> list[bytes]:
    """Entries that tell their index, of different lengths."""
    return [f"operation {index} ".encode() * (1 + index % 5) for index in range(first, stop)]


def header(name: str, size: int, kind: bytes = b"\x00", **fields: Any) -> bytes:
    """A tar header as Qdrant writes it: GNU format, regular files of type NUL."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 1_700_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT)[-512:])
    block[156:157] = kind
    return with_checksum(block)


def with_checksum(block: bytes | bytearray) -> bytes:
    """The header block with a checksum that fits."""
    changed = bytearray(block)
    changed[148:156] = b"        "
    changed[148:156] = b"%06o\x00 " % sum(changed)
    return bytes(changed)


def padded(data: bytes) -> bytes:
    """The data, filled up to whole blocks."""
    return data + bytes(-len(data) % 512)


def member(name: str, data: bytes, kind: bytes = b"\x00") -> bytes:
    """One regular member."""
    return header(name, len(data), kind) + padded(data)


def sparse_member(name: str, data: bytes, extents: Sequence[tuple[int, int]], real_size: int) -> bytes:
    """A GNU sparse file whose stored bytes ``data`` belong at ``extents``; extension blocks where there are many."""
    table = b"".join(b"%011o\x00%011o\x00" % pair for pair in extents)
    block = bytearray(header(name, len(data), b"S"))
    block[386:482] = table[:96].ljust(96, b"\x00")
    block[482] = len(extents) > 4
    block[483:495] = b"%011o\x00" % real_size
    extension = bytearray()
    for start in range(4, len(extents), 21):
        more = start + 21 < len(extents)
        extension += table[start * 24 : (start + 21) * 24].ljust(504, b"\x00") + bytes([more]) + bytes(7)
    return with_checksum(block) + bytes(extension) + padded(data)


def segment_archive(version: int | None, data: bytes = b"vectors", **documents: bytes) -> bytes:
    """What stands in ``segments/<uuid>.tar``; Qdrant leaves out its end-of-archive mark."""
    state = json.dumps({"version": version, "config": {"vector_data": {}}}).encode()
    members = {
        "vector_storage/vectors/chunk_0.mmap": data,
        "segment.json": state,
        "version.info": b"0.6.0",
        **documents,
    }
    return b"".join(member(f"snapshot/files/{name}", content, b"0") for name, content in members.items())


@dataclass
class MadeShard:
    """A shard to be put into a snapshot. ``wal``: file name -> content; ``ack``: what ``first-index`` says, if any."""

    number: int
    wal: dict[str, bytes]
    ack: int | None = None
    versions: Sequence[int | None] = (3,)
    capacity: int = 32 * 1024 * 1024
    segments: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(
        default_factory=lambda: {"replica_state.json": b'{"is_local": true}', "shard_config.json": b'{"type":"Local"}'}
    )

    def members(self) -> list[tuple[str, bytes]]:
        """Name and whole member of each, in Qdrant's order."""
        archives = self.segments or {
            f"{number:08x}-{OWNER[9:]}": segment_archive(version) for number, version in enumerate(self.versions)
        }
        found = [(f"segments/{name}.tar", b"") for name in archives]
        made = [(name, member(f"{self.number}/{name}", archives[name[9:-4]])) for name, _none in found]
        for name, content in self.wal.items():
            full = f"{self.number}/wal/{name}"
            stored = padded(content)
            made.append((f"wal/{name}", sparse_member(full, stored, [(0, len(stored))], self.capacity)))
        if self.ack is not None:
            made.append(self._document("wal/first-index", json.dumps({"ack_index": self.ack}).encode()))
        return made + [self._document(name, content) for name, content in self.documents.items()]

    def _document(self, name: str, content: bytes) -> tuple[str, bytes]:
        return name, member(f"{self.number}/{name}", content)


DOCUMENTS = {
    "version.info": b"1.16.3",
    "config.json": b'{"params": {}}',
    "shard_key_mapping.json": b"{}",
    "payload_index.json": b'{"schema":{}}',
}


def snapshot_members(shards: Sequence[MadeShard]) -> list[tuple[str, bytes]]:
    """Name and whole member of each member of a collection snapshot, in Qdrant's order."""
    made = [(f"{shard.number}/{name}", content) for shard in shards for name, content in shard.members()]
    return made + [(name, member(name, content)) for name, content in DOCUMENTS.items()]


def joined(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The archive of these members, with its end-of-archive mark."""
    return b"".join(content for _name, content in members) + bytes(1024)


def two_shards() -> list[MadeShard]:
    """Shard 1 with a closed and an open log and two segments, and shard 0; in this order."""
    return [
        MadeShard(
            1,
            {
                "closed-5": wal_segment(numbered(5, 9)),
                "open-2": wal_segment(numbered(9, 14), seed=77),
                "open-3": bytes(512),
            },
            ack=7,
            versions=(0, 8),
        ),
        MadeShard(0, {"open-1": wal_segment(numbered(0, 4))}),
    ]


class MemorySink:
    """An object kept in memory, for what writes shard archives."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.finished = False

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: bytes | memoryview) -> None:
        assert not self.finished
        self.data += data

    def finish(self) -> None:
        self.finished = True

    def members(self) -> dict[str, bytes]:
        """Name -> content as Python's own tar reader finds them; holes are filled."""
        with tarfile.open(fileobj=io.BytesIO(bytes(self.data))) as archive:
            return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
