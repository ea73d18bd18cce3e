# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the archiver of a node has come: for the repository, for its next run, and for a monitoring system."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..formats.exposition import COUNTER, GAUGE, family
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_log_facts import LogFacts
from ..formats.wal_positions import Position, Positions
from ..formats.wal_timeline import FIRST, GAP, Timeline
from ..version import TOOL
from .wal_follower import Round, Sealed

Shard = tuple[str, int]


@dataclass
class Progress:
    """One replica's. ``since``: the uptime from which on it is followed; ``behind``: entries seen and not stored."""

    log: ReplicaLog
    since: float
    last: int | None = None
    crc: int | None = None
    checked: Round | None = None
    checked_at: datetime | None = None
    behind: int = 0

    def arrived(self, item: Sealed) -> None:
        """The repository has this object."""
        if item.log != self.log:
            # What was seen of the log before says nothing about this one.
            self.log, self.last, self.crc, self.checked_at = item.log, None, None, None
        if item.header is not None:
            self.last, self.crc = item.header.last, item.header.last_crc
            if item.round is not None:
                self.reached(item.round, item.log.timeline)

    def reached(self, round_: Round, timeline: str) -> None:
        """All that was in the log then is in the repository, where it is of this timeline."""
        self.checked = round_
        if timeline == self.log.timeline:
            self.checked_at = round_.clock

    def lag(self, uptime: float) -> float:
        """Seconds since when writes may not be in the repository."""
        return max(0.0, uptime - (self.checked.uptime if self.checked is not None else self.since))


@dataclass
class Totals:
    """Counts since the archiver was started, and what it holds back now, in bytes."""

    chunks: int = 0
    entries: int = 0
    timelines: int = 0
    gaps: int = 0
    read_errors: int = 0
    upload_errors: int = 0
    spool_bytes: int = 0
    spool_full: bool = False
    memory_bytes: int = 0
    base_needed: list[str] = field(default_factory=list)

    def arrived(self, item: Sealed) -> None:
        """Count an object that the repository has now."""
        if item.timeline is not None:
            self.timelines += 1
            self.gaps += item.timeline.reason == GAP
        if item.header is not None:
            self.chunks += 1
            self.entries += item.entries


def named(shard: Shard) -> str:
    """A replica in words."""
    return f"{shard[0]}, shard {shard[1]}"


def needs_base(timeline: Timeline, first_chunk: ChunkHeader, base_last: int | None) -> bool:
    """Whether a timeline needs a new base to serve a restore.

    ``base_last``: the last entry of this replica in the newest backup, which a first timeline may go on from.
    """
    follows = base_last is not None and first_chunk.first - 1 <= base_last <= first_chunk.last
    return timeline.reason != FIRST or not follows


def positions_of(
    cluster: str,
    collection: str,
    replica: str,
    shards: dict[int, Progress],
    facts: Mapping[int, LogFacts],
    now: datetime,
) -> Positions:
    """The record for the repository, of the shards that have something there; ``facts``: what is known of each log."""
    return Positions(
        cluster=cluster,
        collection=collection,
        replica=replica,
        host=socket.gethostname(),
        written=now,
        tool=dict(TOOL),
        shards={
            shard: Position(each.log.timeline, each.last, each.crc, each.checked_at, each.behind, facts[shard])
            for shard, each in shards.items()
            if each.log.timeline
        },
    )


def metrics(shards: dict[Shard, Progress], totals: Totals, uptime: float, now: datetime) -> bytes:
    """The text for Prometheus' textfile collector."""
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: Iterable[tuple[Mapping[str, object], float]]) -> None:
        lines.extend(family(f"wal_{name}", kind, text, values))

    each = [(_labels(progress.log), progress) for _shard, progress in sorted(shards.items())]
    lags = [(labels, round(progress.lag(uptime), 3)) for labels, progress in each]
    add("lag_seconds", GAUGE, "Age of the oldest write that may not be archived.", lags)
    behind = [(labels, float(progress.behind)) for labels, progress in each]
    add("entries_behind", GAUGE, "Entries that were read and are not archived.", behind)
    last = [(labels, float(progress.last)) for labels, progress in each if progress.last is not None]
    add("last_index", GAUGE, "Index of the last archived entry.", last)
    needed = [({"collection": name}, 1.0) for name in totals.base_needed]
    add("base_needed", GAUGE, "Collections whose archive needs a new backup to begin from.", needed)
    for name, text, value in (
        ("entries_total", "Entries archived.", totals.entries),
        ("chunks_total", "Objects with entries stored.", totals.chunks),
        ("timelines_total", "Timelines begun.", totals.timelines),
        ("gaps_total", "Timelines begun because entries were lost.", totals.gaps),
        ("upload_errors_total", "Uploads that failed.", totals.upload_errors),
        ("read_errors_total", "Polls that failed.", totals.read_errors),
    ):
        add(name, COUNTER, text, [({}, value)])
    add("spool_bytes", GAUGE, "Bytes that wait on this host's disk.", [({}, totals.spool_bytes)])
    add("spool_full", GAUGE, "Whether the spool has no room, so that the logs wait.", [({}, totals.spool_full)])
    add("memory_bytes", GAUGE, "Bytes that wait in memory.", [({}, totals.memory_bytes)])
    add("updated_timestamp_seconds", GAUGE, "When this file was written.", [({}, round(now.timestamp(), 3))])
    return ("\n".join(lines) + "\n").encode()


def _labels(log: ReplicaLog) -> dict[str, object]:
    return {"collection": log.collection, "shard": log.shard, "replica": log.replica}
