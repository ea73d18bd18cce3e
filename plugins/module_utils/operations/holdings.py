# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a collection by the backups that they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice, pairwise

from ..formats import layout
from ..stores.location import ObjectInfo
from ..stores.repository import Repository
from .clock import utc_now

# A page of a listing; what is longer is listed in so many ranges at once, since pages come one after another.
_PAGE = 1000
_RANGES = 4


@dataclass
class CollectionHoldings:
    """The folders of backups, the manifests of those that are committed, markers of runs, and records (of
    verifications, and of data keys).

    All by backup id.
    """

    folders: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    manifests: dict[str, ObjectInfo] = field(default_factory=dict)
    markers: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    records: dict[str, list[ObjectInfo]] = field(default_factory=dict)

    def uncommitted(self) -> list[str]:
        """Backups that have objects and no manifest: at work, or left by an interrupted run. Newest first."""
        return sorted(self.folders.keys() - self.manifests.keys(), reverse=True)


def read_backups(region: Repository, collection: str) -> CollectionHoldings:
    """The folders and the manifests of a collection's backups."""
    found = CollectionHoldings()
    backups = layout.backups_prefix(collection)
    for item in _listing(region, backups):
        backup_id, _slash, name = item.key.removeprefix(backups).partition("/")
        if layout.is_backup_id(backup_id):
            found.folders.setdefault(backup_id, []).append(item)
            if name == layout.MANIFEST:
                found.manifests[backup_id] = item
    return found


def read_holdings(region: Repository, collection: str) -> CollectionHoldings:
    """The backups, and the markers and records that stand beside them."""
    found = read_backups(region, collection)
    found.markers = read_markers(region, collection)
    for folder in (layout.verified_prefix(collection), layout.keys_prefix(collection)):
        for item in region.list(folder):
            if (recorded := layout.recorded_backup(item.key)) is not None:
                found.records.setdefault(recorded, []).append(item)
    return found


def read_markers(region: Repository, collection: str) -> dict[str, list[ObjectInfo]]:
    """The markers of runs that have begun, by the ids of their backups."""
    found: dict[str, list[ObjectInfo]] = {}
    for item in region.list(layout.started_prefix(collection)):
        if (marked := layout.marked_backup(item.key)) is not None:
            found.setdefault(marked, []).append(item)
    return found


def _listing(region: Repository, backups: str) -> Iterator[ObjectInfo]:
    """Everything below the folder of the backups, in the order of the keys."""
    first = list(islice(region.list(backups), _PAGE))
    yield from first
    if len(first) < _PAGE:
        return
    bounds = [first[-1].key, *_cuts(backups, first[-1].key), None]
    with ThreadPoolExecutor(_RANGES, thread_name_prefix="holdings") as threads:
        for items in threads.map(lambda ends: list(region.list(backups, *ends)), pairwise(bounds)):
            yield from items


def _cuts(backups: str, reached: str) -> list[str]:
    """Keys that part what comes after ``reached`` in ranges: backup ids sort by time."""
    backup_id = reached.removeprefix(backups).partition("/")[0]
    if not layout.is_backup_id(backup_id):
        return []
    begin = layout.backup_time(backup_id)
    step = (utc_now() - begin) / _RANGES
    if step <= timedelta(seconds=1):
        return []
    return [backups + layout.new_backup_id(begin + step * number, "") for number in range(1, _RANGES)]
