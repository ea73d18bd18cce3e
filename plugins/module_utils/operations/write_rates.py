# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the archiver remembers of how fast the logs of a node grow, in a file of its state."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_rates import RateMeter
from ..stores.agent_files import write_file
from .wal_progress import Shard

# No collection's record is named so: those end in ".json".
_NAME = "write-rates"
_SCHEMA_VERSION = 1


class WriteRates:
    """The rates of all replicas of a node; what an earlier run has written is taken up."""

    def __init__(self, state_path: str | Path) -> None:
        self._path = Path(state_path) / _NAME
        self._meters = {shard: RateMeter(days) for shard, days in recorded_days(state_path).items()}
        self._changed = False

    def add(self, shard: Shard, header: ChunkHeader) -> None:
        """A chunk of this log has been archived."""
        self._meters.setdefault(shard, RateMeter()).add(header)
        self._changed = True

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
                "days": {day.isoformat(): round(rate, 1) for day, rate in sorted(meter.days.items())},
            }
            for (collection, number), meter in sorted(self._meters.items())
            if meter.days
        ]
        content = {"schema_version": _SCHEMA_VERSION, "bytes_per_second": rates}
        write_file(self._path, json.dumps(content).encode("ascii"))
        self._changed = False


def recorded_days(state_path: str | Path) -> dict[Shard, dict[date, float]]:
    """The highest rate of each day, in bytes per second; nothing where none can be read."""
    try:
        content = json.loads((Path(state_path) / _NAME).read_bytes())
        if content["schema_version"] != _SCHEMA_VERSION:
            return {}
        return {
            (str(each["collection"]), int(each["shard"])): {
                date.fromisoformat(day): float(rate) for day, rate in each["days"].items()
            }
            for each in content["bytes_per_second"]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def recorded_rates(state_path: str | Path, today: date) -> dict[Shard, float]:
    """The highest rate of the last days, in bytes per second, of each log that was written to."""
    found: dict[Shard, float] = {}
    for shard, days in recorded_days(state_path).items():
        meter = RateMeter(days)
        meter.forget(today)
        if meter.days:
            found[shard] = max(meter.days.values())
    return found
