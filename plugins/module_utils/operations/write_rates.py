# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the archiver remembers of how fast the logs of a node grow, in a file of its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_rates import LogWrites, RateMeter, log_writes
from ..stores.agent_files import write_file
from .wal_progress import Shard

# No collection's record is named so: those end in ".json".
_NAME = "write-rates"
_SCHEMA_VERSION = 1


class WriteRates:
    """The rates of all replicas of a node; what an earlier run has written is taken up."""

    def __init__(self, state_path: str | Path) -> None:
        self._path = Path(state_path) / _NAME
        self._meters = recorded_meters(state_path)
        self._changed = False

    def add(self, shard: Shard, header: ChunkHeader) -> None:
        """A chunk of this log has been archived."""
        self._meters.setdefault(shard, RateMeter()).add(header)
        self._changed = True

    def peak(self, shard: Shard, today: date) -> float | None:
        """The highest rate of the last days, in bytes per second; None of a log that was not written to."""
        meter = self._meters.get(shard)
        if meter is None:
            return None
        meter.forget(today)
        return max(meter.days.values(), default=None)

    def store(self, today: date) -> None:
        """Write what is new. Raises ``FileError``."""
        if not self._changed:
            return
        for meter in self._meters.values():
            meter.forget(today)
        rates = [
            {
                "collection": collection,
                "shard": number,
                "days": _dated(meter.days),
                "written": _dated(meter.written),
            }
            for (collection, number), meter in sorted(self._meters.items())
            if meter.days or meter.written
        ]
        content = {"schema_version": _SCHEMA_VERSION, "bytes_per_second": rates}
        write_file(self._path, json.dumps(content).encode("ascii"))
        self._changed = False


def _dated(values: Mapping[date, float]) -> dict[str, float]:
    return {day.isoformat(): round(value, 1) for day, value in sorted(values.items())}


def recorded_meters(state_path: str | Path) -> dict[Shard, RateMeter]:
    """What was recorded of each log; nothing where none can be read."""
    try:
        content = json.loads((Path(state_path) / _NAME).read_bytes())
        if content["schema_version"] != _SCHEMA_VERSION:
            return {}
        # Of bytes a day nothing was written once.
        return {
            (str(each["collection"]), int(each["shard"])): RateMeter(
                *(
                    {date.fromisoformat(day): float(value) for day, value in values.items()}
                    for values in (each["days"], each.get("written", {}))
                )
            )
            for each in content["bytes_per_second"]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _recent(state_path: str | Path, today: date) -> dict[Shard, RateMeter]:
    meters = recorded_meters(state_path)
    for meter in meters.values():
        meter.forget(today)
    return {shard: meter for shard, meter in meters.items() if meter.days or meter.written}


def recorded_rates(state_path: str | Path, today: date) -> dict[Shard, float]:
    """The highest rate of the last days, in bytes per second, of each log that was written to."""
    return {shard: max(meter.days.values()) for shard, meter in _recent(state_path, today).items() if meter.days}


def recorded_writes(state_path: str | Path, today: date) -> dict[str, LogWrites]:
    """By collection what was written to its shards on this node in the last days."""
    meters: dict[str, list[RateMeter]] = {}
    for (collection, _number), meter in _recent(state_path, today).items():
        meters.setdefault(collection, []).append(meter)
    return {collection: log_writes(each, today) for collection, each in meters.items()}
