# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy committed backups to other repositories, and prove them there.

Objects first, each proved at the destination by reading it back; the manifest last, as the commit. A copy that was
interrupted goes on at the first object that is missing or wrong there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import (
    BackupNotFound,
    DamagedBackup,
    DamagedManifest,
    DrError,
    EncryptionRefused,
    IntegrityError,
    InvalidInput,
    ObjectExists,
    ObjectNotFound,
    PartlyFailed,
    StoreError,
)
from ..formats import layout
from ..formats.manifest import Manifest
from ..stores.repository import Repository
from .catalogue import collections_of, list_backups, read_manifest
from .object_copy import prove_object, write_object
from .repository_lock import collection_lock


@dataclass(frozen=True)
class Choice:
    """Which backups of a collection to copy: these ids, or the ``newest`` so many, or all (both None)."""

    backup_ids: Sequence[str] | None = None
    newest: int | None = 1


@dataclass
class CopyReport:
    """What was done, or in check mode would be. Entries are as the module ``backup_copy`` documents them."""

    copied: list[dict[str, Any]] = field(default_factory=list)
    unchanged: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def as_result(self) -> dict[str, Any]:
        """The report as modules return it."""
        return {
            "copied": self.copied,
            "unchanged": self.unchanged,
            "bytes": sum(entry["bytes"] for entry in self.copied),
            "seconds": round(self.seconds, 3),
        }


def copy_backups(
    source: Repository,
    destinations: Sequence[Repository],
    collections: Sequence[str] | None,
    choice: Choice,
    check: bool = False,
) -> CopyReport:
    """Copy backups of ``collections`` from ``source`` to every one of ``destinations``.

    None for ``collections`` means all that have a backup. What fails leaves the others copied. ``check`` only reads,
    and reports what would be done.

    Raises:
        InvalidInput: a destination is for another cluster, where the manifest would be refused.
        PartlyFailed: several copies failed; its ``result`` lists all. A single failure is raised as it is, such as
            BackupNotFound, DamagedManifest, DamagedBackup, ObjectExists or a StoreError.
    """
    _check_clusters(source, destinations)
    began = time.monotonic()
    report = CopyReport()
    errors: list[DrError] = []

    def failed(error: DrError, **names: Any) -> None:
        errors.append(error)
        report.failed.append({**names, "failure": error.failure()})

    for collection in collections_of(source) if collections is None else collections:
        try:
            chosen = _chosen(source, collection, choice, required=collections is not None)
        except BackupNotFound as error:
            failed(error, collection=collection)
            continue
        for backup_id in chosen:
            try:
                manifest, data = _read(source, collection, backup_id)
            except (BackupNotFound, DamagedManifest) as error:
                failed(error, collection=collection, backup_id=backup_id)
                continue
            for destination in destinations:
                try:
                    _copy_backup(_BackupCopy(source, destination, manifest, data), report, check)
                except DrError as error:
                    failed(error, **_names(manifest, destination))
    report.seconds = time.monotonic() - began
    if errors:
        raise _failure(errors, report)
    return report


def _check_clusters(source: Repository, destinations: Sequence[Repository]) -> None:
    for destination in destinations:
        if destination.location.cluster != source.location.cluster:
            raise InvalidInput(
                f"The destination {destination.name} is of the cluster {destination.location.cluster!r}, and the source"
                f" of {source.location.cluster!r}: a copy there would not count as a backup.",
                "Give both the same cluster; the prefix may differ.",
            )


def _failure(errors: list[DrError], report: CopyReport) -> DrError:
    result = {**report.as_result(), "failures": report.failed}
    if len(errors) == 1:
        errors[0].result.update(result)
        return errors[0]
    reasons = " ".join(error.detail for error in errors)
    return PartlyFailed(f"{len(errors)} copies failed. {reasons}", "Run again: what is copied already stays.", **result)


def _chosen(source: Repository, collection: str, choice: Choice, required: bool) -> list[str]:
    if choice.backup_ids is not None:
        return list(choice.backup_ids)
    ids = [str(entry["backup_id"]) for entry in list_backups(source, collection, limit=choice.newest)]
    if required and not ids:
        raise BackupNotFound(
            f"{source.url('')} at {source.location.endpoint} has no committed backup of {collection!r}.",
            "Check the collection's name, cluster and prefix; backup_info lists what a repository holds.",
        )
    return ids


def _read(source: Repository, collection: str, backup_id: str) -> tuple[Manifest, bytes]:
    try:
        return read_manifest(source, collection, backup_id)
    except ObjectNotFound as error:
        raise BackupNotFound(
            f"{source.url('')} at {source.location.endpoint} has no committed backup {backup_id} of {collection!r}.",
            "backup_info lists what a repository holds.",
        ) from error


@dataclass(frozen=True)
class _BackupCopy:
    """One backup on its way to one destination; ``data`` is the manifest as stored."""

    source: Repository
    destination: Repository
    manifest: Manifest
    data: bytes

    @property
    def manifest_key(self) -> str:
        return layout.manifest_key(self.manifest.collection, self.manifest.backup_id)

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Key and description of each object, in the order of the shards."""
        for shard in self.manifest.shards:
            yield self.manifest.object_key(shard), shard["object"]


def _names(manifest: Manifest, destination: Repository) -> dict[str, Any]:
    return {"collection": manifest.collection, "backup_id": manifest.backup_id, "destination": destination.name}


def _copy_backup(copy: _BackupCopy, report: CopyReport, check: bool) -> None:
    if _is_committed(copy):
        report.unchanged.append(_names(copy.manifest, copy.destination))
        return
    began = time.monotonic()
    entry: dict[str, Any] = {**_names(copy.manifest, copy.destination), "bytes": 0, "objects": 0, "objects_kept": 0}
    if check:
        entry["methods"] = _copy_objects(copy, entry, check)
    else:
        with collection_lock(copy.destination, copy.manifest.collection) as lock:
            entry["leftovers_removed"] = _abort_uploads(copy)
            entry["methods"] = _copy_objects(copy, entry, check)
            lock.require()
            _commit(copy)
    entry["seconds"] = round(time.monotonic() - began, 3)
    report.copied.append(entry)


def _copy_objects(copy: _BackupCopy, entry: dict[str, Any], check: bool) -> list[str]:
    """Copy what the destination lacks, counted in ``entry``; returns how."""
    methods = set()
    for key, stored in copy.objects():
        if _is_proved(copy.destination, key, stored):
            entry["objects_kept"] += 1
            continue
        methods.add(_expected_method(copy) if check else _copy_object(copy, key, stored))
        entry["objects"] += 1
        entry["bytes"] += stored["size"]
    return sorted(methods)


def _is_committed(copy: _BackupCopy) -> bool:
    """Whether the destination has this backup already, by the same manifest."""
    try:
        there = copy.destination.get(copy.manifest_key)
    except ObjectNotFound:
        return False
    if there == copy.data:
        return True
    raise ObjectExists(
        f"{copy.destination.url(copy.manifest_key)} exists and is not the manifest of {copy.source.url('')}.",
        "It is damaged, or of another backup. It was left as it is: delete it, if this copy is to take its place.",
    )


def _abort_uploads(copy: _BackupCopy) -> list[str]:
    """Multipart uploads that an interrupted copy of this backup has left at the destination."""
    prefix = layout.backup_prefix(copy.manifest.collection, copy.manifest.backup_id)
    left = list(copy.destination.uploads(prefix))
    for key, upload_id, _initiated in left:
        copy.destination.abort_upload(key, upload_id)
    return [f"multipart upload of {key}" for key, _id, _initiated in left]


def _is_proved(destination: Repository, key: str, stored: dict[str, Any]) -> bool:
    """Whether the destination has the whole object, right to the last bit and encrypted as it must be."""
    try:
        prove_object(destination, key, stored)
    except (ObjectNotFound, IntegrityError, EncryptionRefused):
        return False
    return True


def _expected_method(copy: _BackupCopy) -> str:
    return "server" if copy.destination.same_endpoint(copy.source) else "stream"


def _copy_object(copy: _BackupCopy, key: str, stored: dict[str, Any]) -> str:
    """Copy and prove one object; returns how: ``server`` or ``stream``."""
    if copy.destination.same_endpoint(copy.source) and _copied_by_server(copy, key, stored):
        method = "server"
    else:
        write_object([copy.source], copy.destination, key, stored)
        prove_object(copy.destination, key, stored)
        method = "stream"
    copy.destination.put(
        layout.sidecar_key(key), layout.sidecar(key, stored["sha256"]), content_type="text/plain; charset=us-ascii"
    )
    return method


def _copied_by_server(copy: _BackupCopy, key: str, stored: dict[str, Any]) -> bool:
    """Let the store copy; False where it cannot, may not, or what came out is wrong.

    Streaming the bytes instead then either works or finds the cause, such as the number of a damaged part.
    """
    try:
        copy.destination.copy_from(copy.source, key, key, stored["size"], stored["part_size"])
        prove_object(copy.destination, key, stored)
    except (StoreError, IntegrityError):
        return False
    return True


def _commit(copy: _BackupCopy) -> None:
    """Write the same manifest as in the source: its digest is the backup's name in every region."""
    try:
        copy.destination.put(copy.manifest_key, copy.data, if_none_match=True, content_type="application/json")
    except ObjectExists:
        # Another run may have copied the same backup meanwhile; _is_committed raises if it is another one.
        if not _is_committed(copy):
            raise
        return
    if copy.destination.get(copy.manifest_key) != copy.data:
        raise DamagedBackup(
            f"{copy.destination.url(copy.manifest_key)} does not read back as it was written.", "Look at the store."
        )
