# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate master keys: wrap the data keys of backups and archived logs with the new one. What they encrypt stays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..errors import DrError, ObjectNotFound, combined
from ..formats import layout
from ..formats.key_wrap import KeyRecord
from ..formats.manifest import Manifest
from ..stores.master_keys import KeyRing, MasterKey, open_with
from ..stores.repository import Repository
from .catalogue import READERS, collections_of, committed_ids, read_manifest
from .data_keys import contexts_of, later_wraps, named, wrong_key
from .key_records import read_key_record, write_key_record, write_record
from .leftovers import exists
from .repository_lock import RepositoryLock, collection_lock
from .wal_keys import archive_of, contexts, key_of, prove_wraps, wraps_in

REWRAPPED, UNCHANGED, NOT_ENCRYPTED = "rewrapped", "unchanged", "not_encrypted"

Json = dict[str, Any]


@dataclass
class RewrapReport:
    """What was wrapped again, or in check mode would be. Entries are as the module ``backup_rewrap`` documents them."""

    backups: list[Json] = field(default_factory=list)
    wal: list[Json] = field(default_factory=list)
    failures: list[Json] = field(default_factory=list)
    seconds: float = 0.0

    def as_result(self) -> Json:
        """The report as modules return it."""
        rewrapped = sum(entry["state"] == REWRAPPED for entry in self.backups)
        return {
            "backups": self.backups,
            "wal": self.wal,
            "rewrapped": rewrapped,
            "changed": rewrapped > 0 or any(entry["rewrapped"] for entry in self.wal),
            "seconds": round(self.seconds, 3),
        }


def rewrap_backups(
    regions: Sequence[Repository], collections: Sequence[str] | None, check: bool = False
) -> RewrapReport:
    """Let the current key of each region open every backup and archived log there that one of the old keys opens.

    ``collections``: None means all. What fails leaves the others wrapped. ``check`` only reads.

    Raises:
        InvalidInput: a region has no ``client_encryption``, or a key of it cannot be used.
        WrongKey: no key opens a backup; or what else a single failure is. PartlyFailed for several. Both carry the
            report, and ``failures``, as their ``result``.
    """
    began = time.monotonic()
    report = RewrapReport()
    rings = [KeyRing(region.location) for region in regions]
    keys = [key for ring in rings for key in ring.keys]
    errors: list[DrError] = []
    for region, ring in zip(regions, rings, strict=True):
        run = _RegionRun(region, regions, ring.current, keys, report, check)
        errors += run.rewrap_all(collections)
    report.seconds = time.monotonic() - began
    if errors:
        result = {**report.as_result(), "failures": report.failures}
        raise combined(errors, "rotations", "The others are done; see failures.", result)
    return report


class _RegionRun:
    """The rotation in one region. ``keys``: those of all regions, to open with."""

    def __init__(
        self,
        region: Repository,
        regions: Sequence[Repository],
        current: MasterKey,
        keys: Sequence[MasterKey],
        report: RewrapReport,
        check: bool,
    ) -> None:
        self.region, self.regions, self.current, self.keys = region, regions, current, keys
        self.report, self.check = report, check
        self.errors: list[DrError] = []

    def rewrap_all(self, collections: Sequence[str] | None) -> list[DrError]:
        """Wrap what must be wrapped in these collections; returns what went wrong."""
        try:
            self.region.require_connection()
            names = collections_of(self.region) if collections is None else collections
        except DrError as error:
            self._failed(error, collection=None, backup_id=None)
            return self.errors
        for collection in names:
            try:
                self._rewrap_collection(collection)
            except DrError as error:
                self._failed(error, collection=collection, backup_id=None)
        return self.errors

    def _rewrap_collection(self, collection: str) -> None:
        ids = sorted(committed_ids(self.region, collection), reverse=True)
        with ThreadPoolExecutor(READERS, thread_name_prefix="rewrap-look") as threads:
            found = list(threads.map(lambda backup_id: self._look(collection, backup_id), ids))
        todo = [manifest for manifest in found if manifest is not None]
        if self.check:
            for manifest in todo:
                self._add(manifest, REWRAPPED)
        elif todo:
            with collection_lock(self.region, collection) as lock:
                for manifest in todo:
                    self._rewrap(manifest, lock)
        self._rewrap_logs(collection)

    def _look(self, collection: str, backup_id: str) -> Manifest | None:
        """The manifest of a backup that must be wrapped again, and can be; what it is otherwise is noted."""
        try:
            manifest = read_manifest(self.region, collection, backup_id)[0]
            if not manifest.data_keys:
                self._add(manifest, NOT_ENCRYPTED)
                return None
            if self._wrapped(manifest, read_key_record(self.region, manifest)) is None:
                self._add(manifest, UNCHANGED)
                return None
        except ObjectNotFound:
            # It was listed a moment ago: another run has pruned it meanwhile.
            return None
        except DrError as error:
            self._failed(error, collection=collection, backup_id=backup_id)
            return None
        return manifest

    def _rewrap(self, manifest: Manifest, lock: RepositoryLock) -> None:
        try:
            if not exists(self.region, layout.manifest_key(manifest.collection, manifest.backup_id)):
                return
            record = self._wrapped(manifest, read_key_record(self.region, manifest))
            if record is not None:
                lock.require()
                write_key_record(self.region, manifest, record)
        except DrError as error:
            self._failed(error, collection=manifest.collection, backup_id=manifest.backup_id)
        else:
            self._add(manifest, UNCHANGED if record is None else REWRAPPED)

    def _wrapped(self, manifest: Manifest, record: KeyRecord) -> KeyRecord | None:
        """``record`` with what it lacks for the current key; None where that opens everything already.

        Only the wraps of this region count, so that it needs no other one.
        """
        changed = False
        for key_id, first, context in contexts_of(manifest):
            others = (each for other in later_wraps(manifest, self.regions) for each in other.of(key_id))
            wrap = self._new_wrap([first, *record.of(key_id)], others, context, named(manifest))
            if wrap is not None:
                record.add(key_id, wrap)
                changed = True
        return record if changed else None

    def _new_wrap(self, wraps: list[Json], others: Iterable[Json], context: dict[str, str], what: str) -> Json | None:
        """A wrap by the current key, which opens none of ``wraps``; None where it does."""
        if open_with([self.current], wraps, context) is not None:
            return None
        wraps = [*wraps, *others]
        data_key = open_with(self.keys, wraps, context)
        if data_key is None:
            raise wrong_key(what, wraps, self.keys)
        return self.current.wrap(data_key, context)

    # -- archived logs

    def _rewrap_logs(self, collection: str) -> None:
        """Wrap the data keys of the archived logs of a collection."""
        found = contexts(self.region, collection)
        with ThreadPoolExecutor(READERS, thread_name_prefix="rewrap-wal") as threads:
            todo = [record for record in threads.map(self._wrapped_log, found) if record is not None]
        if todo and not self.check:
            with collection_lock(self.region, collection) as lock:
                for looked_at in todo:
                    lock.require()
                    record = self._wrapped_log(looked_at.owner)
                    if record is not None:
                        write_record(self.region, key_of(record.owner), record)
        if found:
            names = {"region": self.region.name, "collection": collection}
            self.report.wal.append({**names, "data_keys": len(found), "rewrapped": len(todo)})

    def _wrapped_log(self, context: dict[str, str]) -> KeyRecord | None:
        """The record of a data key with what it lacks for the current key; None where that opens it already."""
        key_id, key = context["data_key"], key_of(context)
        try:
            record = prove_wraps(self.region, key, self.region.get(key))
            others = wraps_in(self.regions, context)
            wrap = self._new_wrap(record.of(key_id), others, context, archive_of(context))
        except ObjectNotFound:
            # A prune has taken it meanwhile.
            return None
        except DrError as error:
            self._failed(error, collection=context["collection"], backup_id=None)
            return None
        if wrap is None:
            return None
        record.add(key_id, wrap)
        return record

    def _add(self, manifest: Manifest, state: str) -> None:
        names = {"region": self.region.name, "collection": manifest.collection, "backup_id": manifest.backup_id}
        self.report.backups.append({**names, "state": state})

    def _failed(self, error: DrError, **names: str | None) -> None:
        self.errors.append(error)
        self.report.failures.append({"region": self.region.name, **names, "failure": error.failure()})
