# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of one region or of several: what there is, where, how old, and what is not finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..errors import StoreError, StoreUnreachable
from ..formats import layout
from ..stores.repository import Repository
from .catalogue import READERS, collections_of, freshness
from .clock import utc_now
from .holdings import CollectionHoldings, read_backups
from .summaries import read_summaries

Json = dict[str, Any]


@dataclass(frozen=True)
class CatalogueRequest:
    """What to list: ``collection`` (None: all), begun from ``since`` to ``until`` (aware), at most ``limit`` of each.

    ``manifests``: with the whole manifest of each. ``rpo``: seconds that the newest backup may be old.
    """

    collection: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    manifests: bool = False
    rpo: float | None = None

    def fits(self, backup_id: str) -> bool:
        """Whether a backup was begun in the time asked for."""
        begun = layout.backup_time(backup_id)
        return (self.since is None or begun >= self.since) and (self.until is None or begun <= self.until)


@dataclass
class _Region:
    """What one region has, by collection."""

    backups: dict[str, list[Json]] = field(default_factory=dict)
    newest: dict[str, Json | None] = field(default_factory=dict)
    uncommitted: dict[str, list[str]] = field(default_factory=dict)


def read_catalogue(regions: Sequence[Repository], request: CatalogueRequest, now: datetime) -> Json:
    """What the module ``backup_info`` returns.

    Raises StoreUnreachable where no region could be asked; the error of a single one is raised itself.
    """

    def ask(region: Repository) -> _Region | StoreError:
        try:
            if len(regions) > 1:
                region.require_connection()
            return _read_region(region, request)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(READERS, thread_name_prefix="catalogue-region") as threads:
        answers = dict(zip((region.name for region in regions), threads.map(ask, regions), strict=True))
    found = {name: answer for name, answer in answers.items() if isinstance(answer, _Region)}
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, StoreError)}
    if not found:
        raise nobody_answered(errors)
    names = sorted({name for region in found.values() for name in region.newest})
    return {
        "backups": _merged(found),
        "freshness": [_fresh(found, name, now, request.rpo) for name in names],
        "regions": [
            {"region": name, "collection": collection, **freshness(region.newest.get(collection), now, request.rpo)}
            for name, region in found.items()
            for collection in names
        ],
        "uncommitted": [
            {"region": name, "collection": collection, "backup_id": backup_id}
            for name, region in found.items()
            for collection, ids in region.uncommitted.items()
            for backup_id in ids
        ],
        "unreachable_regions": [{"region": name, "reason": error.detail} for name, error in errors.items()],
    }


def list_backups(repository: Repository, collection: str | None = None, **filters: Any) -> list[Json]:
    """The committed backups of one repository, newest first; ``filters`` are those of ``CatalogueRequest``."""
    backups: list[Json] = read_catalogue([repository], CatalogueRequest(collection, **filters), utc_now())["backups"]
    return backups


def nobody_answered(errors: Mapping[str, StoreError]) -> StoreError:
    """What to raise where every region has failed; ``errors``: by the regions' names, not empty."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    reasons = "; ".join(f"{name}: {error.detail}" for name, error in errors.items())
    return StoreUnreachable(f"No repository could be read. {reasons}", "Make at least one of them reachable.")


def _read_region(region: Repository, request: CatalogueRequest) -> _Region:
    found = _Region()
    for name in collections_of(region) if request.collection is None else [request.collection]:
        holdings = read_backups(region, name)
        ids = sorted(filter(request.fits, holdings.manifests), reverse=True)
        found.backups[name] = _listed(region, name, holdings, ids, request)
        found.newest[name] = _newest(region, name, holdings, found.backups[name])
        found.uncommitted[name] = holdings.uncommitted()
    return found


def _listed(
    region: Repository, name: str, holdings: CollectionHoldings, ids: list[str], request: CatalogueRequest
) -> list[Json]:
    """The newest ``limit`` of these backups that are there."""
    listed: list[Json] = []
    step = request.limit or len(ids) or 1
    for start in range(0, len(ids), step):
        wanted = {backup_id: holdings.manifests[backup_id] for backup_id in ids[start : start + step]}
        listed += read_summaries(region, name, wanted, request.manifests).values()
        if request.limit is not None and len(listed) >= request.limit:
            break
    return listed[: request.limit]


def _newest(region: Repository, name: str, holdings: CollectionHoldings, listed: list[Json]) -> Json | None:
    """The newest backup that has a valid manifest, whether it is listed or not."""
    known = {each["backup_id"]: each for each in listed}
    for backup_id in sorted(holdings.manifests, reverse=True):
        one = {backup_id: holdings.manifests[backup_id]}
        summary = known.get(backup_id) or read_summaries(region, name, one).get(backup_id)
        if summary is not None and summary["state"] == "committed":
            return summary
    return None


def _merged(found: dict[str, _Region]) -> list[Json]:
    """Each backup once, newest first, from the first region that has it valid, with the names of all that hold it."""
    merged: dict[tuple[str, str], Json] = {}
    for name, region in found.items():
        for entry in (entry for listed in region.backups.values() for entry in listed):
            key = (entry["backup_id"], entry["collection"])
            known = merged.setdefault(key, {**entry, "regions": []})
            if known["state"] == "damaged" and entry["state"] == "committed":
                merged[key] = {**entry, "regions": known["regions"]}
            merged[key]["regions"].append(name)
    return [merged[key] for key in sorted(merged, key=lambda key: key[0], reverse=True)]


def _fresh(found: dict[str, _Region], collection: str, now: datetime, rpo: float | None) -> Json:
    """The newest of all regions counts: a restore takes it from where it is."""
    newest = [region.newest.get(collection) for region in found.values()]
    best = max((each for each in newest if each is not None), key=lambda each: str(each["backup_id"]), default=None)
    return {"collection": collection, **freshness(best, now, rpo)}
