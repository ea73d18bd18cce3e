# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune backups in all regions by a policy for each, and never what is still needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..errors import BackupNotFound, DrError, InvalidInput, combined
from ..formats.lock_layout import LOCKS_FOLDER, lock_generation
from ..formats.retention import RetentionPolicy
from ..stores.repository import Repository
from ..stores.store_clock import store_time
from ..stores.versions import is_versioned
from .catalogue import collections_of
from .clock import utc_now
from .erase import Eraser
from .prune_collection import CollectionPrune, PruneLimits
from .repository_lock import collection_lock


@dataclass(frozen=True)
class PolicyOverride:
    """Another policy for some: ``collections`` are shell patterns, ``regions`` names; None stands for all."""

    policy: RetentionPolicy
    collections: Sequence[str] | None = None
    regions: Sequence[str] | None = None

    def fits(self, region: str, collection: str) -> bool:
        """Whether it is the policy of this collection in this region."""
        if self.regions is not None and region not in self.regions:
            return False
        return self.collections is None or any(fnmatchcase(collection, pattern) for pattern in self.collections)


@dataclass(frozen=True)
class PruneRequest:
    """What to prune: ``collections`` (None: all), by the first of ``overrides`` that fits, else by ``policy``.

    Without a policy that fits, a collection is left alone. ``price``: of a GB (10^9 bytes) a month, in any currency.
    """

    collections: Sequence[str] | None
    policy: RetentionPolicy | None
    limits: PruneLimits
    overrides: Sequence[PolicyOverride] = ()
    price: float | None = None

    def policy_for(self, region: str, collection: str) -> RetentionPolicy | None:
        """The policy of a collection in a region."""
        return next((each.policy for each in self.overrides if each.fits(region, collection)), self.policy)


@dataclass
class PruneReport:
    """What was pruned, one entry of ``pruned`` a region and collection, as the module ``backup_prune`` documents it."""

    pruned: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    price: float | None = None
    seconds: float = 0.0

    def as_result(self) -> dict[str, Any]:
        """The report as modules return it."""
        freed = sum(entry["bytes"] for entry in self.pruned)
        return {
            "pruned": self.pruned,
            "removed": sum(len(entry["removed"]) for entry in self.pruned),
            "bytes": freed,
            "monthly_saving": None if self.price is None else round(freed / 1e9 * self.price, 2),
            "changed": any(
                entry["removed"] or entry["swept"] or entry["wal"]["objects"] or entry["packs"]["objects"]
                for entry in self.pruned
            ),
            "seconds": round(self.seconds, 3),
        }


def prune_backups(regions: Sequence[Repository], request: PruneRequest, check: bool = False) -> PruneReport:
    """Prune in every one of ``regions``. What fails in one place leaves the others pruned. ``check`` only looks.

    Raises:
        InvalidInput: an override names a region that is not given, or nothing has a policy.
        BackupNotFound: a collection that was asked for by name has nothing in any region.
        PartlyFailed: several failed; a single failure is raised as it is, such as PruneRefused, DamagedManifest,
            Busy or a StoreError. Each carries the report, and ``failures``, as its ``result``.
    """
    _check_request(regions, request)
    began = time.monotonic()
    report = PruneReport(price=request.price)
    errors: list[DrError] = []
    known: set[str] = set()
    for region in regions:
        _prune_region(region, request, check, report, errors, known)
    missing = [name for name in request.collections or [] if name not in known]
    if missing and not errors:
        errors.append(
            BackupNotFound(f"No region has anything of {', '.join(missing)}.", "backup_info lists what is there.")
        )
    report.seconds = time.monotonic() - began
    if errors:
        result = {**report.as_result(), "failures": report.failures}
        raise combined(errors, "prunes", "The others are done; see failures.", result)
    return report


def _check_request(regions: Sequence[Repository], request: PruneRequest) -> None:
    names = {region.name for region in regions}
    unknown = sorted({name for each in request.overrides for name in each.regions or [] if name not in names})
    if unknown:
        raise InvalidInput(f"An override is for {', '.join(unknown)}, which is no repository given here.", "Name one.")
    if request.policy is None and not request.overrides:
        raise InvalidInput("No rule says what to keep.", "Give a keep_ option, such as keep_last, or overrides.")


def _prune_region(
    region: Repository,
    request: PruneRequest,
    check: bool,
    report: PruneReport,
    errors: list[DrError],
    known: set[str],
) -> None:
    def failed(error: DrError, collection: str | None = None) -> None:
        errors.append(error)
        report.failures.append({"region": region.name, "collection": collection, "failure": error.failure()})

    try:
        region.require_connection()
        present = collections_of(region)
        known.update(present)
        names = [name for name in present if request.collections is None or name in request.collections]
        # The store's clock: one on a host that is wrong by a month must not make backups old.
        now = store_time(region) or utc_now()
        versioned = is_versioned(region)
    except DrError as error:
        failed(error)
        return
    for name in names:
        policy = request.policy_for(region.name, name)
        if policy is None:
            continue
        try:
            _prune_collection(region, name, policy, request.limits, Eraser(region, name, versioned, now, check), report)
        except DrError as error:
            failed(error, name)
    if not check:
        _sweep_locks(region)


def _prune_collection(
    region: Repository,
    collection: str,
    policy: RetentionPolicy,
    limits: PruneLimits,
    eraser: Eraser,
    report: PruneReport,
) -> None:
    with ExitStack() as stack:
        lock = None if eraser.check else stack.enter_context(collection_lock(region, collection))
        run = CollectionPrune(region, collection, policy, limits, eraser, lock)
        report.pruned.append(run.entry)
        run.run()


def _sweep_locks(region: Repository) -> None:
    """Remove all generations of each lock but the newest, which keeps the order; writers may not be let to delete."""
    with suppress(DrError):
        newest: dict[str, int] = {}
        generations = []
        for item in region.list(f"{LOCKS_FOLDER}/"):
            number = lock_generation(item.key)
            if number is not None:
                folder = item.key.rpartition("/")[0]
                newest[folder] = max(newest.get(folder, 0), number)
                generations.append((folder, number, item.key))
        region.delete([key for folder, number, key in generations if number < newest[folder]])
