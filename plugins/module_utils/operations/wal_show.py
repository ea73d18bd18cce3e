# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written to a collection, entry by entry, newest first: so that people find the moment before a mistake."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain, islice
from pathlib import Path

from ..errors import BackupNotFound, FileError
from ..formats.wal_operations import Operation, describe
from ..stores.node_files import local_replicas
from ..stores.repository import Repository
from ..stores.wal_files import Absent, NewEntries, WalFiles
from .archived_wal import ArchivedWal
from .wal_listing import StoredChunk, chunks, last_chunk, read_header, replicas, timelines

_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class ShownEntry:
    """One entry of a shard's log, written between two times (aware).

    These, ``replica`` and ``timeline`` are None for an entry that was read from a log on disk, which has no times.
    """

    shard: int
    index: int
    operation: Operation
    replica: str | None = None
    timeline: str | None = None
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class ShowRequest:
    """What to show: at most the newest ``limit`` entries of a ``collection``, of one ``shard`` or of all (None).

    ``since``, ``until`` (aware): those that may have been written in this span; ``operation``: of this kind or name.
    ``replica``: by its log; else by that of each shard which goes on the longest.
    """

    collection: str
    limit: int
    shard: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    operation: str | None = None
    replica: str | None = None

    def fits(self, entry: ShownEntry) -> bool:
        """Whether to show an entry, as far as it goes by its operation and times."""
        if self.operation not in (None, entry.operation.kind, entry.operation.name):
            return False
        if self.since is not None and entry.before is not None and entry.before < self.since:
            return False
        return self.until is None or entry.after is None or entry.after <= self.until


def archived_entries(sources: Sequence[Repository], request: ShowRequest) -> list[ShownEntry]:
    """The newest entries that fit, newest first; chunk by chunk, back from the end of the span.

    ``sources``: the first one says which chunks there are; one that it has damaged is read from the others.

    Raises:
        BackupNotFound: nothing of it is archived there.
        DamagedBackup, IntegrityError: a chunk is damaged.
        StoreError: the first source, or all of them, could not be asked.
    """
    archived = replicas(sources[0], request.collection)
    wanted = {
        shard: names
        for shard, names in archived.items()
        if request.shard in (None, shard) and request.replica in (None, *names)
    }
    if not wanted:
        raise BackupNotFound(
            f"{sources[0].url('')} has no archived log of what was asked for of {request.collection!r}.",
            "Check the names; qdrant-dr status tells what is archived.",
        )
    archive = ArchivedWal(sources, request.collection)
    logs = [
        _replica_entries(archive, request, shard, request.replica or _longest(sources[0], request, shard, names))
        for shard, names in wanted.items()
    ]
    merged = heapq.merge(*logs, key=lambda entry: entry.before or _EARLIEST, reverse=True)
    return list(islice(filter(request.fits, merged), request.limit))


def _longest(repository: Repository, request: ShowRequest, shard: int, names: Sequence[str]) -> str:
    """The replica whose log goes on the longest, by the times of its last entries."""
    if len(names) == 1:
        return names[0]

    def end(replica: str) -> datetime:
        for log in reversed(timelines(repository, request.collection, shard, replica)):
            last = last_chunk(repository, log)
            if last is not None:
                return read_header(repository, last).polls[-1].before
        return _EARLIEST

    return max(names, key=end)


def _replica_entries(archive: ArchivedWal, request: ShowRequest, shard: int, replica: str) -> Iterator[ShownEntry]:
    """The entries of one replica back to ``since``, newest first."""
    repository = archive.sources[0]
    for log in reversed(timelines(repository, request.collection, shard, replica)):
        stored = chunks(repository, log)
        for chunk in reversed(stored[: _begun_by(repository, stored, request.until)]):
            header = read_header(repository, chunk)
            if request.since is not None and header.polls[-1].before < request.since:
                return
            entries = archive.entries(header)
            for index in range(header.last, header.first - 1, -1):
                operation = describe(entries.entry(index))
                yield ShownEntry(shard, index, operation, replica, log.timeline, *header.bounds(index))


def _begun_by(repository: Repository, stored: Sequence[StoredChunk], until: datetime | None) -> int:
    """How many chunks begin by this time, by as few headers as that takes."""
    low, high = 0, len(stored)
    while until is not None and low < high:
        middle = (low + high) // 2
        if read_header(repository, stored[middle]).polls[0].after <= until:
            low = middle + 1
        else:
            high = middle
    return low if until is not None else high


def entries_on_disk(storage_path: str, request: ShowRequest) -> list[ShownEntry]:
    """The newest entries that fit and that the node's log still has, shard by shard, newest first.

    Raises ``FileError`` where it has no such log, or it cannot be read.
    """
    shards = [
        shard
        for collection, shard in local_replicas(storage_path)
        if collection == request.collection and request.shard in (None, shard)
    ]
    if not shards:
        raise FileError(f"{storage_path} has no log of what was asked for of {request.collection!r}.")
    folder = Path(storage_path) / "collections" / request.collection
    read = ((shard, _on_disk(folder / str(shard) / "wal", shard)) for shard in shards)
    kept = (deque(filter(request.fits, entries), request.limit) for _shard, entries in read)
    return list(islice(chain.from_iterable(map(reversed, kept)), request.limit))


def _on_disk(folder: Path, shard: int) -> Iterator[ShownEntry]:
    with WalFiles(folder) as files:
        while (found := files.poll()) is not None and not isinstance(found, Absent):
            if isinstance(found, NewEntries):
                for index, entry in found.entries.items(found.entries.first, found.entries.stop):
                    yield ShownEntry(shard, index, describe(entry))
