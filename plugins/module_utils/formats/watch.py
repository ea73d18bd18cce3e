# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch between drills: what was seen of a collection's backups, judged against what its service level asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .agent_status import CRITICAL, OK, WARNING, WORDS, duration
from .drill_record import FAIL
from .sla import Sla
from .sla_targets import targets
from .verification import GOOD_RESULTS

# Seconds; without a level: an archive that works is a few seconds behind.
_WAL_WARNING = 300.0
_AGES = ("backup_warning", "backup_critical", "wal_warning", "wal_critical", "region_warning", "region_critical")
LIMITS = (*_AGES, "verify_age", "drill_age")


@dataclass(frozen=True)
class RegionSeen:
    """What one region has. Ages are seconds, None for what is not there.

    ``age``: of what can be restored from there, a backup or the archived log. ``lag``: how much more of that is missing
    than in the best region. ``verified_age``: since its newest good verification of a backup's content, of a backup
    that is itself no older than the level asks for. ``reason``: why it could not be read.
    """

    name: str
    age: float | None = None
    lag: float | None = None
    verified_age: float | None = None
    reason: str | None = None

    @property
    def reachable(self) -> bool:
        """Whether it could be read."""
        return self.reason is None


@dataclass(frozen=True)
class Seen:
    """What was seen of a collection in all regions, the first one first. Ages are seconds, None for what is not there.

    ``wal_age``: of the end of what can be restored with the archived log; ``wal_continued``: whether that goes on.
    ``archived``: whether the log is to be archived. ``verify_age``: since the last verification; ``verify_result``:
    what the last one of any backup in any region found that was not good, or else a good one. ``drill``: as
    ``DrillGlance.as_result``.
    """

    collection: str
    backup_age: float | None
    regions: Sequence[RegionSeen]
    archived: bool = False
    wal_age: float | None = None
    wal_continued: bool = False
    verify_age: float | None = None
    verify_result: str | None = None
    drill: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be; ``level``: WARNING or CRITICAL."""

    level: int
    what: str
    text: str


def limits_of(sla: Sla | None, rpo: float | None = None, warning: float | None = None) -> dict[str, Any]:
    """Ages, in seconds, above which to raise an alarm, None for none; and ``wal_archive``: whether there has to be one.

    ``rpo`` and ``warning``: of the newest backup, in place of the level's.
    """
    asked = targets(sla) if sla is not None else None
    limits: dict[str, Any] = {name: getattr(asked, name, None) for name in (*LIMITS, "wal_archive")}
    if asked is None:
        limits["wal_warning"] = _WAL_WARNING
    for name, own in (("backup_critical", rpo), ("backup_warning", warning)):
        limits[name] = limits[name] if own is None else own
    return limits


def findings(seen: Seen, limits: Mapping[str, Any]) -> list[Finding]:
    """What is wrong, the worst first."""
    found = [
        *_aged("backup", "newest backup", seen.backup_age, limits, "it has no backup"),
        *_log(seen, limits),
        *_regions(seen, limits),
        *_verification(seen, limits),
        *_drill(seen, limits),
    ]
    return sorted(found, key=lambda each: -each.level)


def _aged(what: str, name: str, age: float | None, limits: Mapping[str, Any], missing: str) -> Iterator[Finding]:
    if age is None:
        yield Finding(CRITICAL, what, missing)
        return
    for level, word in ((CRITICAL, "critical"), (WARNING, "warning")):
        limit = limits[f"{what}_{word}"]
        if limit is not None and age > limit:
            yield Finding(level, what, f"{name} {duration(age)} old, {word} from {duration(limit)} on")
            return


def _log(seen: Seen, limits: Mapping[str, Any]) -> Iterator[Finding]:
    if not seen.archived and not limits["wal_archive"]:
        return
    if seen.wal_age is None:
        level = CRITICAL if limits["wal_archive"] else WARNING
        yield Finding(level, "wal", "no log is archived that goes on from a backup")
        return
    yield from _aged("wal", "archived log ends", seen.wal_age, limits, "")
    if not seen.wal_continued:
        yield Finding(WARNING, "wal", "the archived log goes on from no backup")


def _regions(seen: Seen, limits: Mapping[str, Any]) -> Iterator[Finding]:
    for region in seen.regions:
        if not region.reachable:
            yield Finding(WARNING, "region", f"{region.name} could not be read: {str(region.reason).rstrip('.')}")
        elif seen.backup_age is not None and region.lag != 0:
            yield from _aged("region", f"what {region.name} has is", region.age, limits, f"{region.name} has no backup")
    if limits["verify_age"] is not None and (redundancy(seen, limits) < len(seen.regions)):
        yield Finding(
            WARNING,
            "redundancy",
            f"{redundancy(seen, limits)} of {len(seen.regions)} regions have a recent backup that was verified",
        )


def redundancy(seen: Seen, limits: Mapping[str, Any]) -> int:
    """In how many regions a backup that is young enough was found good, not too long ago."""
    longest = limits["verify_age"]
    return sum(
        region.verified_age is not None and (longest is None or region.verified_age <= longest)
        for region in seen.regions
    )


def _verification(seen: Seen, limits: Mapping[str, Any]) -> Iterator[Finding]:
    if seen.verify_result is not None and seen.verify_result not in GOOD_RESULTS:
        yield Finding(CRITICAL, "verification", f"the last verification found a backup {seen.verify_result}")
    longest = limits["verify_age"]
    if longest is None or seen.backup_age is None:
        return
    if seen.verify_age is None:
        yield Finding(WARNING, "verification", "no backup was ever verified")
    elif seen.verify_age > longest:
        yield Finding(WARNING, "verification", f"last verification {duration(seen.verify_age)} ago")


def _drill(seen: Seen, limits: Mapping[str, Any]) -> Iterator[Finding]:
    if seen.drill is not None and seen.drill["verdict"] == FAIL:
        yield Finding(CRITICAL, "drill", f"the last drill ({seen.drill['drill_id']}) failed")
    longest = limits["drill_age"]
    if longest is None:
        return
    if seen.drill is None:
        yield Finding(WARNING, "drill", "it was never drilled")
    elif seen.drill["age_seconds"] > longest:
        yield Finding(WARNING, "drill", f"last drill {duration(seen.drill['age_seconds'])} ago")


@dataclass
class Verdict:
    """The whole status: ``found`` by collection, and ``doubts`` that belong to none."""

    found: Mapping[str, Sequence[Finding]]
    ages: Mapping[str, float | None]
    doubts: Sequence[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """0, 1 or 2, as a monitoring plugin ends."""
        levels = [each.level for found in self.found.values() for each in found]
        if self.doubts or not self.found:
            levels.append(WARNING)
        return max(levels, default=OK)

    @property
    def line(self) -> str:
        """One line for people: all that is wrong, what is critical first; or that nothing is."""
        said = sorted(
            ((each.level, f"{name}: {each.text}") for name, found in self.found.items() for each in found),
            key=lambda each: -each[0],
        )
        texts = [text for _level, text in said] + list(self.doubts)
        if not self.found:
            texts.append("there is no collection to look at")
        if not texts:
            aged = {name: age for name, age in self.ages.items() if age is not None}
            oldest = max(aged, key=lambda name: aged[name])
            number = f"{len(aged)} collection{'s' if len(aged) > 1 else ''}"
            texts = [f"{number}, the oldest backup is {duration(aged[oldest])} old ({oldest})"]
        # A pipe would begin performance data, a line break a second line.
        return f"{WORDS[self.status]}: {' '.join('; '.join(texts).replace('|', '/').split())}"
