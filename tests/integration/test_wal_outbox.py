# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for the repository: on the disk it takes no memory, and it arrives in order or is told to be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import read_chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import FIRST, Timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import wal_outbox
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_follower import Sealed
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import chunks
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_outbox import Outbox, owner
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.agent_files import Spool
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_wal import START, TOOL, log_of, sealed

pytestmark = pytest.mark.s3

LOG = ReplicaLog("docs", 0, "1", "20261122T020000Z-aaaaaa")
CHUNKS = 30

Make = Callable[[], Outbox]


@pytest.fixture
def make(repository: Repository, tmp_path: Path) -> Iterator[Make]:
    """Outboxes over one spool, as runs of the archiver one after another make them."""
    with ThreadPoolExecutor(4) as threads:
        yield lambda: Outbox(repository, Spool(tmp_path, 1 << 30, 0), threads, lambda: None)


def objects() -> list[Sealed]:
    """The record of a timeline, and chunks of one entry each."""
    record = Timeline("production", LOG, START, FIRST, "A test began it.", TOOL)
    made = [Sealed(record.key, record.dump(), LOG, timeline=record)]
    for entries in log_of([CHUNKS]):
        data = sealed([entries], LOG)
        header = ChunkHeader.parse(data)
        made.append(Sealed(header.key, data, LOG, header))
    return made


def spooled(make: Make) -> None:
    """An earlier run has left all on the disk."""
    outbox = make()
    for item in objects():
        outbox.add(item)
    assert outbox.spool_all()


def sent(outbox: Outbox) -> list[Sealed]:
    """What arrives until nothing is left."""
    arrived: list[Sealed] = []
    pause = threading.Event()
    for _turn in range(2000):
        if outbox.is_empty:
            break
        outbox.send()
        pause.wait(0.01)
        arrived += outbox.collect()
    assert outbox.is_empty
    return arrived


def indexes(repository: Repository) -> list[int]:
    """Of the entries of all chunks, in order; each chunk proves itself."""
    headers = [read_chunk(repository.get(chunk.key))[0] for chunk in chunks(repository, LOG)]
    return [index for header in headers for index in range(header.first, header.last + 1)]


def test_what_waits_on_the_disk_takes_no_memory_and_arrives_in_order(
    make: Make, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_outbox, "_NAMES", 7)
    spooled(make)
    outbox = make()
    assert (outbox.held, outbox.waiting(owner(LOG))) == (0, CHUNKS)
    newest = outbox.newest(owner(LOG))
    assert newest is not None
    assert newest.last == CHUNKS - 1
    arrived = sent(outbox)
    assert [item.key for item in arrived] == [item.key for item in objects()]
    assert all(item.data == b"" for item in arrived)
    assert arrived[-1].round is not None, "what was in the log when the last poll began is known"
    assert indexes(repository) == list(range(CHUNKS))
    assert (outbox.waiting(owner(LOG)), list(tmp_path.rglob("*.wal"))) == (0, [])


def test_names_in_memory_are_few_however_many_wait(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal_outbox, "_NAMES", 7)
    spooled(make)
    outbox = make()
    outbox.send()
    (queue,) = outbox._queues.values()
    assert (len(queue.names), queue.fresh) == (6, type(queue.fresh)())
    sent(outbox)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"nothing\n")], ids=["gone", "damaged"])
@pytest.mark.parametrize("place", [0, 1, 12, CHUNKS], ids=["record", "first", "middle", "last"])
def test_what_is_gone_from_the_spool_leaves_no_hole_in_the_archive(
    make: Make, repository: Repository, tmp_path: Path, place: int, damage: Callable[[Path], Any]
) -> None:
    spooled(make)
    outbox = make()
    damage(tmp_path / objects()[place].key)
    sent(outbox)
    found = indexes(repository)
    assert found == list(range(len(found)))
    assert len(found) == max(0, place - 1)
    assert [replica for replica, _why in outbox.lost] == [owner(LOG)]
    assert list(tmp_path.rglob("*.wal")) == []


def test_a_damaged_end_of_the_spool_is_not_where_to_go_on(make: Make, repository: Repository, tmp_path: Path) -> None:
    spooled(make)
    (tmp_path / objects()[-1].key).write_bytes(b"nothing\n")
    outbox = make()
    newest = outbox.newest(owner(LOG))
    assert newest is not None
    assert newest.last == CHUNKS - 2
    assert outbox.waiting(owner(LOG)) == CHUNKS - 1
    sent(outbox)
    assert outbox.lost == []
    assert indexes(repository) == list(range(CHUNKS - 1))


def test_a_large_object_goes_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = [ReplicaLog("docs", shard, "1", "t") for shard in range(6)]
    small = [Sealed(f"docs/wal/{log.shard}/1/t/a.wal", b"x" * 10, log) for log in logs]
    outbox = make()
    monkeypatch.setattr(outbox, "_store", lambda item, _proved: item)
    monkeypatch.setattr(wal_outbox, "_BYTES_AT_ONCE", 25)
    for item in small:
        outbox.add(item)
    outbox.send()
    assert sum(queue.sending is not None for queue in outbox._queues.values()) == 2
    assert len(sent(outbox)) == len(small), "each has its turn"
