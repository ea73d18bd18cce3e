# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backups a repository holds, and which one to take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from ..errors import BackupNotFound, DamagedManifest, ObjectNotFound, StoreError, StoreUnreachable
from ..formats import layout
from ..formats.lock_layout import LOCKS_FOLDER
from ..formats.manifest import Manifest
from ..formats.probe_layout import PROBES_FOLDER
from ..stores.repository import Repository
from .holdings import read_backups

READERS = 8
_NAMED_IN_ERRORS = 10


def read_manifest(repository: Repository, collection: str, backup_id: str) -> tuple[Manifest, bytes]:
    """The manifest of one backup and its bytes as stored.

    Raises:
        ObjectNotFound: the backup is not committed here.
        DamagedManifest: what is stored is not the manifest of this backup.
        StoreError: it could not be read.
    """
    data = repository.get(layout.manifest_key(collection, backup_id))
    cluster = repository.location.cluster
    return Manifest.parse(data, cluster=cluster, collection=collection, backup_id=backup_id), data


def collections_of(repository: Repository) -> list[str]:
    """The names of all collections that have something in the repository."""
    return sorted(name for name in repository.folders() if name not in (LOCKS_FOLDER, PROBES_FOLDER))


def newest_committed(
    repository: Repository,
    collection: str,
    committed: Collection[str] | None = None,
    fits: Callable[[Manifest], bool] = lambda _manifest: True,
) -> Manifest | None:
    """The manifest of the newest backup that has a valid one, and that ``fits``; None if there is no such backup.

    ``committed``: what ``committed_ids`` gave, so that nothing is listed for this.
    """
    ids = _backup_ids(repository, collection) if committed is None else sorted(committed, reverse=True)
    for backup_id in ids:
        try:
            manifest = read_manifest(repository, collection, backup_id)[0]
        except (ObjectNotFound, DamagedManifest):
            continue
        if fits(manifest):
            return manifest
    return None


def backed_up(repository: Repository) -> list[str]:
    """The names of the collections that have a backup with a valid manifest."""
    return [name for name in collections_of(repository) if newest_committed(repository, name) is not None]


def committed_ids(repository: Repository, collection: str) -> set[str]:
    """Ids of backups that have a manifest, valid or not."""
    return set(read_backups(repository, collection).manifests)


def freshness(newest: Mapping[str, Any] | None, now: datetime, rpo: float | None = None) -> dict[str, Any]:
    """How old the newest committed backup of a collection is.

    A backup holds all writes acknowledged before its snapshot began, so its age counts from then.

    Args:
        newest: the ``backup_id`` and ``window`` of the newest backup, as in its manifest or a summary of that.
        now: the time of asking (aware).
        rpo: seconds of work that may be lost.

    Returns:
        ``{"newest": id or None, "age_seconds": or None, "rpo_met": or None where no RPO was given}``.
    """
    if newest is None:
        return {"newest": None, "age_seconds": None, "rpo_met": None if rpo is None else False}
    begun = _moment(newest["window"].get("snapshot_started"), newest["backup_id"])
    age = max(0.0, (now - begun).total_seconds())
    return {"newest": newest["backup_id"], "age_seconds": round(age, 3), "rpo_met": None if rpo is None else age <= rpo}


def find_backup(
    sources: Sequence[Repository],
    collection: str,
    backup_id: str | None = None,
    before: datetime | None = None,
    fits: Callable[[Manifest], bool] = lambda _manifest: True,
) -> tuple[Manifest, list[dict[str, str]]]:
    """The backup to restore, from the union of what all sources hold.

    Args:
        sources: regions in the order of preference.
        collection: the collection's name when it was backed up.
        backup_id: this one; the newest by default.
        before: the newest whose snapshot was finished by then (aware), so it holds nothing newer.
        fits: what else must be true of it; asked of one after another, newest first.

    Returns:
        The manifest, from the first source with a valid one, and notes ``{"source", "object", "reason"}`` about
        sources that could not be asked and manifests that are damaged.

    Raises:
        BackupNotFound: nothing fits; names what is there.
        DamagedManifest: the backup asked for has no valid manifest in any source.
        StoreUnreachable: none of several sources could be asked; the error of a single one is raised itself.
    """
    notes: list[dict[str, str]] = []
    holdings, errors = _holdings(sources, collection, notes)
    if len(errors) == len(sources) == 1:
        raise errors[0]
    if not holdings:
        reasons = "; ".join(f"{note['source']}: {note['reason']}" for note in notes)
        raise StoreUnreachable(f"No source could be asked for backups of {collection!r}. {reasons}", _REACH_ONE)
    held = sorted({held for ids in holdings.values() for held in ids}, reverse=True)
    for candidate in held if backup_id is None else [backup_id]:
        if before is not None and layout.backup_time(candidate) > before:
            continue
        manifest = _first_valid(holdings, collection, candidate, notes)
        if manifest is not None and (before is None or finished(manifest) <= before) and fits(manifest):
            return manifest, notes
    raise _nothing_fits(holdings, collection, held, backup_id, before, notes)


_REACH_ONE = "Make at least one of the sources reachable, check its credentials, and run again."


def _holdings(
    sources: Sequence[Repository], collection: str, notes: list[dict[str, str]]
) -> tuple[dict[Repository, list[str]], list[StoreError]]:
    """The backup ids of each source that answers, in the order of the sources, and the errors of the others."""

    def ids_of(source: Repository) -> list[str] | StoreError:
        try:
            if len(sources) > 1:
                source.require_connection()
            return _backup_ids(source, collection)
        except StoreError as error:
            return error

    holdings, errors = {}, []
    with ThreadPoolExecutor(READERS) as threads:
        for source, answer in zip(sources, threads.map(ids_of, sources), strict=True):
            if isinstance(answer, StoreError):
                errors.append(answer)
                notes.append(
                    {"source": source.name, "object": layout.backups_prefix(collection), "reason": answer.detail}
                )
            else:
                holdings[source] = answer
    return holdings, errors


def _first_valid(
    holdings: dict[Repository, list[str]], collection: str, backup_id: str, notes: list[dict[str, str]]
) -> Manifest | None:
    for source, ids in holdings.items():
        if backup_id not in ids:
            continue
        try:
            return read_manifest(source, collection, backup_id)[0]
        except ObjectNotFound:
            continue
        except (DamagedManifest, StoreError) as error:
            key = layout.manifest_key(collection, backup_id)
            notes.append({"source": source.name, "object": key, "reason": error.detail})
    return None


def _nothing_fits(
    holdings: dict[Repository, list[str]],
    collection: str,
    held: list[str],
    backup_id: str | None,
    before: datetime | None,
    notes: list[dict[str, str]],
) -> BackupNotFound | DamagedManifest:
    reasons = " ".join(f"{note['source']}: {note['reason']}" for note in notes)
    names = ", ".join(source.name for source in holdings)
    if backup_id is not None and any(note["object"] == layout.manifest_key(collection, backup_id) for note in notes):
        return DamagedManifest(
            f"The backup {backup_id} of {collection!r} has no valid manifest in {names}. {reasons}",
            "Add a further source that holds it, or use another backup.",
        )
    wanted = f" {backup_id}" if backup_id is not None else ""
    when = f" finished by {before.isoformat()}" if before is not None else ""
    there = f"There are: {', '.join(held[:_NAMED_IN_ERRORS])}." if held else "There are no backups of it."
    return BackupNotFound(
        f"No committed backup{wanted} of {collection!r}{when} in {names}. {there} {reasons}".rstrip(),
        "Check the collection's name, cluster and prefix; backup_info lists what a repository holds.",
    )


def _backup_ids(repository: Repository, collection: str) -> list[str]:
    """Ids of all backups that have any object, newest first."""
    return sorted(filter(layout.is_backup_id, repository.folders(layout.backups_prefix(collection))), reverse=True)


def snapshot_window(manifest: Manifest, shard: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """When the snapshot that an entry of ``manifest.shards`` is from was begun and finished (UTC)."""
    whole = {name: manifest.fields["window"].get(f"snapshot_{name}") for name in ("started", "finished")}
    window = shard.get("window") or whole
    return _moment(window.get("started"), manifest.backup_id), _moment(window.get("finished"), manifest.backup_id)


def finished(manifest: Manifest) -> datetime:
    """When the last snapshot of a backup was finished (UTC)."""
    return _moment(manifest.fields["window"].get("snapshot_finished"), manifest.backup_id)


def _moment(text: Any, backup_id: str) -> datetime:
    """A time of the manifest's window; the time in the id where the window does not tell."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return layout.backup_time(backup_id)
    return moment if moment.tzinfo else layout.backup_time(backup_id)
