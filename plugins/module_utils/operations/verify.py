# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the backups of all regions, remember it beside them, and repair what another region has good."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ..errors import BackupNotFound, DamagedBackup, DrError, InvalidInput, StoreError, StoreUnreachable
from ..formats import layout
from ..formats.verification import CONTENT, VerificationRecord, due, is_due_today
from ..stores.master_keys import key_ring
from ..stores.repository import Repository
from ..version import TOOL
from .catalogue import READERS, collections_of, committed_ids
from .copy import Choice
from .repair_backup import repair_backup
from .verification_record import read_record
from .verified_parts import SourceHealth
from .verify_backup import ENCRYPTION, KEY, BackupReading, Finding, RegionCopy, look_at_backup
from .verify_wal import look_at_wal, repair_wal

_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class VerifyRequest:
    """What to verify, and how: ``level`` is one of ``formats.verification.LEVELS``.

    ``collections``: None means all that a region holds. ``sample_percent``: the share of the chosen backups to look at.
    ``wal``: look at the archived logs of these collections too.
    """

    collections: Sequence[str] | None
    choice: Choice
    level: str
    sample_percent: float = 100
    repair: bool = False
    wal: bool = True


@dataclass
class VerifyReport:
    """What was found. Entries are as the module ``backup_verify`` documents them."""

    backups: list[dict[str, Any]] = field(default_factory=list)
    wal: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    unreached: dict[str, str] = field(default_factory=dict)
    not_found: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    chosen: int = 0
    bytes_read: int = 0
    changed: bool = False
    seconds: float = 0.0

    def as_result(self) -> dict[str, Any]:
        """The report as modules return it."""
        return {
            "backups": self.backups,
            "wal": self.wal,
            "findings": self.findings,
            "unreachable_regions": [{"region": name, "reason": reason} for name, reason in self.unreached.items()],
            "chosen": self.chosen,
            "bytes_read": self.bytes_read,
            "changed": self.changed,
            "seconds": round(self.seconds, 3),
            "warnings": self.warnings,
        }

    def failure(self) -> DrError | None:
        """The gravest of what is wrong, told with all the rest; None where nothing is."""
        errors: list[DrError] = []
        damage = [finding for finding in self.findings if not finding["repaired"]]
        if damage:
            errors.append(_damage(damage))
        if self.unreached:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.unreached.items())
            errors.append(
                StoreUnreachable(f"Not every region could be verified. {reasons}", "Make it reachable, and run again.")
            )
        if self.not_found:
            errors.append(BackupNotFound(" ".join(self.not_found), "backup_info lists what a repository holds."))
        if not errors:
            return None
        first = errors[0]
        detail = " ".join(error.detail for error in errors)
        return type(first)(detail, first.hint, **self.as_result())


def verify_backups(regions: Sequence[Repository], request: VerifyRequest, check: bool = False) -> VerifyReport:
    """Verify backups in every one of ``regions``, repair if asked to, and keep the outcome beside each backup.

    What is wrong with one backup or region leaves the others to be looked at. ``check`` only reads, and reports what
    would be repaired.

    Raises:
        InvalidInput: the regions are of different clusters, a key cannot be used, or the share is no percentage.
        DamagedBackup: something is damaged and was not repaired.
        StoreUnreachable: a region could not be asked.
        BackupNotFound: what was asked for by name is in no region.
        Each carries the whole report as its ``result``.
    """
    clusters = sorted({region.location.cluster for region in regions})
    if len(clusters) > 1:
        raise InvalidInput(
            f"The repositories are of several clusters: {', '.join(clusters)}.", "Give those of one cluster."
        )
    began = time.monotonic()
    run = _Run(regions, request, check)
    run.choose()
    for collection, backup_id in run.due():
        run.verify(collection, backup_id)
    if request.wal:
        run.verify_logs()
    run.report.seconds = time.monotonic() - began
    failure = run.report.failure()
    if failure is not None:
        raise failure
    return run.report


class _Run:
    """One verification of several backups."""

    def __init__(self, regions: Sequence[Repository], request: VerifyRequest, check: bool) -> None:
        self.regions, self.request, self.check = regions, request, check
        self.report = VerifyReport()
        self.health = SourceHealth()
        self.proved: set[tuple[str, str]] = set()
        self.rings = {region.name: key_ring(region.location) for region in regions}
        # (collection, backup id) -> the names of the regions that hold it.
        self.holders: dict[tuple[str, str], set[str]] = {}
        self.records: dict[tuple[str, str], dict[str, VerificationRecord]] = {}

    def choose(self) -> None:
        """Find the backups that the request is about, and who holds them."""
        if len(self.regions) > 1:
            self._ask_all(Repository.require_connection)
        for collection in self._collections():
            held = self._held(collection)
            ids = sorted(set().union(*held.values()), reverse=True)
            wanted = self.request.choice.backup_ids
            newest = {
                name for there in held.values() for name in sorted(there, reverse=True)[: self.request.choice.newest]
            }
            chosen = [name for name in ids if name in (newest if wanted is None else wanted)]
            missing = [name for name in wanted or [] if name not in ids]
            if missing or (not ids and self.request.collections is not None):
                what = f"committed backup {', '.join(missing)}" if missing else "committed backup"
                self.report.not_found.append(f"No region has a {what} of {collection!r}.")
            for backup_id in chosen:
                self.holders[collection, backup_id] = {name for name, there in held.items() if backup_id in there}
        self.report.chosen = len(self.holders)

    def _collections(self) -> Sequence[str]:
        if self.request.collections is not None:
            return self.request.collections
        return sorted({name for names in self._ask_all(collections_of).values() for name in names})

    def _held(self, collection: str) -> dict[str, set[str]]:
        return self._ask_all(lambda region: committed_ids(region, collection))

    def _ask_all(self, question: Any) -> dict[str, Any]:
        """The answers of the regions that give one, by their names; the others are noted and not asked again."""

        def ask(region: Repository) -> Any:
            try:
                return question(region)
            except StoreError as error:
                return error

        asked = [region for region in self.regions if region.name not in self.health.down]
        answers = {}
        with ThreadPoolExecutor(READERS, thread_name_prefix="verify-list") as threads:
            for region, answer in zip(asked, threads.map(ask, asked), strict=True):
                if isinstance(answer, StoreError):
                    self.report.unreached[region.name] = self.health.down[region.name] = answer.detail
                else:
                    answers[region.name] = answer
        return answers

    def due(self) -> list[tuple[str, str]]:
        """The share of the backups whose turn it is, by the oldest verification of any region."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="verify-record") as threads:
            self.records = dict(zip(self.holders, threads.map(self._records_of, self.holders), strict=True))
        last = {}
        for key in sorted(self.holders, key=lambda names: (names[1], names[0])):
            begun = layout.backup_time(key[1])
            known = [record.last(self.request.level) or begun for record in self.records[key].values()]
            last[key] = min(known, default=begun)
        return due(last, self.request.sample_percent)

    def _records_of(self, key: tuple[str, str]) -> dict[str, VerificationRecord]:
        records = {}
        for region in self.regions:
            if region.name in self.holders[key]:
                records[region.name] = read_record(region, *key)
        return records

    def verify(self, collection: str, backup_id: str) -> None:
        """Look at one backup, repair it if asked to, and remember the outcome."""
        holders = self.holders[collection, backup_id]
        copies = [
            RegionCopy(
                region,
                held=region.name in holders,
                unreached=self.health.down.get(region.name),
                keys=self.rings[region.name],
            )
            for region in self.regions
        ]
        content = self.request.level == CONTENT
        reading = look_at_backup(collection, backup_id, copies, content, self.health, self.proved)
        records = self.records[collection, backup_id]
        if self.request.repair:
            recorded = {name: record.manifest_sha256 for name, record in records.items()}
            repair_backup(reading, recorded, self.health, self.check)
        self._add(reading)
        for copy in copies:
            if copy.held and copy.unreached is None:
                self._remember(reading, copy, records[copy.region.name])

    def _add(self, reading: BackupReading) -> None:
        names = {"collection": reading.collection, "backup_id": reading.backup_id}
        regions = []
        for copy in reading.copies:
            regions.append({"region": copy.region.name, "verdict": copy.verdict, "bytes_read": copy.bytes_read})
            self.report.bytes_read += copy.bytes_read
            self.report.findings += [{**names, **_entry(finding)} for finding in copy.findings]
            self.report.changed |= any(finding.repaired for finding in copy.findings)
            if copy.unreached is not None:
                self.report.unreached.setdefault(copy.region.name, copy.unreached)
        self.report.backups.append({**names, "level": self.request.level, "regions": regions})

    def verify_logs(self) -> None:
        """Look at the archived logs of the collections, and repair them if asked to."""
        today = datetime.now(timezone.utc)
        share, choice = self.request.sample_percent, self.request.choice
        content = self.request.level == CONTENT and choice.newest is None and choice.backup_ids is None
        for collection in dict.fromkeys(collection for collection, _backup_id in self.holders):
            reached = [region for region in self.regions if region.name not in self.health.down]
            copies = look_at_wal(
                reached, collection, content, partial(is_due_today, percent=share, today=today), self.check
            )
            if self.request.repair:
                repair_wal(copies, collection, self.check)
            for copy in copies:
                self.report.wal.append(copy.describe(collection))
                self.report.bytes_read += copy.size
                names = {"collection": collection, "backup_id": None}
                self.report.findings += [{**names, **_entry(finding)} for finding in copy.findings]
                self.report.changed |= any(finding.repaired for finding in copy.findings)
                if copy.busy is not None:
                    self.report.warnings.append(
                        f"{copy.region.name}: gaps in the archived logs are not told. {copy.busy}"
                    )
                if copy.unreached is not None:
                    self.report.unreached.setdefault(copy.region.name, copy.unreached)

    def _remember(self, reading: BackupReading, copy: RegionCopy, record: VerificationRecord) -> None:
        """Keep the outcome; credentials that may only read are no reason to fail."""
        manifest = copy.manifest or (reading.manifest if copy.verdict == "repaired" else None)
        if manifest is not None:
            record.manifest_sha256 = manifest.sha256
        record.add(self.request.level, datetime.now(timezone.utc), copy.verdict, len(copy.findings), TOOL)
        key = layout.verified_key(reading.collection, reading.backup_id)
        try:
            if not self.check:
                copy.region.put(key, record.dump(), content_type="application/json")
            self.report.changed = True
        except StoreError as error:
            self.report.warnings.append(f"{copy.region.name}: the outcome could not be kept. {error.detail}")


def _entry(finding: Finding) -> dict[str, Any]:
    return {
        "region": finding.region,
        "object": finding.object,
        "part": finding.part,
        "problem": finding.problem,
        "reason": finding.reason,
        "healthy": finding.healthy,
        "repaired": finding.repaired,
    }


def _damage(damage: list[dict[str, Any]]) -> DrError:
    named = "; ".join(map(_sentence, damage[:_NAMED_IN_ERRORS]))
    more = f"; and {len(damage) - _NAMED_IN_ERRORS} more" if len(damage) > _NAMED_IN_ERRORS else ""
    if all(entry["problem"] == KEY for entry in damage):
        hint = "Give the key as one of old_keys, or let backup_rewrap bring what the key here opens."
    elif all(entry["healthy"] or entry["problem"] == ENCRYPTION for entry in damage):
        hint = "There is a good copy of all of this: run with repair, or see in the findings why that failed."
    else:
        hint = "The findings name who has what in a good copy: add a region that holds the rest, or use other backups."
    return DamagedBackup(f"Damaged, and not repaired: {named}{more}.", hint)


def _sentence(entry: dict[str, Any]) -> str:
    part = f", part {entry['part']}" if entry["part"] else ""
    return f"{entry['region']}: {entry['object']}{part}: {entry['reason'].rstrip('.')}"
