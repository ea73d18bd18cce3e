# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy committed backups to other repositories, and prove them there.

Objects first, each proved at the destination by reading it back; the manifest last, as the commit. A copy that was
interrupted goes on at the first object that is missing or wrong there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

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
    StoreError,
    combined,
)
from ..formats import layout
from ..formats.manifest import Manifest
from ..formats.retention import RetentionPolicy, reasons_to_keep
from ..stores.repository import Repository
from .backup_objects import held_packs, objects_of
from .catalogue import (
    READERS,
    collections_of,
    committed_ids,
    freshness,
    newest_committed,
    read_manifest,
)
from .clock import utc_now
from .copy_report import CopyReport
from .key_records import missing_wraps, write_key_record
from .object_copy import prove_object, put_proved, write_object
from .pack_keys import bring_pack_keys
from .repository_lock import collection_lock
from .wal_copy import WalCopy, wal_copies
from .wal_prune import BaseLogs, base_logs

# Some are read back while others are written. Together they hold so many parts in memory.
_OBJECTS_AT_ONCE, _PARTS_IN_MEMORY = 4, 8
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Choice:
    """Which backups of a collection: these ids, or the newest of each of the last so many ``days`` that have one (UTC),
    or the ``newest`` so many, or all (all None)."""

    backup_ids: Sequence[str] | None = None
    newest: int | None = 1
    days: int | None = None


def copy_backups(
    source: Repository,
    destinations: Sequence[Repository],
    collections: Sequence[str] | None,
    choice: Choice,
    check: bool = False,
    rpos: Mapping[str, float] | None = None,
    wal: bool = True,
) -> CopyReport:
    """Copy backups of ``collections`` from ``source`` to every one of ``destinations``, to all of them at once.

    None for ``collections`` means all that have a backup. What fails leaves the others copied. ``check`` only reads,
    and reports what would be done. ``rpos``: by a destination's name, how old its newest backups may be, in seconds.
    ``wal``: copy the archived logs too.

    Raises:
        InvalidInput: a destination is for another cluster, where the manifest would be refused; or an RPO for none.
        PartlyFailed: several copies failed; its ``result`` lists all. A single failure is raised as it is, such as
            BackupNotFound, DamagedManifest, DamagedBackup, ObjectExists or a StoreError.
    """
    rpos = rpos or {}
    _check_destinations(source, destinations, rpos)
    began = time.monotonic()
    report = CopyReport()
    logs: dict[tuple[str, str], BaseLogs] = {}
    names = collections_of(source) if collections is None else collections
    errors: list[DrError] = []
    for collection in names:
        try:
            chosen = _chosen(source, collection, choice, required=collections is not None)
        except BackupNotFound as error:
            errors.append(report.note(error, collection=collection))
            continue
        for backup_id in chosen:
            errors += _copy_everywhere(source, destinations, collection, backup_id, report, check, logs)
    if wal:
        errors += _copy_logs(wal_copies(source, destinations, logs, report.copied, report.unchanged, check), report)
    _add_lags(report, names, destinations, rpos)
    report.seconds = time.monotonic() - began
    if errors:
        result = {**report.as_result(), "failures": report.failed}
        raise combined(errors, "copies", "Run again: what is copied already stays.", result)
    return report


def _copy_everywhere(
    source: Repository,
    destinations: Sequence[Repository],
    collection: str,
    backup_id: str,
    report: CopyReport,
    check: bool,
    logs: dict[tuple[str, str], BaseLogs],
) -> list[DrError]:
    """Copy one backup to all destinations at once; returns what went wrong. ``logs`` learns what it has."""
    try:
        manifest, data = _read(source, collection, backup_id)
    except (BackupNotFound, DamagedManifest) as error:
        return [report.note(error, collection=collection, backup_id=backup_id)]
    logs[collection, backup_id] = base_logs(manifest)
    copies = [_BackupCopy(source, destination, manifest, data) for destination in destinations]
    outcomes = _at_once(lambda copy: _copy_backup(copy, report, check), copies)
    return [report.note(error, **_names(manifest, copy.destination)) for copy, error in outcomes if error is not None]


def _copy_logs(copies: Sequence[WalCopy], report: CopyReport) -> list[DrError]:
    def copy(each: WalCopy) -> None:
        if each.run():
            report.wal.append(each.describe(utc_now()))
        if (failure := each.failure()) is not None:
            raise failure

    return [
        report.note(error, collection=each.collection, destination=each.destination.name)
        for each, error in _at_once(copy, copies)
        if error is not None
    ]


def _at_once(work: Callable[[_Item], None], items: Sequence[_Item]) -> list[tuple[_Item, DrError | None]]:
    """Do ``work`` on all items, in threads; returns each with the error that it ended with."""

    def outcome(item: _Item) -> DrError | None:
        try:
            work(item)
        except DrError as error:
            return error
        return None

    with ThreadPoolExecutor(READERS, thread_name_prefix="copy") as threads:
        return list(zip(items, threads.map(outcome, items), strict=True))


def _add_lags(
    report: CopyReport, names: Sequence[str], destinations: Sequence[Repository], rpos: Mapping[str, float]
) -> None:
    """Add how far each destination lags behind, and put all entries in order."""
    pairs = [(collection, destination) for destination in destinations for collection in names]
    # What cannot be told of a destination was said when it was copied to.
    _at_once(lambda pair: _add_lag(report, *pair, rpos.get(pair[1].name)), pairs)
    for entries in (report.copied, report.unchanged, report.lag, report.wal):
        entries.sort(key=lambda entry: _place(entry, names, destinations))


def _add_lag(report: CopyReport, collection: str, destination: Repository, rpo: float | None) -> None:
    newest = newest_committed(destination, collection)
    found = freshness(newest.fields if newest else None, utc_now(), rpo)
    report.lag.append({"destination": destination.name, "collection": collection, **found})


def _place(entry: dict[str, Any], names: Sequence[str], destinations: Sequence[Repository]) -> tuple[Any, ...]:
    """Where an entry stands in a report: by collection, newest backup first, in the order of the destinations."""
    order = [destination.name for destination in destinations]
    age = -layout.backup_time(entry["backup_id"]).timestamp() if "backup_id" in entry else 0.0
    return list(names).index(entry["collection"]), age, order.index(entry["destination"])


def _check_destinations(source: Repository, destinations: Sequence[Repository], rpos: Mapping[str, float]) -> None:
    unknown = sorted(set(rpos) - {destination.name for destination in destinations})
    if unknown:
        raise InvalidInput(f"There is an RPO for {', '.join(unknown)}, and no such destination.", "Correct its name.")
    for destination in destinations:
        if destination.location.cluster != source.location.cluster:
            raise InvalidInput(
                f"The destination {destination.name} is of the cluster {destination.location.cluster!r}, and the source"
                f" of {source.location.cluster!r}: a copy there would not count as a backup.",
                "Give both the same cluster; the prefix may differ.",
            )


def _chosen(source: Repository, collection: str, choice: Choice, required: bool) -> list[str]:
    if choice.backup_ids is not None:
        return list(choice.backup_ids)
    ids = sorted(committed_ids(source, collection), reverse=True)
    if choice.days is not None:
        moments = {backup_id: layout.backup_time(backup_id) for backup_id in ids}
        kept = reasons_to_keep(moments, RetentionPolicy(keep_daily=choice.days), utc_now())
        ids = [backup_id for backup_id in ids if kept[backup_id]]
    if required and not ids:
        raise BackupNotFound(
            f"{source.url('')} at {source.location.endpoint} has no committed backup of {collection!r}.",
            "Check the collection's name, cluster and prefix; backup_info lists what a repository holds.",
        )
    return ids[: choice.newest if choice.days is None else None]


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

    @property
    def parts_at_once(self) -> int:
        """How many parts of one object are on their way, so that all of them together fit into the memory."""
        return _PARTS_IN_MEMORY // min(_OBJECTS_AT_ONCE, len(self.manifest.shards))

    def objects(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and description of each object; of the packs, those that no backup there has brought along."""
        held = held_packs(self.destination, self.manifest)
        return [(key, stored) for key, stored in objects_of([self.source], self.manifest) if key not in held]


def _names(manifest: Manifest, destination: Repository) -> dict[str, Any]:
    return {"collection": manifest.collection, "backup_id": manifest.backup_id, "destination": destination.name}


def _copy_backup(copy: _BackupCopy, report: CopyReport, check: bool) -> None:
    committed = _is_committed(copy)
    wraps = missing_wraps(copy.source, copy.destination, copy.manifest)
    if committed and wraps is None:
        report.unchanged.append(_names(copy.manifest, copy.destination))
        return
    began = time.monotonic()
    entry: dict[str, Any] = {**_names(copy.manifest, copy.destination), "bytes": 0, "objects": 0, "objects_kept": 0}
    entry |= {"methods": [], "keys_copied": wraps is not None}
    if check:
        entry["methods"] = [] if committed else _copy_objects(copy, entry, check)
    else:
        with collection_lock(copy.destination, copy.manifest.collection) as lock:
            entry["leftovers_removed"] = [] if committed else _abort_uploads(copy)
            entry["methods"] = [] if committed else _copy_objects(copy, entry, check)
            lock.require()
            if copy.manifest.in_chunks:
                bring_pack_keys(copy.source, copy.destination, copy.manifest.collection)
            if wraps is not None:
                _bring_wraps(copy)
            if not committed:
                _commit(copy)
    entry["seconds"] = round(time.monotonic() - began, 3)
    report.copied.append(entry)


def _copy_objects(copy: _BackupCopy, entry: dict[str, Any], check: bool) -> list[str]:
    """Copy what the destination lacks, counted in ``entry``; returns how."""

    def bring(item: tuple[str, dict[str, Any]]) -> str | None:
        """One object, and how it was copied; None where the destination has it."""
        key, stored = item
        if _is_proved(copy.destination, key, stored):
            if not check:
                _complete_sidecar(copy.destination, key, stored)
            return None
        return _expected_method(copy) if check else _copy_object(copy, key, stored)

    objects = copy.objects()
    with ThreadPoolExecutor(_OBJECTS_AT_ONCE, thread_name_prefix="copy-object") as threads:
        methods = list(threads.map(bring, objects))
    copied = [stored["size"] for (_key, stored), method in zip(objects, methods, strict=True) if method is not None]
    entry |= {"objects": len(copied), "objects_kept": len(objects) - len(copied), "bytes": sum(copied)}
    return sorted({method for method in methods if method is not None})


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
        write_object([copy.source], copy.destination, key, stored, at_once=copy.parts_at_once)
        prove_object(copy.destination, key, stored, ahead=copy.parts_at_once)
        method = "stream"
    _write_sidecar(copy.destination, key, stored)
    return method


def _write_sidecar(destination: Repository, key: str, stored: dict[str, Any]) -> None:
    if not layout.has_sidecar(key):
        return
    sidecar = layout.sidecar(key, stored["sha256"])
    put_proved(destination, layout.sidecar_key(key), sidecar, "text/plain; charset=us-ascii")


def _complete_sidecar(destination: Repository, key: str, stored: dict[str, Any]) -> None:
    """Write the sidecar of a kept object unless it is there: the run that copied the object may have died before."""
    if not layout.has_sidecar(key):
        return
    try:
        if destination.get(layout.sidecar_key(key)) == layout.sidecar(key, stored["sha256"]):
            return
    except ObjectNotFound:
        pass
    _write_sidecar(destination, key, stored)


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


def _bring_wraps(copy: _BackupCopy) -> None:
    """What the destination lacks by now, when nobody else writes it."""
    wraps = missing_wraps(copy.source, copy.destination, copy.manifest)
    if wraps is not None:
        write_key_record(copy.destination, copy.manifest, wraps)


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
