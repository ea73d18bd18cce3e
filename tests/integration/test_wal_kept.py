# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prune leaves and a copy brings restores a real collection to each of the moments that it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.store_clock import store_time
from tests.followed import Followed, followed_collections
from tests.proofs import wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Follow = Callable[..., Followed]


@pytest.fixture(scope="module")
def follow(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Follow]:
    with followed_collections(qdrant_server, s3_server) as made:
        yield made


def is_acknowledged(followed: Followed) -> bool:
    """Whether Qdrant needs nothing of its log any more but its last entries, and so a backup neither."""
    acks = ack_indexes(followed.server.storage_path, followed.name)
    ends = followed.archive.last
    return acks is not None and all((acks[shard] or 0) >= (last or 0) - 1 for shard, last in ends.items())


@pytest.mark.parametrize("rules", [{"keep_last": 1}, {"keep_last": 2, "keep_wal_within": 0.0}])
def test_the_moments_after_the_oldest_needed_backup_stay_in_every_region(
    follow: Follow, standby: Repository, rules: dict[str, float]
) -> None:
    followed = follow()
    for first in (200, 300):
        followed.archive.poll()
        wait_for(lambda: is_acknowledged(followed), "a flush of what was written")
        followed.back_up()
        for part in (0, 20):
            followed.upsert(first + part, first + part + 10)
            followed.step()
    before, after = followed.steps[:2], followed.steps[2:]
    taken = datetime.now(timezone.utc)
    wait_for(lambda: (store_time(followed.repository) or taken) > taken, "the next second of the store's clock")
    limits = PruneLimits(grace=0.0, require_verified=False, max_delete_percent=100.0)
    policy = RetentionPolicy(**rules)  # type: ignore[arg-type]
    (entry,) = prune_backups([followed.repository], PruneRequest(None, policy, limits)).pruned
    assert entry["wal"]["objects"] > 0
    copy_backups(followed.repository, [standby], None, Choice(newest=1))
    assert verify_backups([followed.repository, standby], VerifyRequest(None, Choice(newest=None), "content")).wal
    for region in (followed.repository, standby):
        for step in after:
            followed.proves(MomentRequest(step.time), step, region)
        for step in before:
            followed.refused(MomentRequest(step.time), MomentNotRestorable, region)
