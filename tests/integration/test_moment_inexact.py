# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore to a moment says of what it may not bring back exactly, and of what it has not read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import CheckFailed, InexactReplay
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import (
    RestoreRequest,
    plan_restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import chunks
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tests.conftest import discard
from tests.followed import Followed, followed_collections
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Follow = Callable[..., Followed]


@pytest.fixture(scope="module")
def follow(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Follow]:
    with followed_collections(qdrant_server, s3_server) as made:
        yield made


def test_operations_that_may_come_back_otherwise_are_counted_and_refused_if_told(follow: Follow) -> None:
    followed = follow(shard_number=1)
    followed.archive.poll()
    followed.back_up()
    followed.archive.poll()
    followed.call("PUT", "/points", {"points": [{"id": 1, "vector": {"a": [1, 1, 1, 1]}, "payload": {}}]})
    followed.call("PUT", "/points", {"points": [{"id": 2, "vector": {"a": [1, 1, 1, 1], "b": [1, 0]}}]})
    followed.upsert(3, 4, update_filter={"must": [{"key": "n", "match": {"value": 3}}]})
    step = followed.step()
    whole, last = MomentRequest(step.time), step.last[0]
    for taken, expected in (
        (whole, {"partial_vectors": 1, "without_payload": 1}),
        (MomentRequest(indexes={0: last - 1}), {"partial_vectors": 1, "without_payload": 1}),
        (MomentRequest(indexes={0: last - 2}), {"partial_vectors": 1}),
        (MomentRequest(indexes={0: last - 3}), {}),
    ):
        assert followed.restored(taken)[0]["inexact"] == expected
    error = followed.refused(replace(whole, strict=True), InexactReplay)
    assert error.result["inexact"] == {"partial_vectors": 1, "without_payload": 1}
    assert "1 partial_vectors, 1 without_payload" in error.detail


def test_what_was_written_while_the_snapshot_was_taken_counts_too(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that was made, and a condition that was judged, between the first look at the collection and the end of
    its snapshot: the manifest does not know the one, and the segments may hold the other in part."""
    followed = follow(shard_number=1)
    followed.archive.poll()
    create = Qdrant.create_snapshot

    def busy(self: Qdrant, *args: Any) -> Any:
        self.create_payload_index(followed.name, "at", "integer")
        followed.upsert(1, 3, update_filter={"must": [{"key": "n", "match": {"value": 1}}]})
        return create(self, *args)

    monkeypatch.setattr(Qdrant, "create_snapshot", busy)
    followed.back_up()
    monkeypatch.undo()
    for _again in range(2):
        step = followed.step()
        assert step.indexes == ["at", "n"]
        result, found = followed.restored(MomentRequest(step.time))
        assert (found.digest, found.indexes) == (step.digest, ["at", "n"])
        assert result["inexact"] == {"conditional": 1}
        followed.upsert(300, 310)
    # Whoever finds that it came back otherwise is told what may be the reason, with and without a moment.
    for moment in (None, MomentRequest(step.time)):
        target = f"{followed.name}-then"
        how = RestoreRequest(followed.name, target, aliases=[], moment=moment, expect_digest="qdr1-" + "0" * 64)
        try:
            with pytest.raises(CheckFailed, match="This Qdrant may not have replayed 1 conditional exactly") as failed:
                restore([followed.qdrant], [followed.repository], how)
        finally:
            discard(followed.qdrant, target)
        assert failed.value.result["inexact"] == {"conditional": 1}


def test_a_failed_check_of_what_was_replayed_exactly_blames_nothing(follow: Follow) -> None:
    followed = follow(points=20)
    followed.back_up()
    target = f"{followed.name}-then"
    how = RestoreRequest(followed.name, target, aliases=[], expect_digest="qdr1-" + "0" * 64)
    try:
        with pytest.raises(CheckFailed, match="did not pass its checks") as failed:
            restore([followed.qdrant], [followed.repository], how)
    finally:
        discard(followed.qdrant, target)
    assert "replayed" not in failed.value.detail
    assert failed.value.result["inexact"] == {}


def test_a_plan_tells_what_it_has_proved_and_what_only_the_restore_reads(follow: Follow) -> None:
    followed = follow(shard_number=1)
    followed.archive.poll()
    followed.back_up()
    for first in (200, 300, 400):
        followed.upsert(first, first + 10)
        followed.step()
    followed.qdrant.create_payload_index(followed.name, "at", "integer")
    step = followed.step()
    plan = plan_restore(
        [followed.qdrant],
        [followed.repository],
        RestoreRequest(followed.name, f"{followed.name}-then", aliases=[], moment=MomentRequest(step.time)),
    )
    taken = chunks(followed.repository, followed.archive.logs[0][0], plan.manifest.shards[0]["wal"]["last"])
    # That with the end of the base, and that which makes an index.
    assert plan.proof()["verified"] == {
        "chunks": 2,
        "entries": sum(h.last + 1 - h.first for h in (taken[0], taken[-1])),
    }
    rest = taken[1:-1]
    assert plan.proof()["unverified"] == {
        "shards": 1,
        "shard_bytes": plan.manifest.size,
        "chunks": 3,
        "entries": sum(h.last + 1 - h.first for h in rest),
    }
    assert len(rest) == 3
