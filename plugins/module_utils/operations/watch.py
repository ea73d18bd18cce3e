# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at all regions between drills: backups, archived logs, copies, verifications and drills, against the levels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ..errors import StoreError
from ..formats.drill_glance import DrillGlance
from ..formats.layout import backup_time
from ..formats.sla import SlaPolicy
from ..formats.verification import CONTENT, GOOD_RESULTS, VerificationRecord
from ..formats.watch import Finding, RegionSeen, Seen, Verdict, findings, limits_of, redundancy
from ..stores.repository import Repository
from .catalogue import READERS, backed_up, committed_ids, freshness, newest_committed
from .drills import newest_drills
from .regions_catalogue import nobody_answered
from .verification_record import read_record
from .wal_ranges import restorable

Json = dict[str, Any]

# Of so many of the newest backups the records of verifications are looked at.
_RECORDS = 12


@dataclass(frozen=True)
class _Look:
    """What one region shows of one collection. ``records``: newest backup first."""

    newest: Json
    archive: Json | None
    records: Sequence[tuple[datetime, VerificationRecord]]
    drill: DrillGlance | None


def watch(
    regions: Sequence[Repository],
    collections: Sequence[str],
    limits: Callable[[str], Mapping[str, Any]],
    archived: Callable[[str], bool],
    now: datetime,
    doubts: Sequence[str] = (),
) -> Json:
    """Judge these collections by what all regions have.

    Args:
        regions: the repository first, then its copies.
        collections: names.
        limits: what ``formats.watch.limits_of`` gives, by collection.
        archived: whether the log of a collection is to be archived.
        now: the time of asking (aware).
        doubts: sentences that belong to no collection; each is a warning.

    Returns:
        ``{status, line, collections, unreachable_regions}``: 0, 1 or 2, one sentence, by collection what was seen with
        its findings, and regions that could not be read with the reason.

    Raises:
        StoreUnreachable: no region could be read; the error of a single one is raised itself.
    """
    errors = unreached(regions)
    found: dict[str, list[Finding]] = {}
    ages, entries = {}, {}
    for name in collections:
        looks = _looks(regions, errors, name, archived(name) or limits(name)["wal_archive"], now)
        seen = _seen(name, regions, looks, errors, limits(name), archived(name), now)
        found[name], ages[name] = findings(seen, limits(name)), seen.backup_age
        entries[name] = _entry(seen, looks, found[name], limits(name))
    verdict = Verdict(found, ages, doubts)
    gone = [{"region": name, "reason": error.detail} for name, error in errors.items()]
    return {"status": verdict.status, "line": verdict.line, "collections": entries, "unreachable_regions": gone}


def watch_levels(
    regions: Sequence[Repository], policy: SlaPolicy, collections: Sequence[str] | None, now: datetime
) -> Json:
    """``watch`` by the levels alone; ``collections``: None for those with backups in the first region that answers."""
    if collections is None:
        errors = unreached(regions)
        collections = backed_up(next(region for region in regions if region.name not in errors))
    limits = {name: limits_of(policy.of(name)) for name in collections}
    return watch(regions, collections, limits.__getitem__, lambda _name: False, now)


def unreached(regions: Sequence[Repository]) -> dict[str, StoreError]:
    """The regions that cannot be read, by name. Raises StoreUnreachable where none can, a single one's own error."""

    def ask(region: Repository) -> StoreError | None:
        try:
            if len(regions) > 1:
                region.require_connection()
            region.check_access()
        except StoreError as error:
            return error
        return None

    with ThreadPoolExecutor(READERS, thread_name_prefix="watch-reach") as threads:
        answers = list(zip(regions, threads.map(ask, regions), strict=True))
    errors = {region.name: error for region, error in answers if error is not None}
    if len(errors) == len(regions):
        raise nobody_answered(errors)
    return errors


def _looks(
    regions: Sequence[Repository],
    errors: dict[str, StoreError],
    collection: str,
    with_log: bool,
    now: datetime,
) -> dict[str, _Look]:
    """What each region shows; one that fails meanwhile is added to ``errors``."""

    def look(region: Repository) -> _Look | StoreError:
        try:
            ids = committed_ids(region, collection)
            newest = newest_committed(region, collection, ids)
            return _Look(
                freshness(newest.fields if newest else None, now),
                restorable(region, collection, ids).as_result(now) if with_log else None,
                [
                    (backup_time(each), read_record(region, collection, each))
                    for each in sorted(ids, reverse=True)[:_RECORDS]
                ],
                next(map(DrillGlance.of, newest_drills(region, collection)), None),
            )
        except StoreError as error:
            return error

    readable = [region for region in regions if region.name not in errors]
    with ThreadPoolExecutor(READERS, thread_name_prefix="watch") as threads:
        answers = dict(zip((region.name for region in readable), threads.map(look, readable), strict=True))
    errors.update({name: answer for name, answer in answers.items() if isinstance(answer, StoreError)})
    looks = {name: answer for name, answer in answers.items() if isinstance(answer, _Look)}
    if not looks:
        raise next(iter(errors.values()))
    return looks


def _seen(
    collection: str,
    regions: Sequence[Repository],
    looks: Mapping[str, _Look],
    errors: Mapping[str, StoreError],
    limits: Mapping[str, Any],
    archived: bool,
    now: datetime,
) -> Seen:
    ages = {name: _restorable_age(look) for name, look in looks.items()}
    best = _least(ages.values())
    contents = sorted(each for look in looks.values() for each in _contents(look))
    bad = [result for _time, result in contents if result not in GOOD_RESULTS]
    drill = max((look.drill for look in looks.values() if look.drill), key=lambda each: each.drill_id, default=None)
    return Seen(
        collection=collection,
        backup_age=_least(look.newest["age_seconds"] for look in looks.values()),
        regions=[
            RegionSeen(
                region.name,
                age=ages[region.name],
                lag=_lag(ages[region.name], best),
                verified_age=_good_age(looks[region.name], limits, now),
            )
            if region.name in looks
            else RegionSeen(region.name, reason=errors[region.name].detail)
            for region in regions
        ],
        archived=archived,
        wal_age=_least(map(_log_age, looks.values())),
        wal_continued=any(look.archive is not None and look.archive["continued"] for look in looks.values()),
        verify_age=_age(contents[-1][0], now) if contents else None,
        # What was found damaged stays so until it is read again, however good the others are.
        verify_result=bad[-1] if bad else contents[-1][1] if contents else None,
        drill=None if drill is None else drill.as_result(now),
    )


def _least(ages: Iterable[float | None]) -> float | None:
    return min((age for age in ages if age is not None), default=None)


def _lag(age: float | None, best: float | None) -> float | None:
    return None if age is None or best is None else round(age - best, 3)


def _log_age(look: _Look) -> float | None:
    """How old the end of what can be restored is, where the archived log adds to a backup or goes on from one."""
    if look.archive is None or (look.archive["rpo_seconds"] is None and not look.archive["continued"]):
        return None
    return _least((look.archive["rpo_seconds"], look.newest["age_seconds"]))


def _restorable_age(look: _Look) -> float | None:
    age = _log_age(look)
    return look.newest["age_seconds"] if age is None else age


def _contents(look: _Look) -> list[tuple[datetime, str]]:
    """When backups were last read, and what that found."""
    return [
        (time, record.levels[CONTENT]["result"])
        for _begun, record in look.records
        if CONTENT in record.levels and (time := record.last(CONTENT)) is not None
    ]


def _good_age(look: _Look, limits: Mapping[str, Any], now: datetime) -> float | None:
    """Since the last good verification of a backup that is no older than verifications may be."""
    longest = limits["verify_age"]
    times = [
        time
        for begun, record in look.records
        if (time := record.last(CONTENT)) is not None
        and record.levels[CONTENT]["result"] in GOOD_RESULTS
        and (longest is None or _age(begun, now) <= longest)
    ]
    return _age(max(times), now) if times else None


def _age(moment: datetime, now: datetime) -> float:
    return round(max(0.0, (now - moment).total_seconds()), 3)


def _entry(seen: Seen, looks: Mapping[str, _Look], found: Sequence[Finding], limits: Mapping[str, Any]) -> Json:
    """What is returned of a collection."""
    best = max((look.newest["newest"] for look in looks.values() if look.newest["newest"]), default=None)
    archives = {name: look.archive for name, look in looks.items() if look.archive is not None}
    return {
        "newest": best,
        "age_seconds": seen.backup_age,
        "wal_age_seconds": seen.wal_age,
        "wal_continued": seen.wal_continued,
        "ranges": {name: archive["ranges"] for name, archive in archives.items()},
        "gaps": {name: archive["gaps"] for name, archive in archives.items()},
        "logs": {name: archive["log"] for name, archive in archives.items()},
        "regions": [{**asdict(region), "reachable": region.reachable} for region in seen.regions],
        "redundancy": redundancy(seen, limits),
        "verified_age_seconds": seen.verify_age,
        "verification": seen.verify_result,
        "drill": None if seen.drill is None else dict(seen.drill),
        "limits": dict(limits),
        "findings": [{"level": each.level, "what": each.what, "text": each.text} for each in found],
    }
