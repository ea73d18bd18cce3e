# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up one collection of one node: its share, and the commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..errors import DrError, StoreUnreachable
from ..formats import layout
from ..formats.manifest import Manifest
from ..formats.shares import assemble
from ..stores.master_keys import key_ring
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .backup_type import decided_type
from .catalogue import newest_committed
from .clock import iso, utc_now
from .commit import commit
from .fresh_id import fresh_id
from .leftovers import StartMarker, exists, find_leftovers, remove_objects, sweep
from .share import BackupRequest, ShareRun, ShareTask, read_collection


def plan_backup(
    qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """What ``back_up`` would do, having changed nothing: ``{needed, reason, newest, leftovers}``.

    Raises what would stop it: no such collection, no key, no access to the store, shards that are not all on this node.
    """
    layout.check_collection_name(request.collection)
    key_ring(repository.location)
    repository.check_access()
    read_collection(qdrant, request.collection, None)
    newest = newest_committed(repository, request.collection)
    leftovers = find_leftovers(repository, qdrant, request.collection, now())
    needed, reason = need_of(newest, request.max_age, now())
    return {"needed": needed, "reason": reason, "newest": newest, "leftovers": leftovers}


def need_of(newest: Manifest | None, max_age: float | None, now: datetime) -> tuple[bool, str]:
    """Whether a backup is needed where ``newest`` is the newest one, and why (``max_age``: seconds)."""
    if newest is None:
        return True, "there is no committed backup yet"
    if max_age is None:
        return True, "no max_age was given"
    age = (now - layout.backup_time(newest.backup_id)).total_seconds()
    needed = age > max_age
    return (
        needed,
        f"the newest backup is {age:.0f} s old, {'older than' if needed else 'within'} max_age {max_age:.0f} s",
    )


def back_up(
    qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """Make a committed, proven backup, or find that none is needed.

    Returns ``{collection, changed, reason, backup_id, size, seconds, ...}``; ``leftovers_removed`` names what
    interrupted runs had left. On any error nothing is committed, and what was stored is removed again; only where the
    store did not answer the commit itself, the next run finds out whether it went through, and then removes the rest.
    """
    plan = plan_backup(qdrant, repository, request, now)
    removed = sweep(repository, qdrant, request.collection, plan["leftovers"])
    result: dict[str, Any] = {
        "collection": request.collection,
        "changed": bool(removed) or plan["needed"],
        "reason": plan["reason"],
        "leftovers_removed": removed,
        "warnings": [],
    }
    if not plan["needed"]:
        return {**result, "backup_id": plan["newest"].backup_id, "size": plan["newest"].size, "created": False}
    run = _Run(qdrant, repository, request, now)
    manifest = run.execute()
    return {**result, **run.describe(manifest), "created": True, "warnings": run.share.warnings}


class _Run:
    """One backup in the making."""

    def __init__(
        self, qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime]
    ) -> None:
        self.repository, self.collection, self.now = repository, request.collection, now
        self.started = now()
        self.backup_id = fresh_id(self.started)
        self.marker = StartMarker(
            repository, layout.started_key(self.collection, self.backup_id), qdrant.connection.url
        )
        type_ = decided_type(repository, self.collection, request.type, request.full_every, self.started)
        request = replace(request, type=type_)
        task = ShareTask(self.backup_id, qdrant.connection.address)
        self.share = ShareRun(qdrant, repository, request, task, self.marker, now)
        self.committing = False

    def execute(self) -> Manifest:
        self.marker.write()
        try:
            share = self.share.make()
            shards = [entry["shard"] for entry in share["shards"]]
            manifest = assemble([share], shards, iso(self.started), iso(self.now()))
            self.committing = True
            commit(self.repository, manifest)
        except BaseException as error:
            with contextlib.suppress(DrError):
                self._undo(error)
            raise
        self.share.tidy()
        return manifest

    def describe(self, manifest: Manifest) -> dict[str, Any]:
        seconds = (self.now() - self.started).total_seconds()
        return {
            **manifest.summary(),
            "snapshots": manifest.fields["snapshots"],
            "seconds": round(seconds, 3),
            "mib_per_second": round(manifest.size / max(seconds, 1e-3) / 2**20, 1),
        }

    def _undo(self, error: BaseException) -> None:
        """Remove what an uncommitted run has made; the marker goes last, so the next run can go on with this.

        A manifest that the store gave no answer to may be there, or still come to be there. What it refers to stays
        then: the next run either finds it committed, or removes it.
        """
        self.share.discard_snapshots()
        refused = isinstance(error, DrError) and not isinstance(error, StoreUnreachable)
        key = layout.manifest_key(self.collection, self.backup_id)
        if self.committing and (not refused or exists(self.repository, key)):
            return
        remove_objects(self.repository, self.collection, self.backup_id)
        self.share.forget()
