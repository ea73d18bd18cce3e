# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Side by side: what a snapshot of Qdrant loses that was taken under writes, and what comes back from it here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import discard
from tests.counted_writes import CountingWriter, counted, make_loaded, numbers
from tests.polled_archive import PolledArchive
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def name(qdrant: Qdrant) -> Iterator[str]:
    made = f"u-{secrets.token_hex(6)}"
    yield made
    for existing in qdrant.collections():
        if existing.startswith(made):
            discard(qdrant, existing)


def recovered_by_qdrant(qdrant: Qdrant, server: QdrantServer, name: str, snapshot: str) -> set[int]:
    """The writes that are there in a recovery of Qdrant's own."""
    location = (server.snapshots_path / name / snapshot).as_uri()
    body = {"location": location, "priority": "snapshot"}
    plain = f"{name}-plain"
    qdrant.call("PUT", f"/collections/{plain}/snapshots/recover", body, {"wait": True}, timeout=120)
    found = numbers(qdrant, plain)
    discard(qdrant, plain)
    return found


def lost(found: set[int], newest: int = 0) -> set[int]:
    """What is missing of the writes up to the newest one that is there, and up to one that has to be."""
    return set(range(1, max(newest, *found) + 1)) - found


def test_writes_that_a_snapshot_of_qdrant_loses_are_there(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qdrant copies one shard after another: of the writes meanwhile it has later ones, and lacks earlier ones."""
    make_loaded(qdrant, name, shards=4)
    archive = PolledArchive(qdrant, qdrant_server.storage_path, repository, name, "a1b2c3")
    archive.poll()
    # Kept for Qdrant's own recovery of it.
    monkeypatch.setattr(Qdrant, "delete_snapshot", lambda *_args: None)
    writer = CountingWriter(qdrant, name)
    writer.start()
    try:
        wait_for(lambda: writer.acknowledged > 500, "some writes")
        request = BackupRequest(name, storage_path=str(qdrant_server.storage_path))
        backup_id = back_up(qdrant, repository, request)["backup_id"]
        acknowledged = writer.acknowledged
        time = archive.moment()
        most = writer.acknowledged + 1
        wait_for(lambda: writer.acknowledged > most + 100, "writes after that moment")
    finally:
        writer.ending.set()
        writer.join()
    archive.moment()

    snapshot = read_manifest(repository, name, backup_id)[0].fields["snapshots"][0]["name"]
    plain = recovered_by_qdrant(qdrant, qdrant_server, name, snapshot)
    assert lost(plain), "Qdrant lost nothing in the middle: it may have learnt to copy its shards at one moment"
    assert max(lost(plain)) < acknowledged

    moment = RestoreRequest(name, f"{name}-then", moment=MomentRequest(time))
    result = restore([qdrant], [repository], moment)
    found = numbers(qdrant, result["target"])
    # Shards are as far apart as the result says; all that was acknowledged before the poll began is there.
    assert not {number for number in lost(found, acknowledged) if number <= acknowledged}
    assert max(found) <= most
    assert (result["backup_id"], result["apart_seconds"] < 2) == (backup_id, True)
    result = restore([qdrant], [repository], RestoreRequest(name, f"{name}-latest", moment=MomentRequest()))
    assert counted(qdrant, result["target"]) == (writer.acknowledged, set())
    archive.close()
