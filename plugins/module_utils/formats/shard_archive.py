# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Splitting a collection snapshot into shard archives while it streams by.

A collection snapshot holds its shards one after another as ``<shard>/...``, then a few documents about the whole
collection. A shard archive is the shard's members without that prefix: segments and small files untouched, and as its
last member one ``wal/closed-<S>`` with the log entries S to L that make the snapshot exact (docs/formats.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol

from ..errors import DamagedSnapshot, InvalidInput
from . import wal
from .snapshot_tar import END_OF_ARCHIVE, Sink, TarMember, TarReader, padding, regular_header, renamed

_SHARD_MEMBER = re.compile(r"^(\d+)/(.+)$")
_DOCUMENTS = ("version.info", "config.json")
_NEEDED = ("replica_state.json", "shard_config.json")
_NEEDED_IN_SEGMENT = {"segment.json", "version.info"}
_ACK_FILE = "wal/first-index"
# Dropped, since it would let Qdrant 1.17 and later skip entries of the log that the snapshot lacks.
_DROPPED = ("applied_seq.json",)
_LARGEST_DOCUMENT = 16 * 1024 * 1024
_LARGEST_HOLE = 64 * 1024 * 1024
_HINT = "Take another backup; if it happens again, this Qdrant version writes snapshots in a way not known here."


class ObjectSink(Protocol):
    """Where a shard archive goes."""

    size: int

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; they may change after the return."""

    def finish(self) -> None:
        """No more bytes will come."""


@dataclass(frozen=True)
class ShardWal:
    """The log kept with a shard: entries ``first`` (S) to ``last`` (L, inclusive; ``first - 1`` for none).

    ``found_by``: "ack_index" where S was read from the node before the snapshot, "segments" where it was bounded by
    the snapshot's segments, "wal_start" where that bound lies before the first entry that Qdrant still had.
    """

    first: int
    last: int
    found_by: str


@dataclass
class ShardArchive:
    """What is known of a shard archive once it has been written."""

    shard: int
    wal: ShardWal
    wal_offset: int


@dataclass
class _WalFile:
    """One file of the log, kept until its shard is over."""

    name: str
    content: IO[bytes]
    extents: list[tuple[int, int]]
    done: int = 0

    def take(self, view: memoryview) -> None:
        while view:
            offset, length = self.extents[0]
            taken = min(length - self.done, len(view))
            self.content.seek(offset + self.done)
            self.content.write(view[:taken])
            self.done += taken
            view = view[taken:]
            if self.done == length:
                self.extents = self.extents[1:]
                self.done = 0

    def read(self) -> bytes:
        self.content.seek(0)
        return self.content.read()


class _Document(bytearray):
    """A small JSON file held in memory."""

    def as_json(self, name: str) -> object:
        try:
            return json.loads(self)
        except ValueError as error:
            raise DamagedSnapshot(f"{name} in the snapshot is not JSON: {error}.", _HINT) from error


@dataclass
class _Shard:
    """A shard whose members are passing."""

    number: int
    sink: ObjectSink
    spool: Callable[[], IO[bytes]]
    ack_before: int | None
    ack_known: bool
    wal_files: dict[str, _WalFile] = field(default_factory=dict)
    documents: dict[str, _Document] = field(default_factory=dict)
    segment_versions: list[int | None] = field(default_factory=list)
    inner: TarReader | None = None
    inner_documents: dict[str, _Document] = field(default_factory=dict)
    mtime: int = 0

    def begin(self, name: str, member: TarMember) -> Sink | None:
        self.mtime = max(self.mtime, int(member.mtime))
        if name == _ACK_FILE:
            return self._document(name, member)
        if name.startswith("wal/"):
            return self._wal_file(name[4:], member)
        if name in _DROPPED:
            return None
        self.sink.write(renamed(member, name))
        if name.startswith("segments/") and name.endswith(".tar"):
            return self._segment(name)
        if name in _NEEDED:
            document = self._document(name, member)
            return _both(document, self.sink.write)
        return self.sink.write

    def end(self, name: str, member: TarMember) -> None:
        self._end_segment(name)
        if not name.startswith("wal/") and name not in _DROPPED:
            self.sink.write(padding(member.size))

    def close(self) -> ShardArchive:
        """Write the log and the end of the archive."""
        self._require_members()
        segments = self._scan_wal()
        kept, needed = self._first_entry(segments)
        first, stop = kept.first, kept.last + 1
        wal_offset = self.sink.size
        size = wal.HEADER_SIZE + sum(part.offset(part.stop) - part.offset(max(first, part.first)) for part in needed)
        self.sink.write(regular_header(f"wal/closed-{first}", size, self.mtime))
        writer = wal.Writer(needed[0].seed if needed else 0)
        self.sink.write(writer.header)
        for part in needed:
            data = self.wal_files[part.name].read()
            for piece in writer.reframe(data, part, max(first, part.first), min(stop, part.stop)):
                self.sink.write(piece)
        self.sink.write(padding(size) + END_OF_ARCHIVE)
        self.sink.finish()
        for file in self.wal_files.values():
            file.content.close()
        return ShardArchive(self.number, kept, wal_offset)

    def _document(self, name: str, member: TarMember) -> Sink:
        if member.is_sparse or member.size > _LARGEST_DOCUMENT:
            raise DamagedSnapshot(f"{name} in the snapshot has {member.size} bytes.", _HINT)
        return self.documents.setdefault(name, _Document()).extend

    def _wal_file(self, name: str, member: TarMember) -> Sink | None:
        if not wal.in_order([name]) or not member.extents:
            return None
        end = max(offset + length for offset, length in member.extents)
        if end - member.size > _LARGEST_HOLE:
            raise DamagedSnapshot(f"{name} in the snapshot has a hole of {end - member.size} bytes.", _HINT)
        file = _WalFile(name, self.spool(), list(member.extents))
        self.wal_files[name] = file
        return file.take

    def _segment(self, name: str) -> Sink:
        """Pass a segment on, and follow the tar inside it: is it whole, and at which version is the segment?"""
        what = f"The segment {self.number}/{name} in the snapshot"
        self.inner = inner = TarReader(what, self._on_inner_member)
        self.inner_documents = {}
        return _both(self.sink.write, inner.feed)

    def _on_inner_member(self, member: TarMember) -> Sink | None:
        name = member.name.rsplit("/", 1)[-1]
        if name not in _NEEDED_IN_SEGMENT or name in self.inner_documents or member.size > _LARGEST_DOCUMENT:
            return None
        return self.inner_documents.setdefault(name, _Document()).extend

    def _end_segment(self, name: str) -> None:
        if self.inner is None:
            return
        self.inner.finish(end_mark=False)
        self.inner = None
        missing = _NEEDED_IN_SEGMENT - set(self.inner_documents)
        if missing:
            raise DamagedSnapshot(f"The segment {self.number}/{name} in the snapshot lacks {sorted(missing)}.", _HINT)
        state = self.inner_documents["segment.json"].as_json(f"{name}: segment.json")
        self.segment_versions.append(state.get("version") if isinstance(state, dict) else None)

    def _require_members(self) -> None:
        missing = [name for name in _NEEDED if name not in self.documents]
        if not self.segment_versions:
            missing.append("segments")
        if not self.wal_files:
            missing.append("wal")
        if missing:
            raise DamagedSnapshot(f"Shard {self.number} in the snapshot lacks {', '.join(missing)}.", _HINT)

    def _scan_wal(self) -> list[wal.Segment]:
        segments: list[wal.Segment] = []
        follows = 0
        for name in wal.in_order(self.wal_files):
            segment = wal.scan(name, wal.first_index(name, follows), self.wal_files[name].read())
            segments.append(segment)
            follows = segment.stop
        return segments

    def _first_entry(self, segments: list[wal.Segment]) -> tuple[ShardWal, list[wal.Segment]]:
        """S, L and the segments that hold them; docs/formats.md says why these bounds are the right ones.

        A replay may begin too early, never too late. Without an ack, Qdrant itself begins at the first entry there is.
        """
        kept = [segment for segment in segments if segment.ends] or segments[:1]
        start, last = kept[0].first, segments[-1].stop - 1
        if self.ack_known:
            self._refuse_foreign_ack()
            first, found_by = start if self.ack_before is None else self.ack_before, "ack_index"
        else:
            first, found_by = self._bound_by_segments(start), "segments"
            if first < start:
                first, found_by = start, "wal_start"
        return ShardWal(first, last, found_by), wal.cover(segments, first)

    def _refuse_foreign_ack(self) -> None:
        """An ack never goes back: one that is ahead of the snapshot's is that of other data, and writes would be lost.

        One that is behind costs some replay, or is a gap where the log does not reach so far back.
        """
        inside = self._ack_inside() or 0
        if (self.ack_before or 0) <= inside:
            return
        raise InvalidInput(
            f"storage_path is not where the node keeps shard {self.number}: the log there was acknowledged up to "
            f"{self.ack_before} before the snapshot, the log in the snapshot up to {inside}.",
            "Give the storage directory of the very node that is backed up, or leave storage_path out. If the shard "
            "was restored meanwhile, take another backup.",
        )

    def _ack_inside(self) -> int | None:
        """What the snapshot itself says of how far its log was acknowledged."""
        document = self.documents.get(_ACK_FILE)
        state = document.as_json(_ACK_FILE) if document is not None else {}
        ack = state.get("ack_index") if isinstance(state, dict) else None
        return ack if isinstance(ack, int) else None

    def _bound_by_segments(self, start: int) -> int:
        """min(ack in the snapshot, lowest non-zero segment version + 1); not the highest: it revives deleted points."""
        ack = self._ack_inside()
        if ack is None:
            return start
        return min([ack, *(version + 1 for version in self.segment_versions if version)])


class ShardSplitter:
    """Feed it a collection snapshot; it opens a sink for each wanted shard and writes its archive there.

    ``shards``: the shards to keep, others are skipped. ``spool``: makes a temporary binary file for log segments.
    ``acks``: ``ack_index`` of each shard as read before the snapshot (None: not there yet), or None if unreadable.
    Both ``feed`` and ``finish`` raise ``DamagedSnapshot``, ``WalGap``, or ``InvalidInput`` for acks of other data.
    """

    def __init__(
        self,
        shards: Collection[int],
        open_object: Callable[[int], ObjectSink],
        spool: Callable[[], IO[bytes]],
        acks: Mapping[int, int | None] | None,
    ) -> None:
        self._wanted = frozenset(shards)
        self._open_object = open_object
        self._spool = spool
        self._acks = acks
        self._current: _Shard | None = None
        self._seen: set[int] = set()
        self._documents: dict[str, _Document] = {}
        self._reader = TarReader("The snapshot", self._on_member, self._on_member_end)
        self.archives: list[ShardArchive] = []
        self.feed = self._reader.feed

    def finish(self) -> list[ShardArchive]:
        """Say that the snapshot is over; raises ``DamagedSnapshot`` where anything that a restore needs is missing."""
        self._reader.finish()
        self._close_shard()
        missing = sorted(self._wanted - {archive.shard for archive in self.archives})
        if missing:
            raise DamagedSnapshot(f"The snapshot lacks the shards {missing}.", _HINT)
        lacking = [name for name in _DOCUMENTS if name not in self._documents]
        if lacking:
            raise DamagedSnapshot(f"The snapshot lacks {', '.join(lacking)}.", _HINT)
        return self.archives

    def _on_member(self, member: TarMember) -> Sink | None:
        match = _SHARD_MEMBER.match(member.name)
        if match is None:
            self._close_shard()
            if member.name in _DOCUMENTS and member.size <= _LARGEST_DOCUMENT:
                return self._documents.setdefault(member.name, _Document()).extend
            return None
        shard = self._enter(int(match.group(1)))
        return shard.begin(match.group(2), member) if shard is not None else None

    def _on_member_end(self, member: TarMember) -> None:
        match = _SHARD_MEMBER.match(member.name)
        if match is not None and self._current is not None:
            self._current.end(match.group(2), member)

    def _enter(self, number: int) -> _Shard | None:
        if self._current is not None and self._current.number == number:
            return self._current
        self._close_shard()
        if number not in self._wanted:
            return None
        if number in self._seen:
            raise DamagedSnapshot(f"The members of shard {number} do not stand together in the snapshot.", _HINT)
        self._seen.add(number)
        known = self._acks is not None and number in self._acks
        ack = self._acks.get(number) if self._acks is not None else None
        self._current = _Shard(number, self._open_object(number), self._spool, ack, known)
        return self._current

    def _close_shard(self) -> None:
        if self._current is not None:
            current, self._current = self._current, None
            self.archives.append(current.close())


def _both(first: Sink, second: Sink) -> Sink:
    def take(view: memoryview) -> None:
        first(view)
        second(view)

    return take
