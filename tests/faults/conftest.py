# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers with something between them and their clients, and a collection large enough for several parts."""

from __future__ import annotations

import dataclasses
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import part_upload
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import LoggedCollection
from tests.faults.proxy import FaultProxy
from tests.made_backups import PART
from tools.servers import QdrantServer, SeaweedServer

LARGE_POINTS, LARGE_SIZE = 4500, 1024


@pytest.fixture
def s3_proxy(s3_server: SeaweedServer) -> Iterator[FaultProxy]:
    """A proxy before the S3 server."""
    with FaultProxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def qdrant_proxy(qdrant_server: QdrantServer) -> Iterator[FaultProxy]:
    """A proxy before the shared node."""
    with FaultProxy(qdrant_server.url) as proxy:
        yield proxy


@pytest.fixture
def proxied(repository: Repository, s3_proxy: FaultProxy) -> Iterator[Repository]:
    """The same repository as ``repository``, reached through the proxy, with few retries."""
    location = dataclasses.replace(repository.location, endpoint_url=s3_proxy.url, read_timeout=20)
    with Repository(location, max_attempts=2) as through:
        yield through


@pytest.fixture
def proxied_qdrant(qdrant_proxy: FaultProxy) -> Qdrant:
    """The shared node, reached through the proxy."""
    return Qdrant(QdrantConnection(qdrant_proxy.url))


@pytest.fixture(scope="session")
def large(qdrant_server: QdrantServer) -> Iterator[str]:
    """A collection whose only shard is stored in two parts of 16 MiB."""
    node = Qdrant(QdrantConnection(qdrant_server.url, timeout=120))
    body = {"vectors": {"size": LARGE_SIZE, "distance": "Dot"}, "optimizers_config": {"indexing_threshold": 0}}
    node.create_collection("large", {**body, "shard_number": 1})
    chance = random.Random(5)
    for start in range(0, LARGE_POINTS, 500):
        batch = [
            {"id": number, "vector": chance.choices(range(10), k=LARGE_SIZE), "payload": {"n": number}}
            for number in range(start, min(start + 500, LARGE_POINTS))
        ]
        node.call("PUT", "/collections/large/points", {"points": batch}, {"wait": True})
    yield "large"
    node.delete_collection("large")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let backups be made of the smallest parts that S3 takes; returns their size."""
    monkeypatch.setattr(part_upload, "SMALLEST_PART", PART)
    return PART


@pytest.fixture
def free_name(qdrant: Qdrant, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a collection that does not exist; it is deleted after the test."""
    name = f"free-{abs(hash(request.node.name)):x}"
    yield name
    qdrant.delete_collection(name)


def flip(path: Path, offset: int) -> None:
    """Flip the lowest bit of one byte of a file; a negative offset counts from its end."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.fixture
def logged(qdrant_server: QdrantServer) -> Iterator[LoggedCollection]:
    """A collection whose log keeps the last file that was closed, and no more."""
    collection = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}")
    yield collection
    collection.qdrant.delete_collection(collection.name)


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[SeaweedServer]:
    """A store that a test may stop."""
    with SeaweedServer(tmp_path / "s3") as server:
        yield server
