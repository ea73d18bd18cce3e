# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot that changes, breaks off, is incomplete or cannot be read, and a node that is cut off: no backup of it."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedSnapshot,
    FileError,
    QdrantUnreachable,
    TargetUnfit,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import snapshot_store, snapshot_stream
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import create_snapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_store import store_snapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot_stream import read_file, read_http
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.conftest import flip
from tests.faults.proxy import FaultProxy, Rule
from tests.proofs import holdings, state_of, verify_all, wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Make = Callable[..., str]


class Changed(Qdrant):
    """A node whose snapshot file changes right after it was made. ``change`` gets its path."""

    def __init__(self, server: QdrantServer, change: Callable[[Path], object]) -> None:
        super().__init__(QdrantConnection(server.url))
        self.folder, self.change = server.snapshots_path, change

    def create_snapshot(self, name: str) -> Json:
        entry = super().create_snapshot(name)
        self.change(self.folder / name / entry["name"])
        return entry


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2048])


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(512))


CHANGES = {f"bit at {offset}": (lambda path, at=offset: flip(path, at)) for offset in (5, 600, 30_000, -5000, -1)}
CHANGES |= {"cut short": cut, "longer": append}


@pytest.mark.parametrize(
    ("change", "from_file"),
    [*((change, True) for change in CHANGES), ("bit at 30000", False), ("cut short", False)],
)
def test_a_snapshot_that_changed_after_its_creation_is_refused(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    make_collection: Make,
    change: str,
    from_file: bool,
) -> None:
    name = make_collection()
    before = state_of(qdrant, name)
    path = str(qdrant_server.snapshots_path) if from_file else None
    with pytest.raises(DamagedSnapshot, match=r"was changed after its creation|bytes, \d+ could be read"):
        back_up(Changed(qdrant_server, CHANGES[change]), repository, BackupRequest(name, snapshots_path=path))
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)


class CutOff(Qdrant):
    """A node that says to be out of touch with its peers from one moment to another: so short a cut can't be made."""

    def __init__(self, url: str, begin: str, end: str) -> None:
        super().__init__(QdrantConnection(url))
        self.begin, self.end, self.cut = begin, end, False

    def reach(self, moment: str) -> None:
        self.cut = moment == self.begin or (self.cut and moment != self.end)

    def cluster(self) -> Json:
        peers = {str(number): {"uri": f"http://n{number}:6335/"} for number in range(3)}
        silent = {f"http://n{number}:6335/": {"count": 7} for number in (1, 2)} if self.cut else {}
        return {"peers": peers, "raft_info": {"leader": 1, "role": "Leader"}, "message_send_failures": silent}

    def collection(self, name: str) -> Json:
        self.reach("read")
        return super().collection(name)

    def create_snapshot(self, name: str) -> Json:
        self.reach("created")
        return super().create_snapshot(name)

    def open_snapshot(self, *arguments: Any, **more: Any) -> Any:
        self.reach("stored")
        return super().open_snapshot(*arguments, **more)


@pytest.mark.parametrize(("begin", "end"), [("read", "created"), ("created", "stored"), ("stored", "never")])
def test_a_node_that_was_cut_off_at_any_time_is_refused(
    qdrant: Qdrant, repository: Repository, make_collection: Make, begin: str, end: str
) -> None:
    name = make_collection()
    before = state_of(qdrant, name)
    with pytest.raises(TargetUnfit, match="it reaches 1 of 3 peers and so has lost touch with its cluster"):
        back_up(CutOff(qdrant.connection.url, begin, end), repository, BackupRequest(name))
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)
    back_up(CutOff(qdrant.connection.url, "never", "never"), repository, BackupRequest(name))


def test_a_bit_flipped_in_the_download_is_noticed(
    qdrant: Qdrant, proxied_qdrant: Qdrant, qdrant_proxy: FaultProxy, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    before = state_of(qdrant, name)
    qdrant_proxy.add(Rule(method="GET", path=r"/snapshots/.*\.snapshot", flip_response_at=70_000))
    with pytest.raises(DamagedSnapshot, match="was changed after its creation"):
        back_up(proxied_qdrant, repository, BackupRequest(name))
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)


def test_a_download_that_breaks_goes_on_where_it_broke(
    proxied_qdrant: Qdrant, qdrant_proxy: FaultProxy, large: str, repository: Repository
) -> None:
    broken = qdrant_proxy.add(Rule(method="GET", path=r"\.snapshot$", cut_response_after=3 << 20, times=4))
    made = back_up(proxied_qdrant, repository, BackupRequest(large))
    assert broken.hits == 4
    assert verify_all(repository) == [made["backup_id"]]


class Counting(Qdrant):
    """A node that counts how often a download was begun."""

    opened = 0

    def open_snapshot(self, *arguments: Any, **more: Any) -> Any:
        self.opened += 1
        return super().open_snapshot(*arguments, **more)


def test_a_download_goes_on_after_a_restart_and_is_given_up_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with QdrantServer(tmp_path) as server:
        node = Counting(QdrantConnection(server.url))
        node.create_collection("docs", {"vectors": {"size": 2, "distance": "Dot"}})
        content = random.Random(3).randbytes(1 << 20) * 64
        (server.snapshots_path / "docs").mkdir(parents=True, exist_ok=True)
        (server.snapshots_path / "docs" / "large.snapshot").write_bytes(content)
        pieces = read_http(node, "docs", "large.snapshot")
        got = bytes(next(pieces))
        server.kill()
        with ThreadPoolExecutor(1) as operator:
            # The reader has met the closed port several times by then.
            started = operator.submit(lambda: wait_for(lambda: node.opened > 3, "the reader") and server.start())
            got += b"".join(map(bytes, pieces))
            started.result()
        assert got == content

        pieces = read_http(node, "docs", "large.snapshot")
        next(pieces)
        server.kill()
        monkeypatch.setattr(snapshot_stream, "_PATIENCE_SECONDS", 0.5)
        with pytest.raises(QdrantUnreachable):
            list(pieces)


class WrittenShort(Qdrant):
    """A node that wrote less than a whole snapshot, and hashed what it wrote. ``end`` says how much of the whole."""

    def __init__(self, server: QdrantServer, end: Callable[[bytes], int]) -> None:
        super().__init__(QdrantConnection(server.url))
        self.folder, self.end = server.snapshots_path, end

    def create_snapshot(self, name: str) -> Json:
        entry = super().create_snapshot(name)
        path = self.folder / name / entry["name"]
        whole = path.read_bytes()
        short = whole[: self.end(whole)]
        path.write_bytes(short)
        checksum = hashlib.sha256(short).hexdigest()
        path.with_name(f"{path.name}.checksum").write_text(checksum)
        return {**entry, "size": len(short), "checksum": checksum}


PLACES: dict[str, Callable[[bytes], int]] = {
    "in a member": lambda whole: 20_000,
    "in the last member": lambda whole: whole.rindex(b"payload_index.json") + 515,
    "before the last member": lambda whole: whole.rindex(b"payload_index.json"),
    "before its end": lambda whole: len(whole) - 1024,
}


@pytest.mark.parametrize(
    ("place", "from_file"), [*((place, True) for place in PLACES), ("before the last member", False)]
)
def test_a_snapshot_that_was_written_incompletely_is_refused(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    make_collection: Make,
    place: str,
    from_file: bool,
) -> None:
    name = make_collection()
    before = state_of(qdrant, name)
    path = str(qdrant_server.snapshots_path) if from_file else None
    with pytest.raises(DamagedSnapshot, match="cut short"):
        back_up(WrittenShort(qdrant_server, PLACES[place]), repository, BackupRequest(name, snapshots_path=path))
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)


@pytest.mark.parametrize(("path", "words"), [("/nowhere/s.snapshot", "No such file"), ("/proc/self/mem", "error")])
def test_a_snapshot_file_that_cannot_be_read_is_named(path: str, words: str) -> None:
    """The first bytes of a process's memory are no better to read than those of a broken disk."""
    with pytest.raises(FileError, match=f"The snapshot {path} cannot be read: .*{words}") as failure:
        next(read_file(Path(path)))
    assert "Nothing was committed" in failure.value.hint


def test_a_log_that_finds_no_room_is_named(
    qdrant: Qdrant, repository: Repository, make_collection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make_collection()
    entry, _times = create_snapshot(qdrant, name)
    recorded = {"name": entry["name"], "size": entry["size"], "sha256": entry["checksum"]}
    monkeypatch.setattr(snapshot_store, "_SPOOL_IN_MEMORY", 1)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    pieces = read_http(qdrant, name, entry["name"])
    with pytest.raises(FileError, match=r"The log of a shard, .* cannot be kept in a temporary file") as failure:
        store_snapshot(pieces, recorded, repository, str, [0, 1], None)
    assert "TMPDIR" in failure.value.hint
    assert holdings(repository) == {}
