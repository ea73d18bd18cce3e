# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills that repositories hold, and which collections are due for one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import FileError, IntegrityError, ObjectNotFound, StoreError
from ..formats import drill_record, drill_schedule, layout
from ..formats.drill_kind import kind_of
from ..stores.agent_files import read_file
from ..stores.repository import Repository
from .catalogue import READERS, collections_of, committed_ids
from .regions_catalogue import nobody_answered

Json = dict[str, Any]


@dataclass
class FoundDrills:
    """``records``: (collection, drill id) -> the record; ``regions``: who holds it; ``damaged`` and ``unreachable``
    name what could not be read, as ``{region, collection, drill_id, reason}`` and ``{region, reason}``."""

    records: dict[tuple[str, str], Json] = field(default_factory=dict)
    regions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    damaged: list[Json] = field(default_factory=list)
    unreachable: list[Json] = field(default_factory=list)

    def newest_first(self) -> list[Json]:
        """The records by the time of their declaration."""
        return sorted(
            self.records.values(), key=lambda record: (record["drill_id"], record["collection"]), reverse=True
        )


@dataclass(frozen=True)
class DrillQuery:
    """What to list: the drills of ``collection`` (None: of all), the newest ``limit`` of each.

    ``days``: within which each of ``protected`` (None: what has a backup) should be drilled. ``whole``: with records.
    ``every_days``: how often there is a run, None where it is not asked what one has to take.
    """

    collection: str | None
    limit: int | None
    days: int
    protected: Sequence[str] | None
    whole: bool = False
    every_days: int | None = None


def list_drills(regions: Sequence[Repository], query: DrillQuery, now: datetime) -> Json:
    """What the module ``drill_info`` returns. Raises what ``find_drills`` does."""
    found = find_drills(regions, query.collection, limit=query.limit)
    records = found.newest_first()
    protected = query.protected
    if protected is None:
        protected = protected_collections(regions) if query.collection is None else [query.collection]
    last = last_drills(records, protected)
    coverage, due = coverage_of(last, protected, query.days, now)
    turn = {}
    if query.every_days is not None:
        within, every = timedelta(days=query.days), timedelta(days=query.every_days)
        turn = {"turn": drill_schedule.due(last, now, within, every)}
    return {
        **turn,
        "drills": [_listed(record, found, query.whole) for record in records],
        "due": due,
        "coverage": coverage,
        "damaged": found.damaged,
        "unreachable_regions": found.unreachable,
    }


def _listed(record: Json, found: FoundDrills, whole: bool) -> Json:
    regions = found.regions[record["collection"], record["drill_id"]]
    return {**summary_of(record), "regions": regions, **({"record": record} if whole else {})}


def find_drills(
    regions: Sequence[Repository],
    collection: str | None = None,
    before: str | None = None,
    limit: int | None = None,
) -> FoundDrills:
    """The drills of one collection, or of all, in the union of the regions.

    ``before``: only those whose id is smaller; ``limit``: the newest so many of each collection, and with them what was
    no drill and is not older.
    A record that its sidecar does not prove counts as damaged; the copy of another region then takes its place.
    Raises StoreUnreachable where no region could be asked; the error of a single one is raised itself.
    """
    found = FoundDrills()
    errors: dict[str, StoreError] = {}
    for region in regions:
        try:
            if len(regions) > 1:
                region.require_connection()
            for name in collections_of(region) if collection is None else [collection]:
                _read_drills(region, name, before, limit, found)
        except StoreError as error:
            errors[region.name] = error
            found.unreachable.append({"region": region.name, "reason": error.detail})
    if len(errors) == len(regions):
        raise nobody_answered(errors)
    return found


def _read_drills(
    region: Repository, collection: str, before: str | None, limit: int | None, found: FoundDrills
) -> None:
    ids = [drill_id for drill_id in _drill_ids(region, collection) if before is None or drill_id < before]
    with ThreadPoolExecutor(READERS, thread_name_prefix="drills") as threads:
        while ids and limit != 0:
            chosen, ids, others = ids[:limit], ids[limit:] if limit else [], 0
            answers = threads.map(lambda drill_id: _answer(region, collection, drill_id), chosen)
            for drill_id, answer in zip(chosen, answers, strict=True):
                if isinstance(answer, IntegrityError):
                    names = {"region": region.name, "collection": collection, "drill_id": drill_id}
                    found.damaged.append({**names, "reason": answer.detail})
                elif answer is not None:
                    found.records.setdefault((collection, drill_id), answer)
                    found.regions.setdefault((collection, drill_id), []).append(region.name)
                    others += not kind_of(answer).is_drill
            limit = others


def _answer(region: Repository, collection: str, drill_id: str) -> Json | IntegrityError | None:
    """The record; None for a drill that is not committed."""
    try:
        return read_drill(region, collection, drill_id)
    except ObjectNotFound:
        return None
    except IntegrityError as error:
        return error


def read_drill(region: Repository, collection: str, drill_id: str) -> Json:
    """The record of one drill. Raises ObjectNotFound, StoreError, or IntegrityError for one that is not as written."""
    key = layout.drill_key(collection, drill_id)
    data = region.get(key)
    return _proved(collection, drill_id, data, region.get(layout.sidecar_key(key)), region.url(key))


def _proved(collection: str, drill_id: str, data: bytes, sidecar: bytes, place: str) -> Json:
    """The record that is stored as ``data``. Raises IntegrityError, which names its ``place``."""
    key = layout.drill_key(collection, drill_id)
    if sidecar != layout.sidecar(key, hashlib.sha256(data).hexdigest()):
        raise IntegrityError(f"{place} was altered: it has not the SHA-256 of its sidecar.")
    record = drill_record.parse(data)
    if (record["collection"], record["drill_id"]) != (collection, drill_id):
        raise IntegrityError(f"{place} is the record of another drill.")
    return record


def drills_in(folder: Path) -> FoundDrills:
    """The drills whose reports are in a local folder, as ``write_report`` has put them there; in no ``regions``."""
    found = FoundDrills()
    for path in folder.glob(f"*/drills/*/{layout.DRILL_RECORD}"):
        collection, drill_id = path.parts[-4], path.parts[-2]
        try:
            sidecar = read_file(path.with_name(layout.sidecar_key(path.name)))
            record = _proved(collection, drill_id, read_file(path), sidecar, str(path))
        except (FileError, IntegrityError) as error:
            names = {"region": str(folder), "collection": collection, "drill_id": drill_id}
            found.damaged.append({**names, "reason": error.detail})
        else:
            found.records[collection, drill_id] = record
    return found


def newest_drills(region: Repository, collection: str) -> Iterator[Json]:
    """The records of the drills of a collection in one region, newest first; what was altered counts as none, and so
    does what was no drill.

    They are read one by one as they are asked for. Raises StoreError.
    """
    for drill_id in _drill_ids(region, collection):
        record = _answer(region, collection, drill_id)
        if isinstance(record, dict) and kind_of(record).is_drill:
            yield record


def _drill_ids(region: Repository, collection: str) -> list[str]:
    """Newest first."""
    return sorted(filter(layout.is_backup_id, region.folders(layout.drills_prefix(collection))), reverse=True)


def summary_of(record: Json) -> Json:
    """What a list of drills shows of one."""
    declared = record["declared"]
    return {
        "drill_id": record["drill_id"],
        "kind": kind_of(record).name,
        "run_id": record["run_id"],
        "cluster": record["cluster"],
        "collection": record["collection"],
        "declared_at": declared["at"],
        "scenario": declared["scenario"],
        "trigger": declared["trigger"],
        "operator": declared["operator"],
        "verdict": record["verdict"],
        "rto_seconds": record["rto_seconds"],
        "rpo_seconds": record["rpo_seconds"],
        "sla": record["sla"],
        "open_findings": drill_record.open_findings(record),
        "record_sha256": drill_record.digest(record),
    }


def previous_of(records: Sequence[Json]) -> list[Json]:
    """What a record remembers of the drills before it; ``records`` are newest first."""
    names = ("drill_id", "verdict", "rto_seconds", "rpo_seconds")
    drills = [record for record in records if kind_of(record).is_drill]
    return [
        {**{name: record[name] for name in names}, "declared_at": record["declared"]["at"]}
        for record in reversed(drills[: drill_record.REMEMBERED - 1])
    ]


def protected_collections(regions: Sequence[Repository]) -> list[str]:
    """The collections that have a committed backup in a region that answers."""
    names = set()
    for region in regions:
        try:
            names |= {name for name in collections_of(region) if committed_ids(region, name)}
        except StoreError:
            continue
    return sorted(names)


def last_protected(records: Sequence[Json]) -> list[str]:
    """The collections that had a backup when the newest of these drills was done; ``records`` are newest first."""
    return next((list(record["coverage"]["protected"]) for record in records if record["coverage"]), [])


def coverage_of(
    last: Mapping[str, datetime | None], protected: Sequence[str], days: int, now: datetime
) -> tuple[Json, list[str]]:
    """The coverage as a record has it, and the collections that are due: those longest without a drill first.

    ``last``: when at least the ``protected`` ones were drilled, whatever the verdict was. ``now`` is aware.
    """
    within = drill_schedule.coverage(last, now, timedelta(days=days))
    long_ago = datetime.min.replace(tzinfo=now.tzinfo)
    due = sorted((name for name in protected if within[name] is None), key=lambda name: (last[name] or long_ago, name))
    return {"protected": list(protected), "drilled_within": within, "days": days}, due


def coverage_with(regions: Sequence[Repository], drilled: Collection[str], days: int, now: datetime) -> Json:
    """The coverage of the repositories while the collections ``drilled`` are being drilled."""
    protected = protected_collections(regions)
    last = last_drills(find_drills(regions, limit=1).newest_first(), protected) | dict.fromkeys(drilled, now)
    return coverage_of(last, protected, days, now)[0]


def last_drills(records: Sequence[Json], collections: Collection[str]) -> dict[str, datetime | None]:
    """When each of these collections was last drilled, None for never. A failover proves no drill."""
    last: dict[str, datetime | None] = dict.fromkeys(collections)
    for record in sorted(records, key=lambda record: str(record["drill_id"])):
        if record["collection"] in last and kind_of(record).is_drill:
            last[record["collection"]] = layout.backup_time(record["drill_id"])
    return last
