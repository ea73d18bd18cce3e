# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the archiver of one node has come with the shards of a collection. It is written over and over.

It tells that an idle log ends where its archive ends, and since when; it proves nothing about what is in the archive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .times import exact, parse_exact
from .wal_layout import ReplicaLog
from .wal_log_facts import LogFacts

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/wal-positions"


@dataclass(frozen=True)
class Position:
    """One shard's: up to where its log is in the archive.

    ``last``: the highest committed index of this ``timeline``, None before the first chunk; ``crc``: that entry's.
    ``checked_at`` (aware): at this time the log on disk ended with ``last``, None where that was never seen.
    ``behind``: the entries that were seen and not yet committed. ``facts``: what else is known of the log.
    """

    timeline: str
    last: int | None
    crc: int | None
    checked_at: datetime | None
    behind: int
    facts: LogFacts | None = None


@dataclass(frozen=True)
class Positions:
    """Those of all shards that one node has of a collection. ``written`` (aware): when this was stored."""

    cluster: str
    collection: str
    replica: str
    host: str
    written: datetime
    tool: dict[str, str]
    shards: dict[int, Position] = field(default_factory=dict)

    def of(self, log: ReplicaLog) -> Position | None:
        """What it says of this very timeline."""
        position = self.shards.get(log.shard)
        return position if position is not None and position.timeline == log.timeline else None

    def dump(self) -> bytes:
        """The text to store."""
        whole = {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "cluster": self.cluster,
            "collection": self.collection,
            "replica": self.replica,
            "host": self.host,
            "written": exact(self.written),
            "tool": self.tool,
            "shards": {str(shard): _fields(position) for shard, position in sorted(self.shards.items())},
        }
        return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")

    @classmethod
    def parse(cls, data: bytes) -> Positions | None:
        """Read a stored record; one that is damaged, or of another schema, counts as none."""
        try:
            whole = json.loads(data)
            if (whole["schema_version"], whole["kind"]) != (SCHEMA_VERSION, KIND):
                return None
            shards = {int(shard): _position(fields) for shard, fields in whole["shards"].items()}
            return cls(
                cluster=str(whole["cluster"]),
                collection=str(whole["collection"]),
                replica=str(whole["replica"]),
                host=str(whole["host"]),
                written=parse_exact(whole["written"]),
                tool=dict(whole["tool"]),
                shards=shards,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def _fields(position: Position) -> dict[str, Any]:
    return {
        "timeline": position.timeline,
        "last": position.last,
        "crc": position.crc,
        "checked_at": None if position.checked_at is None else exact(position.checked_at),
        "behind": position.behind,
        "log": None if position.facts is None else position.facts.dump(),
    }


def _position(fields: dict[str, Any]) -> Position:
    last, crc, checked_at = fields["last"], fields["crc"], fields["checked_at"]
    return Position(
        timeline=str(fields["timeline"]),
        last=None if last is None else int(last),
        crc=None if crc is None else int(crc),
        checked_at=None if checked_at is None else parse_exact(checked_at),
        behind=int(fields["behind"]),
        facts=None if fields.get("log") is None else LogFacts.parse(fields["log"]),
    )
