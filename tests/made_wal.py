# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs and archived chunks made by hand: real objects, without a Qdrant or an archiver."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout, wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import ChunkBuilder
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_join import Entries
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog, positions_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_positions import Position, Positions
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import FIRST, GAP, Timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_snapshots import numbered, wal_segment

START = datetime(2026, 11, 22, 2, 0, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
TOOL = {"name": "test", "version": "0"}


def moment(poll: int) -> datetime:
    """The clock's reading before the poll with this number."""
    return START + poll % 1_000_000 * SECOND


def log_of(
    files: Sequence[int], first: int = 0, seed: int = 1, operations: Sequence[bytes] | None = None
) -> list[Entries]:
    """The entries of a log with files of so many entries, one by one as a reader that polls often finds them.

    ``operations``: what they are, one for each; by default texts that tell their index.
    """
    found: list[Entries] = []
    crc: int | None = None
    content = iter(operations if operations is not None else numbered(first, first + sum(files)))
    for number, length in enumerate(files):
        data = wal_segment(itertools.islice(content, length), seed + number)
        position = wal.begin("open-1", first, data[:8])
        for stop in range(first + 1, first + length + 1):
            assert position is not None
            scanned = wal.scan_from("open-1", position, data[position.offset :], stop)
            framed = data[position.offset : scanned.position.offset]
            found.append(Entries(framed, (scanned.entries,), crc, scanned.position.crc))
            position, crc = scanned.position, scanned.position.crc
        first += length
    return found


def sealed(polls: Sequence[Entries], log: ReplicaLog, begin: datetime = START, cluster: str = "production") -> bytes:
    """The object with these entries, one poll each, that were made in the seconds before their index + 1."""
    builder = ChunkBuilder(cluster, log)
    shift = begin - START
    stored = b"".join(builder.add(poll, moment(poll.first) + shift, moment(poll.stop) + shift) for poll in polls)
    header, rest = builder.finish()
    return header.dump() + stored + rest


def make_timeline(
    repository: Repository,
    started: str,
    chunks: Sequence[int],
    first: int = 0,
    previous: str | None = None,
    seed: int = 1,
    operations: Sequence[bytes] | None = None,
    collection: str = "docs",
    shard: int = 0,
    replica: str = "1",
) -> list[str]:
    """Store a timeline with chunks of so many entries; returns their keys.

    ``started``: its id. ``previous``: that of the timeline before it, from which a gap parts it. Its first entry with
    index 0 would have been written as it began, each of the others a second later.
    """
    log = ReplicaLog(collection, shard, replica, started)
    begin = layout.backup_time(started)
    reason = FIRST if previous is None else GAP
    record = Timeline("production", log, begin, reason, "A test began it.", TOOL, previous=previous)
    repository.put(record.key, record.dump())
    polls = log_of([sum(chunks)], first, seed, operations) if chunks else []
    keys = []
    for length in chunks:
        data = sealed(polls[:length], log, begin)
        keys.append(ChunkHeader.parse(data).key)
        repository.put(keys[-1], data)
        polls = polls[length:]
    return keys


def tell_positions(repository: Repository, log: ReplicaLog, last: int, checked_at: datetime) -> None:
    """What the archiver of this replica would say: ``last`` is the end of the log, seen at ``checked_at``."""
    position = Position(log.timeline, last, None, checked_at, 0)
    told = Positions("production", log.collection, log.replica, "test", checked_at, TOOL, {log.shard: position})
    repository.put(positions_key(log.collection, log.replica), told.dump())
