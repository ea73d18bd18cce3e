# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards on their way from node to node: a backup waits for them as long as it may, and is refused after that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup_from_here import back_up_from_here
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import BackupRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, make_sharded, start_cluster, transfer_under_way
from tests.proofs import holdings, verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Any) -> Iterator[Cluster]:
    with start_cluster(tmp_path, 3) as started:
        make_sharded(started.nodes, "docs", points=60, shard_number=1, replication_factor=1)
        yield started


class Watched(Qdrant):
    """A node that calls back when it has said that a shard is on its way."""

    told = 0

    def on_transfer(self) -> None:
        """To be replaced."""

    def collection_cluster(self, name: str) -> Json:
        found = super().collection_cluster(name)
        if found["shard_transfers"]:
            self.told += 1
            self.on_transfer()
        return found


@pytest.fixture
def holder(cluster: Cluster) -> Watched:
    """The node that has the only replica."""
    (found,) = [node for node in cluster.nodes if node.collection_cluster("docs")["local_shards"]]
    return Watched(found.connection)


def test_a_backup_waits_until_shards_have_arrived(
    cluster: Cluster, holder: Watched, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transfer_under_way(cluster, "docs") as let_it_end:
        monkeypatch.setattr(holder, "on_transfer", let_it_end)
        made = back_up_from_here({"n": holder}, repository, [BackupRequest("docs")], wait_for_transfers=60)
    assert holder.told
    assert verify_all(repository) == [made["backups"][0]["backup_id"]]


def test_a_backup_does_not_wait_for_ever(
    cluster: Cluster, holder: Watched, repository: Repository, run_module: Callable[..., Json]
) -> None:
    with transfer_under_way(cluster, "docs"):
        with pytest.raises(TargetUnfit, match="shards are being transferred"):
            back_up_from_here({"n": holder}, repository, [BackupRequest("docs")], wait_for_transfers=1.5)
        options = {"url": holder.connection.url, "name": "n", "collections": ["docs"], "wait_for_transfers": 1.5}
        assert run_module("node_info", options)["transfers"] == 1
    assert holdings(repository) == {}
    assert holder.told > 1, "it was asked again"
