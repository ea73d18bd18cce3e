# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune the backups of one collection in one region, its archived logs, and what belongs to no backup."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from ..errors import DamagedManifest, PruneRefused
from ..formats import layout
from ..formats.retention import RetentionPolicy, reasons_to_keep
from ..formats.verification import CONTENT, GOOD_RESULTS
from ..formats.wal_layout import timeline_prefix
from ..stores.location import ObjectInfo
from ..stores.repository import DELETE_BATCH, Repository
from ..stores.versions import ObjectLock
from .activity import last_activity
from .erase import Erased, Eraser
from .holdings import CollectionHoldings, read_holdings, read_markers
from .leftovers import exists, is_at_work
from .pack_prune import surplus_packs
from .repository_lock import RepositoryLock
from .summaries import keep_index, read_summaries
from .verification_record import read_record
from .wal_prune import surplus_wal, surplus_wraps

_NAMED_IN_ERRORS = 5
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class PruneLimits:
    """What keeps a run from going too far.

    ``grace``: seconds for which what belongs to no backup is left alone. ``require_verified``: refuse where the content
    of the newest backup was not verified. ``max_delete_percent``: refuse to remove a larger share of a collection's
    backups.
    """

    grace: float
    require_verified: bool
    max_delete_percent: float


class CollectionPrune:
    """One collection in one region. ``entry`` is what the module documents as an element of ``pruned``."""

    def __init__(
        self,
        region: Repository,
        collection: str,
        policy: RetentionPolicy,
        limits: PruneLimits,
        eraser: Eraser,
        lock: RepositoryLock | None,
    ) -> None:
        """``lock``: what keeps others from changing these backups; None in check mode."""
        self.region, self.collection, self.policy, self.limits = region, collection, policy, limits
        self.eraser, self.lock = eraser, lock
        self.entry: dict[str, Any] = {"region": region.name, "collection": collection, "bytes": 0}
        self.entry |= {name: [] for name in ("kept", "removed", "locked", "swept")}
        self.entry["packs"] = {"objects": 0, "bytes": 0, "kept_because": None}
        self.entry["wal"] = {"objects": 0, "bytes": 0, "timelines": [], "locked": [], "kept_because": None}

    def run(self) -> None:
        """Decide, refuse or prune, and sweep.

        Raises:
            DamagedManifest: the catalogue cannot be read whole.
            PruneRefused: a limit forbids it.
            Busy: another run has taken over meanwhile.
            StoreError: the region failed; ``entry`` has what was removed until then.
        """
        holdings = read_holdings(self.region, self.collection)
        summaries = self._valid(holdings)
        committed = list(summaries)
        reasons = reasons_to_keep(
            {backup_id: layout.backup_time(backup_id) for backup_id in committed}, self.policy, self.eraser.now
        )
        going = [backup_id for backup_id in committed if not reasons[backup_id]]
        self.entry["kept"] = [
            {"backup_id": backup_id, "reasons": reasons[backup_id]}
            for backup_id in reversed(committed)
            if reasons[backup_id]
        ]
        if going:
            self._refuse_too_much(committed, going)
            self._refuse_unverified(committed)
        for backup_id in going:
            self._remove(backup_id, holdings.folders[backup_id])
        self._sweep(holdings)
        self._prune_wal(committed)
        self._prune_packs(holdings)
        if not self.eraser.check:
            removed = {each["backup_id"] for each in self.entry["removed"]}
            left = [summary for backup_id, summary in summaries.items() if backup_id not in removed]
            keep_index(self.region, self.collection, holdings.manifests, left)

    # -- deciding

    def _valid(self, holdings: CollectionHoldings) -> dict[str, Any]:
        """The summaries of all backups, oldest first: one that is damaged might be what a rule counts on."""
        found = read_summaries(self.region, self.collection, dict(sorted(holdings.manifests.items())), use_index=False)
        damaged = [f"{name}: {each['reason']}" for name, each in found.items() if each["state"] == "damaged"]
        if damaged:
            raise DamagedManifest(
                f"The catalogue of {self.collection!r} in {self.region.name} cannot be read whole, and nothing of it"
                f" was pruned. {'; '.join(damaged[:_NAMED_IN_ERRORS])}",
                "Repair it with backup_verify, or delete what cannot be repaired.",
            )
        return found

    def _refuse_too_much(self, committed: list[str], going: list[str]) -> None:
        share = 100 * len(going) / len(committed)
        if share > self.limits.max_delete_percent:
            raise PruneRefused(
                f"The policy would remove {len(going)} of {len(committed)} backups of {self.collection!r} in"
                f" {self.region.name}, which is {share:.0f}% and more than {self.limits.max_delete_percent:g}%.",
                "Look at them in check mode; if they are meant to go, raise max_delete_percent for this run.",
            )

    def _refuse_unverified(self, committed: list[str]) -> None:
        newest = committed[-1]
        if not self.limits.require_verified:
            return
        known = read_record(self.region, self.collection, newest).levels.get(CONTENT)
        if known is None or known["result"] not in GOOD_RESULTS:
            state = "was never verified" if known is None else f"was found {known['result']}"
            raise PruneRefused(
                f"The content of {newest}, the newest backup of {self.collection!r} in {self.region.name}, {state}.",
                "Run backup_verify with level content first, or set require_verified to false.",
            )

    # -- removing

    def _remove(self, backup_id: str, objects: list[ObjectInfo]) -> None:
        outcome = self._erase(backup_id, objects, committed=True)
        if isinstance(outcome, Erased):
            self.entry["removed"].append({"backup_id": backup_id, "objects": outcome.objects, "bytes": outcome.size})

    def _erase(self, backup_id: str, objects: list[ObjectInfo], committed: bool) -> Erased | ObjectLock:
        if self.lock is not None:
            self.lock.require()
        outcome = self.eraser.erase(backup_id, objects)
        if isinstance(outcome, Erased):
            self.entry["bytes"] += outcome.size
        else:
            self.entry["locked"].append({"backup_id": backup_id, "committed": committed, **_told(outcome)})
        return outcome

    def _prune_wal(self, committed: list[str]) -> None:
        """Remove what of the archived logs no backup needs that is still there."""
        gone = {each["backup_id"] for each in self.entry["removed"]}
        left = [backup_id for backup_id in committed if backup_id not in gone]
        span, now = self.policy.keep_wal_within, self.eraser.now
        logs, doubt = surplus_wal(self.region, self.collection, left, span, now, self.limits.grace)
        self.entry["wal"]["kept_because"] = doubt
        if doubt is None and (records := surplus_wraps(self.region, self.collection, now, self.limits.grace)):
            self._refuse_unverified(committed)
            self._erase_counted("wal", records)
        for each in logs:
            objects = each.objects(self.region)
            lock = None
            while lock is None and (batch := list(islice(objects, DELETE_BATCH))):
                self._refuse_unverified(committed)
                lock = self._erase_counted("wal", batch)
            if lock is not None:
                where = timeline_prefix(each.log)
                self.entry["wal"]["locked"].append({"timeline": where, **_told(lock)})
            elif each.spared.whole:
                self.entry["wal"]["timelines"].append(timeline_prefix(each.log))

    def _prune_packs(self, holdings: CollectionHoldings) -> None:
        """Remove the packs that no backup needs."""
        # A backup that began since the holdings were read may go by one that this run has removed.
        holdings = replace(holdings, markers=read_markers(self.region, self.collection))
        busy = [backup_id for backup_id in holdings.markers if not self._is_quiet(backup_id, holdings)]
        gone = [each["backup_id"] for each in self.entry["removed"]]
        surplus, doubt = surplus_packs(self.region, self.collection, gone, self.eraser.now, self.limits.grace)
        if surplus and busy:
            surplus, doubt = [], f"the backup {busy[0]} is at work, and may need them"
        self.entry["packs"]["kept_because"] = doubt
        for start in range(0, len(surplus), DELETE_BATCH):
            lock = self._erase_counted("packs", surplus[start : start + DELETE_BATCH])
            if lock is not None:
                self.entry["packs"]["kept_because"] = f"object lock, until {_told(lock)['until']}"

    def _erase_counted(self, what: str, objects: list[ObjectInfo]) -> ObjectLock | None:
        """Remove objects, counted as ``what``; returns the lock that keeps one of them."""
        if self.lock is not None:
            self.lock.require()
        erased, lock = self.eraser.erase_objects(objects)
        self.entry[what]["objects"] += erased.objects
        self.entry[what]["bytes"] += erased.size
        self.entry["bytes"] += erased.size
        return lock

    def _sweep(self, holdings: CollectionHoldings) -> None:
        """Remove what belongs to no backup and was not touched for the time of grace."""
        for backup_id in reversed(holdings.uncommitted()):
            objects = holdings.folders[backup_id]
            if not self._is_quiet(backup_id, holdings):
                continue
            # A listing that lacks the manifest must not cost a backup.
            if exists(self.region, layout.manifest_key(self.collection, backup_id)):
                continue
            if isinstance(self._erase(backup_id, objects, committed=False), Erased):
                self.entry["swept"] += [f"object {item.key}" for item in objects]
        for key, upload_id, _begun in list(self.region.uploads(layout.backups_prefix(self.collection))):
            folder = layout.folder_of(key)
            if folder is not None and self._is_quiet(folder, holdings):
                if not self.eraser.check:
                    self.region.abort_upload(key, upload_id)
                self.entry["swept"].append(f"multipart upload of {key}")
        self._sweep_records(holdings)

    def _is_quiet(self, backup_id: str, holdings: CollectionHoldings) -> bool:
        """Whether nobody works on this backup, and nobody has for the time of grace."""
        idle = self.eraser.now - last_activity(self.region, self.collection, backup_id)
        if idle < timedelta(seconds=self.limits.grace):
            return False
        return not any(is_at_work(self.region, item.key) for item in holdings.markers.get(backup_id, []))

    def _sweep_records(self, holdings: CollectionHoldings) -> None:
        lonely = [
            item.key
            for backup_id, items in sorted(holdings.records.items())
            for item in items
            if backup_id not in holdings.folders and self._is_old(item)
        ]
        if lonely and not self.eraser.check:
            self.region.delete(lonely)
        self.entry["swept"] += [f"object {key}" for key in lonely]

    def _is_old(self, item: ObjectInfo) -> bool:
        age = self.eraser.now - (item.last_modified or _LONG_AGO)
        return age >= timedelta(seconds=self.limits.grace)


def _told(lock: ObjectLock) -> dict[str, Any]:
    until = lock.until.astimezone(timezone.utc).isoformat() if lock.until else None
    return {"until": until, "legal_hold": lock.legal_hold}
