# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All objects of a collection in one listing, by what they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formats import layout
from ..stores.location import ObjectInfo
from ..stores.repository import Repository


@dataclass
class CollectionHoldings:
    """The folders of backups, the manifests of those that are committed, markers of runs, and records.

    All by backup id.
    """

    folders: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    manifests: dict[str, ObjectInfo] = field(default_factory=dict)
    markers: dict[str, list[ObjectInfo]] = field(default_factory=dict)
    records: dict[str, ObjectInfo] = field(default_factory=dict)

    def uncommitted(self) -> list[str]:
        """Backups that have objects and no manifest: at work, or left by an interrupted run. Newest first."""
        return sorted(self.folders.keys() - self.manifests.keys(), reverse=True)


def read_holdings(region: Repository, collection: str) -> CollectionHoldings:
    """One listing of everything that belongs to a collection."""
    found = CollectionHoldings()
    backups = layout.backups_prefix(collection)
    for item in region.list(layout.collection_prefix(collection)):
        backup_id, _slash, name = item.key.removeprefix(backups).partition("/")
        if item.key.startswith(backups) and layout.is_backup_id(backup_id):
            found.folders.setdefault(backup_id, []).append(item)
            if name == layout.MANIFEST:
                found.manifests[backup_id] = item
        elif (marked := layout.marked_backup(item.key)) is not None:
            found.markers.setdefault(marked, []).append(item)
        elif (recorded := layout.recorded_backup(item.key)) is not None:
            found.records[recorded] = item
    return found
