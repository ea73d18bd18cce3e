# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the archiver of a node has come: for the repository, for its next run, and for a monitoring system."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import datetime

from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_positions import Position, Positions
from ..formats.wal_timeline import FIRST, GAP, Timeline
from ..version import TOOL
from .wal_follower import Round, Sealed

Shard = tuple[str, int]
_PREFIX = "qdrant_dr_wal_"


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
            self.log, self.last, self.crc = item.log, None, None
        if item.header is not None:
            self.last, self.crc = item.header.last, item.header.last_crc
            if item.round is not None:
                self.reached(item.round)

    def reached(self, round_: Round) -> None:
        """All that was in the log then is in the repository."""
        self.checked, self.checked_at = round_, round_.clock

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


def positions_of(cluster: str, collection: str, replica: str, shards: dict[int, Progress], now: datetime) -> Positions:
    """The record for the repository, of the shards that have something there."""
    return Positions(
        cluster=cluster,
        collection=collection,
        replica=replica,
        host=socket.gethostname(),
        written=now,
        tool=dict(TOOL),
        shards={
            shard: Position(each.log.timeline, each.last, each.crc, each.checked_at, each.behind)
            for shard, each in shards.items()
            if each.log.timeline
        },
    )


def metrics(shards: dict[Shard, Progress], totals: Totals, uptime: float, now: datetime) -> bytes:
    """The text for Prometheus' textfile collector.

    Source: Prometheus, "Exposition formats", text-based format.
    """
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: dict[str, float]) -> None:
        lines.append(f"# HELP {_PREFIX}{name} {text}")
        lines.append(f"# TYPE {_PREFIX}{name} {kind}")
        lines.extend(f"{_PREFIX}{name}{labels} {value:.15g}" for labels, value in values.items())

    each = {_labels(progress.log): progress for _shard, progress in sorted(shards.items())}
    lags = {labels: round(progress.lag(uptime), 3) for labels, progress in each.items()}
    add("lag_seconds", "gauge", "Age of the oldest write that may not be archived.", lags)
    behind: dict[str, float] = {labels: progress.behind for labels, progress in each.items()}
    add("entries_behind", "gauge", "Entries that were read and are not archived.", behind)
    last: dict[str, float] = {labels: p.last for labels, p in each.items() if p.last is not None}
    add("last_index", "gauge", "Index of the last archived entry.", last)
    needed: dict[str, float] = {f'{{collection="{_escaped(name)}"}}': 1 for name in totals.base_needed}
    add("base_needed", "gauge", "Collections whose archive needs a new backup to begin from.", needed)
    for name, text, value in (
        ("entries_total", "Entries archived.", totals.entries),
        ("chunks_total", "Objects with entries stored.", totals.chunks),
        ("timelines_total", "Timelines begun.", totals.timelines),
        ("gaps_total", "Timelines begun because entries were lost.", totals.gaps),
        ("upload_errors_total", "Uploads that failed.", totals.upload_errors),
        ("read_errors_total", "Polls that failed.", totals.read_errors),
    ):
        add(name, "counter", text, {"": value})
    add("spool_bytes", "gauge", "Bytes that wait on this host's disk.", {"": totals.spool_bytes})
    add("spool_full", "gauge", "Whether the spool has no room, so that the logs wait.", {"": totals.spool_full})
    add("memory_bytes", "gauge", "Bytes that wait in memory.", {"": totals.memory_bytes})
    add("updated_timestamp_seconds", "gauge", "When this file was written.", {"": round(now.timestamp(), 3)})
    return ("\n".join(lines) + "\n").encode()


def _labels(log: ReplicaLog) -> str:
    return f'{{collection="{_escaped(log.collection)}",shard="{log.shard}",replica="{_escaped(log.replica)}"}}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
