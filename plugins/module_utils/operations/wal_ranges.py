# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To which moments a collection can be restored: its backups, and what the archived logs add to each of them.

This goes by records, names and the headers at the ends of timelines. That a chunk in the middle is whole and there,
a verification proves, and a restore before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..errors import DamagedManifest, IntegrityError, ObjectNotFound
from ..formats.manifest import Manifest
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_positions import Position, Positions
from ..formats.wal_timeline import Timeline
from ..stores.repository import Repository
from .catalogue import READERS, committed_ids, finished, read_manifest, snapshot_window
from .share import iso
from .wal_listing import (
    first_chunk,
    last_chunk,
    read_header,
    read_positions,
    read_timeline,
    replicas,
    timelines,
)


@dataclass(frozen=True)
class ArchivedTimeline:
    """One contiguous run of entries, ``first`` to ``newest.last`` (inclusive).

    ``until`` (aware): all that was written to the log until then is in it. ``ended`` (aware): when the next timeline
    of this replica was begun, None for its last one. ``behind``: entries that its archiver had seen and not stored.
    """

    record: Timeline
    first: int
    newest: ChunkHeader
    until: datetime
    ended: datetime | None
    behind: int | None

    @property
    def log(self) -> ReplicaLog:
        """Whose it is."""
        return self.record.log

    def holds_base(self, last: int, begun: datetime, finished: datetime) -> bool:
        """Whether a base goes on in this timeline whose log ends with ``last`` and that was taken between two times.

        That its entries are those of the timeline, only a comparison proves.
        """
        is_first = self.record.previous is None
        in_time = (is_first or begun >= self.record.started) and (self.ended is None or finished <= self.ended)
        return in_time and self.first - 1 <= last <= self.newest.last


@dataclass(frozen=True)
class Range:
    """Every moment from ``begin`` to ``until`` (aware), with the ids of the backups to begin from, oldest first."""

    begin: datetime
    until: datetime
    bases: tuple[str, ...]


@dataclass
class CollectionArchive:
    """What one region has of a collection. ``doubts``: sentences about what could not be read and does not count."""

    collection: str
    region: str
    timelines: list[ArchivedTimeline] = field(default_factory=list)
    bases: list[Manifest] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def timeline_of(self, base: Manifest, shard: int) -> ArchivedTimeline | None:
        """The timeline in which a backup goes on with this shard."""
        entry = next(each for each in base.shards if each["shard"] == shard)
        begun, finished = snapshot_window(base, entry)
        found = [
            each
            for each in self.timelines
            if (each.log.shard, each.log.replica) == (shard, str(entry.get("peer_id")))
            and each.holds_base(entry["wal"]["last"], begun, finished)
        ]
        return found[-1] if found else None

    @property
    def continued(self) -> bool:
        """Whether what is written from now on adds to a range: all shards of a backup go on in a last timeline."""
        return any(
            all(
                (each := self.timeline_of(base, entry["shard"])) is not None and each.ended is None
                for entry in base.shards
            )
            for base in self.bases
        )

    def as_result(self, now: datetime) -> dict[str, Any]:
        """For modules and people; ``now`` is aware. Ages are seconds."""
        return {
            "collection": self.collection,
            "region": self.region,
            "continued": self.continued,
            "rpo_seconds": _age(self.ranges[-1].until, now) if self.ranges else None,
            "ranges": [
                {"from": iso(each.begin), "until": iso(each.until), "backup_ids": list(each.bases)}
                for each in self.ranges
            ],
            "backups": [{"backup_id": base.backup_id, "at": iso(finished(base))} for base in self.bases],
            "shards": [_shard_result(each, now) for each in self.timelines if each.ended is None],
            "gaps": [_gap_result(each) for each in self.timelines if each.record.previous or each.record.gap],
            "doubts": self.doubts,
        }


def restorable(repository: Repository, collection: str) -> CollectionArchive:
    """The archive of a collection in one region, and the ranges that it can be restored to. Raises StoreError."""
    found = CollectionArchive(collection, repository.name)
    positions = read_positions(repository, collection)
    for shard, names in replicas(repository, collection).items():
        for replica in names:
            found.timelines += _timelines(repository, collection, shard, replica, positions.get(replica), found.doubts)
    found.bases = _bases(repository, collection, found.doubts)
    found.ranges = _merged(each for base in found.bases if (each := _range(found, base)) is not None)
    return found


def _timelines(
    repository: Repository, collection: str, shard: int, replica: str, positions: Positions | None, doubts: list[str]
) -> list[ArchivedTimeline]:
    """Those of one replica, oldest first, without those that have no chunks."""
    found: list[ArchivedTimeline] = []
    ended: datetime | None = None
    for log in reversed(timelines(repository, collection, shard, replica)):
        mine = positions.of(log) if positions is not None else None
        try:
            timeline = _timeline(repository, log, mine, ended)
        except (IntegrityError, ObjectNotFound) as error:
            doubts.append(f"shard {shard}, replica {replica}, timeline {log.timeline}: {error.detail}")
            continue
        if timeline is not None:
            found.append(timeline)
            ended = timeline.record.started
    return found[::-1]


def _timeline(
    repository: Repository, log: ReplicaLog, position: Position | None, ended: datetime | None
) -> ArchivedTimeline | None:
    last = last_chunk(repository, log, (position.last or 0) if position is not None else 0)
    first = first_chunk(repository, log)
    if last is None or first is None:
        return None
    newest = read_header(repository, last)
    until = newest.polls[-1].before
    if position is not None and position.last == last.last and position.checked_at is not None:
        until = max(until, position.checked_at)
    behind = position.behind if position is not None else None
    return ArchivedTimeline(read_timeline(repository, log), first.first, newest, until, ended, behind)


def _bases(repository: Repository, collection: str, doubts: list[str]) -> list[Manifest]:
    """All committed backups with a valid manifest, oldest first."""

    def read(backup_id: str) -> Manifest | str:
        try:
            return read_manifest(repository, collection, backup_id)[0]
        except (DamagedManifest, ObjectNotFound) as error:
            return f"{backup_id}: {error.detail}"

    with ThreadPoolExecutor(READERS) as threads:
        read_ones = list(threads.map(read, sorted(committed_ids(repository, collection))))
    doubts += [each for each in read_ones if isinstance(each, str)]
    return [each for each in read_ones if isinstance(each, Manifest)]


def _range(archive: CollectionArchive, base: Manifest) -> Range | None:
    """What the archive adds to a base: up to the first moment that one of its shards does not reach."""
    followed = [archive.timeline_of(base, entry["shard"]) for entry in base.shards]
    ends = [each.until for each in followed if each is not None]
    begin = finished(base)
    if len(ends) < len(followed) or min(ends) <= begin:
        return None
    return Range(begin, min(ends), (base.backup_id,))


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for each in sorted(ranges, key=lambda each: each.begin):
        if merged and each.begin <= merged[-1].until:
            before = merged.pop()
            each = Range(before.begin, max(before.until, each.until), before.bases + each.bases)
        merged.append(each)
    return merged


def _shard_result(timeline: ArchivedTimeline, now: datetime) -> dict[str, Any]:
    return {
        "shard": timeline.log.shard,
        "replica": timeline.log.replica,
        "timeline": timeline.log.timeline,
        "reason": timeline.record.reason,
        "first_index": timeline.first,
        "last_index": timeline.newest.last,
        "until": iso(timeline.until),
        "lag_seconds": _age(timeline.until, now),
        "lag_entries": timeline.behind,
    }


def _gap_result(timeline: ArchivedTimeline) -> dict[str, Any]:
    gap = timeline.record.gap
    return {
        "shard": timeline.log.shard,
        "replica": timeline.log.replica,
        "timeline": timeline.log.timeline,
        "previous": timeline.record.previous,
        "at": iso(timeline.record.started),
        "reason": timeline.record.reason,
        "detail": timeline.record.detail,
        "first_index": gap[0] if gap else None,
        "last_index": gap[1] if gap else None,
    }


def _age(moment: datetime, now: datetime) -> float:
    return round(max(0.0, (now - moment).total_seconds()), 3)
