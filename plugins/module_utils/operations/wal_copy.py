# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the archived logs of a collection to another repository: what the backups there can be continued with.

The record of a timeline comes first, then its chunks, the first one before the others, and how far the archivers have
come last. So what a destination has always begins where it is needed, and a run that was interrupted fills the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from ..errors import DamagedBackup, EncryptionRefused, IntegrityError, ObjectNotFound
from ..formats.key_wrap import KeyRecord
from ..formats.wal_layout import ReplicaLog, parse_positions_key, positions_prefix, timeline_key
from ..formats.wal_retention import needed_from
from ..stores.repository import Repository
from .catalogue import READERS
from .clock import iso
from .object_copy import put_proved
from .repository_lock import RepositoryLock, collection_lock
from .wal_keys import Context, contexts, first_record, key_of, read_wraps
from .wal_listing import StoredChunk, chunks, first_chunk, prove_chunk, read_timeline, replicas, timelines
from .wal_prune import BaseLogs, stored_timelines
from .wal_ranges import restorable

_CHUNKS_AT_ONCE = 8
_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class _Wanted:
    """A timeline, and the chunks of it that the destination lacks."""

    log: ReplicaLog
    has_record: bool
    chunks: list[StoredChunk]

    @property
    def objects(self) -> int:
        return len(self.chunks) + (not self.has_record)


@dataclass
class WalCopy:
    """The archived logs of one collection on their way to one destination.

    ``new``: what the backups have that this run has copied there, or would; ``known``: all that it is about.
    ``objects`` and ``size`` (bytes) count what was copied, or would be; ``damaged`` says what is bad in the source.
    """

    source: Repository
    destination: Repository
    collection: str
    new: Sequence[BaseLogs]
    known: Sequence[BaseLogs]
    check: bool = False
    objects: int = 0
    size: int = 0
    damaged: list[str] = field(default_factory=list)
    _recorded: set[str] = field(default_factory=set)
    _recording: Lock = field(default_factory=Lock)

    def run(self) -> bool:
        """Copy what the destination lacks; returns whether the source has archived logs at all.

        Raises ``Busy`` or a StoreError. What is ``damaged`` in the source is left out.
        """
        archived = replicas(self.source, self.collection)
        if not archived:
            return False
        # Read before the chunks are listed: so all that they speak of is copied before they are.
        positions = self._positions()
        wanted = [
            each
            for shard, names in archived.items()
            for replica in names
            for each in self._lacking(shard, replica)
            if each.objects
        ]
        renewed = self._renewed_wraps()
        if self.check:
            self.objects = sum(each.objects for each in wanted) + len(renewed)
            self.size = sum(chunk.size for each in wanted for chunk in each.chunks)
            return True
        if wanted or renewed:
            with collection_lock(self.destination, self.collection) as lock:
                for context in renewed:
                    lock.require()
                    self._count(self._copy_wraps(context))
                for each in wanted:
                    self._copy(each, lock)
        if not self.damaged:
            self._tell(positions)
        return True

    def failure(self) -> DamagedBackup | None:
        """What is damaged in the source, as an error."""
        if not self.damaged:
            return None
        named = " ".join(self.damaged[:_NAMED_IN_ERRORS])
        return DamagedBackup(
            f"{len(self.damaged)} objects of the WAL archive of {self.collection!r} are damaged in {self.source.name},"
            f" and were not copied: {named}",
            "Repair them with backup_verify from a region that has them good, and run again.",
        )

    def describe(self, now: datetime) -> dict[str, Any]:
        """As the module ``backup_copy`` documents it; ``now`` is aware."""
        ranges = restorable(self.destination, self.collection).ranges
        until = ranges[-1].until if ranges else None
        return {
            "collection": self.collection,
            "destination": self.destination.name,
            "objects": self.objects,
            "bytes": self.size,
            "restorable_until": iso(until) if until else None,
            "lag_seconds": round(max(0.0, (now - until).total_seconds()), 3) if until else None,
        }

    # -- what to copy

    def _lacking(self, shard: int, replica: str) -> Iterator[_Wanted]:
        """From where the destination's archive of this replica begins, or earlier where a backup that came needs it.

        What lies before was pruned there, or never needed.
        """
        there = {log.timeline for log in timelines(self.destination, self.collection, shard, replica)}
        oldest = min(there, default=None)
        stored = stored_timelines(self.source, self.collection, shard, replica)
        bases = [logs[shard, replica] for logs in (self.new if there else self.known) if (shard, replica) in logs]
        begun = False
        for each, index in zip(stored, needed_from([each.span for each in stored], bases), strict=True):
            log = each.log
            begin = 0 if begun or (oldest is not None and oldest < log.timeline) else index
            if log.timeline in there and not begun:
                first = first_chunk(self.destination, log)
                places = [index, first.first if first is not None else None]
                begin = min((place for place in places if place is not None), default=0)
            if begin is not None:
                begun = True
                yield self._wanted(log, log.timeline in there, begin)

    def _wanted(self, log: ReplicaLog, is_there: bool, begin: int) -> _Wanted:
        have = {chunk.key: chunk.size for chunk in chunks(self.destination, log, begin)} if is_there else {}
        lacking = [chunk for chunk in chunks(self.source, log, begin) if have.get(chunk.key) != chunk.size]
        return _Wanted(log, is_there and self._has_record(log), lacking)

    def _has_record(self, log: ReplicaLog) -> bool:
        try:
            read_timeline(self.destination, log)
        except (ObjectNotFound, IntegrityError):
            return False
        return True

    # -- copying

    def _copy(self, wanted: _Wanted, lock: RepositoryLock) -> None:
        lock.require()
        if not wanted.has_record and not self._copy_record(wanted.log):
            return
        copy = partial(self._copy_chunk, lock=lock)
        for chunk in wanted.chunks[:1]:
            self._count(copy(chunk))
        with ThreadPoolExecutor(_CHUNKS_AT_ONCE, thread_name_prefix="copy-wal") as threads:
            for size in threads.map(copy, wanted.chunks[1:]):
                self._count(size)

    def _count(self, size: int) -> None:
        self.objects += size > 0
        self.size += size

    def _copy_record(self, log: ReplicaLog) -> bool:
        try:
            data = read_timeline(self.source, log).dump()
        except (IntegrityError, ObjectNotFound) as error:
            self.damaged.append(f"{timeline_key(log)}: {error.detail}")
            return False
        self._put(timeline_key(log), data, "application/json")
        self._count(len(data))
        return True

    def _copy_chunk(self, chunk: StoredChunk, lock: RepositoryLock) -> int:
        """The bytes that were copied: none where the chunk is damaged, or was pruned from the source meanwhile."""
        lock.require()
        try:
            data = self.source.get(chunk.key)
            header = prove_chunk(self.source, chunk.key, data)
        except ObjectNotFound:
            return 0
        except IntegrityError as error:
            self.damaged.append(f"{chunk.key}: {error.detail}")
            return 0
        if header.key_context is not None:
            self._bring_wraps(header.key_context, first_record(header))
        self._put(chunk.key, data, "application/octet-stream")
        return len(data)

    # -- the wraps of data keys

    def _renewed_wraps(self) -> list[Context]:
        """Of which data keys the destination has a record, that lacks what a rotation has added in the source."""

        def is_renewed(context: Context) -> bool:
            return read_wraps(self.destination, context).lacks(read_wraps(self.source, context))

        there = contexts(self.destination, self.collection)
        with ThreadPoolExecutor(READERS, thread_name_prefix="copy-wraps") as threads:
            return [context for context, is_so in zip(there, threads.map(is_renewed, there), strict=True) if is_so]

    def _bring_wraps(self, context: Context, first: KeyRecord | None) -> None:
        """Have a record of a chunk's data key before the chunk is stored."""
        with self._recording:
            if context["data_key"] not in self._recorded:
                self._copy_wraps(context, first)
                self._recorded.add(context["data_key"])

    def _copy_wraps(self, context: Context, first: KeyRecord | None = None) -> int:
        """Add what the destination lacks of a record; returns its bytes. ``first``: if the source has lost it."""
        wanted, there = read_wraps(self.source, context), read_wraps(self.destination, context)
        if first is not None:
            wanted.take(first)
        if not there.lacks(wanted):
            return 0
        there.take(wanted)
        data = there.dump()
        self._put(key_of(context), data, "application/json")
        return len(data)

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object and prove it there; one that is not right, or not encrypted as it must be, goes again."""
        info = put_proved(self.destination, key, data, content_type)
        try:
            self.destination.verify_encryption(info)
        except EncryptionRefused:
            self.destination.delete([key])
            raise

    # -- how far the archivers have come

    def _positions(self) -> dict[str, bytes]:
        found = {}
        for item in self.source.list(positions_prefix(self.collection)):
            if parse_positions_key(item.key) is not None:
                try:
                    found[item.key] = self.source.get(item.key)
                except ObjectNotFound:
                    continue
        return found

    def _tell(self, positions: dict[str, bytes]) -> None:
        for key, data in positions.items():
            named = parse_positions_key(key)
            held = named is not None and any(
                named[1] in names for names in replicas(self.destination, self.collection).values()
            )
            if held:
                self._put(key, data, "application/json")


def wal_copies(
    source: Repository,
    destinations: Sequence[Repository],
    logs: Mapping[tuple[str, str], BaseLogs],
    copied: Sequence[Mapping[str, Any]],
    unchanged: Sequence[Mapping[str, Any]],
    check: bool,
) -> list[WalCopy]:
    """The copies that follow those of backups.

    ``logs``: by collection and backup id, of the backups that were to be copied. ``copied``, ``unchanged``: what became
    of them, as the module ``backup_copy`` documents it.
    """

    def held(entries: Sequence[Mapping[str, Any]], destination: Repository, collection: str) -> list[BaseLogs]:
        where = (collection, destination.name)
        mine = [each["backup_id"] for each in entries if (each["collection"], each["destination"]) == where]
        return [logs[collection, backup_id] for backup_id in mine]

    found = []
    for destination in destinations:
        for collection in dict.fromkeys(collection for collection, _backup_id in logs):
            new, kept = (held(entries, destination, collection) for entries in (copied, unchanged))
            found.append(WalCopy(source, destination, collection, new, [*new, *kept], check))
    return found
