# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to go on with the archive of a replica: what the repository holds decides, and what waits to get there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import IntegrityError, ObjectNotFound, StoreError
from ..formats import layout
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_positions import Positions
from ..stores.repository import Repository
from .catalogue import newest_committed
from .wal_follower import KnownPlace
from .wal_listing import last_chunk, read_header, read_positions, read_timeline, timelines


@dataclass(frozen=True)
class Located:
    """What is known of one replica before it is followed.

    ``log``: collection, shard and replica. ``place``: None where nothing is archived. ``proved``: whether the
    repository was asked. ``damage``: why the archive cannot be continued at ``place``, a sentence. ``base_last``: the
    last entry (L) in this replica's share of the newest backup.
    """

    log: ReplicaLog
    place: KnownPlace | None
    proved: bool
    damage: str = ""
    base_last: int | None = None


def locate(repository: Repository, log: ReplicaLog, spooled: ChunkHeader | None, cached: Positions | None) -> Located:
    """Find where the archive of a replica ends; ``log`` has no timeline yet.

    ``spooled``: the header of its last chunk that waits for an upload. ``cached``: what this host remembers; it is used
    only where the repository cannot be asked. Raises StoreError where nothing else is known, either.
    """
    waiting = [_place(spooled)] if spooled is not None else []
    try:
        stored, damage = _stored(repository, log)
        base_last = _base_last(repository, log)
    except StoreError:
        remembered = _remembered(log, cached)
        known = waiting + ([remembered] if remembered is not None else [])
        if not known:
            raise
        return Located(log, _newest(known), proved=False)
    place = _newest(waiting + ([stored] if stored is not None else []))
    return Located(log, place, True, damage if place == stored else "", base_last)


def continues(repository: Repository, header: ChunkHeader) -> bool:
    """Whether the repository has the timeline of a chunk up to the entry before its first one.

    The first chunk of a timeline is the one that knows no CRC before; it continues the timeline's record.
    """
    if header.previous_crc is None:
        return not _record_damage(repository, header.log)
    newest = last_chunk(repository, header.log, header.first)
    return newest is not None and newest.last >= header.first - 1


def _stored(repository: Repository, log: ReplicaLog) -> tuple[KnownPlace | None, str]:
    """The end of the newest timeline that has chunks; and what is wrong with it."""
    positions = read_positions(repository, log.collection).get(log.replica)
    for timeline in reversed(timelines(repository, log.collection, log.shard, log.replica)):
        mine = positions.of(timeline) if positions is not None else None
        chunk = last_chunk(repository, timeline, (mine.last or 0) if mine is not None else 0)
        if chunk is None:
            continue
        lost = _record_damage(repository, timeline)
        try:
            place = _place(read_header(repository, chunk))
        except IntegrityError as error:
            lost = f"The end of the archive is damaged: {error.detail}"
            return KnownPlace(timeline, chunk.last, 0, layout.backup_time(timeline.timeline)), lost
        if mine is not None and mine.last == place.last and mine.checked_at is not None:
            place = replace(place, after=max(place.after, mine.checked_at))
        return place, lost
    return None, ""


def _record_damage(repository: Repository, log: ReplicaLog) -> str:
    """Why a timeline has no valid record in the repository, a sentence; "" where it has one."""
    try:
        read_timeline(repository, log)
    except (IntegrityError, ObjectNotFound) as error:
        return f"The timeline in the archive has no record: {error.detail}"
    return ""


def _base_last(repository: Repository, log: ReplicaLog) -> int | None:
    newest = newest_committed(repository, log.collection)
    for entry in newest.shards if newest is not None else []:
        if (entry["shard"], str(entry.get("peer_id"))) == (log.shard, log.replica):
            return int(entry["wal"]["last"])
    return None


def _remembered(log: ReplicaLog, cached: Positions | None) -> KnownPlace | None:
    position = cached.shards.get(log.shard) if cached is not None and cached.replica == log.replica else None
    if position is None or position.last is None or position.crc is None:
        return None
    mine = replace(log, timeline=position.timeline)
    return KnownPlace(mine, position.last, position.crc, position.checked_at or layout.backup_time(mine.timeline))


def _place(header: ChunkHeader) -> KnownPlace:
    return KnownPlace(header.log, header.last, header.last_crc, header.polls[-1].after)


def _newest(places: list[KnownPlace]) -> KnownPlace | None:
    return max(places, key=lambda place: (place.log.timeline, place.last), default=None)
