# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections whose logs have small files, archivers for them, and what an archive must hold."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import cover, read_chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_keys import ChunkKeys
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import (
    chunks,
    last_chunk,
    read_timeline,
    replicas,
    timelines,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_settings import MIB, ArchiveSettings
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import NewEntries, WalFiles
from tests.agent_process import Agent
from tests.conftest import discard
from tools.servers import QdrantServer

SIZE = 64


class LoggedCollection:
    """A collection of one shard or more whose log files take 1 MiB; ``put`` returns the index of the entry."""

    def __init__(self, server: QdrantServer, name: str, shards: int = 1, retain: int = 1) -> None:
        self.server, self.name = server, name
        self.qdrant = Qdrant(QdrantConnection(server.url))
        self.body: dict[str, Any] = {
            "vectors": {"size": SIZE, "distance": "Dot"},
            "shard_number": shards,
            "wal_config": {"wal_capacity_mb": 1, "wal_segments_ahead": 0, "wal_retain_closed": retain},
            "optimizers_config": {"flush_interval_sec": 1},
        }
        self.qdrant.create_collection(name, self.body)

    def put(self, first: int, count: int = 1) -> int:
        """Write points with the ids ``first`` and on."""
        points = [{"id": number, "vector": [1.0 + number % 7] * SIZE} for number in range(first, first + count)]
        path = f"/collections/{self.name}/points"
        return int(self.qdrant.call("PUT", path, {"points": points}, {"wait": True})["operation_id"])

    def wal(self, shard: int = 0) -> Path:
        """The directory of a shard's log."""
        return self.server.storage_path / "collections" / self.name / str(shard) / "wal"

    @property
    def replica(self) -> str:
        """The peer id of the node."""
        return str(self.qdrant.collection_cluster(self.name)["peer_id"])


def on_disk(collection: LoggedCollection, shard: int = 0) -> dict[int, bytes]:
    """Index -> entry of all that the log still has."""
    found: dict[int, bytes] = {}
    with WalFiles(collection.wal(shard)) as files:
        while isinstance(new := files.poll(), NewEntries):
            found.update(new.entries.items(new.entries.first, new.entries.stop))
    return found


def identify(server: QdrantServer) -> Any:
    """What an archiver asks the node for."""
    qdrant = Qdrant(QdrantConnection(server.url))
    return lambda collection: str(qdrant.collection_cluster(collection)["peer_id"])


def settings_for(server: QdrantServer, folder: Path, *collections: str, **changes: Any) -> ArchiveSettings:
    """An archiver that is quick enough for a test."""
    fields: dict[str, Any] = {
        "storage_path": str(server.storage_path),
        "state_path": str(folder / "state"),
        "spool_path": str(folder / "spool"),
        "collections": collections or None,
        "poll_interval": 0.1,
        "seal_interval": 0.3,
        "heartbeat": 0.5,
        "reserve_bytes": 0,
        "metrics_path": str(folder / "metrics.prom"),
    }
    return ArchiveSettings(**{**fields, **changes})


class Running:
    """An archiver in a thread."""

    def __init__(self, archiver: Archiver) -> None:
        self.archiver = archiver
        self.reports: list[str] = []
        self.error: BaseException | None = None
        self.result: dict[str, Any] = {}
        self._stopped = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def stop(self) -> dict[str, Any]:
        """End it as SIGTERM does; its result. Raises what it has failed with."""
        self._stopped = True
        self.archiver.wakeup.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.result

    def _run(self) -> None:
        try:
            self.result = self.archiver.run(lambda: self._stopped)
        except BaseException as error:
            self.error = error


@contextmanager
def archiving(server: QdrantServer, repository: Repository, settings: ArchiveSettings, **how: Any) -> Iterator[Running]:
    """An archiver that runs meanwhile; ``reports`` has what it said."""
    reports: list[str] = []
    running = Running(Archiver(identify(server), repository, settings, reports.append, **how))
    running.reports = reports
    try:
        yield running
    finally:
        if running.thread.is_alive():
            running.stop()


def archived_timelines(repository: Repository, collection: str) -> list[ReplicaLog]:
    """Every timeline with chunks, oldest first; each has a valid record."""
    found = [
        log
        for shard, names in replicas(repository, collection).items()
        for replica in names
        for log in timelines(repository, collection, shard, replica)
        if chunks(repository, log)
    ]
    for log in found:
        read_timeline(repository, log)
    return found


def reaches(repository: Repository, collection: str, last: int) -> bool:
    """Whether the newest timeline of the last shard has come to this entry."""
    logs = archived_timelines(repository, collection)
    newest = last_chunk(repository, logs[-1]) if logs else None
    return newest is not None and newest.last >= last


def archived(repository: Repository, log: ReplicaLog) -> dict[int, bytes]:
    """Index -> entry of a timeline. Every chunk proves itself, together they have no gap, and overlaps are equal."""
    found: dict[int, bytes] = {}
    headers, keys = [], ChunkKeys([repository])
    for chunk in chunks(repository, log):
        data = repository.get(chunk.key)
        header, entries = read_chunk(data, keys.of(ChunkHeader.parse(data)))
        assert header.key == chunk.key
        headers.append(header)
        for index, entry in entries.items(entries.first, entries.stop):
            assert found.setdefault(index, entry) == entry
    assert cover(headers, min(found), max(found))
    assert sorted(found) == list(range(min(found), max(found) + 1))
    return found


def back_up_now(logged: LoggedCollection, repository: Repository) -> str:
    """The id of a backup that is made now."""
    request = BackupRequest(logged.name, storage_path=str(logged.server.storage_path))
    return str(back_up(logged.qdrant, repository, request)["backup_id"])


def restored(logged: LoggedCollection, moment: MomentRequest, *sources: Repository) -> tuple[dict[str, Any], set[int]]:
    """The result of a restore beside the original, and the points that were there; they are gone afterwards."""
    target = f"{logged.name}-then"
    try:
        request = RestoreRequest(logged.name, target, aliases=[], digest=False, moment=moment)
        result = restore([logged.qdrant], list(sources), request)
        return result, {point["id"] for point in logged.qdrant.scroll(target, vectors=False)}
    finally:
        discard(logged.qdrant, target)


def write_wide(logged: LoggedCollection, size: int) -> int:
    """Write payloads of so many bytes together that do not get smaller, half a MiB each; the last entry's index."""
    last = 0
    for number in range(size // (MIB // 2)):
        point = {"id": number + 1, "vector": [1.0] * SIZE, "payload": {"text": secrets.token_urlsafe(MIB * 3 // 8)}}
        path = f"/collections/{logged.name}/points"
        last = int(logged.qdrant.call("PUT", path, {"points": [point]}, {"wait": True})["operation_id"])
    return last


def write_until(logged: LoggedCollection, done: Callable[[], Any]) -> None:
    """Write, a log file in a second or two, until a condition holds."""
    number = 1
    while not done():
        logged.put(number, 100)
        number += 100


def closed_files(logged: LoggedCollection) -> list[int]:
    """The first indexes of the files of a log that are closed."""
    return sorted(int(path.name[7:]) for path in logged.wal().glob("closed-*"))


def give_key(host: Agent, key: str | None) -> None:
    """Let an agent encrypt with this key (hex) before it sends; None: it does not."""
    if key is None:
        return
    path = host.folder / "archive.key"
    path.touch(mode=0o600)
    path.write_text(key, encoding="ascii")
    host.secrets.append(key)
    host.config["repository"]["client_encryption"] = {"key_file": str(path)}
