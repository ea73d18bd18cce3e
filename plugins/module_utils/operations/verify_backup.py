# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at one backup in all regions that hold it, and say what is wrong with it where. Only reads."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..errors import (
    DamagedBackup,
    DamagedManifest,
    EncryptionRefused,
    KeyServiceError,
    ObjectNotFound,
    StoreError,
    StoreUnreachable,
)
from ..formats import layout
from ..formats.manifest import Manifest
from ..stores.master_keys import KeyRing
from ..stores.repository import Repository
from .backup_objects import objects_of, shard_objects
from .catalogue import READERS, read_manifest
from .data_keys import contexts_of, named, wrong_key
from .key_records import read_key_record
from .object_copy import PARTS_AT_ONCE
from .verified_parts import NOT_REACHED, SourceHealth, VerifiedParts

# What can be wrong with an object, or with one part of it.
MISSING, SIZE, CONTENT, ENCRYPTION, CONFLICT, DIGEST = "missing", "size", "content", "encryption", "conflict", "digest"
# A data key that the keys of the region do not open.
KEY = "key"
# No copy of any region can mend these.
BEYOND_REPAIR = (CONFLICT, DIGEST, KEY)


@dataclass
class Finding:
    """One thing that is wrong in one region; ``healthy`` names the regions that have it good."""

    region: str
    object: str
    problem: str
    reason: str
    part: int | None = None
    healthy: list[str] = field(default_factory=list)
    repaired: bool = False


@dataclass
class RegionCopy:
    """A backup as one region has it. ``unreached``: why the region could not be asked to the end.

    ``keys``: the master keys of the region, if its backups are encrypted before they are sent.
    """

    region: Repository
    held: bool = True
    unreached: str | None = None
    keys: KeyRing | None = None
    manifest: Manifest | None = None
    data: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    bytes_read: int = 0

    @property
    def verdict(self) -> str:
        """``good``, ``repaired``, ``damaged``, ``absent`` or ``unreachable``."""
        if any(not finding.repaired for finding in self.findings):
            return "damaged"
        if self.unreached is not None:
            return "unreachable"
        if not self.held:
            return "absent"
        return "repaired" if self.findings else "good"

    def found(self, key: str, problem: str, reason: str, part: int | None = None) -> None:
        """Add a finding."""
        self.findings.append(Finding(self.region.name, key, problem, reason, part))


@dataclass
class BackupReading:
    """One backup in all regions.

    ``manifest`` and ``data``: the first valid one, None if there is none. ``alike``: the copies that are compared with
    it: those with the same manifest, and those whose own is damaged. ``objects``: key and description of each object
    that the manifest needs.
    """

    collection: str
    backup_id: str
    copies: list[RegionCopy]
    manifest: Manifest | None = None
    data: bytes = b""
    alike: list[RegionCopy] = field(default_factory=list)
    objects: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def manifest_key(self) -> str:
        """The manifest's key."""
        return layout.manifest_key(self.collection, self.backup_id)


def look_at_backup(
    collection: str,
    backup_id: str,
    copies: list[RegionCopy],
    content: bool,
    health: SourceHealth,
    proved: set[tuple[str, str]],
) -> BackupReading:
    """Verify a backup in all regions at once.

    ``copies`` are in the order of the regions, fresh but for ``held``, ``unreached`` and ``keys``; the findings go into
    them.
    ``content``: read every part, beside looking at what exists. ``health`` is shared by all backups of a run, and so is
    ``proved``: region and key of the packs that were found right, which other backups need, too.
    """
    reading = BackupReading(collection, backup_id, copies)
    with ThreadPoolExecutor(len(copies), thread_name_prefix="verify-region") as threads:
        list(threads.map(lambda copy: _guarded(_look_at_manifest, reading, copy, health), copies))
        _choose_manifest(reading)
        _find_objects(reading, health)
        list(
            threads.map(lambda copy: _guarded(_look_at_objects, reading, copy, health, content, proved), reading.alike)
        )
    reading.alike = [copy for copy in reading.alike if copy.unreached is None]
    for copy in reading.copies:
        for finding in copy.findings:
            finding.healthy = [other.region.name for other in reading.alike if _is_good(other, copy, finding)]
    return reading


def _guarded(look: Any, reading: BackupReading, copy: RegionCopy, health: SourceHealth, *more: Any) -> None:
    """Call ``look``; a region that does not answer is noted, and not asked again once it is down."""
    if not copy.held or copy.unreached is not None:
        return
    copy.unreached = health.down.get(copy.region.name)
    if copy.unreached is None:
        try:
            look(reading, copy, health, *more)
        except StoreError as error:
            if isinstance(error, NOT_REACHED):
                health.failed(copy.region, layout.backup_prefix(reading.collection, reading.backup_id), error)
            copy.unreached = error.detail


def _look_at_manifest(reading: BackupReading, copy: RegionCopy, health: SourceHealth) -> None:
    key = reading.manifest_key
    try:
        copy.manifest, copy.data = read_manifest(copy.region, reading.collection, reading.backup_id)
        copy.region.verify_encryption(copy.region.head(key))
    except ObjectNotFound:
        # It was listed a moment ago: another run has pruned it meanwhile.
        copy.held = False
    except EncryptionRefused as error:
        copy.found(key, ENCRYPTION, error.detail)
    except NOT_REACHED:
        raise
    except (DamagedManifest, StoreError) as error:
        copy.found(key, CONTENT, error.detail)
    health.answered(copy.region)


def _choose_manifest(reading: BackupReading) -> None:
    there = [copy for copy in reading.copies if copy.held and copy.unreached is None]
    first = next((copy for copy in there if copy.manifest is not None), None)
    if first is None:
        return
    reading.manifest, reading.data = first.manifest, first.data
    for copy in there:
        if copy.manifest is None or copy.data == first.data:
            reading.alike.append(copy)
        else:
            reason = f"it is valid, and another one than that of {first.region.name}: one of them is not the original"
            copy.found(reading.manifest_key, CONFLICT, reason)


def _find_objects(reading: BackupReading, health: SourceHealth) -> None:
    """Where no region has a good table of the packs, that is what each is told of, and the packs are not known."""
    if reading.manifest is None:
        return
    regions = [copy.region for copy in reading.alike]
    try:
        reading.objects = list(objects_of(regions, reading.manifest, health))
    except StoreUnreachable as error:
        for copy in reading.alike:
            copy.unreached = error.detail
    except DamagedBackup as error:
        reading.objects = list(shard_objects(reading.manifest))
        for copy in reading.alike:
            copy.found(reading.manifest_key, DIGEST, f"the packs that it needs are not known: {error.detail}")


def _look_at_objects(
    reading: BackupReading, copy: RegionCopy, health: SourceHealth, content: bool, proved: set[tuple[str, str]]
) -> None:
    name = copy.region.name
    objects = [(key, stored) for key, stored in reading.objects if (name, key) not in proved]
    with ThreadPoolExecutor(READERS, thread_name_prefix="verify-object") as threads:
        list(threads.map(lambda entry: _look_at_object(copy, *entry), objects))
    if copy.keys is not None and reading.manifest is not None:
        _look_at_keys(copy, copy.keys, reading.manifest)
    health.answered(copy.region)
    missing = {finding.object for finding in copy.findings if finding.problem == MISSING}
    for key, stored in objects if content else []:
        if key not in missing:
            _read_content(copy, key, stored, health)
    bad = {finding.object for finding in copy.findings}
    proved |= {(name, key) for key, _stored in objects if key not in bad and layout.is_pack_key(key)}
    order = [reading.manifest_key, layout.keys_key(reading.collection, reading.backup_id)]
    order += [name for key, _stored in objects for name in (key, layout.sidecar_key(key))]
    copy.findings.sort(key=lambda finding: (order.index(finding.object), finding.part or 0))


def _look_at_keys(copy: RegionCopy, keys: KeyRing, manifest: Manifest) -> None:
    """Whether the region's own keys open the data keys, by what is in this region alone."""
    record = read_key_record(copy.region, manifest) if manifest.data_keys else None
    for key_id, wrap, context in contexts_of(manifest):
        wraps = [wrap, *(record.of(key_id) if record is not None else [])]
        try:
            opened = keys.open(wraps, context)
        except StoreError as error:
            # Not a word about the region itself.
            raise KeyServiceError(error.detail, error.hint) from error
        if opened is None:
            reason = wrong_key(named(manifest), wraps, keys.keys).detail
            copy.found(layout.keys_key(manifest.collection, manifest.backup_id), KEY, reason)


def _look_at_object(copy: RegionCopy, key: str, stored: dict[str, Any]) -> None:
    region = copy.region
    try:
        info = region.head(key)
        if info.size != stored["size"]:
            copy.found(key, SIZE, f"it has {info.size} bytes instead of {stored['size']}")
        region.verify_encryption(info)
    except ObjectNotFound:
        copy.found(key, MISSING, "the object is missing")
    except EncryptionRefused as error:
        copy.found(key, ENCRYPTION, error.detail)
    if not layout.has_sidecar(key):
        return
    sidecar = layout.sidecar_key(key)
    try:
        if region.get(sidecar) != layout.sidecar(key, stored["sha256"]):
            copy.found(sidecar, CONTENT, "it does not state the SHA-256 of the manifest")
    except ObjectNotFound:
        copy.found(sidecar, MISSING, "the object is missing")
    except NOT_REACHED:
        raise
    except StoreError as error:
        copy.found(sidecar, CONTENT, error.detail)


def _read_content(copy: RegionCopy, key: str, stored: dict[str, Any], health: SourceHealth) -> None:
    """Hash every part, and in the same pass the whole, which costs no second reading."""
    whole = hashlib.sha256()
    with VerifiedParts([copy.region], key, stored, prefetch=PARTS_AT_ONCE, health=health) as parts:
        for outcome in parts.outcomes():
            if not isinstance(outcome, DamagedBackup):
                whole.update(outcome)
            del outcome
    copy.bytes_read += sum(count["bytes"] for count in parts.served.values())
    bad = [fault for fault in parts.damaged if fault["served_by"] is None]
    for fault in bad:
        copy.found(key, CONTENT, fault["reason"], part=fault["part"])
    if not bad and whole.hexdigest() != stored["sha256"]:
        copy.found(key, DIGEST, "all parts are those of the manifest, and the whole does not have its SHA-256")


def _is_good(other: RegionCopy, copy: RegionCopy, finding: Finding) -> bool:
    """Whether ``other`` has what ``finding`` says is wrong in ``copy``."""
    if other is copy or finding.problem in BEYOND_REPAIR:
        return False
    return not any(_speaks_against(seen, finding) for seen in other.findings)


def _speaks_against(seen: Finding, finding: Finding) -> bool:
    """Whether what was seen in another region is the same thing, or a larger one that has it in it."""
    if seen.object != finding.object:
        return False
    if seen.problem == ENCRYPTION:
        return finding.problem == ENCRYPTION
    if finding.part is None:
        return True
    return seen.problem == MISSING or seen.part == finding.part
