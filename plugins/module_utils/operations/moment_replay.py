# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that archived entries continue a base, find out what they do, and put them behind it in a shard archive.

The entries are read once, while they are sent. What has to be known before, the headers of their chunks tell.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InexactReplay, IntegrityError
from ..formats import wal
from ..formats.collection_config import vector_names
from ..formats.expected_points import ExpectedPoints, after_replay
from ..formats.manifest import Manifest
from ..formats.point_changes import NONE, ChangeCounter, PointChanges
from ..formats.sealed import plain_facts
from ..formats.snapshot_tar import END_OF_ARCHIVE, padding, regular_header
from ..formats.wal_chunk import goes_on, require_continuous
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_glance import glance
from ..formats.wal_join import Entries, Joiner
from ..formats.wal_operations import CONDITIONAL, UNKNOWN, apply_index_operation, counted, replays_exactly
from .archived_wal import ArchivedWal
from .base_log import base_entries, has_entries
from .moment import MomentRequest, ShardMoment

# Qdrant maps each file of a log into memory, and a process may have some 65,000 such maps.
_MOST_SEGMENTS = 256

Json = dict[str, Any]


class MomentReplay:
    """What a restore to a moment puts behind each shard of its base.

    ``payload_indexes``: those at the moment. ``entries``: how many are replayed after the base. ``inexact``: how many
    entries, by class, this Qdrant may not replay exactly. All are known after ``prove``.
    """

    def __init__(
        self,
        archive: ArchivedWal,
        manifest: Manifest,
        shards: Mapping[int, ShardMoment],
        data_keys: Mapping[str, bytes],
        qdrant_version: str,
    ) -> None:
        self._archive, self._manifest, self.shards = archive, manifest, shards
        self._data_keys = data_keys
        self._exact = replays_exactly(qdrant_version)
        self._vectors = vector_names(manifest.config)
        # By shard, the segments to send: by the number of the chunk that each begins with, its size in bytes.
        self._segments: dict[int, dict[int, int]] = {}
        self._inexact: Counter[str] = Counter()
        # By shard, of the base's own entries and of those after it.
        self._in_base: dict[int, PointChanges] = {}
        self._replayed: dict[int, PointChanges] = {}
        self._read: set[str] = set()
        self.payload_indexes = dict(manifest.payload_indexes)
        self.entries = 0

    def prove(self, request: MomentRequest) -> None:
        """Find out what the entries do, before anything is changed: by the headers of chunks, where these say enough.

        Raises:
            IntegrityError: entries that do not continue the base's log.
            WrongKey: no key opens a chunk that is encrypted.
            DamagedBackup, StoreUnreachable: no source has a good copy of something that has to be read.
            UnknownWalOperation: an entry that this version does not know.
            InexactReplay: with ``strict``, where an entry may not be replayed exactly.
        """
        for moment in self.shards.values():
            self._archive.keys.require(moment.headers)
            shared = self._prove_base(moment) if has_entries(moment.shard) else None
            if moment.chunks:
                self._look_at_chunks(moment, shared)
        if request.strict and self.inexact:
            raise InexactReplay(
                f"This Qdrant may not replay {counted(self.inexact)} exactly.",
                "Nothing was changed. Restore without strict, or with Qdrant 1.19 or newer.",
                inexact=self.inexact,
            )

    def describe(self) -> Json:
        """As the module ``restore`` documents it."""
        return {
            "moment": [moment.describe() for moment in self.shards.values()],
            "apart_seconds": self._apart(),
            "entries_replayed": self.entries,
            "inexact": self.inexact,
        }

    def proof(self) -> tuple[dict[str, int], dict[str, int]]:
        """Of the chunks that the restore takes: those whose entries ``prove`` has read and found right, and those of
        which it knows the header; ``chunks`` and the ``entries`` in them."""
        headers = {header.key: header for moment in self.shards.values() for header in moment.headers}
        read = [header for key, header in headers.items() if key in self._read]
        return _counted(read), _counted([header for key, header in headers.items() if key not in self._read])

    @property
    def notes(self) -> list[dict[str, str]]:
        """What sources did not have right."""
        return self._archive.health.notes

    def _apart(self) -> float:
        """How far apart the shards may be: what one of them may lack is so much older than what another one has."""
        cuts = [(moment.cut, moment.until) for moment in self.shards.values()]
        lacked = [cut.following[0] if cut.following else until for cut, until in cuts]
        taken = [cut.written[1] for cut, _until in cuts if cut.written]
        known = [moment for moment in lacked if moment is not None]
        return round(max(0.0, (max(taken) - min(known)).total_seconds()), 3) if taken and known else 0.0

    @property
    def size(self) -> int:
        """Bytes of the entries after the base."""
        return sum(sum(segments.values()) for segments in self._segments.values())

    @property
    def inexact(self) -> dict[str, int]:
        """By class, see ``formats.wal_operations``."""
        return {} if self._exact else dict(self._inexact)

    def facts(self, shard: Json) -> tuple[int, str | None]:
        """Size of the archive that ``pieces`` gives, and its SHA-256, None where that is not known before."""
        size, sha256 = plain_facts(shard["object"])
        moment = self.shards[shard["shard"]]
        if not moment.chunks:
            return size, sha256
        segments = self._segments[shard["shard"]]
        members = sum(len(_header(0, size)) + size + len(padding(size)) for size in segments.values())
        return _kept(shard) + members + len(END_OF_ARCHIVE), None

    def pieces(self, shard: Json, plain: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        """The archive of a shard: that of the base (``plain``), with more members for the entries after it.

        Each chunk is proved before its entries are given. Raises ``DamagedBackup`` or ``StoreUnreachable`` where no
        source has a good copy of one, ``IntegrityError`` where it does not continue the one before.
        """
        moment = self.shards[shard["shard"]]
        if not moment.chunks:
            yield from plain
            return
        left = _kept(shard)
        for data in plain:
            # The end of the base's archive is read, too: only then it has matched.
            yield data[:left]
            left -= min(left, len(data))
        yield from self._log(moment)
        yield END_OF_ARCHIVE

    def _log(self, moment: ShardMoment) -> Iterator[bytes | memoryview]:
        segments = self._segments[moment.shard["shard"]]
        joiner = Joiner(moment.base_last + 1, moment.cut.last)
        size = 0
        chunks = self._archive.entries_of(needed.header for needed in moment.chunks)
        for number, (needed, entries) in enumerate(zip(moment.chunks, chunks, strict=True)):
            if number in segments:
                yield padding(size)
                size = segments[number]
                yield _header(needed.first, size)
                joiner.begin_segment()
            yield from joiner.add(entries)
        joiner.finish()
        yield padding(size)

    @property
    def expected_points(self) -> ExpectedPoints | None:
        """How many points there must be, by what the entries do; None where one of the base's is unknown."""
        if self._inexact[UNKNOWN]:
            return None
        return after_replay(self._manifest, self._replayed, self._in_base)

    # -- proving

    def _prove_base(self, moment: ShardMoment) -> Entries | None:
        """The entry that both have must be the same one; the base's own are looked at on the way.

        Returns the entries of the chunk that has it, too.
        """
        key = self._manifest.object_key(moment.shard)
        digest = None
        points = ChangeCounter()
        for index, entry in base_entries(
            self._archive.sources, key, moment.shard, self._data_keys, self._archive.health
        ):
            operation = glance(entry)
            self._inexact.update(operation.inexact(self._vectors))
            points.add(operation)
            if operation.kind == "index":
                # The manifest has the indexes as they were before the snapshot.
                apply_index_operation(self.payload_indexes, index, operation)
            if index == moment.base_last:
                digest = hashlib.sha256(entry).digest()
        self._in_base[moment.shard["shard"]] = points.changes()
        if moment.shared is None:
            return None
        shared = self._entries(moment.shared)
        if hashlib.sha256(shared.entry(moment.base_last)).digest() != digest:
            raise IntegrityError(
                f"Entry {moment.base_last} of shard {moment.shard['shard']} in the archive ({moment.shared.key}) is "
                f"not that of base {self._manifest.backup_id}: it is the log of another timeline.",
                "Restore to a moment before the base, or from another one.",
            )
        if moment.chunks and moment.shared != moment.chunks[0].header:
            require_continuous(moment.shared, moment.chunks[0].header)
        return shared

    def _look_at_chunks(self, moment: ShardMoment, shared: Entries | None) -> None:
        """``shared``: the entries of the moment's shared chunk, where they have been read."""
        segments: dict[int, int] = {}
        latest, whole, looked_at = 0, NONE, ChangeCounter()
        for number, needed in enumerate(moment.chunks):
            joins = number > 0 and goes_on(moment.chunks[number - 1], needed)
            if not joins and len(segments) < _MOST_SEGMENTS:
                latest = number
                segments[latest] = wal.HEADER_SIZE
            header = needed.header
            if needed.is_whole and header.summary.is_enough:
                segments[latest] += header.size
                self._count(header.summary.inexact(self._vectors))
                whole += header.summary.points
                continue
            entries = shared if shared is not None and header == moment.shared else self._entries(header)
            segments[latest] += entries.framed_size(needed.first, needed.last + 1)
            for index, entry in entries.items(needed.first, needed.last + 1):
                operation = glance(entry)
                apply_index_operation(self.payload_indexes, index, operation)
                self._count(Counter(operation.inexact(self._vectors)))
                looked_at.add(operation)
        self._replayed[moment.shard["shard"]] = whole + looked_at.changes()
        self.entries += moment.cut.last - moment.base_last
        self._segments[moment.shard["shard"]] = segments

    def _entries(self, header: ChunkHeader) -> Entries:
        entries = self._archive.entries(header)
        self._read.add(header.key)
        return entries

    def _count(self, inexact: Counter[str]) -> None:
        # A condition is judged exactly on what the base's segments cannot hold in part.
        del inexact[CONDITIONAL]
        self._inexact += inexact


def _counted(headers: Sequence[ChunkHeader]) -> dict[str, int]:
    return {"chunks": len(headers), "entries": sum(header.last - header.first + 1 for header in headers)}


def _kept(shard: Json) -> int:
    """The bytes of the base's archive that stay: all but its end mark, and its log where that has no entry."""
    stored = shard["object"]
    return plain_facts(stored)[0] - len(END_OF_ARCHIVE) if has_entries(shard) else int(stored["wal_offset"])


def _header(first: int, size: int) -> bytes:
    return regular_header(f"wal/closed-{first}", size, 0)
