# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schedule gives at a size and at given rates: how much is lost, how long a recovery takes, and until what size.

Sizes are bytes, times are seconds, rates are bytes a second; MB and GB in sentences are 10^6 and 10^9 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InvalidInput
from .agent_status import duration
from .sla import Sla
from .sla_targets import DAY, REPLAY_RATE
from .wal_rates import WINDOW

MB = 1e6
# Stages, and what is assumed of them where nothing was measured: rounded down from docs/speed.md.
ASSUMED_RATES = {"backup": 140 * MB, "copy": 200 * MB, "restore": 70 * MB, "replay": REPLAY_RATE * MB}
ASSUMED_FIND = 60.0
# Of a collection's size that is written anew in a day.
ASSUMED_CHANGE = 0.02
_REQUEST_SECONDS = 1.0
_BISECTIONS = 80


@dataclass(frozen=True)
class Rate:
    """How fast something goes; ``source``: where that is known from; ``measured``: or assumed."""

    bytes_per_second: float
    source: str
    measured: bool = True

    def as_result(self) -> dict[str, Any]:
        """As modules return it."""
        return {"mb_per_second": self.bytes_per_second / MB, "measured": self.measured, "source": self.source}


@dataclass(frozen=True)
class Schedule:
    """What runs when; seconds. ``seal``: how long a chunk waits for more; ``delay``: the random one of timers."""

    wal_archive: bool
    backup_interval: float
    copy_interval: float
    seal: float
    poll: float = 1.0
    delay: float = 0.0

    @classmethod
    def of(cls, settled: Mapping[str, Any]) -> Schedule:
        """From what ``Targets.as_result`` has, or ``settle`` has made of it. Raises InvalidInput for intervals of 0."""
        for name in ("backup_interval", "copy_interval"):
            if settled[name] <= 0:
                raise InvalidInput(f"{name} is {settled[name]:g}.", "Give more than 0 seconds.")
        return cls(
            settled["wal_archive"],
            settled["backup_interval"],
            settled["copy_interval"],
            settled["seal_interval"] or 0.0,
            delay=settled["randomized_delay"],
        )


@dataclass(frozen=True)
class Facts:
    """What is known of a collection. ``size``: of one backup; ``growth``: bytes a day; ``log``: how much is written;
    ``peak``: for a few minutes at most, None where nobody has measured it; ``rates``: of the stages in
    ``ASSUMED_RATES``; ``find``: seconds of a recovery that depend on no size, and their source; ``regions``:
    repositories in all; ``shards``: of the collection; ``replicas``: of each, all archived.
    """

    collection: str
    size: float
    growth: float
    log: Rate
    rates: Mapping[str, Rate]
    find: tuple[float, str]
    regions: int = 1
    shards: int = 1
    replicas: int = 1
    peak: Rate | None = None

    def at(self, size: float) -> Facts:
        """The same collection when it has another size; what is written grows with it where that is assumed."""
        log = self.log
        if not log.measured and self.size:
            log = replace(log, bytes_per_second=log.bytes_per_second * size / self.size)
        return replace(self, size=size, log=log)


@dataclass(frozen=True)
class Part:
    """One summand of a time, and why it is so long."""

    name: str
    seconds: float
    reason: str


def total(parts: Sequence[Part]) -> float:
    """Seconds of all of them."""
    return sum(part.seconds for part in parts)


def expected_rpo(facts: Facts, schedule: Schedule) -> list[Part]:
    """How much is lost at worst when the cluster is: what was written in so many seconds."""
    if schedule.wal_archive:
        return [
            Part("poll", schedule.poll, "the archiver looks at the log"),
            Part("seal", schedule.seal, "a chunk is filled"),
            _uploading(facts, schedule),
        ]
    return [
        Part("interval", schedule.backup_interval, "between two backups"),
        Part("delay", schedule.delay, "the timer's random delay"),
        _moving("backup", facts.size, facts.rates["backup"]),
    ]


def _uploading(facts: Facts, schedule: Schedule) -> Part:
    """Storing what was written until a chunk is sealed, behind what a peak of writes has left to be stored."""
    if facts.peak is None:
        return Part("upload", _REQUEST_SECONDS, "the chunk is stored")
    written, stored = facts.peak.bytes_per_second, facts.rates["backup"].bytes_per_second
    waiting = written * (schedule.poll + schedule.seal) + max(0.0, written - stored) * WINDOW.total_seconds()
    moved = _moving("upload", waiting, facts.rates["backup"])
    return Part(
        moved.name,
        _REQUEST_SECONDS + moved.seconds,
        f"{moved.reason}, written at a peak of {written / MB:.3g} MB/s, and a request",
    )


def expected_region_rpo(facts: Facts, schedule: Schedule) -> list[Part]:
    """How much is lost at worst when the first region is, too."""
    moved = facts.log.bytes_per_second * schedule.copy_interval if schedule.wal_archive else facts.size
    return [
        *expected_rpo(facts, schedule),
        Part("copy_interval", schedule.copy_interval + schedule.delay, "between two copies, with their random delay"),
        _moving("copy", moved, facts.rates["copy"]),
    ]


def expected_rto(facts: Facts, schedule: Schedule) -> list[Part]:
    """How long a recovery takes at worst, from its declaration to the first correct answer."""
    parts = [Part("find", *facts.find), _moving("restore", facts.size, facts.rates["restore"])]
    if schedule.wal_archive:
        # Of each shard the log of one replica.
        backup = facts.size / facts.rates["backup"].bytes_per_second
        written = facts.log.bytes_per_second * (schedule.backup_interval + schedule.delay + backup)
        parts.append(_moving("replay", written, facts.rates["replay"]))
    return parts


def _moving(name: str, size: float, rate: Rate) -> Part:
    seconds = size / rate.bytes_per_second
    how = "" if rate.measured else ", which is assumed"
    return Part(name, seconds, f"{volume(size)} at {rate.bytes_per_second / MB:.3g} MB/s{how}")


def volume(size: float) -> str:
    """``12 TB``, ``1.16 GB`` or ``300 MB``: for sentences."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / MB:.3g} MB"


def shortfalls(facts: Facts, schedule: Schedule, sla: Sla) -> list[str]:
    """Why the level cannot be met, a sentence with the arithmetic for each reason; empty if it can."""
    found = [
        _exceeded(word, parts, limit)
        for word, parts, limit in (
            ("RPO", expected_rpo(facts, schedule), sla.rpo_seconds),
            ("RTO", expected_rto(facts, schedule), sla.rto_seconds),
        )
        if total(parts) > limit
    ]
    backup = _moving("backup", facts.size, facts.rates["backup"])
    if backup.seconds > schedule.backup_interval:
        found.append(
            f"A backup takes {duration(backup.seconds)} ({backup.reason}), longer than the"
            f" {duration(schedule.backup_interval)} between two of them."
        )
    return found


def _exceeded(word: str, parts: Sequence[Part], limit: float) -> str:
    summands = " + ".join(f"{part.name} {duration(part.seconds)} ({part.reason})" for part in parts)
    return f"The {word} would be {duration(total(parts))}, and may be {duration(limit)}: {summands}."


def largest_size(facts: Facts, schedule: Schedule, sla: Sla) -> float | None:
    """The largest size of a backup at which the level still holds; None where it holds at no size."""

    def holds(size: float) -> bool:
        return not shortfalls(facts.at(size), schedule, sla)

    if not holds(0.0):
        return None
    # Above this, the restore alone takes too long.
    low, high = 0.0, sla.rto_seconds * facts.rates["restore"].bytes_per_second
    return _bisect(holds, low, high)


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    if holds(high):
        return high
    for _turn in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def days_left(facts: Facts, largest: float | None) -> float | None:
    """Days until the collection has grown beyond ``largest``; None where it does not grow, or is beyond it already."""
    if largest is None or facts.growth <= 0 or largest < facts.size:
        return None
    return (largest - facts.size) / facts.growth


def change_per_day(facts: Facts) -> float:
    """Bytes that are written in a day, but no more than there are."""
    return min(facts.log.bytes_per_second * DAY, facts.size)
