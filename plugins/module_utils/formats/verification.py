# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of the verifications of a backup, and whose turn it is.

A record stands beside the backup in each repository, one entry a level, since looking often at what exists must not
hide when the content was last read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

from ..errors import InvalidInput

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/verified"
EXISTS, CONTENT = "exists", "content"
LEVELS = (EXISTS, CONTENT)
# The results of a verification after which a backup is whole.
GOOD_RESULTS = ("good", "repaired")

Key = TypeVar("Key")


def due(last: Mapping[Key, datetime], percent: float) -> list[Key]:
    """The share of ``percent`` of the backups, rounded up, whose last verification is the longest ago.

    ``last`` has the time of each, or of its begin for a backup that was never verified. So a daily run reads everything
    within 100 / ``percent`` days, however many backups are new each day. Equal times go in the order of ``last``.
    """
    if not 0 < percent <= 100:
        raise InvalidInput(f"sample_percent is {percent:g}.", "Give more than 0 and at most 100.")
    share = math.ceil(round(len(last) * percent / 100, 6))
    return sorted(last, key=lambda key: last[key])[:share]


def is_due_today(key: str, percent: float, today: datetime) -> bool:
    """Whether an object is in the share of ``percent`` that a run on this day (aware; UTC counts) looks at.

    It goes by the SHA-256 of the name, since objects by the thousand have no records: daily runs look at each of them
    once within 100 / ``percent`` days, whatever comes and goes.
    """
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64 * 100
    begin = today.astimezone(timezone.utc).date().toordinal() * percent % 100
    return (place - begin) % 100 < percent


class VerificationRecord:
    """The record of one backup in one repository. ``levels``: level -> ``{time, result, findings, tool}``."""

    def __init__(self, manifest_sha256: str | None = None, levels: dict[str, Any] | None = None) -> None:
        """``manifest_sha256``: that of the manifest that was last found valid here."""
        self.manifest_sha256 = manifest_sha256
        self.levels: dict[str, Any] = levels or {}

    @classmethod
    def parse(cls, data: bytes) -> VerificationRecord:
        """Read a stored record; one that is damaged, or of another schema, counts as none."""
        try:
            whole = json.loads(data)
            if (whole["schema_version"], whole["kind"]) != (SCHEMA_VERSION, KIND):
                return cls()
            levels = {level: whole["levels"][level] for level in LEVELS if level in whole["levels"]}
            for entry in levels.values():
                _moment(entry)
            return cls(whole["manifest_sha256"], levels)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls()

    def last(self, level: str) -> datetime | None:
        """When this level was last verified; what reads the content looks at what exists as well."""
        known = [self.levels[name] for name in dict.fromkeys((level, CONTENT)) if name in self.levels]
        return max(map(_moment, known), default=None)

    def add(self, level: str, now: datetime, result: str, findings: int, tool: dict[str, str]) -> None:
        """Put the outcome of a verification in the place of that level's last one; ``now`` is aware."""
        stamp = now.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        self.levels[level] = {"time": stamp, "result": result, "findings": findings, "tool": tool}

    def dump(self) -> bytes:
        """The text to store."""
        whole = {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "manifest_sha256": self.manifest_sha256,
            "levels": self.levels,
        }
        return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def _moment(entry: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(entry["time"].replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
