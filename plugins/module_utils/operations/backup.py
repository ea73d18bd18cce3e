# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up one collection of one node: snapshot, split, upload, prove, commit."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO, Any

from ..errors import DrError, IntegrityError, InvalidInput, QdrantError, StoreUnreachable, TargetUnfit, WalGap
from ..formats import layout
from ..formats.collection_config import is_custom_sharded, payload_indexes
from ..formats.manifest import Manifest
from ..formats.shard_archive import ShardArchive, ShardSplitter
from ..stores.node_files import ack_indexes, snapshot_file
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from ..version import TOOL
from .catalogue import newest_committed
from .commit import commit
from .leftovers import StartMarker, exists, find_leftovers, remove_objects, sweep
from .part_upload import ObjectUpload, PartPipeline, part_size_for
from .probe import record_probes, still_true
from .snapshot import create_snapshot, delete_snapshots
from .snapshot_stream import CheckedStream, read_file, read_http

_SPOOL_IN_MEMORY = 4 * 1024 * 1024
_SNAPSHOTS_TRIED = 3


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and how.

    ``max_age``: seconds; a committed backup younger than that makes this one unnecessary. ``storage_path`` and
    ``snapshots_path``: Qdrant's directories, if this process can read them. ``probes``: recall queries per vector.
    """

    collection: str
    max_age: float | None = None
    keep_on_node: bool = False
    storage_path: str | None = None
    snapshots_path: str | None = None
    probes: int = 10


def utc_now() -> datetime:
    """The clock of this host."""
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    """A UTC time as manifests write it."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plan_backup(
    qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """What ``back_up`` would do, having changed nothing: ``{needed, reason, newest, leftovers}``.

    Raises what would stop it: no such collection, no access to the store, shards that are not all on this node.
    """
    layout.check_collection_name(request.collection)
    repository.check_access()
    _read_collection(qdrant, request.collection)
    newest = newest_committed(repository, request.collection)
    leftovers = find_leftovers(repository, request.collection, now())
    age = (now() - layout.backup_time(newest.backup_id)).total_seconds() if newest is not None else None
    needed, reason = True, "there is no committed backup yet"
    if age is not None and request.max_age is None:
        reason = "no max_age was given"
    elif age is not None and request.max_age is not None:
        needed = age > request.max_age
        relation = "older than" if needed else "within"
        reason = f"the newest backup is {age:.0f} s old, {relation} max_age {request.max_age:.0f} s"
    return {"needed": needed, "reason": reason, "newest": newest, "leftovers": leftovers}


def back_up(
    qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime] = utc_now
) -> dict[str, Any]:
    """Make a committed, proven full backup, or find that none is needed.

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
    return {**result, **run.describe(manifest), "created": True, "warnings": run.warnings}


class _Run:
    """One backup in the making."""

    def __init__(
        self, qdrant: Qdrant, repository: Repository, request: BackupRequest, now: Callable[[], datetime]
    ) -> None:
        self.qdrant, self.repository, self.request, self.now = qdrant, repository, request, now
        self.collection = request.collection
        self.started = now()
        self.backup_id = layout.new_backup_id(self.started, secrets.token_hex(3))
        self.marker = StartMarker(repository, self.collection, self.backup_id, qdrant.connection.url)
        self.snapshots: list[str] = []
        self.warnings: list[str] = []
        self.committing = False

    def execute(self) -> Manifest:
        self.marker.write()
        try:
            manifest = self._make()
            self.committing = True
            commit(self.repository, manifest)
        except BaseException as error:
            with contextlib.suppress(DrError):
                self._undo(error)
            raise
        self._tidy()
        return manifest

    def describe(self, manifest: Manifest) -> dict[str, Any]:
        seconds = (self.now() - self.started).total_seconds()
        return {
            **manifest.summary(),
            "snapshot": manifest.fields["snapshot"],
            "seconds": round(seconds, 3),
            "mib_per_second": round(manifest.size / max(seconds, 1e-3) / 2**20, 1),
        }

    def _make(self) -> Manifest:
        facts = _read_collection(self.qdrant, self.collection)
        probes = self._record_probes()
        before = self.qdrant.count(self.collection)
        for attempt in range(1, _SNAPSHOTS_TRIED + 1):
            acks = ack_indexes(self.request.storage_path, self.collection) if self.request.storage_path else None
            snapshot_started = self.now()
            snapshot = self._take_snapshot()
            snapshot_finished = self.now()
            try:
                archives, objects, read_from = self._store(snapshot, acks, facts["shards"])
                break
            except WalGap:
                if attempt == _SNAPSHOTS_TRIED:
                    raise
        fields = {
            "backup_id": self.backup_id,
            "type": "full",
            "cluster": self.repository.location.cluster,
            "collection": self.collection,
            "tool": TOOL,
            "qdrant_version": self.qdrant.version(),
            "config": facts["config"],
            "payload_indexes": facts["payload_indexes"],
            "aliases": facts["aliases"],
            "sharding": facts["sharding"],
            "snapshot": {**snapshot, "read_from": read_from},
            "shards": [self._shard_entry(archive, objects[archive.shard], facts) for archive in archives],
            "probes": self._lasting(probes),
            "points": {"before": before, "after": self.qdrant.count(self.collection)},
            "window": {
                "started": iso(self.started),
                "snapshot_started": iso(snapshot_started),
                "snapshot_finished": iso(snapshot_finished),
                "finished": iso(self.now()),
            },
        }
        return Manifest(fields)

    def _record_probes(self) -> dict[str, Any]:
        """Searches that a restore can repeat; a server that cannot answer them can still be backed up."""
        try:
            return record_probes(self.qdrant, self.collection, per_vector=self.request.probes)
        except QdrantError as error:
            self.warnings.append(f"no recall is recorded: {error.detail}")
            return {"k": 10, "vectors": {}}

    def _lasting(self, probes: dict[str, Any]) -> dict[str, Any]:
        """The probes that were right before the snapshot and still are: what was written meanwhile is not in it."""
        lasting = still_true(self.qdrant, self.collection, probes)
        changed = sorted(set(probes["vectors"]) - set(lasting["vectors"]))
        if changed:
            names = ", ".join(f"vector {name!r}" if name else "the vector" for name in changed)
            self.warnings.append(f"no recall is recorded for {names}: writes changed the neighbours of every probe")
        return lasting

    def _take_snapshot(self) -> dict[str, Any]:
        entry, _times = create_snapshot(self.qdrant, self.collection, on_ask=self._note_asked)
        self.snapshots.append(entry["name"])
        self.marker.write(snapshots=self.snapshots, asked=None)
        if not entry.get("checksum"):
            raise InvalidInput(
                f"Qdrant at {self.qdrant.connection.url} recorded no checksum for its snapshot {entry['name']}.",
                "Let Qdrant store snapshots on its local disk (snapshots_config), so that every byte can be proved.",
            )
        return {"name": entry["name"], "size": entry["size"], "sha256": entry["checksum"]}

    def _note_asked(self, at: datetime, names: list[str]) -> None:
        self.marker.write(asked={"at": at.isoformat(), "before": names})

    def _store(
        self, snapshot: dict[str, Any], acks: dict[int, int | None] | None, shards: dict[int, dict[str, Any]]
    ) -> tuple[list[ShardArchive], dict[int, dict[str, Any]], str]:
        path = None
        if self.request.snapshots_path:
            path = snapshot_file(self.request.snapshots_path, self.collection, snapshot["name"])
        pieces = read_file(path) if path else read_http(self.qdrant, self.collection, snapshot["name"])
        archives, objects = store_snapshot(pieces, snapshot, self.repository, self._object_key, list(shards), acks)
        return archives, objects, "file" if path else "http"

    def _object_key(self, shard: int) -> str:
        return f"{self.collection}/{layout.shard_key(self.backup_id, shard)}"

    def _shard_entry(self, archive: ShardArchive, stored: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        local = facts["shards"][archive.shard]
        if stored["encryption"]["mode"] == "none":
            self.warnings.append(f"shard {archive.shard} is stored without server-side encryption")
        if archive.wal.found_by == "wal_start":
            self.warnings.append(
                f"shard {archive.shard}: where the log must begin could not be proved; writes made while the snapshot "
                "was taken may be missing. Give storage_path, so that ack_index can be read."
            )
        return {
            "shard": archive.shard,
            "shard_key": local.get("shard_key"),
            "node": self.qdrant.connection.url,
            "peer_id": facts["peer_id"],
            "points": local.get("points_count"),
            "wal": {"first": archive.wal.first, "last": archive.wal.last, "first_found_by": archive.wal.found_by},
            "object": {
                "key": layout.shard_key(self.backup_id, archive.shard),
                "wal_offset": archive.wal_offset,
                **stored,
            },
        }

    def _tidy(self) -> None:
        """After the commit: what fails here is left to the next run, and said."""
        try:
            kept = self.snapshots[-1:] if self.request.keep_on_node else []
            delete_snapshots(self.qdrant, self.collection, [name for name in self.snapshots if name not in kept])
            self.marker.remove()
        except DrError as error:
            self.warnings.append(f"cleaning up after the backup is left to the next run: {error.detail}")

    def _undo(self, error: BaseException) -> None:
        """Remove what an uncommitted run has made; the marker goes last, so the next run can go on with this.

        A manifest that the store gave no answer to may be there, or still come to be there. What it refers to stays
        then: the next run either finds it committed, or removes it.
        """
        delete_snapshots(self.qdrant, self.collection, self.snapshots)
        refused = isinstance(error, DrError) and not isinstance(error, StoreUnreachable)
        key = layout.manifest_key(self.collection, self.backup_id)
        if self.committing and (not refused or exists(self.repository, key)):
            return
        remove_objects(self.repository, self.collection, self.backup_id)
        self.marker.remove()


def store_snapshot(
    pieces: Iterator[memoryview],
    snapshot: dict[str, Any],
    repository: Repository,
    object_key: Callable[[int], str],
    shards: list[int],
    acks: dict[int, int | None] | None,
) -> tuple[list[ShardArchive], dict[int, dict[str, Any]]]:
    """Stream a snapshot once: check it, split it, upload a shard archive for each of ``shards``.

    ``snapshot``: ``{name, size, sha256}`` as Qdrant recorded it; ``acks``: see ``ShardSplitter``. An object is
    completed only after the whole snapshot has matched. Returns the archives and each object's manifest entry.
    """
    with PartPipeline(repository, part_size_for(snapshot["size"])) as pipeline:
        uploads: dict[int, ObjectUpload] = {}

        def open_object(shard: int) -> ObjectUpload:
            uploads[shard] = pipeline.open(object_key(shard))
            return uploads[shard]

        splitter = ShardSplitter(shards, open_object, _spool, acks)
        stream = CheckedStream(pieces)
        structure_fault: IntegrityError | None = None
        for piece in stream:
            if structure_fault is None:
                try:
                    splitter.feed(piece)
                except IntegrityError as error:
                    # Read on: whether the bytes differ from those that Qdrant wrote is the better answer.
                    structure_fault = error
        stream.verify(snapshot["name"], snapshot["size"], snapshot["sha256"])
        if structure_fault is not None:
            raise structure_fault
        archives = splitter.finish()
        return archives, {shard: upload.complete() for shard, upload in uploads.items()}


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)


def _read_collection(qdrant: Qdrant, collection: str) -> dict[str, Any]:
    """What the manifest says of the collection; raises ``TargetUnfit`` where this node does not hold all of it."""
    info = qdrant.collection(collection)
    cluster = qdrant.collection_cluster(collection)
    local = {shard["shard_id"]: shard for shard in cluster["local_shards"]}
    remote = {shard["shard_id"] for shard in cluster["remote_shards"]}
    faults = [f"shard {number} is not on this node" for number in sorted(remote - set(local))]
    faults += [
        f"shard {number} is {shard['state']} here"
        for number, shard in sorted(local.items())
        if shard["state"] != "Active"
    ]
    if cluster["shard_transfers"]:
        faults.append("shards are being transferred")
    if faults:
        raise TargetUnfit(
            f"{collection} cannot be backed up from {qdrant.connection.url}: {'; '.join(faults)}.",
            "Name a node that has every shard Active, or wait until the cluster has settled.",
        )
    config = info["config"]
    return {
        "config": config,
        "payload_indexes": payload_indexes(info),
        "aliases": sorted(alias for alias, target in qdrant.aliases().items() if target == collection),
        "sharding": {
            "method": "custom" if is_custom_sharded(config) else "auto",
            "shard_keys": {
                str(number): shard["shard_key"] for number, shard in local.items() if shard.get("shard_key")
            },
        },
        "shards": local,
        "peer_id": cluster["peer_id"],
    }
