# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores to moments of a cluster, whose replicas each have a log of their own, and move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import RestoreRequest, restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, back_up_cluster, start_cluster
from tests.conftest import fill
from tests.polled_archive import PolledArchive
from tests.proofs import wait_for

pytestmark = [pytest.mark.qdrant, pytest.mark.s3, pytest.mark.slow]

SIZES = {"text": 16, "image": 8}
NAME = "docs"


def moment(archives: list[PolledArchive]) -> datetime:
    for archive in archives:
        archive.discover()
        archive.poll()
    reached = datetime.now(timezone.utc)
    for archive in archives:
        archive.poll()
    return reached


@contextmanager
def writing(cluster: Cluster, first: int) -> Iterator[None]:
    """Points that are written one by one meanwhile, to whichever node."""
    ending = threading.Event()

    def write() -> None:
        for number in range(first, first + 100_000):
            fill(cluster.nodes[number % 3], NAME, 1, SIZES, number)
            if ending.is_set():
                return

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def move_shard(cluster: Cluster, shard: int) -> None:
    """To a node that does not have it; returns once it is Active there and gone where it was."""
    placed = [node.collection_cluster(NAME) for node in cluster.nodes]
    holding = [shard in {local["shard_id"] for local in each["local_shards"]} for each in placed]
    source, target = placed[holding.index(True)], placed[holding.index(False)]
    ways = {"shard_id": shard, "from_peer_id": source["peer_id"], "to_peer_id": target["peer_id"]}
    cluster.nodes[0].call("POST", f"/collections/{NAME}/cluster", {"move_shard": ways}, {"timeout": 60})

    def moved() -> bool:
        found = [node.collection_cluster(NAME) for node in cluster.nodes]
        here = [
            (each["peer_id"], local["state"])
            for each in found
            for local in each["local_shards"]
            if local["shard_id"] == shard
        ]
        return here == [(target["peer_id"], "Active")] and not any(each["shard_transfers"] for each in found)

    wait_for(moved, f"shard {shard} to be on {target['peer_id']}")


def test_a_replica_that_moved_in_mid_stream(tmp_path: Path, repository: Repository) -> None:
    with start_cluster(tmp_path, 3) as cluster:
        first = cluster.nodes[0]
        vectors = {key: {"size": size, "distance": "Cosine"} for key, size in SIZES.items()}
        body: dict[str, Any] = {"vectors": vectors, "shard_number": 3, "wal_config": {"wal_capacity_mb": 1}}
        first.create_collection(NAME, body)
        fill(first, NAME, 300, SIZES)
        archives = [
            PolledArchive(node, server.storage_path, repository, NAME, f"a1b2c{number}")
            for number, (node, server) in enumerate(zip(cluster.nodes, cluster.servers, strict=True))
        ]
        moment(archives)
        bases = [back_up_cluster(cluster, repository, NAME)["backup_id"]]
        fill(first, NAME, 50, SIZES, 1000)
        before = moment(archives), collection_digest(first, NAME)

        with writing(cluster, 2000):
            wait_for(lambda: first.count(NAME) > 360, "some writes")
            move_shard(cluster, 0)
            moved = first.count(NAME)
            wait_for(lambda: first.count(NAME) > moved + 20, "writes after the move")
        between = moment(archives)
        bases.append(back_up_cluster(cluster, repository, NAME)["backup_id"])
        fill(first, NAME, 50, SIZES, 200_000)
        after = moment(archives), collection_digest(first, NAME)

        for (time, digest), base in zip((before, after), bases, strict=True):
            request = RestoreRequest(NAME, target="then", aliases=[], moment=MomentRequest(time))
            result = restore(cluster.nodes, [repository], request)
            # What the transfer wrote is between S and L of the newer base.
            assert (result["backup_id"], set(result["inexact"]) - {"transfer"}) == (base, set())
            assert [collection_digest(node, "then") for node in cluster.nodes] == [digest] * 3
            first.delete_collection("then")

        # The replica that the older base is of is gone, and the newer base is younger than this.
        request = RestoreRequest(NAME, target="then", aliases=[], moment=MomentRequest(between))
        with pytest.raises(MomentNotRestorable) as refusal:
            restore(cluster.nodes, [repository], request)
        error = refusal.value
        assert (error.result["nearest_before_base"], error.result["nearest_after_base"]) == tuple(bases)
        assert "shard 0: it is known up to" in error.detail
        for archive in archives:
            archive.close()
