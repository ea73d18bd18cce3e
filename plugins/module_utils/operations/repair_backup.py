# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put good bytes in the place of bad ones: from the healthy parts of all regions, proved where they are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from ..errors import DamagedBackup, DamagedManifest, DrError
from ..formats import layout
from .leftovers import exists
from .object_copy import prove_object, read_object, write_object
from .repository_lock import collection_lock
from .verified_parts import SourceHealth
from .verify_backup import BEYOND_REPAIR, BackupReading, Finding, RegionCopy


def repair_backup(
    reading: BackupReading, recorded: dict[str, str | None], health: SourceHealth, check: bool = False
) -> None:
    """Mend what ``reading`` found, one region after another, and mark each finding that is ``repaired``.

    ``recorded``: by region, the digest of the manifest that an earlier verification found valid there. What cannot be
    mended stays as it was, and its finding says why. Objects come first and the manifest last, as in a backup.
    ``check`` only reads, and marks what would be mended.
    """
    for copy in reading.alike:
        repair = _Repair(reading, copy, health, check)
        if not copy.findings:
            continue
        try:
            with nullcontext() if check else collection_lock(copy.region, reading.collection):
                repair.mend_all(recorded.get(copy.region.name))
        except DrError as error:
            repair.tell(copy.findings, error)


class _Repair:
    """The repair of a backup in one region."""

    def __init__(self, reading: BackupReading, copy: RegionCopy, health: SourceHealth, check: bool) -> None:
        self.reading, self.copy, self.health, self.check = reading, copy, health, check
        self.region = copy.region

    def mend_all(self, recorded: str | None) -> None:
        """Mend what can be mended; raises DamagedBackup where the backup was pruned since it was looked at."""
        if not exists(self.region, self.reading.manifest_key):
            raise DamagedBackup("The backup is not there any more.")
        for key, stored in self.reading.objects:
            self.attempt(key, self.mend_object, key, stored)
            if layout.has_sidecar(key):
                self.attempt(layout.sidecar_key(key), self.mend_sidecar, key, stored)
        self.attempt(self.reading.manifest_key, self.mend_manifest, recorded)

    def attempt(self, key: str, mend: Callable[..., None], *arguments: Any) -> None:
        """Mend the object at ``key`` if something is wrong with it; its findings tell how that went."""
        findings = [finding for finding in self.copy.findings if finding.object == key]
        if not findings or any(finding.problem in BEYOND_REPAIR for finding in findings):
            return
        try:
            mend(*arguments)
        except DrError as error:
            self.tell(findings, error)
            return
        for finding in findings:
            finding.repaired = True

    @staticmethod
    def tell(findings: Sequence[Finding], error: DrError) -> None:
        """Say why these were not repaired."""
        for finding in findings:
            finding.reason = f"{finding.reason.rstrip('.')}. Not repaired: {error.detail}"

    def mend_object(self, key: str, stored: dict[str, Any]) -> None:
        """The own good parts come first: a region far away is asked for the bad ones only."""
        others = [copy.region for copy in self.reading.alike if copy is not self.copy]
        if self.check:
            read_object([self.region, *others], key, stored, self.health)
            return
        write_object([self.region, *others], self.region, key, stored, self.health)
        prove_object(self.region, key, stored)

    def mend_sidecar(self, key: str, stored: dict[str, Any]) -> None:
        """Its content follows from the manifest."""
        self._put(layout.sidecar_key(key), layout.sidecar(key, stored["sha256"]), "text/plain; charset=us-ascii")

    def mend_manifest(self, recorded: str | None) -> None:
        """Take that of another region, if nothing speaks against its being the same."""
        found = self.reading.manifest
        valid = {copy.manifest.sha256 for copy in self.reading.copies if copy.manifest is not None}
        if found is None or len(valid) > 1 or recorded not in (None, found.sha256):
            raise DamagedManifest("The other regions have a manifest that may not be the one that was here.")
        self._put(self.reading.manifest_key, self.reading.data, "application/json")
        if not self.check:
            self.region.verify_encryption(self.region.head(self.reading.manifest_key))

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        if self.check:
            return
        self.region.put(key, data, content_type=content_type)
        if self.region.get(key) != data:
            raise DamagedBackup(f"{self.region.url(key)} does not read back as it was written.")
