# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To which moments a collection can be restored: its backups, and what the archived logs add to each of them.

This goes by records, names and the headers at the ends of timelines. That a chunk in the middle is whole and there,
a verification proves, and a restore before it changes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..errors import DamagedManifest, IntegrityError, ObjectNotFound
from ..formats.manifest import Manifest
from ..formats.moments import ArchivedLog, BaseEnd, Extent, known_until, latest_seen
from ..formats.times import exact
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_join import missing_entries
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_log_facts import log_result
from ..formats.wal_positions import Position, Positions
from ..formats.wal_timeline import Timeline
from ..stores.repository import Repository
from .base_log import has_entries
from .catalogue import READERS, committed_ids, finished, read_manifest, snapshot_window
from .clock import iso
from .wal_listing import (
    chunks,
    first_chunk,
    last_chunk,
    read_header,
    read_positions,
    read_timeline,
    replicas,
    timelines,
    unread_start,
)

Json = dict[str, Any]


def base_end(manifest: Manifest, shard: Mapping[str, Any]) -> BaseEnd:
    """Where an entry of ``manifest.shards`` ends in the log of its replica."""
    return BaseEnd(shard["wal"]["last"], has_entries(shard), *snapshot_window(manifest, shard))


def served_from(manifest: Manifest, logs: Iterable[ArchivedLog]) -> datetime:
    """From when on a base serves moments whose shards have these logs."""
    return max(finished(manifest), *(log.since for log in logs))


@dataclass(frozen=True)
class ArchivedTimeline:
    """One contiguous run of entries, ``first`` to ``newest.last`` (inclusive).

    ``position``: what its archiver last said of it, also as it began the next one. ``ended`` (aware): when the next
    timeline of this replica was begun, None for its last one.
    """

    record: Timeline
    first: int
    newest: ChunkHeader
    position: Position | None
    ended: datetime | None

    @property
    def log(self) -> ReplicaLog:
        """Whose it is."""
        return self.record.log

    @property
    def extent(self) -> Extent:
        """Its ends."""
        return Extent(self.log, self.record.started, self.first, self.newest.last)

    @property
    def until(self) -> datetime:
        """All that was written to the log until then (aware) is in it."""
        newest = self.newest.polls[-1]
        return known_until(newest, newest.last, self.position) or newest.before


@dataclass(frozen=True)
class Range:
    """Every moment from ``begin`` to ``until`` (aware), with the ids of the backups to begin from, oldest first."""

    begin: datetime
    until: datetime
    bases: tuple[str, ...]


@dataclass
class CollectionArchive:
    """What one region has of a collection. ``doubts``: sentences about what could not be read and does not count.

    ``extents``: all timelines of a shard and replica, also those that are not among ``timelines``, which were read.
    """

    collection: str
    region: str
    timelines: list[ArchivedTimeline] = field(default_factory=list)
    extents: dict[tuple[int, str], list[Extent]] = field(default_factory=dict)
    bases: list[Manifest] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def followed(self, base: Manifest) -> list[ArchivedTimeline] | None:
        """The timelines in which a backup goes on, in the order of its shards; None where one has none that is read."""
        known = {each.log: each for each in self.timelines}
        found = []
        for shard in base.shards:
            extent = base_end(base, shard).timeline(self.extents.get((shard["shard"], str(shard.get("peer_id"))), []))
            if extent is None or extent.log not in known:
                return None
            found.append(known[extent.log])
        return found

    @property
    def continued(self) -> bool:
        """Whether what is written from now on adds to a range: all shards of a backup go on in a last timeline."""
        return self.followed_until is not None

    @property
    def followed_until(self) -> datetime | None:
        """Up to when the logs are archived in which the newest such backup goes on, None without one.

        It may be before that backup's end, while what follows is on its way. An archiver that works keeps it young.
        """
        found = [followed for base in self.bases if (followed := self.followed(base))]
        last = [followed for followed in found if all(each.ended is None for each in followed)]
        return max((min(each.until for each in followed) for followed in last), default=None)

    def as_result(self, now: datetime) -> dict[str, Any]:
        """For modules and people; ``now`` is aware. Ages are seconds."""
        return {
            "collection": self.collection,
            "region": self.region,
            "continued": self.continued,
            "rpo_seconds": _age(self.ranges[-1].until, now) if self.ranges else None,
            "ranges": [
                {"from": exact(each.begin), "until": exact(each.until), "backup_ids": list(each.bases)}
                for each in self.ranges
            ],
            "backups": [{"backup_id": base.backup_id, "at": iso(finished(base))} for base in self.bases],
            "shards": [_shard_result(each, now) for each in self.timelines if each.ended is None],
            "log": log_result(each.position.facts for each in self.timelines if each.position and not each.ended),
            "gaps": [_gap_result(each) for each in self.timelines if each.record.previous or each.record.gap],
            "doubts": self.doubts,
        }


def restorable(repository: Repository, collection: str, committed: Collection[str] | None = None) -> CollectionArchive:
    """The archive of a collection in one region, and the ranges that it can be restored to. Raises StoreError.

    ``committed``: what ``committed_ids`` gave, so that it is not asked for again.
    """
    found = CollectionArchive(collection, repository.name)
    positions = read_positions(repository, collection)
    for shard, names in replicas(repository, collection).items():
        for replica in names:
            _add_timelines(repository, found, shard, replica, positions.get(replica))
    ids = committed_ids(repository, collection) if committed is None else committed
    found.bases = _bases(repository, collection, ids, found.doubts)
    found.ranges = _ranges(repository, found)
    return found


def _add_timelines(
    repository: Repository, archive: CollectionArchive, shard: int, replica: str, positions: Positions | None
) -> None:
    """Those of one replica, oldest first; those without chunks have an extent only."""
    found: list[ArchivedTimeline] = []
    extents: list[Extent] = []
    ended: datetime | None = None
    later: list[Timeline] = []
    for log in reversed(timelines(repository, archive.collection, shard, replica)):
        told = positions.of(log) if positions is not None else None
        mine = latest_seen([told, *(record.end_of(log) for record in later)]) or told
        first, last = first_chunk(repository, log), last_chunk(repository, log, (mine.last or 0) if mine else 0)
        started = unread_start(log)
        try:
            record = read_timeline(repository, log)
            started = record.started
            later.append(record)
            if first is not None and last is not None:
                found.append(ArchivedTimeline(record, first.first, read_header(repository, last), mine, ended))
                ended = record.started
        except (IntegrityError, ObjectNotFound) as error:
            archive.doubts.append(f"shard {shard}, replica {replica}, timeline {log.timeline}: {error.detail}")
        extents.append(Extent(log, started, first.first if first else None, last.last if last else None))
    archive.timelines += found[::-1]
    archive.extents[shard, replica] = extents[::-1]


def _bases(repository: Repository, collection: str, committed: Collection[str], doubts: list[str]) -> list[Manifest]:
    """All committed backups with a valid manifest, oldest first."""

    def read(backup_id: str) -> Manifest | str:
        try:
            return read_manifest(repository, collection, backup_id)[0]
        except (DamagedManifest, ObjectNotFound) as error:
            return f"{backup_id}: {error.detail}"

    with ThreadPoolExecutor(READERS) as threads:
        read_ones = list(threads.map(read, sorted(committed)))
    doubts += [each for each in read_ones if isinstance(each, str)]
    return [each for each in read_ones if isinstance(each, Manifest)]


def _ranges(repository: Repository, archive: CollectionArchive) -> list[Range]:
    """What the archive adds to the bases, where one range runs into the next as one."""
    found: list[Range] = []
    known: list[ArchivedTimeline] | None = None
    for base in sorted(archive.bases, key=finished):
        followed = archive.followed(base)
        if followed is None:
            continue
        if found and followed == known and finished(base) <= found[-1].until:
            # It lies within what the base before has: nothing more has to be read.
            found[-1] = replace(found[-1], bases=(*found[-1].bases, base.backup_id))
        elif (made := _range(repository, archive, base, followed)) is not None:
            found.append(made)
            known = followed
    return _merged(found)


def _range(
    repository: Repository, archive: CollectionArchive, base: Manifest, followed: Sequence[ArchivedTimeline]
) -> Range | None:
    """What the archive adds to a base: from when its shards can be told apart in time, to where the first one ends."""

    def read(shard: Json, timeline: ArchivedTimeline) -> ArchivedLog | IntegrityError | ObjectNotFound:
        try:
            headers = _edges(repository, base_end(base, shard), timeline)
        except (IntegrityError, ObjectNotFound) as error:
            return error
        return ArchivedLog(headers, shard["wal"]["last"], finished(base), timeline.position)

    with ThreadPoolExecutor(READERS) as threads:
        answers = list(threads.map(read, base.shards, followed))
    logs = [each for each in answers if isinstance(each, ArchivedLog)]
    ends = [log.until for log in logs if log.until is not None]
    archive.doubts += [f"{base.backup_id}: {each.detail}" for each in answers if not isinstance(each, ArchivedLog)]
    if len(ends) < len(followed):
        return None
    begin = served_from(base, logs)
    return Range(begin, min(ends), (base.backup_id,)) if begin < min(ends) else None


def _edges(repository: Repository, base: BaseEnd, timeline: ArchivedTimeline) -> list[ChunkHeader]:
    """The headers of the chunks in which a base ends and its timeline goes on from it, and of the newest one.

    Raises ``IntegrityError``, ``ObjectNotFound``, or another StoreError.
    """
    stored = chunks(repository, timeline.log, base.last, base.last + 1)
    begin = base.may_begin(timeline.extent)
    if timeline.newest.last >= base.last and not any(chunk.first <= begin for chunk in stored):
        raise missing_entries(begin, min((chunk.first for chunk in stored), default=begin + 1) - 1)
    headers = [read_header(repository, chunk) for chunk in stored]
    return headers if timeline.newest in headers else [*headers, timeline.newest]


def _merged(ranges: Sequence[Range]) -> list[Range]:
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
        "lag_entries": timeline.position.behind if timeline.position is not None else None,
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
