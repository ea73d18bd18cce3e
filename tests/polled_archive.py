# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WAL archive made poll by poll, when a test says so: what the archiver does, without its clock and its threads."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.layout import new_backup_id
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import ChunkBuilder
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog, positions_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_positions import Position, Positions
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import FIRST, Timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import Absent, NewEntries, WalFiles

TOOL = {"name": "test", "version": "0"}


class PolledArchive:
    """Follows the log of one collection on a node, all shards of it, from now on."""

    def __init__(self, qdrant: Qdrant, storage: Path, repository: Repository, collection: str, token: str) -> None:
        """``token``: six hex digits, for the name of the timelines."""
        self.qdrant, self.repository, self.collection = qdrant, repository, collection
        self.folder = storage / "collections" / collection
        self.replica = str(qdrant.collection_cluster(collection)["peer_id"])
        self.cluster = repository.location.cluster
        self.polled = _now()
        self.checked: dict[int, datetime] = {}
        self.logs: dict[int, tuple[ReplicaLog, WalFiles]] = {}
        self.last: dict[int, int | None] = {}
        for local in self.qdrant.collection_cluster(collection)["local_shards"]:
            shard = local["shard_id"]
            log = ReplicaLog(collection, shard, self.replica, new_backup_id(_now(), token))
            record = Timeline(self.cluster, log, self.polled, FIRST, "A test began it.", TOOL)
            repository.put(record.key, record.dump())
            self.logs[shard] = (log, WalFiles(self.folder / str(shard) / "wal"))
            self.last[shard] = None

    def poll(self) -> None:
        """Archive what is new, as one chunk of each shard, and tell how far that has come."""
        begun = _now()
        for shard, (log, files) in self.logs.items():
            builder = ChunkBuilder(self.cluster, log)
            stored = b""
            while isinstance(found := files.poll(), NewEntries):
                stored += builder.add(found.entries, self.polled, _now())
            assert found is None or isinstance(found, Absent), found
            if found is None:
                self.checked[shard] = begun
            if builder.stop is not None:
                header, rest = builder.finish()
                self.repository.put(header.key, header.dump() + stored + rest)
                self.last[shard] = header.last
        self.polled = begun
        self._tell_positions()

    def moment(self) -> datetime:
        """A time to restore to: all that has been written until now is in the archive, with nothing written later."""
        self.poll()
        reached = _now()
        self.poll()
        return reached

    def _tell_positions(self) -> None:
        shards = {
            shard: Position(log.timeline, self.last[shard], None, self.checked.get(shard), 0)
            for shard, (log, _files) in self.logs.items()
        }
        told = Positions(self.cluster, self.collection, self.replica, "test", self.polled, TOOL, shards)
        self.repository.put(positions_key(self.collection, self.replica), told.dump())

    def close(self) -> None:
        """Let the files go."""
        for _log, files in self.logs.values():
            files.close()


def _now() -> datetime:
    return datetime.now(timezone.utc)
