# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archiver knows of a log beside how far it has come: how fast it grows, what is kept, what is inexact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .times import exact, parse_exact
from .wal_operations import counted
from .wal_sizing import Demand, KeptLog

OK, TOO_SHORT = "ok", "too_short"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class LogFacts:
    """Of one replica's log.

    ``peak``: the highest rate of writes of the last days, in bytes per second, None where none was seen. ``kept``: what
    Qdrant keeps, None where that is not known. ``outage_minutes``: how long the archiver may be down. ``inexact``: how
    many entries of the newest chunk that has any Qdrant need not replay exactly before version 1.19, by class; all of
    them were written by ``inexact_before`` (aware).
    """

    peak: float | None = None
    kept: KeptLog | None = None
    outage_minutes: float | None = None
    inexact: Mapping[str, int] = field(default_factory=dict)
    inexact_before: datetime | None = None

    @property
    def demand(self) -> Demand | None:
        """What the log has to keep, None where that is not known."""
        if self.peak is None or self.outage_minutes is None:
            return None
        return Demand(self.outage_minutes, self.peak)

    @property
    def retention(self) -> str | None:
        """``OK`` or ``TOO_SHORT``, None where that is not known."""
        if self.demand is None or self.kept is None:
            return None
        return OK if self.demand.is_met(self.kept) else TOO_SHORT

    def dump(self) -> dict[str, Any]:
        """As it stands in a record."""
        return {
            "peak": self.peak,
            "capacity_mb": None if self.kept is None else self.kept.capacity_mb,
            "retain_closed": None if self.kept is None else self.kept.retain_closed,
            "outage_minutes": self.outage_minutes,
            "inexact": dict(self.inexact),
            "inexact_before": None if self.inexact_before is None else exact(self.inexact_before),
        }

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> LogFacts:
        """Raises KeyError, TypeError or ValueError for what is none."""
        peak, minutes, before = fields["peak"], fields["outage_minutes"], fields["inexact_before"]
        capacity, closed = fields["capacity_mb"], fields["retain_closed"]
        return cls(
            peak=None if peak is None else float(peak),
            kept=None if capacity is None else KeptLog(int(capacity), int(closed)),
            outage_minutes=None if minutes is None else float(minutes),
            inexact={str(name): int(count) for name, count in fields["inexact"].items()},
            inexact_before=None if before is None else parse_exact(before),
        )


def log_result(logs: Iterable[LogFacts | None]) -> dict[str, Any]:
    """Of a collection, for modules and people: the log that is the nearest to being too short, and what is the newest
    that is inexact in any. MB are of 1024^2 bytes."""
    known = [each for each in logs if each is not None]
    tightest = max(known, key=_tightness, default=LogFacts())
    dated = [(each.inexact_before, each) for each in known if each.inexact_before is not None]
    newest = max(dated, key=lambda each: each[0])[1] if dated else LogFacts()
    demand, before = tightest.demand, newest.inexact_before
    return {
        "peak_mb_per_second": _mb(tightest.peak),
        "keeps_mb": _mb(tightest.kept.size) if tightest.kept is not None else None,
        "needs_mb": _mb(demand.size) if demand is not None else None,
        "outage_minutes": tightest.outage_minutes,
        "retention": tightest.retention,
        "inexact": dict(newest.inexact),
        "inexact_before": None if before is None else exact(before),
    }


def log_lines(collection: str, told: Mapping[str, Any]) -> list[str]:
    """What ``log_result`` says, in sentences; none where nothing is known."""
    lines = []
    if told["peak_mb_per_second"] is not None and told["retention"] is not None:
        enough = "is enough for" if told["retention"] == OK else "is too short for"
        lines.append(
            f"{collection}: each shard is written to at {told['peak_mb_per_second']:.3g} MB/s at most; the log of "
            f"{told['keeps_mb']:.4g} MB {enough} {told['outage_minutes']:g} minutes without the archiver, which take "
            f"{told['needs_mb']:.4g} MB."
        )
    if told["inexact"]:
        lines.append(
            f"{collection}: before Qdrant 1.19 a restore need not bring back exactly {counted(told['inexact'])}, the "
            f"newest of which were written by {told['inexact_before']}."
        )
    return lines


def _tightness(facts: LogFacts) -> float:
    return (facts.peak or 0.0) / (facts.kept.size if facts.kept is not None else 1)


def _mb(size: float | None) -> float | None:
    return None if size is None else round(size / _MIB, 6)
