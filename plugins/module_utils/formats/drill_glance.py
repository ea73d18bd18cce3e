# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans and status need of a drill's record: its verdict, and how fast its stages went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .times import parse_moment

Json = dict[str, Any]

# Bytes; with fewer, what is the same for every size takes most of the time, and says nothing of larger ones.
LEAST_MEASURED = 100e6
# Stages on the way to the first correct answer that take as long whatever the size.
_FIXED = ("isolate", "locate", "verify", "first_query")


@dataclass(frozen=True)
class DrillGlance:
    """``declared`` (aware): when it began. ``rates``: stage -> bytes a second, where enough was moved to tell.

    ``find_seconds``: what does not depend on the size; None where the drill broke off. ``log_rate``: bytes a second
    that had been written to the log since the backup; None where none was replayed.
    """

    drill_id: str
    declared: datetime
    verdict: str
    rto_seconds: float | None
    rpo_seconds: float | None
    rates: Mapping[str, float] = field(default_factory=dict)
    find_seconds: float | None = None
    log_rate: float | None = None

    @classmethod
    def of(cls, record: Json) -> DrillGlance:
        """What a record, as ``drill_record.parse`` gives it, says."""
        return cls(
            record["drill_id"],
            parse_moment(record["declared"]["at"], "at"),
            record["verdict"],
            record["rto_seconds"],
            record["rpo_seconds"],
            _rates(record["throughput"]),
            _find_seconds(record["stages"]),
            _log_rate(record),
        )

    def as_result(self, now: datetime) -> dict[str, Any]:
        """As status and modules return it."""
        return {
            "drill_id": self.drill_id,
            "age_seconds": round(max(0.0, (now - self.declared).total_seconds()), 3),
            "verdict": self.verdict,
            "rto_seconds": self.rto_seconds,
            "rpo_seconds": self.rpo_seconds,
        }


def _rates(throughput: list[dict[str, Any]]) -> dict[str, float]:
    return {
        each["stage"]: each["bytes"] / each["seconds"]
        for each in throughput
        if each["bytes"] >= LEAST_MEASURED and each["seconds"] > 0
    }


def _find_seconds(stages: list[dict[str, Any]]) -> float | None:
    done = {each["name"]: float(each["seconds"]) for each in stages if each["outcome"] == "done"}
    return sum(done.get(name, 0.0) for name in _FIXED) if "first_query" in done else None


def _log_rate(record: Json) -> float | None:
    replayed = [each["bytes"] for each in record["throughput"] if each["stage"] == "replay"]
    if not replayed or record["backup"] is None:
        return None
    moment, made = record["declared"]["failure_at"], record["backup"]["created"]
    seconds = (parse_moment(moment, "failure_at") - parse_moment(made, "created")).total_seconds()
    return sum(replayed) / seconds if seconds > 0 else None
