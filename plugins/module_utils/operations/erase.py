# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a backup for good: its manifest first, so that what is left half removed is no backup any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from ..errors import ObjectNotFound
from ..formats import layout
from ..stores.location import ObjectInfo
from ..stores.repository import Repository
from ..stores.versions import ObjectLock, Version, delete_versions, list_versions, lock_of
from .catalogue import READERS


@dataclass(frozen=True)
class Erased:
    """What was removed: ``size`` in bytes, versions that had been overwritten included."""

    objects: int
    size: int


class Eraser:
    """Removes backups of one collection from one region.

    ``versioned``: whether the bucket keeps versions, which then go too. ``now``: the time that locks are judged by.
    ``check``: look, and remove nothing.
    """

    def __init__(self, region: Repository, collection: str, versioned: bool, now: datetime, check: bool) -> None:
        self.region, self.collection, self.versioned, self.now, self.check = region, collection, versioned, now, check

    def erase(self, backup_id: str, objects: Sequence[ObjectInfo]) -> Erased | ObjectLock:
        """Remove the folder of a backup, committed or not; or say what keeps it, and leave it whole.

        ``objects``: what the folder holds, of a listing made a moment ago.
        """
        lock = self._lock_on([item.key for item in objects])
        if lock is not None:
            return lock
        prefix = layout.backup_prefix(self.collection, backup_id)
        if self.check:
            return self._count(prefix, objects)
        manifest = layout.manifest_key(self.collection, backup_id)
        self.region.delete([manifest])
        if self.versioned:
            return self._erase_versions(prefix, manifest, layout.record_keys(self.collection, backup_id))
        self.region.delete([item.key for item in objects])
        self.region.delete(layout.record_keys(self.collection, backup_id))
        return self._count(prefix, objects)

    def erase_objects(self, objects: Sequence[ObjectInfo]) -> tuple[Erased, ObjectLock | None]:
        """Remove objects, in their order, up to the first one that is locked; returns that lock too."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="erase-look") as threads:
            locks = list(threads.map(self._lock_of, [item.key for item in objects])) if self.versioned else []
            free = next((place for place, lock in enumerate(locks) if lock is not None), len(objects))
            lock = locks[free] if free < len(locks) else None
            if not self.versioned:
                if not self.check:
                    self.region.delete([item.key for item in objects])
                return Erased(len(objects), sum(item.size for item in objects)), None
            listed = threads.map(lambda item: list(list_versions(self.region, item.key)), objects[:free])
            found = [version for versions in listed for version in versions]
        stay = [] if self.check else delete_versions(self.region, found)
        erased = _sum(version for version in found if version not in stay)
        return erased, lock or (ObjectLock(until=None, legal_hold=False) if stay else None)

    def _count(self, prefix: str, objects: Sequence[ObjectInfo]) -> Erased:
        if self.versioned:
            return _sum(list_versions(self.region, prefix))
        return Erased(len(objects), sum(item.size for item in objects))

    def _lock_on(self, keys: list[str]) -> ObjectLock | None:
        """The lock that lasts longest; a legal hold has no end."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="erase-look") as threads:
            locks = [lock for lock in threads.map(self._lock_of, keys) if lock is not None]
        ends = [lock.until for lock in locks if lock.until is not None]
        return ObjectLock(max(ends, default=None), any(lock.legal_hold for lock in locks)) if locks else None

    def _lock_of(self, key: str) -> ObjectLock | None:
        try:
            return lock_of(self.region, key, self.now)
        except ObjectNotFound:
            return None

    def _erase_versions(self, prefix: str, manifest: str, records: Sequence[str]) -> Erased | ObjectLock:
        """After the manifest is hidden: if the store does not let it go, nothing goes, and it is shown again."""
        found = [each for start in (prefix, *records) for each in list_versions(self.region, start)]
        of_manifest = [each for each in found if each.key == manifest]
        if delete_versions(self.region, [each for each in of_manifest if not each.is_marker]):
            delete_versions(self.region, [each for each in of_manifest if each.is_marker])
            return ObjectLock(until=None, legal_hold=False)
        data = [each for each in found if each.key != manifest and not each.is_marker]
        stay = {each.key for each in delete_versions(self.region, data)}
        # A marker goes after what it hides, or that would come back.
        delete_versions(self.region, [each for each in found if each.is_marker and each.key not in stay])
        return _sum(each for each in found if each.key not in stay)


def _sum(versions: Iterable[Version]) -> Erased:
    sizes = [each.size for each in versions if not each.is_marker]
    return Erased(len(sizes), sum(sizes))
