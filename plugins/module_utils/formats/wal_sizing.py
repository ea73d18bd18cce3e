# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much log a shard must keep, so that an archiver that is down for a while misses nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_MIB = 1024 * 1024
# Rates differ from day to day: what is raised is raised by more than is needed now.
_ROOM = 1.25
# Of what is free on the disk, the part that the logs of a new collection may take.
_OF_DISK = 0.5


@dataclass(frozen=True)
class KeptLog:
    """What Qdrant keeps of the log of each shard after its data is on disk: so many closed files of so many MiB.

    By default the values that Qdrant has where nothing is configured (config/config.yaml of 1.16.3).
    """

    capacity_mb: int = 32
    retain_closed: int = 1

    @property
    def size(self) -> int:
        """Bytes, at least."""
        return self.capacity_mb * _MIB * max(1, self.retain_closed)


@dataclass(frozen=True)
class Demand:
    """An outage that is to leave no gap, in minutes, while ``rate`` bytes are written to a shard each second."""

    minutes: float
    rate: float

    @property
    def size(self) -> int:
        """Bytes of log."""
        return math.ceil(self.minutes * 60 * self.rate)

    def is_met(self, log: KeptLog) -> bool:
        """Whether a shard that keeps this covers it."""
        return log.size >= self.size

    def segments(self, capacity_mb: int) -> int:
        """How many closed files of so many MiB cover it."""
        return max(1, math.ceil(self.size / (capacity_mb * _MIB)))


def raised(present: KeptLog, demand: Demand, free_bytes: int, shards: int) -> KeptLog:
    """What new collections are to keep: what they would at ``present``, or more, where that does not do.

    ``free_bytes`` on the disk bound it, for a collection of so many ``shards`` on this node.
    """
    if demand.is_met(present):
        return present
    wanted = math.ceil(demand.segments(present.capacity_mb) * _ROOM)
    fitting = int(free_bytes * _OF_DISK) // (max(1, shards) * present.capacity_mb * _MIB)
    return replace(present, retain_closed=max(present.retain_closed, min(wanted, fitting)))
