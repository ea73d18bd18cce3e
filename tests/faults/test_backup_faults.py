# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a backup is made: a clear error, nothing committed that does not verify, nothing damaged."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedManifest,
    QdrantDiskFull,
    QdrantUnauthorized,
    StoreError,
    StoreUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import (
    BackupRequest,
    back_up,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.proxy import INTERNAL_ERROR, SLOW_DOWN, FaultProxy, Rule
from tests.made_backups import as_option
from tests.proofs import holdings, state_of, verify_all, wait_for
from tests.small_disk import on_a_small_disk
from tools.servers import QdrantServer
from tools.servers.fetch import qdrant_binary

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]

CLOSED = "http://127.0.0.1:9"
A_PART = {"method": "PUT", "path": "partNumber="}
A_MANIFEST = {"method": "PUT", "path": r"manifest\.json"}


@pytest.mark.parametrize(
    ("code", "node", "store"),
    [
        ("qdrant_unreachable", {"url": CLOSED}, {}),
        ("invalid_input", {"url": "127.0.0.1:6333"}, {}),
        ("qdrant_not_found", {"collections": ["lost"]}, {}),
        ("bucket_not_found", {}, {"bucket": "no-such-bucket"}),
        ("store_denied", {}, {"secret_key": "wrong"}),
        ("store_denied", {}, {"access_key": "nobody"}),
        ("store_unreachable", {}, {"endpoint_url": CLOSED, "connect_timeout": 1}),
        ("invalid_input", {}, {"endpoint_url": "s3.example.com"}),
    ],
)
def test_wrong_addresses_and_credentials_are_told_apart(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make, code: str, node: Json, store: Json
) -> None:
    params = {"url": qdrant.connection.url, "collections": [make_collection(points=5)], **node}
    before = state_of(qdrant)
    result = run_module("backup", {**params, "repository": {**as_option(repository.location), **store}})
    assert (result["failed"], result["failure"]["code"]) == (True, code)
    assert result["failure"]["detail"]
    assert result["failure"]["hint"] or code == "qdrant_not_found"
    assert str(repository.location.secret_key) not in result["msg"]
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)


@pytest.mark.parametrize("key", [None, "wrong", "read-only"])
def test_a_key_without_the_right_is_refused(
    keyed_qdrant: QdrantServer, repository: Repository, make_collection: Make, key: str | None
) -> None:
    owner = Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key))
    name = make_collection(on=owner, points=5)
    before = state_of(owner, name)
    given = keyed_qdrant.read_only_key if key == "read-only" else key
    with pytest.raises(QdrantUnauthorized, match="refused the request"):
        back_up(Qdrant(QdrantConnection(keyed_qdrant.url, api_key=given)), repository, BackupRequest(name))
    assert (holdings(repository), state_of(owner, *before["digests"])) == ({}, before)


@pytest.fixture
def full_node(tmp_path: Path) -> Iterator[QdrantServer]:
    """A node whose storage is a tiny file system of its own, in a private mount namespace."""
    script = tmp_path / "qdrant-on-a-small-disk"
    command = [*on_a_small_disk(tmp_path / "storage", "size=80m"), str(qdrant_binary())]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    small_wal = {
        "QDRANT__STORAGE__WAL__WAL_CAPACITY_MB": "1",
        "QDRANT__STORAGE__SNAPSHOTS_CONFIG__SNAPSHOTS_STORAGE": "local",
    }
    with QdrantServer(tmp_path, binary=script, extra_env=small_wal) as server:
        yield server


def leave_room(server: QdrantServer, room: int) -> None:
    """Fill the disk that only the server sees, but for ``room`` bytes."""
    disk = Path(f"/proc/{server.pid}/root{server.storage_path}")
    facts = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(facts.f_bavail * facts.f_frsize - room))


def test_a_node_whose_disk_is_full_keeps_its_data(full_node: QdrantServer, repository: Repository) -> None:
    node = Qdrant(QdrantConnection(full_node.url))
    body = {"vectors": {"size": 1024, "distance": "Dot"}, "optimizers_config": {"indexing_threshold": 0}}
    node.create_collection("full", {**body, "shard_number": 1})
    for start in range(0, 7000, 500):
        batch = [{"id": n, "vector": [float(n % 9)] * 1024} for n in range(start, start + 500)]
        node.call("PUT", "/collections/full/points", {"points": batch}, {"wait": True})
    before = collection_digest(node, "full")
    leave_room(full_node, 8 << 20)
    with pytest.raises(QdrantDiskFull, match=f"The disk of Qdrant at {full_node.url} has no room") as refusal:
        back_up(node, repository, BackupRequest("full", storage_path=str(full_node.storage_path)))
    assert "free space" in refusal.value.hint
    assert holdings(repository) == {}
    assert node.snapshots("full") == []
    assert collection_digest(node, "full") == before


FAULTS = {
    "500": {"status": 500, "body": INTERNAL_ERROR},
    "503": {"status": 503, "body": SLOW_DOWN},
    "cut in the part": {"cut_request_after": 1 << 20},
    "answer lost": {"lose_response": True},
    "bit flipped": {"flip_request_at": 12345},
}
PASSING = [name for name in FAULTS if name != "bit flipped"]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("fault", PASSING)
def test_a_part_that_a_store_refuses_once_is_sent_again(
    qdrant: Qdrant, large: str, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, fault: str
) -> None:
    broken = s3_proxy.add(Rule(**A_PART, **FAULTS[fault], skip=1))
    made = back_up(qdrant, proxied, BackupRequest(large))
    assert broken.hits == 1
    assert verify_all(repository) == [made["backup_id"]]
    assert not list(repository.uploads())


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_a_store_never_takes_ends_the_backup(
    qdrant: Qdrant, large: str, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, fault: str
) -> None:
    before = state_of(qdrant)
    s3_proxy.add(Rule(**A_PART, **FAULTS[fault], skip=1, times=None))
    with pytest.raises(StoreError, match=r"store part \d+ of s3://.*/large/backups/"):
        back_up(qdrant, proxied, BackupRequest(large))
    assert (holdings(repository), state_of(qdrant, *before["digests"])) == ({}, before)


@pytest.mark.usefixtures("small_parts")
def test_the_first_error_is_told_where_cleaning_up_fails_too(
    qdrant: Qdrant, large: str, proxied: Repository, s3_proxy: FaultProxy
) -> None:
    s3_proxy.add(Rule(**A_PART, status=503, body=SLOW_DOWN, times=None))
    s3_proxy.add(Rule(method="DELETE", status=500, body=INTERNAL_ERROR, times=None))
    with pytest.raises(StoreUnreachable, match="store part"):
        back_up(qdrant, proxied, BackupRequest(large))


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_a_manifest_whose_answer_is_lost_is_one_backup(
    qdrant: Qdrant,
    repository: Repository,
    proxied: Repository,
    s3_proxy: FaultProxy,
    make_collection: Make,
    free_name: str,
    times: int | None,
) -> None:
    name = make_collection()
    s3_proxy.add(Rule(**A_MANIFEST, lose_response=True, times=times))
    if times is None:
        with pytest.raises(StoreUnreachable, match=r"manifest\.json"):
            back_up(qdrant, proxied, BackupRequest(name))
    else:
        back_up(qdrant, proxied, BackupRequest(name))
    assert len(verify_all(repository)) == 1
    assert qdrant.snapshots(name) == []
    restore([qdrant], [repository], RestoreRequest(name, target=free_name))
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)


def test_a_manifest_that_arrives_after_its_backup_was_given_up_is_a_good_backup(
    qdrant: Qdrant, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, make_collection: Make
) -> None:
    name = make_collection()
    s3_proxy.add(Rule(**A_MANIFEST, delay=4, times=None))
    location = dataclasses.replace(proxied.location, read_timeout=1)
    with Repository(location, max_attempts=1) as hasty, pytest.raises(StoreUnreachable, match=r"manifest\.json"):
        back_up(qdrant, hasty, BackupRequest(name))
    wait_for(lambda: verify_all(repository), "the manifest that was on its way")


def test_a_store_that_gives_other_bytes_back_is_not_trusted(
    qdrant: Qdrant, repository: Repository, proxied: Repository, s3_proxy: FaultProxy, make_collection: Make
) -> None:
    name = make_collection()
    s3_proxy.add(Rule(method="GET", path=r"manifest\.json", flip_response_at=300, times=None))
    with pytest.raises(DamagedManifest, match="gave other bytes"):
        back_up(qdrant, proxied, BackupRequest(name))
    assert len(verify_all(repository)) == 1, "what was stored is right, and stays"
