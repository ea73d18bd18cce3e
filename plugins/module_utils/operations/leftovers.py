# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup that did not commit left behind, and its removal."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import ObjectNotFound, QdrantNotFound, StoreDenied
from ..formats import layout
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .activity import last_activity
from .liveness import has_ended, this_process

GRACE = timedelta(hours=24)
# How long a marker that names snapshots of another node waits for a run there; the node may be gone for good.
_AWAITED = timedelta(days=30)
_LOOPBACK = re.compile(r"https?://(127\.[0-9.]+|localhost|\[::1\])(:|/|$)", re.IGNORECASE)
# A snapshot that a killed run asked for carries the second in which Qdrant began it.
_NAMED_WITHIN = timedelta(seconds=5)
_NAME_STAMP = "%Y-%m-%d-%H-%M-%S"


class StartMarker:
    """The object that says who began a backup, and which snapshots of the node are its own."""

    def __init__(self, repository: Repository, key: str, url: str) -> None:
        self._repository = repository
        self._key = key
        process = this_process()
        self._fields: dict[str, Any] = {"process": process, "url": url, "snapshots": [], "asked": None}
        self._done = {"host": process["host"]}

    def write(self, **changes: Any) -> None:
        """Store the marker with some fields changed."""
        self._fields.update(changes)
        self._repository.put(self._key, json.dumps(self._fields).encode("ascii"))

    @property
    def asked(self) -> bool:
        """Whether Qdrant was asked for a snapshot and its answer is not known: it may still make it."""
        return self._fields["asked"] is not None

    def note_refused(self) -> None:
        """Qdrant has said that it made none; stored by the next ``write``."""
        self._fields["asked"] = None

    def hand_over(self) -> None:
        """What this process had to do is done; its objects now wait for a commit by another one."""
        self.write(process=self._done)

    def remove(self) -> None:
        """The backup has committed, or nothing of it is left."""
        self._repository.delete([self._key])


def was_handed_over(repository: Repository, key: str) -> bool:
    """Whether the node with the marker at ``key`` had done its part, and nothing else waits for it."""
    marker = _marker(repository, key)
    return marker is None or "pid" not in marker["process"]


def is_at_work(repository: Repository, key: str) -> bool:
    """Whether the process that wrote the marker at ``key`` is seen to run."""
    marker = _marker(repository, key)
    return marker is not None and has_ended(marker["process"]) is False


def find_leftovers(repository: Repository, qdrant: Qdrant, collection: str, now: datetime) -> list[dict[str, Any]]:
    """Runs that began and are over without their end, one entry a marker, where there is something to remove from here.

    Each is ``{backup_id, committed, whole, awaited, reason, marker, key}``; ``whole``: no node is at work on that
    backup any more; ``awaited``: its marker stays, because it names snapshots that another node has to remove. A run
    on another host that can't be seen from here counts as over when nothing has come from it for 24 h. Runs at work
    are left out.
    """
    found: list[dict[str, Any]] = []
    at_work = set()
    for item in list(repository.list(layout.started_prefix(collection))):
        backup_id = layout.marked_backup(item.key)
        if backup_id is None:
            continue
        marker = _marker(repository, item.key)
        ended = has_ended(marker["process"]) if marker else None
        if ended or (ended is None and _is_idle(repository, collection, backup_id, now)):
            reason = "its run was interrupted" if ended else "nothing has been stored for it for 24 h"
            found.append({"backup_id": backup_id, "reason": reason, "marker": marker, "key": item.key})
        else:
            at_work.add(backup_id)
    for entry in found:
        entry["whole"] = entry["backup_id"] not in at_work
        entry["committed"] = exists(repository, layout.manifest_key(collection, entry["backup_id"]))
        age = now - layout.backup_time(entry["backup_id"])
        entry["awaited"] = age <= _AWAITED and _has_snapshots_elsewhere(entry["marker"], qdrant)
    return [entry for entry in found if not entry["awaited"] or _has_objects(repository, collection, entry)]


def _is_idle(repository: Repository, collection: str, backup_id: str, now: datetime) -> bool:
    if now - layout.backup_time(backup_id) <= GRACE:
        return False
    return now - last_activity(repository, collection, backup_id) > GRACE


def sweep(repository: Repository, qdrant: Qdrant, collection: str, leftovers: Iterable[dict[str, Any]]) -> list[str]:
    """Remove leftovers: objects, open multipart uploads and snapshots on this node. Returns what was removed, named.

    What one node of a run has left stays in the store as long as others are at work on that backup: their commit
    removes it. A store that does not let this writer delete is no error: the leftovers are then named as kept.
    """
    named = []
    for leftover in leftovers:
        named += _remove_snapshots(qdrant, collection, leftover["marker"])
        try:
            if leftover["whole"] and not leftover["committed"]:
                named += remove_objects(repository, collection, leftover["backup_id"])
            if not leftover["awaited"]:
                repository.delete([leftover["key"]])
                named.append(f"object {leftover['key']}")
        except StoreDenied as error:
            named.append(f"kept, since the store refused to delete it: backup {leftover['backup_id']} ({error.detail})")
    return named


def remove_objects(
    repository: Repository, collection: str, backup_id: str, keep: Collection[str] = frozenset()
) -> list[str]:
    """Remove what is below a backup's folder, but for the keys in ``keep``. The caller knows what may go."""
    prefix = layout.backup_prefix(collection, backup_id)
    uploads = list(repository.uploads(prefix))
    for key, upload_id, _initiated in uploads:
        repository.abort_upload(key, upload_id)
    keys = [item.key for item in repository.list(prefix) if item.key not in keep]
    repository.delete(keys)
    return [f"multipart upload of {key}" for key, _id, _initiated in uploads] + [f"object {key}" for key in keys]


def _remove_snapshots(qdrant: Qdrant, collection: str, marker: dict[str, Any] | None) -> list[str]:
    if not marker or not _is_of(marker, qdrant):
        return []
    removed = []
    try:
        names = [entry["name"] for entry in qdrant.snapshots(collection)]
    except QdrantNotFound:
        return []
    for name in names:
        if name in marker["snapshots"] or _asked_for(name, marker.get("asked")):
            qdrant.delete_snapshot(collection, name)
            removed.append(f"snapshot {name} on {qdrant.connection.url}")
    return removed


def _is_of(marker: dict[str, Any], qdrant: Qdrant) -> bool:
    """Whether the marker's run was one with this node. Every host has a node at its loopback address."""
    if marker.get("url") != qdrant.connection.url:
        return False
    return not _LOOPBACK.match(qdrant.connection.url) or marker["process"].get("host") in (None, this_process()["host"])


def _has_snapshots_elsewhere(marker: dict[str, Any] | None, qdrant: Qdrant) -> bool:
    return bool(marker and (marker["snapshots"] or marker.get("asked")) and not _is_of(marker, qdrant))


def _has_objects(repository: Repository, collection: str, entry: dict[str, Any]) -> bool:
    if not entry["whole"] or entry["committed"]:
        return False
    prefix = layout.backup_prefix(collection, entry["backup_id"])
    return any(repository.list(prefix)) or any(repository.uploads(prefix))


def _asked_for(name: str, asked: dict[str, Any] | None) -> bool:
    """Whether the snapshot is the one that a run was waiting for when it died."""
    if not asked or name in asked["before"]:
        return False
    stamp = name.removesuffix(".snapshot")[-19:]
    try:
        begun = datetime.strptime(stamp, _NAME_STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    since = datetime.fromisoformat(asked["at"])
    return -timedelta(seconds=1) <= begun - since <= _NAMED_WITHIN


def exists(repository: Repository, key: str) -> bool:
    """Whether there is such an object."""
    try:
        repository.head(key)
    except ObjectNotFound:
        return False
    return True


def _marker(repository: Repository, key: str) -> dict[str, Any] | None:
    try:
        marker = json.loads(repository.get(key))
    except (ObjectNotFound, ValueError):
        return None
    return marker if isinstance(marker, dict) and isinstance(marker.get("process"), dict) else None
