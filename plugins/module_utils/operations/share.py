# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's share of a backup: snapshot, split, upload, prove. The commit is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import (
    Busy,
    DrError,
    InvalidInput,
    QdrantError,
    QdrantUnreachable,
    TargetUnfit,
    WalGap,
)
from ..formats import layout
from ..formats.backup_plan import quorum_fault
from ..formats.collection_config import comparable, payload_indexes
from ..formats.manifest import INCREMENTAL
from ..formats.shard_archive import ShardArchive
from ..formats.shares import KIND, SCHEMA_VERSION
from ..stores.node_files import ack_indexes, snapshot_file
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from ..stores.store_clock import store_time
from ..version import TOOL
from .chunked_upload import ChunkedObjects
from .clock import iso, utc_now
from .data_keys import DataKey, new_data_key
from .incremental import chunked_objects
from .leftovers import StartMarker
from .node_facts import membership
from .probe import record_probes, still_true
from .snapshot import create_snapshot, delete_snapshots, refuse_alias
from .snapshot_store import store_snapshot
from .snapshot_stream import read_file, read_http

_SNAPSHOTS_TRIED = 3
# Seconds.
_SHOWN_EVERY = 300.0
# Seconds; more than this makes ids and windows misleading.
_CLOCK_TOLERANCE = 60.0


@dataclass(frozen=True)
class BackupRequest:
    """What to back up and how.

    ``max_age``: seconds; a committed backup younger than that makes this one unnecessary. ``storage_path`` and
    ``snapshots_path``: Qdrant's directories, if this process can read them. ``probes``: recall queries per vector.
    ``type`` and ``full_every`` (seconds): see ``backup_type``.
    """

    collection: str
    max_age: float | None = None
    keep_on_node: bool = False
    storage_path: str | None = None
    snapshots_path: str | None = None
    probes: int = 10
    type: str = "full"
    full_every: float | None = None


@dataclass(frozen=True)
class ShareTask:
    """What one node has to provide: ``shards`` (None: all that it holds), under ``node`` as its name.

    ``attempt``: 0, or how often these shards were given to another node after theirs had failed. ``lead``: whether this
    share also records the recall probes.
    """

    backup_id: str
    node: str
    shards: list[int] | None = None
    attempt: int = 0
    lead: bool = True


class ShareRun:
    """A share in the making: ``make`` it, then ``tidy``, or ``undo`` what it has stored."""

    def __init__(
        self,
        qdrant: Qdrant,
        repository: Repository,
        request: BackupRequest,
        task: ShareTask,
        marker: StartMarker,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.qdrant, self.repository, self.request, self.task, self.now = qdrant, repository, request, task, now
        self.collection = request.collection
        self.marker = marker
        self.data_key: DataKey | None = None
        self.points_before = 0
        self.shard_points: dict[int, int | None] = {}
        self.snapshots: list[str] = []
        self.warnings: list[str] = []

    def make(self) -> dict[str, Any]:
        """Store the shards and return the share, in the shape that ``formats.shares`` puts together."""
        self._compare_clocks()
        self.data_key = new_data_key(self.repository, self.collection, self.task.backup_id)
        facts = read_collection(self.qdrant, self.collection, self.task.shards)
        probes = self._record_probes() if self.task.lead else {"k": 10, "vectors": {}}
        archives, objects, snapshot = self._store_snapshot(list(facts["shards"]))
        refuse_cut_off(self.qdrant, self.collection, list(facts["shards"]))
        lasting = self._lasting(probes)
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "backup_id": self.task.backup_id,
            "cluster": self.repository.location.cluster,
            "collection": self.collection,
            "node": self.task.node,
            "tool": TOOL,
            "qdrant_version": self.qdrant.version(),
            "config": facts["config"],
            "payload_indexes": facts["payload_indexes"],
            "aliases": facts["aliases"],
            "snapshot": {"node": self.task.node, **snapshot},
            "shards": [self._entry(archive, objects[archive.shard], facts, snapshot) for archive in archives],
            "probes": self.data_key.seal_probes(lasting) if self.data_key else lasting,
            "points": {"before": self.points_before, "after": self.qdrant.count(self.collection)},
            **({"data_keys": {self.data_key.id: self.data_key.wrap}} if self.data_key else {}),
        }

    def tidy(self) -> None:
        """After the share is safe: what fails here is left to the next run, and said."""
        if self.remove_snapshots():
            self._carefully(self.marker.remove)

    def remove_snapshots(self) -> bool:
        """Delete the snapshots that are not to be kept; whether that went well."""
        kept = self.snapshots[-1:] if self.request.keep_on_node else []
        names = [name for name in self.snapshots if name not in kept]
        return self._carefully(lambda: delete_snapshots(self.qdrant, self.collection, names))

    def _carefully(self, clean: Callable[[], object]) -> bool:
        try:
            clean()
        except DrError as error:
            self.warnings.append(f"cleaning up after the backup is left to the next run: {error.detail}")
            return False
        return True

    def discard_snapshots(self) -> None:
        """Delete the snapshots that this run has made on the node."""
        delete_snapshots(self.qdrant, self.collection, self.snapshots)

    def forget(self) -> None:
        """Nothing is stored any more: remove the marker, unless Qdrant may still make a snapshot that it tells of."""
        if not self.marker.asked:
            self.marker.remove()

    def object_key(self, shard: int) -> str:
        """The repository key of a shard's archive."""
        return f"{self.collection}/{self._key_of(shard)}"

    def _key_of(self, shard: int) -> str:
        kind = layout.CHUNKS if self.request.type == INCREMENTAL else layout.SNAPSHOT
        return layout.shard_key(self.task.backup_id, shard, self.task.attempt, kind)

    def _compare_clocks(self) -> None:
        """With the store's, which all nodes of a cluster can ask: how long each waits for its turn is no matter."""
        reference = store_time(self.repository)
        off = (self.now() - reference).total_seconds() if reference else 0.0
        if abs(off) > _CLOCK_TOLERANCE:
            self.warnings.append(
                f"the clock of this host is {off:+.0f} s off that of the store: so are the times in the manifest"
            )

    def _record_probes(self) -> dict[str, Any]:
        """Searches that a restore can repeat; a server that cannot answer them can still be backed up."""
        try:
            return record_probes(self.qdrant, self.collection, per_vector=self.request.probes)
        except QdrantError as error:
            self.warnings.append(f"no recall is recorded: {error.detail}")
            return {"k": 10, "vectors": {}}

    def _lasting(self, probes: dict[str, Any]) -> dict[str, Any]:
        """The probes that were right before the snapshot and still are: what was written meanwhile is not in it."""
        try:
            lasting = still_true(self.qdrant, self.collection, probes)
        except QdrantError as error:
            self.warnings.append(f"no recall is recorded: {error.detail}")
            return {**probes, "vectors": {}}
        changed = sorted(set(probes["vectors"]) - set(lasting["vectors"]))
        if changed:
            names = ", ".join(f"vector {name!r}" if name else "the vector" for name in changed)
            self.warnings.append(f"no recall is recorded for {names}: writes changed the neighbours of every probe")
        return lasting

    def _store_snapshot(
        self, shards: list[int]
    ) -> tuple[list[ShardArchive], dict[int, dict[str, Any]], dict[str, Any]]:
        """Take a snapshot and store its shards; again, where Qdrant dropped log entries before it was taken."""
        for attempt in range(1, _SNAPSHOTS_TRIED + 1):
            acks = ack_indexes(self.request.storage_path, self.collection) if self.request.storage_path else None
            # After the acks: where the log then ends at them, nothing was written between this count and the snapshot.
            self.points_before = self.qdrant.count(self.collection)
            seen = self.qdrant.collection_cluster(self.collection)["local_shards"]
            self.shard_points = {shard["shard_id"]: shard.get("points_count") for shard in seen}
            started = iso(self.now())
            snapshot = self._take_snapshot(shards)
            finished = iso(self.now())
            try:
                archives, objects, read_from = self._store(snapshot, acks, shards)
            except WalGap as gap:
                if attempt == _SNAPSHOTS_TRIED:
                    if acks is not None:
                        gap.hint += " See also whether storage_path is the directory that the node works in."
                    raise
                continue
            return archives, objects, {**snapshot, "read_from": read_from, "started": started, "finished": finished}
        raise AssertionError("the last attempt returns or raises")

    def _take_snapshot(self, shards: list[int]) -> dict[str, Any]:
        def note_asked(at: datetime, names: list[str]) -> None:
            # What was acknowledged until now must be here: a cut that heals later would not show any more.
            refuse_cut_off(self.qdrant, self.collection, shards)
            self.marker.write(asked={"at": at.isoformat(), "before": names})

        try:
            entry, _times = create_snapshot(self.qdrant, self.collection, on_ask=note_asked)
        except (Busy, QdrantError) as error:
            if not isinstance(error, QdrantUnreachable):
                self.marker.note_refused()
            raise
        self.snapshots.append(entry["name"])
        self.marker.write(snapshots=self.snapshots, asked=None)
        # A node takes seconds to notice a cut.
        refuse_cut_off(self.qdrant, self.collection, shards)
        if not entry.get("checksum"):
            raise InvalidInput(
                f"Qdrant at {self.qdrant.connection.url} recorded no checksum for its snapshot {entry['name']}.",
                "Let Qdrant store snapshots on its local disk (snapshots_config), so that every byte can be proved.",
            )
        return {"name": entry["name"], "size": entry["size"], "sha256": entry["checksum"]}

    def _store(
        self, snapshot: dict[str, Any], acks: dict[int, int | None] | None, shards: list[int]
    ) -> tuple[list[ShardArchive], dict[int, dict[str, Any]], str]:
        path = None
        if self.request.snapshots_path:
            path = snapshot_file(self.request.snapshots_path, self.collection, snapshot["name"])
        pieces = read_file(path) if path else read_http(self.qdrant, self.collection, snapshot["name"])
        if self.request.type == INCREMENTAL:
            pieces = self._showing_activity(pieces)
        with self._chunked() as chunked:
            archives, objects = store_snapshot(
                pieces, snapshot, self.repository, self.object_key, shards, acks, self.data_key, chunked
            )
        return archives, objects, "file" if path else "http"

    def _showing_activity(self, pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        """Write the marker now and then: where most chunks are known, nothing else shows that somebody is at work."""
        shown = time.monotonic()
        for piece in pieces:
            if time.monotonic() - shown > _SHOWN_EVERY:
                self.marker.write()
                shown = time.monotonic()
            yield piece

    def _chunked(self) -> AbstractContextManager[ChunkedObjects | None]:
        if self.request.type != INCREMENTAL:
            return nullcontext()
        return chunked_objects(self.repository, self.collection, self.now(), self.warnings)

    def _entry(
        self, archive: ShardArchive, stored: dict[str, Any], facts: dict[str, Any], snapshot: dict[str, Any]
    ) -> dict[str, Any]:
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
            "node": self.task.node,
            "peer_id": facts["peer_id"],
            "points": self.shard_points.get(archive.shard),
            "window": {"started": snapshot["started"], "finished": snapshot["finished"]},
            "wal": {"first": archive.wal.first, "last": archive.wal.last, "first_found_by": archive.wal.found_by},
            "object": {
                "key": self._key_of(archive.shard),
                "wal_offset": archive.wal_offset,
                **stored,
            },
        }


def refuse_cut_off(qdrant: Qdrant, collection: str, shards: list[int]) -> None:
    """Raise ``TargetUnfit`` where the replicas of this node may have missed writes while they were backed up."""
    faults = []
    if (fault := quorum_fault(membership(qdrant.cluster()))) is not None:
        faults.append(f"it {fault} and so has lost touch with its cluster")
    states = {shard["shard_id"]: shard["state"] for shard in qdrant.collection_cluster(collection)["local_shards"]}
    faults += [
        f"shard {number} is {states.get(number, 'not there')} now"
        for number in shards
        if states.get(number) != "Active"
    ]
    if faults:
        raise TargetUnfit(
            f"What {qdrant.connection.url} has stored of {collection} may lack writes: {'; '.join(faults)}.",
            "Take the shards from other nodes, or wait until the cluster has settled.",
        )


def read_collection(qdrant: Qdrant, collection: str, shards: list[int] | None) -> dict[str, Any]:
    """What the manifest says of the collection.

    ``shards``: those that this node must hold, None for all. Raises ``TargetUnfit`` where one is not Active here,
    ``InvalidInput`` where the collection's name is an alias.
    """
    aliases = qdrant.aliases()
    refuse_alias(aliases, collection)
    info = qdrant.collection(collection)
    cluster = qdrant.collection_cluster(collection)
    local = {shard["shard_id"]: shard for shard in cluster["local_shards"]}
    remote = {shard["shard_id"] for shard in cluster["remote_shards"]}
    wanted = sorted(remote | set(local)) if shards is None else shards
    faults = [f"shard {number} is not on this node" for number in wanted if number not in local]
    faults += [
        f"shard {number} is {local[number]['state']} here"
        for number in wanted
        if number in local and local[number]["state"] != "Active"
    ]
    if cluster["shard_transfers"]:
        faults.append("shards are being transferred")
    if faults:
        raise TargetUnfit(
            f"{collection} cannot be backed up from {qdrant.connection.url}: {'; '.join(faults)}.",
            "Name a node that has every shard Active, or wait until the cluster has settled.",
        )
    return {
        "config": comparable(info["config"]),
        "payload_indexes": payload_indexes(info),
        "aliases": sorted(alias for alias, target in aliases.items() if target == collection),
        "shards": {number: local[number] for number in wanted},
        "peer_id": cluster["peer_id"],
    }
