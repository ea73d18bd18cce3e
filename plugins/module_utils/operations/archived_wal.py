# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archive of a collection, as all regions have it together: each chunk from the first one that has it right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import DamagedBackup, IntegrityError, StoreError, StoreUnreachable
from ..formats.moments import Extent, latest_seen
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_join import Entries
from ..formats.wal_layout import ReplicaLog, chunk_key, positions_prefix, replica_prefix, timeline_key, timeline_prefix
from ..formats.wal_positions import Position, Positions
from ..formats.wal_timeline import Timeline
from ..stores.repository import Repository
from .at_once import read_ahead
from .verified_parts import NOT_REACHED, SourceHealth
from .wal_keys import ChunkKeys
from .wal_listing import (
    StoredChunk,
    chunks,
    first_chunk,
    last_chunk,
    read_chunk,
    read_header,
    read_positions,
    read_timeline,
    timelines,
    unread_start,
)

# Reading a header waits for the store, not for this host.
_READERS = 16
# Reading a chunk keeps a core busy, with hashing and unpacking; each one that is held takes its size in memory.
_CHUNKS_AHEAD = 2
_Found = TypeVar("_Found")


class ArchivedWal:
    """The archived logs of one collection."""

    def __init__(self, sources: Sequence[Repository], collection: str, health: SourceHealth | None = None) -> None:
        """``sources``: in the order of preference. ``health``: of these sources, shared by all of a run."""
        self.sources, self.collection = list(sources), collection
        self.health = health or SourceHealth()
        self.keys = ChunkKeys(self.sources)
        self.broken: dict[ReplicaLog, str] = {}
        self._told: list[dict[str, Positions]] | None = None
        self._sizes: dict[tuple[str, str], int] = {}
        self._headers: dict[str, ChunkHeader] = {}
        self._timelines: dict[tuple[int, str], list[ReplicaLog]] = {}
        self._records: dict[ReplicaLog, Timeline | None] = {}
        self._extents: dict[tuple[int, str], list[Extent]] = {}

    def timelines(self, shard: int, replica: str) -> list[ReplicaLog]:
        """Those of one replica, oldest first."""
        if (shard, replica) not in self._timelines:
            prefix = replica_prefix(self.collection, shard, replica)
            found = self._ask_all(prefix, lambda source: timelines(source, self.collection, shard, replica))
            each = {log for logs in found for log in logs}
            self._timelines[shard, replica] = sorted(each, key=lambda log: log.timeline)
        return self._timelines[shard, replica]

    def extents(self, shard: int, replica: str) -> list[Extent]:
        """The ends of each timeline of one replica."""
        if (shard, replica) not in self._extents:
            self._extents[shard, replica] = [self._extent(log) for log in self.timelines(shard, replica)]
        return self._extents[shard, replica]

    def record(self, log: ReplicaLog) -> Timeline | None:
        """The record of a timeline, None where no source has a good copy."""
        if log not in self._records:
            try:
                self._records[log] = self._first_right(timeline_key(log), lambda source: read_timeline(source, log))
            except DamagedBackup:
                self._records[log] = None
        return self._records[log]

    def headers(self, log: ReplicaLog, first: int = 0) -> list[ChunkHeader]:
        """The headers of the unbroken run of chunks that begins with the one that has the entry ``first``, or with the
        first one after it. Chunks that have nothing that others do not have are left out.

        ``broken`` tells why the run ends where it does, if there are chunks of this log after it.
        """
        run: list[tuple[int, int]] = []
        self.broken.pop(log, None)
        for low, high in self._spans(log, first):
            following = run[-1][1] + 1 if run else max(first, low)
            if low > following:
                self.broken[log] = f"the entries {following} to {low - 1} are missing in the archive"
                break
            if high >= following:
                run.append((low, high))
        with ThreadPoolExecutor(_READERS, thread_name_prefix="wal-header") as threads:
            found = list(threads.map(lambda span: self._header_or_damage(log, *span), run))
        damage = next((each for each in found if isinstance(each, DamagedBackup)), None)
        if damage is not None:
            self.broken[log] = damage.detail.rstrip(".")
        whole = found.index(damage) if damage is not None else len(found)
        return [each for each in found[:whole] if isinstance(each, ChunkHeader)]

    def entries(self, header: ChunkHeader) -> Entries:
        """The entries of a chunk, proved, from the first source that has them right.

        Raises ``DamagedBackup``, ``StoreUnreachable``, or what ``ChunkKeys`` does.
        """
        secret = self.keys.of(header)

        def read(source: Repository) -> Entries:
            found, entries = read_chunk(source, header.key, source.get(header.key), secret)
            if found != header:
                raise IntegrityError("It is another chunk than that of its name.")
            return entries

        return self._first_right(header.key, read)

    def entries_of(self, headers: Iterable[ChunkHeader]) -> Iterator[Entries]:
        """The ``entries`` of each chunk, in order. While one is used the next ones are read."""
        yield from read_ahead(self.entries, headers, _CHUNKS_AHEAD)

    def position(self, log: ReplicaLog) -> Position | None:
        """The newest that the archiver said of this timeline, in any source, also as it began the next one."""
        if self._told is None:
            prefix = positions_prefix(self.collection)
            self._told = list(self._ask_all(prefix, lambda source: read_positions(source, self.collection)))
        told = [each[log.replica].of(log) for each in self._told if log.replica in each]
        records = [self.record(other) for other in self.timelines(log.shard, log.replica)]
        return latest_seen([*told, *(record.end_of(log) for record in records if record is not None)])

    def _extent(self, log: ReplicaLog) -> Extent:
        position = self.position(log)
        hint = (position.last or 0) if position is not None else 0

        def ask(source: Repository) -> tuple[StoredChunk | None, StoredChunk | None]:
            return first_chunk(source, log), last_chunk(source, log, hint)

        ends = [(first, last) for first, last in self._ask_all(timeline_prefix(log), ask) if first and last]
        lowest = min((first.first for first, _last in ends), default=None)
        highest = max((last.last for _first, last in ends), default=None)
        record = self.record(log)
        # If no source can tell, the end of the second in its name.
        started = record.started if record is not None else unread_start(log)
        return Extent(log, started, lowest, highest)

    def _spans(self, log: ReplicaLog, first: int) -> list[tuple[int, int]]:
        """First and last index (inclusive) of the chunks of a timeline with entries from ``first`` on, in order; of
        those with one beginning, the longest first."""

        def ask(source: Repository) -> list[tuple[int, int]]:
            found = chunks(source, log, first)
            self._sizes |= {(source.name, chunk.key): chunk.size for chunk in found}
            return [(chunk.first, chunk.last) for chunk in found]

        spans = {span for found in self._ask_all(timeline_prefix(log), ask) for span in found}
        return sorted(spans, key=lambda span: (span[0], -span[1]))

    def _header(self, log: ReplicaLog, first: int, last: int) -> ChunkHeader:
        key = chunk_key(log, first, last)

        def read(source: Repository) -> ChunkHeader:
            return read_header(source, StoredChunk(key, log, first, last, self._sizes.get((source.name, key), 0)))

        if key not in self._headers:
            self._headers[key] = self._first_right(key, read)
        return self._headers[key]

    def _header_or_damage(self, log: ReplicaLog, first: int, last: int) -> ChunkHeader | DamagedBackup:
        try:
            return self._header(log, first, last)
        except DamagedBackup as error:
            return error

    def _answering(self) -> Iterator[Repository]:
        return (source for source in self.sources if source.name not in self.health.down)

    def _ask_all(self, key: str, ask: Callable[[Repository], _Found]) -> Iterator[_Found]:
        """What the sources answer that do; a missing object is no answer."""
        for source in self._answering():
            try:
                yield ask(source)
            except NOT_REACHED as error:
                self.health.failed(source, key, error)
            except StoreError:
                continue

    def _first_right(self, key: str, read: Callable[[Repository], _Found]) -> _Found:
        reasons = []
        reached = False
        for source in self._answering():
            try:
                return read(source)
            except (StoreError, IntegrityError) as error:
                reasons.append(f"{source.name}: {error.detail}")
                if isinstance(error, NOT_REACHED):
                    self.health.failed(source, key, error)
                    continue
                reached = True
                self.health.note(source, key, error.detail)
        detail = f"No source has a good copy of {key}. {' '.join(reasons)}"
        if not reached:
            raise StoreUnreachable(detail, "Make at least one of the sources reachable, and run again.")
        raise DamagedBackup(detail, "Add a further source that holds it, or restore to a moment before it.")
