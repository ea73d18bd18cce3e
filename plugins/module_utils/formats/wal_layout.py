# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of archived WAL chunks in the repository. All keys are relative to ``<prefix>/<cluster>/``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from .layout import collection_prefix

# As many digits as the largest index (u64) has: keys sort by index.
_DIGITS = 20
_LOG = r"([^/]+)/wal/([0-9]{1,10})/([^/]+)/([0-9A-Za-z-]+)"
_CHUNK = re.compile(rf"{_LOG}/([0-9]{{20}})-([0-9]{{20}})\.wal", re.ASCII)
_TIMELINE = re.compile(rf"{_LOG}/timeline\.json", re.ASCII)
_POSITIONS = re.compile(r"([^/]+)/wal/positions/([^/]+)\.json")
_WRAPS = re.compile(r"([^/]+)/wal/keys/([^/]+)/([0-9a-f]{32})\.json")


@dataclass(frozen=True)
class ReplicaLog:
    """Whose log it is: one life of one replica.

    ``replica`` is the peer id of its node; ``timeline`` (an id as backups have) is the life of its WAL between
    restores.
    """

    collection: str
    shard: int
    replica: str
    timeline: str


def wal_prefix(collection: str) -> str:
    """The folder of all archived logs of one collection."""
    return f"{collection_prefix(collection)}wal/"


def replica_prefix(collection: str, shard: int, replica: str) -> str:
    """The folder of all timelines of one replica."""
    return f"{wal_prefix(collection)}{shard}/{quote(replica, safe='')}/"


def timeline_prefix(log: ReplicaLog) -> str:
    """The folder of the chunks of one timeline."""
    return f"{replica_prefix(log.collection, log.shard, log.replica)}{log.timeline}/"


def chunk_key(log: ReplicaLog, first: int, last: int) -> str:
    """The object with the entries ``first`` to ``last``."""
    return f"{timeline_prefix(log)}{first:0{_DIGITS}}-{last:0{_DIGITS}}.wal"


def parse_chunk_key(key: str) -> tuple[ReplicaLog, int, int] | None:
    """Whose log an object holds, its first and its last index; None where the key is not that of a chunk."""
    match = _CHUNK.fullmatch(key)
    if match is None:
        return None
    collection, shard, replica, timeline, first, last = match.groups()
    log = ReplicaLog(collection, int(shard), unquote(replica), timeline)
    return (log, int(first), int(last)) if chunk_key(log, int(first), int(last)) == key else None


def timeline_key(log: ReplicaLog) -> str:
    """What is known of a timeline (``wal_timeline``), written before its first chunk."""
    return f"{timeline_prefix(log)}timeline.json"


def parse_timeline_key(key: str) -> ReplicaLog | None:
    """Whose timeline an object describes; None where the key is not that of such an object."""
    match = _TIMELINE.fullmatch(key)
    if match is None:
        return None
    collection, shard, replica, timeline = match.groups()
    log = ReplicaLog(collection, int(shard), unquote(replica), timeline)
    return log if timeline_key(log) == key else None


def positions_prefix(collection: str) -> str:
    """The folder of how far the archivers of one collection have come."""
    return f"{wal_prefix(collection)}positions/"


def positions_key(collection: str, replica: str) -> str:
    """How far the archiver of one node has come with a collection (``wal_positions``)."""
    return f"{positions_prefix(collection)}{quote(replica, safe='')}.json"


def parse_positions_key(key: str) -> tuple[str, str] | None:
    """The collection and the replica whose position an object tells; None where the key is of something else."""
    match = _POSITIONS.fullmatch(key)
    if match is None:
        return None
    collection, replica = match.group(1), unquote(match.group(2))
    return (collection, replica) if positions_key(collection, replica) == key else None


def wraps_prefix(collection: str) -> str:
    """The folder of the wraps of all data keys that the archived logs of one collection are encrypted with."""
    return f"{wal_prefix(collection)}keys/"


def wraps_key(collection: str, replica: str, key_id: str) -> str:
    """The wraps of one data key (``key_wrap``) of the archiver of one node."""
    return f"{wraps_prefix(collection)}{quote(replica, safe='')}/{key_id}.json"


def parse_wraps_key(key: str) -> tuple[str, str, str] | None:
    """Collection, replica and id of the data key whose wraps an object has; None where the key is of something else."""
    match = _WRAPS.fullmatch(key)
    if match is None:
        return None
    collection, replica, key_id = match.group(1), unquote(match.group(2)), match.group(3)
    return (collection, replica, key_id) if wraps_key(collection, replica, key_id) == key else None
