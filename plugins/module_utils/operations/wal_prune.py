# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what no kept backup needs of the archived logs of a collection. Only reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..errors import DamagedManifest, IntegrityError, ObjectNotFound
from ..formats import layout
from ..formats.key_wrap import key_time
from ..formats.manifest import Manifest
from ..formats.pack import KEY_OWNER
from ..formats.wal_layout import (
    ReplicaLog,
    parse_chunk_key,
    parse_wraps_key,
    timeline_key,
    timeline_prefix,
    wraps_prefix,
)
from ..formats.wal_positions import Positions
from ..formats.wal_retention import BaseLog, Spared, TimelineSpan, needed_bases, spare
from ..stores.location import ObjectInfo
from ..stores.repository import Repository
from .catalogue import READERS, finished, read_manifest
from .wal_listing import first_chunk, last_chunk, read_header, read_positions, replicas, timelines

_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class SurplusLog:
    """A timeline of which something may go: ``spared`` says what. ``newest``: the key of its last chunk, if any."""

    log: ReplicaLog
    spared: Spared
    newest: str | None

    def objects(self, region: Repository) -> Iterator[ObjectInfo]:
        """What may go, to be removed in this order: the oldest entries first, so that what is left is unbroken, and
        the record of the timeline last."""
        prefix = timeline_prefix(self.log)
        if self.spared.whole:
            yield from region.list(prefix)
            return
        until = None if self.spared.needed_from is None else f"{prefix}{self.spared.needed_from:020}"
        for item in region.list(prefix, until=until):
            chunk = parse_chunk_key(item.key)
            if chunk is None:
                continue
            if item.key == self.newest or not self.spared.may_go(chunk[2], item.last_modified or _LONG_AGO):
                return
            yield item


def surplus_wal(
    region: Repository,
    collection: str,
    backup_ids: Sequence[str],
    keep_wal_within: float | None,
    now: datetime,
    grace: float,
) -> tuple[list[SurplusLog], str | None]:
    """The timelines of which something may go, and why nothing of them may, where that cannot be told.

    ``backup_ids``: all that stay. ``keep_wal_within`` and ``grace``: seconds. ``now``: aware.
    """
    archived = replicas(region, collection)
    if not archived:
        return [], None
    try:
        manifests = _read_all(region, collection, backup_ids)
    except (DamagedManifest, ObjectNotFound) as error:
        return [], error.detail
    if (doubt := _doubt(manifests)) is not None:
        return [], doubt
    begin = needed_bases([finished(manifest) for manifest in manifests], now, keep_wal_within)
    needed = [manifest for manifest in manifests if finished(manifest) >= begin]
    oldest = min(layout.backup_time(manifest.backup_id) for manifest in needed)
    bases = [base_logs(manifest) for manifest in needed]
    positions = read_positions(region, collection)
    found = []
    for shard, replica in ((shard, replica) for shard, names in archived.items() for replica in names):
        stored = stored_timelines(region, collection, shard, replica, positions.get(replica))
        mine = [logs[shard, replica] for logs in bases if (shard, replica) in logs]
        spared = spare([each.span for each in stored], mine, oldest, now, grace)
        found += [SurplusLog(each.log, stays, each.newest) for each, stays in zip(stored, spared, strict=True)]
    return found, None


def surplus_wraps(region: Repository, collection: str, now: datetime, grace: float) -> list[ObjectInfo]:
    """The records of data keys that are older than the one with which the oldest chunk of their replica was encrypted.

    ``now``, ``grace``: as of ``surplus_wal``. A chunk is encrypted after its first poll, and the id of a key tells when
    it was made. What a prune removes of chunks frees the records of their keys for the next one.
    """
    old: dict[str, list[tuple[str, ObjectInfo]]] = defaultdict(list)
    for item in region.list(wraps_prefix(collection)):
        named = parse_wraps_key(item.key)
        # Those of packs are needed as long as a pack is, whatever backup has stored it.
        if named is not None and named[1] != KEY_OWNER:
            old[named[1]].append((named[2], item))
    if not old:
        return []
    archived = replicas(region, collection)
    rest = timedelta(seconds=grace)
    found: list[ObjectInfo] = []
    for replica, records in old.items():
        logs = [(shard, replica) for shard, names in archived.items() if replica in names]
        try:
            begun = _begun(region, logs, collection)
        except (IntegrityError, ObjectNotFound):
            # Nobody can tell what the oldest chunk needs.
            continue
        before = [item for key_id, item in records if key_time(key_id) <= min(begun or now, now) - rest]
        surplus = before[:-1] if begun is not None else before
        found += [item for item in surplus if (item.last_modified or now) <= now - rest]
    return found


def _begun(region: Repository, logs: Sequence[tuple[int, str]], collection: str) -> datetime | None:
    """When the oldest of the chunks of these replicas of shards was begun, None where there is none."""
    found = []
    for shard, replica in logs:
        stored = (first_chunk(region, log) for log in timelines(region, collection, shard, replica))
        first = next((chunk for chunk in stored if chunk is not None), None)
        if first is not None:
            found.append(read_header(region, first).polls[0].before)
    return min(found, default=None)


def _doubt(manifests: Sequence[Manifest]) -> str | None:
    """Why it cannot be told what these backups need."""
    if not manifests:
        return "no backup is kept that would say what is needed"
    for manifest in manifests:
        for shard in manifest.shards:
            if shard.get("peer_id") is None:
                return f"{manifest.backup_id} does not tell of which replica it has shard {shard['shard']}"
    return None


def _read_all(region: Repository, collection: str, backup_ids: Sequence[str]) -> list[Manifest]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="wal-prune") as threads:
        return list(threads.map(lambda backup_id: read_manifest(region, collection, backup_id)[0], backup_ids))


# Shard and replica -> what a backup has of it.
BaseLogs = dict[tuple[int, str], BaseLog]


def base_logs(manifest: Manifest) -> BaseLogs:
    """What a backup has of the replicas that it was taken from."""
    times = layout.backup_time(manifest.backup_id), finished(manifest)
    return {
        (each["shard"], str(each.get("peer_id"))): BaseLog(each["wal"]["first"], each["wal"]["last"], *times)
        for each in manifest.shards
    }


@dataclass(frozen=True)
class StoredTimeline:
    """A timeline in a repository, and the key of its newest chunk, if any."""

    span: TimelineSpan
    log: ReplicaLog
    newest: str | None


def stored_timelines(
    region: Repository, collection: str, shard: int, replica: str, positions: Positions | None = None
) -> list[StoredTimeline]:
    """The timelines of one replica, oldest first. ``positions``: a hint of how far they go."""
    found = []
    for log in timelines(region, collection, shard, replica):
        known = positions.of(log) if positions is not None else None
        first, last = first_chunk(region, log), last_chunk(region, log, (known and known.last) or 0)
        started = layout.backup_time(log.timeline)
        newest = last.key if last is not None else None
        span = TimelineSpan(
            log.timeline,
            started,
            first.first if first is not None else None,
            last.last if last is not None else None,
            _time_of(region, newest or timeline_key(log)) or started,
        )
        found.append(StoredTimeline(span, log, newest))
    return found


def _time_of(region: Repository, key: str) -> datetime | None:
    try:
        return region.head(key).last_modified
    except ObjectNotFound:
        return None
