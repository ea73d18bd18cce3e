# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a timeline of the WAL archive: whose log it is, since when, and why it was begun.

A timeline is one contiguous run of entries. Whatever would break it, a gap, another directory, a place that cannot be
proved, begins a new one; so a record is never changed. ``timeline_sha256`` is the SHA-256 of the canonical JSON of all
fields but ``schema_version``, ``kind`` and itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import IntegrityError
from .canonical import canonical
from .times import exact, parse_exact
from .wal_layout import ReplicaLog, timeline_key
from .wal_positions import Position

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/wal-timeline"
# Followed for the first time; entries were lost; another log took its place; the collection was made anew.
FIRST, GAP, REPLACED, RECREATED = "first", "gap", "replaced", "recreated"
REASONS = (FIRST, GAP, REPLACED, RECREATED)
_HINT = "Take it from another copy of the repository; without it, the chunks of this timeline serve no restore."


@dataclass(frozen=True)
class Seen:
    """The end of a log: all that was written to it until ``at`` (aware) are its entries up to ``last``."""

    at: datetime
    last: int


@dataclass(frozen=True)
class Timeline:
    """One timeline.

    ``started`` (aware): when the archiver began to follow this log; ``reason``: one of ``REASONS``, with ``detail``, a
    sentence; ``previous``: the timeline before of this replica, and ``previous_seen``: how that one ended, by the last
    poll that has seen it; ``gap``: first and last index (inclusive) that were lost.
    """

    cluster: str
    log: ReplicaLog
    started: datetime
    reason: str
    detail: str
    tool: dict[str, str]
    previous: str | None = None
    gap: tuple[int, int] | None = None
    previous_seen: Seen | None = None

    def end_of(self, log: ReplicaLog) -> Position | None:
        """How far another timeline of this replica is known to be archived, by this one; None where it is not."""
        if self.previous_seen is None or self.previous != log.timeline:
            return None
        return Position(log.timeline, self.previous_seen.last, None, self.previous_seen.at, 0)

    @property
    def key(self) -> str:
        """Where the record belongs in the repository."""
        return timeline_key(self.log)

    def dump(self) -> bytes:
        """The text to store: readable, and the same bytes for the same timeline."""
        seen = self.previous_seen
        fields: dict[str, Any] = {
            "cluster": self.cluster,
            "collection": self.log.collection,
            "shard": self.log.shard,
            "replica": self.log.replica,
            "timeline": self.log.timeline,
            "started": exact(self.started),
            "reason": self.reason,
            "detail": self.detail,
            "previous": self.previous,
            "previous_seen": None if seen is None else {"at": exact(seen.at), "last": seen.last},
            "gap": None if self.gap is None else {"first": self.gap[0], "last": self.gap[1]},
            "tool": self.tool,
        }
        digest = hashlib.sha256(canonical(fields)).hexdigest()
        whole = {"schema_version": SCHEMA_VERSION, "kind": KIND, **fields, "timeline_sha256": digest}
        return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Timeline:
        """Read a stored record; ``IntegrityError`` for one that is cut short, altered or of another schema."""
        try:
            whole = json.loads(data)
            if (whole["schema_version"], whole["kind"]) != (SCHEMA_VERSION, KIND):
                raise ValueError(f"its kind is {whole['kind']!r}, its schema version {whole['schema_version']!r}")
            timeline = _timeline(whole)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(f"The record of a WAL timeline cannot be read: {error}.", _HINT) from error
        # The same text again: so all fields have their types, and the digest fits.
        if timeline.reason not in REASONS or timeline.dump() != data:
            raise IntegrityError("The record of a WAL timeline was altered: its digest does not fit.", _HINT)
        return timeline


def _timeline(whole: dict[str, Any]) -> Timeline:
    gap, seen = whole["gap"], whole["previous_seen"]
    return Timeline(
        cluster=str(whole["cluster"]),
        log=ReplicaLog(str(whole["collection"]), int(whole["shard"]), str(whole["replica"]), str(whole["timeline"])),
        started=parse_exact(whole["started"]),
        reason=str(whole["reason"]),
        detail=str(whole["detail"]),
        tool={str(name): str(value) for name, value in dict(whole["tool"]).items()},
        previous=None if whole["previous"] is None else str(whole["previous"]),
        gap=None if gap is None else (int(gap["first"]), int(gap["last"])),
        previous_seen=None if seen is None else Seen(parse_exact(seen["at"]), int(seen["last"])),
    )
