# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the WAL archive of a repository holds: timelines, chunks, headers, and how far archivers have come.

Chunks are many, one every few seconds for each shard: nothing here lists a whole timeline where its ends are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import unquote

from ..errors import IntegrityError, ObjectNotFound
from ..formats import layout, wal_chunk
from ..formats.wal_chunk_header import MAX_HEADER, ChunkHeader
from ..formats.wal_join import Entries
from ..formats.wal_layout import (
    ReplicaLog,
    parse_chunk_key,
    parse_positions_key,
    positions_prefix,
    replica_prefix,
    timeline_key,
    timeline_prefix,
    wal_prefix,
)
from ..formats.wal_positions import Positions
from ..formats.wal_timeline import Timeline
from ..stores.repository import Repository

# A timeline's name is cut to whole seconds.
_SECOND = timedelta(seconds=1)
_PAGE = 1000
_STEP = 64
_HINT = "Take it from another copy of the repository, or restore to a moment before it."


@dataclass(frozen=True)
class StoredChunk:
    """An object of the archive by its name: whose entries it holds, the first and the last (inclusive), its size."""

    key: str
    log: ReplicaLog
    first: int
    last: int
    size: int


def replicas(repository: Repository, collection: str) -> dict[int, list[str]]:
    """The replicas of each shard of a collection that have an archive."""
    prefix = wal_prefix(collection)
    shards = sorted(int(name) for name in repository.folders(prefix) if name.isdecimal())
    return {shard: sorted(map(unquote, repository.folders(f"{prefix}{shard}/"))) for shard in shards}


def timelines(repository: Repository, collection: str, shard: int, replica: str) -> list[ReplicaLog]:
    """The timelines of one replica, oldest first, with chunks or without."""
    names = repository.folders(replica_prefix(collection, shard, replica))
    return [ReplicaLog(collection, shard, replica, name) for name in sorted(filter(layout.is_backup_id, names))]


def read_timeline(repository: Repository, log: ReplicaLog) -> Timeline:
    """The record of a timeline. Raises ``ObjectNotFound``, ``IntegrityError`` or another StoreError."""
    key = timeline_key(log)
    return prove_record(repository, key, repository.get(key))


def prove_record(repository: Repository, key: str, data: bytes) -> Timeline:
    """The record of a timeline in the object ``key``. Raises ``IntegrityError`` where it is damaged or another's."""
    timeline = Timeline.parse(data)
    if (timeline.key, timeline.cluster) != (key, repository.location.cluster):
        raise IntegrityError(f"The record of a WAL timeline at {key} is of another log.", _HINT)
    return timeline


def unread_start(log: ReplicaLog) -> datetime:
    """When a timeline was begun (aware) at the latest, by its name alone."""
    return layout.backup_time(log.timeline) + _SECOND


def read_positions(repository: Repository, collection: str) -> dict[str, Positions]:
    """How far each replica's archiver has come; a record that cannot be read counts as none."""
    found: dict[str, Positions] = {}
    for item in repository.list(positions_prefix(collection)):
        named = parse_positions_key(item.key)
        try:
            positions = Positions.parse(repository.get(item.key)) if named is not None else None
        except ObjectNotFound:
            continue
        mine = (repository.location.cluster, *(named or ()))
        if positions and (positions.cluster, positions.collection, positions.replica) == mine:
            found[positions.replica] = positions
    return found


def chunks(repository: Repository, log: ReplicaLog, first: int = 0, last: int | None = None) -> list[StoredChunk]:
    """The chunks of a timeline with entries from ``first`` to ``last`` (inclusive; None: to its end), by their keys."""
    back = 0
    while True:
        begin = max(0, first - back)
        found = list(_listed(repository, log, begin, last))
        if begin == 0 or any(chunk.first <= first <= chunk.last for chunk in found):
            return [chunk for chunk in found if chunk.last >= first]
        back = back * _STEP or _STEP


def first_chunk(repository: Repository, log: ReplicaLog) -> StoredChunk | None:
    """The chunk that a timeline begins with, None where it has none."""
    return next(_listed(repository, log, 0), None)


def last_chunk(repository: Repository, log: ReplicaLog, hint: int = 0) -> StoredChunk | None:
    """The chunk with the highest entry of a timeline, None where it has none.

    ``hint``: an index that it is known to have reached; without it this takes some more requests.
    """
    begin, back = hint, 1
    while not (page := _page(repository, log, begin)) and begin > 0:
        back *= _STEP
        begin = max(0, hint - back)
    stride = 1
    while len(page) >= _PAGE:
        span = page[-1].first - page[0].first + 1
        if further := _page(repository, log, page[-1].first + span * stride):
            page, stride = further, stride * 2
        elif stride > 1:
            stride = max(1, stride // 4)
        else:
            page = page[-1:] + _page(repository, log, page[-1].first + 1)
    return max(page, key=lambda chunk: chunk.last, default=None)


def read_header(repository: Repository, chunk: StoredChunk) -> ChunkHeader:
    """The header of a chunk, which proves itself. Raises ``IntegrityError`` where it is damaged or another's."""
    header = ChunkHeader.parse(repository.get_range(chunk.key, 0, min(chunk.size, MAX_HEADER)))
    _require_own(repository, chunk.key, header)
    return header


def prove_chunk(
    repository: Repository,
    key: str,
    data: bytes,
    secret_of: Callable[[ChunkHeader], bytes | None] = lambda _header: None,
    summary: bool = False,
) -> ChunkHeader:
    """The header of the whole object ``key``, which is proved as far as that goes with the data keys that are given.

    ``summary``: as ``formats.wal_chunk.prove_chunk``.

    Raises ``IntegrityError`` where it is damaged or another's.
    """
    header = wal_chunk.prove_chunk(data, secret_of, summary)
    _require_own(repository, key, header)
    return header


def read_chunk(repository: Repository, key: str, data: bytes, secret: bytes = b"") -> tuple[ChunkHeader, Entries]:
    """Header and entries of the whole object ``key``; ``secret``: the data key of one that is encrypted.

    Raises ``IntegrityError`` where it is damaged or another's.
    """
    header, entries = wal_chunk.read_chunk(data, secret)
    _require_own(repository, key, header)
    return header, entries


def _require_own(repository: Repository, key: str, header: ChunkHeader) -> None:
    if (header.key, header.cluster) != (key, repository.location.cluster):
        raise IntegrityError(f"The archived WAL chunk at {key} is another one, by its header.", _HINT)


def _page(repository: Repository, log: ReplicaLog, begin: int) -> list[StoredChunk]:
    return list(islice(_listed(repository, log, begin), _PAGE))


def _listed(repository: Repository, log: ReplicaLog, begin: int, last: int | None = None) -> Iterator[StoredChunk]:
    """Those whose first index is ``begin`` or higher, and ``last`` or lower."""
    prefix = timeline_prefix(log)
    # The dot comes after the hyphen that follows the first index of a key.
    until = None if last is None else f"{prefix}{last:020}."
    for item in repository.list(prefix, f"{prefix}{begin:020}", until):
        parsed = parse_chunk_key(item.key)
        if parsed is not None:
            yield StoredChunk(item.key, parsed[0], parsed[1], parsed[2], item.size)
