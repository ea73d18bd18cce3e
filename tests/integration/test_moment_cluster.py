# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores to moments of a cluster, whose replicas each have a log of their own, and move."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.digest import point_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import archived_timelines
from tests.cluster import Cluster, back_up_cluster, start_cluster
from tests.conftest import fill
from tests.proofs import wait_for
from tests.timed_writes import TimedWrites, now

pytestmark = [pytest.mark.qdrant, pytest.mark.s3, pytest.mark.slow]

SIZES = {"text": 16, "image": 8}
NAME = "docs"


@contextmanager
def archivers(folder: Path, cluster: Cluster, repository: Repository) -> Iterator[None]:
    """On each node the archiver as its service runs it, until it is told to end."""
    processes = []
    for name, server, node in zip(cluster.names, cluster.servers, cluster.nodes, strict=True):
        host = folder / f"host-{name}"
        host.mkdir()
        section = {
            "collections": [NAME],
            "storage_path": str(server.storage_path),
            "state_path": str(host / "state"),
            "spool_path": str(host / "spool"),
            "poll_interval": 0.2,
            "seal_interval": 0.4,
            "heartbeat": 1,
            "reserve_bytes": 0,
        }
        agent = Agent(host, node.connection, [repository.location], wal_archive=section)
        processes.append(agent.start("archive-wal"))
    try:
        yield
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            _out, err = process.communicate(timeout=60)
            assert (process.returncode, "Traceback" in err) == (0, False), err
    finally:
        for process in processes:
            process.kill()


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


def content(qdrant: Qdrant, name: str) -> dict[int, bytes]:
    """Point -> its digest."""
    return {point["payload"]["number"]: point_digest(point) for point in qdrant.scroll(name)}


def test_a_replica_that_moved_in_mid_stream(tmp_path: Path, repository: Repository) -> None:
    with start_cluster(tmp_path, 3) as cluster:
        first = cluster.nodes[0]
        vectors = {key: {"size": size, "distance": "Cosine"} for key, size in SIZES.items()}
        body: dict[str, Any] = {"vectors": vectors, "shard_number": 3, "wal_config": {"wal_capacity_mb": 1}}
        first.create_collection(NAME, body)
        # To whichever node.
        writes = TimedWrites(lambda number: fill(cluster.nodes[number % 3], NAME, 1, SIZES, number))
        bases, moments = [], []
        with archivers(tmp_path, cluster, repository), writes.going_on():
            wait_for(lambda: len(archived_timelines(repository, NAME)) == 3, "the archivers")
            bases.append(back_up_cluster(cluster, repository, NAME)["backup_id"])
            writes.wait_for_more()
            moments.append(now())
            writes.wait_for_more()
            move_shard(cluster, 0)
            wait_for(lambda: len(archived_timelines(repository, NAME)) == 4, "the archiver where the replica is now")
            between = now()
            writes.wait_for_more()
            bases.append(back_up_cluster(cluster, repository, NAME)["backup_id"])
            writes.wait_for_more()
            moments.append(now())
            wait_for(lambda: restorable(repository, NAME).ranges[-1].until > moments[-1], "the archive of that moment")
        live = content(first, NAME)

        ranges = restorable(repository, NAME).ranges
        assert [each.bases for each in ranges] == [(base,) for base in bases]
        for moment, base, known in zip(moments, bases, ranges, strict=True):
            assert known.begin <= moment <= known.until
            request = RestoreRequest(NAME, target="then", aliases=[], moment=MomentRequest(moment))
            result = restore(cluster.nodes, [repository], request)
            # What the transfer wrote is between S and L of the newer base.
            assert (result["backup_id"], set(result["inexact"]) - {"transfer"}) == (base, set())
            found = content(first, "then")
            assert writes.allow(set(found), moment, resolution=2), result["moment"]
            assert found.items() <= live.items(), "each point is as it was written"
            assert [content(node, "then") for node in cluster.nodes[1:]] == [found] * 2
            first.delete_collection("then")

        # The replica that the older base is of is gone, and the newer base is younger than this.
        request = RestoreRequest(NAME, target="then", aliases=[], moment=MomentRequest(between))
        with pytest.raises(MomentNotRestorable) as refusal:
            restore(cluster.nodes, [repository], request)
        error = refusal.value
        assert (error.result["nearest_before_base"], error.result["nearest_after_base"]) == tuple(bases)
