# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what the repositories know of sizes and rates, and what follows from that for each service level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from ..errors import BackupNotFound
from ..formats.agent_status import duration
from ..formats.drill_glance import LEAST_MEASURED, DrillGlance
from ..formats.layout import backup_time
from ..formats.manifest import Manifest
from ..formats.plan import ASSUMED_CHANGE, ASSUMED_FIND, ASSUMED_RATES, Facts, Rate, Schedule
from ..formats.plan_result import MONTH_DAYS, lines, plan_result, refuse_unmet
from ..formats.prices import Prices
from ..formats.sla import Sla, SlaPolicy
from ..formats.sla_targets import DAY, targets
from ..formats.wal_rates import LogWrites
from ..stores.repository import Repository
from .catalogue import backed_up, newest_committed
from .drills import newest_drills
from .regions_catalogue import list_backups

Json = dict[str, Any]

# So many of the newest backups say how a collection grows, and so many drills how fast a recovery goes.
_BACKUPS, _DRILLS = 30, 5
_SPEED_DOC = "assumed: a measurement in docs/speed.md, rounded down"


@dataclass(frozen=True)
class PlanRequest:
    """What to plan. ``collections``: None for all that have backups. ``schedule``: names of targets -> what counts in
    their place. ``rates``: stage, or ``log``, -> bytes a second that count in place of what was measured. ``size``:
    bytes that count in place of the newest backup's. ``days``: for which a backup of each day is kept. ``writes``: what
    the archiver of a node has recorded, by collection. ``require_backups``: whether a collection of unknown size is an
    error.
    """

    policy: SlaPolicy
    collections: Sequence[str] | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    size: float | None = None
    prices: Prices = field(default_factory=Prices)
    days: int = MONTH_DAYS
    writes: Mapping[str, LogWrites] = field(default_factory=dict)
    require_backups: bool = True


def make_plans(
    regions: Sequence[Repository],
    request: PlanRequest,
    archived: Callable[[str], bool | None] = lambda _name: None,
) -> Json:
    """The plan of each collection that has a level, from what the first of ``regions`` holds.

    ``archived``: whether the log of a collection is archived, None where its level says whether it is to be.
    Returns ``{plans, unplanned, unknown, report}``: as ``plan_result`` has it, names of collections that no level is
    for, names of those whose size nobody knows, and lines for people.

    Raises:
        SlaNotMet: the arithmetic of one does not hold; its result is the same.
        BackupNotFound: a collection that was asked for has no backup, and no size was given, where one is required.
        StoreError: the repository cannot be read.
    """
    first = regions[0]
    first.check_access()
    names = request.collections if request.collections is not None else backed_up(first)
    levels = {name: request.policy.of(name) for name in names}
    plans: list[Json] = []
    unknown: list[str] = []
    for name, sla in levels.items():
        facts = None if sla is None else _facts_of(first, name, request, len(regions))
        if sla is not None and facts is not None:
            plans.append(plan_result(facts, _schedule(sla, request, archived(name)), sla, request.prices, request.days))
        elif sla is not None:
            unknown.append(name)
    result = {
        "plans": plans,
        "unplanned": [name for name, sla in levels.items() if sla is None],
        "unknown": unknown,
        "report": [line for plan in plans for line in lines(plan)],
    }
    refuse_unmet(result, {name: sla.title for name, sla in levels.items() if sla is not None})
    return result


def _schedule(sla: Sla, request: PlanRequest, archived: bool | None) -> Schedule:
    wanted = targets(sla).as_result() | {name: each for name, each in request.schedule.items() if each is not None}
    if archived is not None:
        wanted["wal_archive"] = archived
    return Schedule.of(wanted)


def _facts_of(repository: Repository, name: str, request: PlanRequest, regions: int) -> Facts | None:
    """What is known of a collection; None where its size is not, and need not be."""
    try:
        return _facts(repository, name, request, regions)
    except BackupNotFound:
        if request.require_backups:
            raise
        return None


def _facts(repository: Repository, name: str, request: PlanRequest, regions: int) -> Facts:
    newest = newest_committed(repository, name)
    if newest is None and request.size is None:
        raise BackupNotFound(
            f"{name} has no backup, so that its size is not known.", "Make one, or plan with a size that you expect."
        )
    backups = list_backups(repository, name, limit=_BACKUPS)
    usable = [each for each in backups if each["state"] == "committed"]
    drills = [DrillGlance.of(each) for each in islice(newest_drills(repository, name), _DRILLS)]
    size = request.size if request.size is not None else float(newest.size if newest else 0)
    mean, peak = _archived_rates(request.writes.get(name), len(newest.shards) if newest else None)
    return Facts(
        collection=name,
        size=size,
        growth=growth_per_day(usable),
        log=_log_rate(request, mean, drills, size),
        rates={stage: _rate(stage, request, usable, drills) for stage in ASSUMED_RATES},
        find=_find(drills),
        regions=regions,
        shards=len(newest.shards) if newest else 1,
        replicas=_replicas(newest),
        peak=peak,
    )


def _replicas(newest: Manifest | None) -> int:
    return int((newest.config.get("params") or {}).get("replication_factor") or 1) if newest else 1


def growth_per_day(backups: Sequence[Json]) -> float:
    """Bytes a day from the oldest of these backups (newest first) to the newest; 0 for less than a day."""
    if len(backups) < 2:
        return 0.0
    newest, oldest = backups[0], backups[-1]
    days = (backup_time(newest["backup_id"]) - backup_time(oldest["backup_id"])).total_seconds() / DAY
    return (newest["size"] - oldest["size"]) / days if days >= 1 else 0.0


def _rate(stage: str, request: PlanRequest, backups: Sequence[Json], drills: Sequence[DrillGlance]) -> Rate:
    if stage in request.rates:
        return Rate(request.rates[stage], "given")
    if stage == "backup":
        for each in backups:
            seconds = _seconds(each["window"])
            if seconds > 0 and each["size"] >= LEAST_MEASURED:
                return Rate(each["size"] / seconds, f"backup {each['backup_id']}, {duration(seconds)}")
    for drill in drills:
        if stage in drill.rates:
            return Rate(drill.rates[stage], f"drill {drill.drill_id}")
    return Rate(ASSUMED_RATES[stage], _SPEED_DOC, measured=False)


def _seconds(window: Mapping[str, Any]) -> float:
    try:
        begun, ended = (datetime.fromisoformat(window[name].replace("Z", "+00:00")) for name in ("started", "finished"))
    except (KeyError, ValueError, AttributeError):
        return 0.0
    return (ended - begun).total_seconds()


def _archived_rates(writes: LogWrites | None, shards: int | None) -> tuple[Rate | None, Rate | None]:
    """The mean and the peak of what is written to a collection of so many ``shards`` (None: unknown).

    Those that this node has none of are taken to be written to as much.
    """
    if writes is None:
        return None, None
    factor = max(1.0, (shards or 0) / writes.shards)
    seen = "" if factor == 1 else f", by {writes.shards} of {shards} shards"
    mean = None if writes.mean is None else Rate(writes.mean * factor, f"archiver: the mean of {writes.day}{seen}")
    peak = None if writes.peak is None else Rate(writes.peak * factor, f"archiver: the busiest minutes{seen}")
    return mean, peak


def _log_rate(request: PlanRequest, archived: Rate | None, drills: Sequence[DrillGlance], size: float) -> Rate:
    if "log" in request.rates:
        return Rate(request.rates["log"], "given")
    if archived is not None:
        return archived
    for drill in drills:
        if drill.log_rate is not None:
            return Rate(drill.log_rate, f"drill {drill.drill_id}")
    return Rate(size * ASSUMED_CHANGE / DAY, f"assumed: {ASSUMED_CHANGE:.0%} of the size a day", measured=False)


def _find(drills: Sequence[DrillGlance]) -> tuple[float, str]:
    for drill in drills:
        if drill.find_seconds is not None:
            return drill.find_seconds, f"as in drill {drill.drill_id}"
    return ASSUMED_FIND, "to find the backup, check the target and ask the first question, which is assumed"
