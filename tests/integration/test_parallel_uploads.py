# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore uploads two shards at a time where it sees that both have room, and one after another elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import preflight
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import flip_byte
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Make = Callable[..., str]
SHARDS = 5


class Uploads:
    """How many uploads ran at the same time, at most, and how many in all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lock = Lock()
        self._now = self.most = self.all = 0
        upload = Qdrant.upload_shard_snapshot

        def counted(*given: Any) -> None:
            self._count(1)
            try:
                upload(*given)
            finally:
                self._count(-1)

        monkeypatch.setattr(Qdrant, "upload_shard_snapshot", counted)

    def _count(self, change: int) -> None:
        with self._lock:
            self._now += change
            self.most = max(self.most, self._now)
            self.all += change > 0


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    return Uploads(monkeypatch)


@pytest.fixture
def name(make_collection: Make) -> str:
    return make_collection(points=500, shard_number=SHARDS)


@pytest.fixture
def target(qdrant: Qdrant, name: str) -> Iterator[str]:
    yield f"{name}-2"
    if f"{name}-2" in qdrant.collections():
        qdrant.delete_collection(f"{name}-2")


def made(qdrant: Qdrant, repository: Repository, name: str) -> Manifest:
    """Back the collection up."""
    return read_manifest(repository, name, back_up(qdrant, repository, BackupRequest(name))["backup_id"])[0]


@pytest.mark.parametrize(("room", "most"), [(None, 2), (3.5, 1), ("not told", 1)], ids=str)
def test_as_many_as_have_room(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    name: str,
    target: str,
    uploads: Uploads,
    monkeypatch: pytest.MonkeyPatch,
    room: float | str | None,
    most: int,
) -> None:
    """``room``: on the disk, as a multiple of the largest archive beyond all of them."""
    sizes = [shard["object"]["size"] for shard in made(qdrant, repository, name).shards]
    if isinstance(room, float):
        monkeypatch.setattr(preflight, "free_bytes", lambda _path: int(sum(sizes) + room * max(sizes)))
    storage = None if room == "not told" else str(qdrant_server.storage_path)
    restore([qdrant], [repository], RestoreRequest(name, target=target, storage_path=storage))
    assert (uploads.most, uploads.all) == (most, SHARDS)
    assert collection_digest(qdrant, target) == collection_digest(qdrant, name)


def test_damage_in_one_shard_ends_the_other_uploads_and_leaves_nothing(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, name: str, target: str, uploads: Uploads
) -> None:
    manifest = made(qdrant, repository, name)
    flip_byte(repository, manifest.object_key(manifest.shards[2]), 1000)
    with pytest.raises(DamagedBackup) as refusal:
        restore(
            [qdrant],
            [repository],
            RestoreRequest(name, target=target, storage_path=str(qdrant_server.storage_path)),
        )
    assert manifest.object_key(manifest.shards[2]) in refusal.value.detail
    assert uploads.all < SHARDS or uploads.most == 2
    assert target not in qdrant.collections()
