# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following the log of a real Qdrant: under writes, over restarts and crashes, and when another log takes its place."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import (
    create_body,
    field_schema,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import (
    END_OF_ARCHIVE,
    padding,
    regular_header,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import (
    ChunkBuilder,
    cover,
    read_chunk,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_join import Joiner
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import describe
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import (
    Absent,
    Found,
    Gap,
    NewEntries,
    NewTimeline,
    WalFiles,
)
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = pytest.mark.qdrant

SIZE = 64


def drain(reader: WalFiles) -> list[Found]:
    """All that is new."""
    found: list[Found] = []
    while (new := reader.poll()) is not None:
        found.append(new)
        if isinstance(new, Absent):
            break
    return found


def ids_of(found: list[Found]) -> dict[int, Any]:
    """Index -> ids of the points that the entry names; indexes follow one another, and so do CRCs."""
    ids: dict[int, Any] = {}
    crc: int | None = None
    for new in found:
        assert isinstance(new, NewEntries)
        assert not ids or (new.entries.first == max(ids) + 1 and new.entries.previous_crc == crc)
        crc = new.entries.last_crc
        ids.update(
            (index, describe(entry).ids) for index, entry in new.entries.items(new.entries.first, new.entries.stop)
        )
    return ids


class Shard:
    """A collection of one shard with small log files, on any node; ``put`` returns the index of the entry."""

    def __init__(self, server: QdrantServer, name: str, retain: int = 1) -> None:
        self.server, self.name = server, name
        self.qdrant = Qdrant(QdrantConnection(server.url))
        self.wal = server.storage_path / "collections" / name / "0" / "wal"
        wal_config = {"wal_capacity_mb": 1, "wal_segments_ahead": 0, "wal_retain_closed": retain}
        optimizers = {"flush_interval_sec": 1}
        self.body = {"vectors": {"size": SIZE, "distance": "Dot"}, "shard_number": 1}
        self.body |= {"wal_config": wal_config, "optimizers_config": optimizers}
        self.qdrant.create_collection(name, self.body)

    def put(self, first: int, count: int = 1) -> int:
        points = [{"id": number, "vector": [1.0 + number % 7] * SIZE} for number in range(first, first + count)]
        path = f"/collections/{self.name}/points"
        return int(self.qdrant.call("PUT", path, {"points": points}, {"wait": True})["operation_id"])

    def closed(self) -> list[int]:
        return sorted(int(file.name[7:]) for file in self.wal.glob("closed-*"))


@pytest.fixture
def shard(qdrant_server: QdrantServer) -> Iterator[Shard]:
    shard = Shard(qdrant_server, f"f-{secrets.token_hex(6)}")
    yield shard
    shard.qdrant.delete_collection(shard.name)


def test_every_acknowledged_write_is_read_while_qdrant_rotates_and_removes_its_files(shard: Shard) -> None:
    written: dict[int, Any] = {}

    def write() -> None:
        for number in range(1, 24001, 60):
            written[shard.put(number, 60)] = tuple(range(number, number + 60))

    with WalFiles(shard.wal) as reader:
        writer = threading.Thread(target=write)
        writer.start()
        found: list[Found] = []
        polls = 0
        while writer.is_alive():
            found += drain(reader)
            polls += 1
            writer.join(0.02)
        found += drain(reader)
    assert ids_of(found) == {0: (), **written}
    assert polls > 10
    wait_for(lambda: shard.closed()[0] > 0, "the first files to be gone")


def test_an_entry_larger_than_a_file_is_read(shard: Shard) -> None:
    with WalFiles(shard.wal) as reader:
        drain(reader)
        sizes = [(1, 1), (2, 8000), (1, 1), (10001, 9000), (3, 1)]
        expected = {shard.put(*points): tuple(range(points[0], sum(points))) for points in sizes}
        assert ids_of(drain(reader)) == expected


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "kill -9"])
def test_a_restart_of_qdrant_changes_nothing(tmp_path: Path, crash: bool) -> None:
    with QdrantServer(tmp_path) as server:
        shard = Shard(server, "docs", retain=9)
        with WalFiles(shard.wal) as reader:
            last = [shard.put(number * 200, 200) for number in range(1, 31)][-1]
            assert max(ids_of(drain(reader))) == last
            shard.put(3)
            server.kill() if crash else server.stop()
            while_down = drain(reader)
            assert ids_of(while_down) == {last + 1: (3,)}
            server.start()
            assert drain(reader) == []
            shard.put(4)
            assert ids_of(drain(reader)) == {last + 2: (4,)}
            place = reader.place
        with WalFiles(shard.wal, place) as reader:
            shard.put(5)
            assert ids_of(drain(reader)) == {last + 3: (5,)}


def test_kill_9_under_writes_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    written: dict[int, Any] = {}
    with QdrantServer(tmp_path) as server:
        shard = Shard(server, "docs")

        def write(first: int) -> None:
            with suppress(DrError):
                for number in range(first, first + 10**6, 30):
                    written[shard.put(number, 30)] = tuple(range(number, number + 30))

        found: list[Found] = []
        with WalFiles(shard.wal) as reader:
            for crash in range(3):
                before = len(written)
                writer = threading.Thread(target=write, args=(crash * 10**6,))
                writer.start()
                while len(written) < before + 80:
                    found += drain(reader)
                    assert writer.is_alive()
                server.kill()
                writer.join()
                server.start()
            last = shard.put(5)
            found += drain(reader)
    read = ids_of(found)
    assert read.items() >= written.items()
    assert sorted(read) == list(range(last + 1))


def test_retention_that_outran_the_reader_is_a_gap(shard: Shard) -> None:
    with WalFiles(shard.wal) as reader:
        shard.put(1)
        drain(reader)
        while len(shard.closed()) < 1:
            shard.put(1, 300)
        held = shard.closed()[0]
        last = 0
        for number in range(60):
            last = shard.put(number * 300, 300)
        wait_for(lambda: len(shard.closed()) == 1, "Qdrant to remove old files")
        found = drain(reader)
    gap = next(new for new in found if isinstance(new, Gap))
    first = shard.closed()[0]
    before, after = found[: found.index(gap)], found[found.index(gap) + 1 :]
    assert (held, gap.last) == (0, first - 1)
    assert sorted(ids_of(before)) == list(range(2, gap.first)), "the file that was held open is read to its end"
    assert sorted(ids_of(after)) == list(range(first, last + 1))


def test_a_collection_created_again_is_a_new_timeline(shard: Shard) -> None:
    with WalFiles(shard.wal) as reader:
        shard.put(1)
        drain(reader)
        shard.put(2)
        shard.qdrant.delete_collection(shard.name)
        shard.qdrant.create_collection(shard.name, shard.body)
        shard.put(3)
        found = drain(reader)
        assert ids_of(found[:1]) == {2: (2,)}, "written before the end of the old one"
        assert found[1] == NewTimeline("the directory was replaced")
        assert ids_of(found[2:]) == {0: (), 1: (3,)}
        shard.qdrant.delete_collection(shard.name)
        assert drain(reader) == [Absent()]
        shard.qdrant.create_collection(shard.name, shard.body)
        assert ids_of(drain(reader)) == {0: ()}


@pytest.mark.parametrize("away", [False, True], ids=["reader stayed", "reader was away"])
def test_a_restore_in_place_is_a_new_timeline_although_it_uses_the_same_indexes(shard: Shard, away: bool) -> None:
    path = f"/collections/{shard.name}/shards/0/snapshots"
    reader = WalFiles(shard.wal)
    shard.put(1)
    snapshot = shard.qdrant.call("POST", path, None, {"wait": True})["name"]
    last = shard.put(2)
    drain(reader)
    if away:
        reader.close()
    where = {"location": snapshot, "priority": "snapshot"}
    shard.qdrant.call("PUT", f"{path}/recover", where, {"wait": True})
    assert shard.put(3) == last, "the index of another entry"
    if away:
        reader = WalFiles(shard.wal, reader.place)
    with reader:
        found = drain(reader)
    assert isinstance(found[0], NewTimeline)
    assert ids_of(found[1:])[last] == (3,)


@pytest.mark.s3
def test_qdrant_replays_what_was_archived(qdrant_server: QdrantServer, repository: Repository, shard: Shard) -> None:
    """Polls become chunks, chunks become one file of a shard archive, and the collection has every later write."""
    qdrant, name, target = shard.qdrant, shard.name, f"{shard.name}-then"
    shard.put(1, 500)
    qdrant.create_payload_index(name, "group", "keyword")
    backup_id = back_up(qdrant, repository, BackupRequest(name, storage_path=str(qdrant_server.storage_path)))[
        "backup_id"
    ]
    manifest = read_manifest(repository, name, backup_id)[0]
    base = manifest.shards[0]
    log = ReplicaLog(name, 0, "node", "t1")
    chunks: list[bytes] = []
    last = 0
    with WalFiles(shard.wal) as reader:
        for number in range(40):
            last = shard.put(number * 100, 200)
            builder = ChunkBuilder("production", log)
            stored = b""
            for new in drain(reader):
                assert isinstance(new, NewEntries)
                stored += builder.add(new.entries, datetime.now(timezone.utc), datetime.now(timezone.utc))
            header, rest = builder.finish()
            chunks.append(header.dump() + stored + rest)
    assert len(shard.closed()) > 0
    qdrant.call("POST", f"/collections/{name}/points/delete", {"points": [7]}, {"wait": True})

    first = base["wal"]["first"]
    read = {header.key: entries for header, entries in map(read_chunk, chunks)}
    needed = cover([read_chunk(chunk)[0] for chunk in chunks], first, last)
    joiner = Joiner(first, last)
    segment = b"".join(block for piece in needed for block in joiner.add(read[piece.header.key]))
    joiner.finish()
    head = repository.get(manifest.object_key(base))[: base["object"]["wal_offset"]]
    member = regular_header(f"wal/closed-{first}", len(segment), 0) + segment + padding(len(segment))
    archive = head + member + END_OF_ARCHIVE

    qdrant.create_collection(target, create_body(manifest.config))
    try:
        for field, schema in manifest.payload_indexes.items():
            qdrant.create_payload_index(target, field, field_schema(schema))
        qdrant.upload_shard_snapshot(target, 0, [archive], len(archive), hashlib.sha256(archive).hexdigest())
        assert qdrant.count(target) == 4100, "the delete came later"
        shard.put(7)
        assert collection_digest(qdrant, target) == collection_digest(qdrant, name)
    finally:
        qdrant.delete_collection(target)
