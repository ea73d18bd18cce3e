# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single points come back from a backup or a moment, and nothing else changes."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    CheckFailed,
    InvalidInput,
    QdrantError,
    QdrantNotFound,
    TargetExists,
    TargetUnfit,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import payload_indexes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.digest import point_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_points import (
    PointsRequest,
    restore_points,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import fill_key, start_cluster
from tests.conftest import ModuleProcess, fill
from tests.made_backups import as_option
from tests.polled_archive import PolledArchive
from tests.proofs import state_of, wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]

SIZES = {"text": 16, "image": 8}


def of_group(group: str) -> Json:
    """The filter that stands for one customer here."""
    return {"must": [{"key": "group", "match": {"value": group}}]}


def content(qdrant: Qdrant, name: str) -> dict[int | str, bytes]:
    """Digest of each point."""
    return {point["id"]: point_digest(point) for point in qdrant.scroll(name)}


def write(qdrant: Qdrant, name: str, *points: Json, **more: Any) -> None:
    """Upsert points."""
    qdrant.call("PUT", f"/collections/{name}/points", {"points": list(points), **more}, {"wait": True})


def delete(qdrant: Qdrant, name: str, **chosen: Any) -> None:
    """Delete points by ``filter`` or ``points``."""
    qdrant.call("POST", f"/collections/{name}/points/delete", chosen, {"wait": True})


def point(identity: int | str, text: float, **payload: Any) -> Json:
    """One with named vectors as ``make_collection`` makes them."""
    return {"id": identity, "vector": {"text": [text, *[1.0] * 15], "image": [text] * 8}, "payload": payload}


def options(qdrant: Qdrant, repository: Repository, collection: str, **more: Any) -> Json:
    """The module's options."""
    stores = [as_option(repository.location)]
    return {"url": qdrant.connection.url, "sources": stores, "collection": collection, "ready_timeout": 60, **more}


def bring_back(qdrant: Qdrant, repository: Repository, collection: str, **how: Any) -> Json:
    """The operation, without a process of its own."""
    # Recall is no matter here: where an id stands under two shard keys, neighbours are ambiguous.
    return restore_points([qdrant], [repository], PointsRequest(collection, RestoreRequest("", min_recall=0), **how))


@pytest.fixture
def archived(qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository) -> Iterator[Callable[..., Any]]:
    """Call it to follow a collection's log from now on."""
    archives: list[PolledArchive] = []

    def follow(name: str) -> PolledArchive:
        archives.append(PolledArchive(qdrant, qdrant_server.storage_path, repository, name, "aaaaaa"))
        archives[-1].poll()
        return archives[-1]

    yield follow
    for archive in archives:
        archive.close()


def test_a_deleted_customer_comes_back_alone(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make, archived: Callable[..., Any]
) -> None:
    name = make_collection()
    qdrant.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    archive = archived(name)
    made = back_up(qdrant, repository, BackupRequest(name))
    fill(qdrant, name, 100, SIZES, first_id=1000)
    write(qdrant, name, point(3, 0.5, group="g3", number=3, since="the backup"))
    moment = archive.moment()
    then = content(qdrant, name)
    customer = {each["id"] for each in qdrant.scroll(name, chosen={"filter": of_group("g3")})}
    delete(qdrant, name, filter=of_group("g3"))
    delete(qdrant, name, points=[1, 2])
    write(qdrant, name, point(4, 0.7, group="g4", number=-4), point(9999, 0.1, group="g9"))
    qdrant.create_payload_index(name, "since", "keyword")
    archive.poll()
    now, indexes, before = content(qdrant, name), payload_indexes(qdrant.collection(name)), state_of(qdrant, name)
    assert len(customer) > 30
    assert not customer & set(now)

    params = options(qdrant, repository, f"{name}-live", filter=of_group("g3"), to_time=moment.isoformat())
    planned = run_module("restore_points", params, check=True, diff=True)
    assert state_of(qdrant, name) == before, "check mode leaves everything as it was"
    result = run_module("restore_points", params, diff=True)

    for each in (planned, result):
        assert (each["changed"], each["restored"], each["kept"], each["missing"]) == (True, len(customer), 0, 0)
        assert set(each["points"]["restored"]) == customer
        assert (each["collection"], each["backup_id"], each["scratch"]) == (name, made["backup_id"], None)
        assert each["diff"]["before"] == ""
        assert each["diff"]["after"].startswith("3 ")
        assert len(each["diff"]["after"].splitlines()) == len(customer)
        assert "warnings" not in each
    assert content(qdrant, name) == now | {each: then[each] for each in customer}
    assert qdrant.retrieve(name, [3], {})[0]["payload"]["since"] == "the backup", "as they were at the moment"
    assert payload_indexes(qdrant.collection(name)) == indexes
    assert qdrant.collections() == list(before["points"])
    again = run_module("restore_points", params)
    assert (again["changed"], again["restored"], again["unchanged"]) == (False, 0, len(customer))


def test_a_point_that_is_there_is_left_alone_or_overwritten_as_asked(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    then = content(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    write(qdrant, name, point(1, 0.25, changed=True), {"id": 2, "vector": {}, "payload": {}})
    delete(qdrant, name, points=[3])
    now = content(qdrant, name)
    absent = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"
    ids = [1, "2", 3, 3, 4, 777777, absent.upper()]

    params = options(qdrant, repository, name, ids=ids, batch_size=2)
    result = run_module("restore_points", params)
    assert result["points"] == {"restored": [3], "unchanged": [4], "kept": [1, 2], "missing": [777777, absent]}
    assert [result[kind] for kind in ("restored", "unchanged", "kept", "missing")] == [1, 1, 2, 2]
    assert content(qdrant, name) == now | {3: then[3]}

    result = run_module("restore_points", {**params, "mode": "overwrite"}, diff=True)
    assert result["points"] == {"restored": [1, 2], "unchanged": [3, 4], "kept": [], "missing": [777777, absent]}
    assert [line.split()[0] for line in result["diff"]["before"].splitlines()] == ["1", "2"]
    assert content(qdrant, name) == then
    assert not run_module("restore_points", {**params, "mode": "overwrite"})["changed"]


CHANCE = random.Random(1)
KINDS: dict[str, tuple[Json, list[Any]]] = {
    "unnamed": ({"vectors": {"size": 2, "distance": "Dot"}}, [[1, 2], [3.5, 4], {}]),
    "multi": (
        {"vectors": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
        [[[1, 2]], [[1, 2], [3, 4]]],
    ),
    "sparse, and some without": (
        {"vectors": {"a": {"size": 2, "distance": "Cosine"}}, "sparse_vectors": {"s": {}}},
        [{"a": [1, 2], "s": {"indices": [7, 3], "values": [0.5, 1]}}, {"s": {"indices": [1], "values": [2]}}, {}],
    ),
    "half precision": (
        {"vectors": {"size": 4, "distance": "Cosine", "datatype": "float16"}},
        # So many that some do not come back in every bit.
        [[CHANCE.gauss(0, 1) for _axis in range(4)] for _number in range(400)],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_vector_comes_back(
    qdrant: Qdrant, repository: Repository, make_collection: Make, kind: str
) -> None:
    config, vectors = KINDS[kind]
    name = make_collection(points=0, index=False, **config)
    written = [{"id": n, "vector": vector, "payload": {"n": n, "big": 2**60}} for n, vector in enumerate(vectors)]
    write(qdrant, name, *written)
    then = content(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    delete(qdrant, name, points=list(then))
    ids = tuple(then)
    assert bring_back(qdrant, repository, name, ids=ids)["restored"] == len(vectors)
    if kind != "half precision":
        assert content(qdrant, name) == then
    again = bring_back(qdrant, repository, name, ids=ids, overwrite=True)
    assert (again["restored"], again["unchanged"]) == (0, len(vectors))


def test_points_come_back_to_their_shard_keys(tmp_path: Path, repository: Repository) -> None:
    with start_cluster(tmp_path, 1) as cluster:
        node = cluster.nodes[0]
        vectors = {name: {"size": size, "distance": "Dot"} for name, size in SIZES.items()}
        node.create_collection("docs", {"vectors": vectors, "sharding_method": "custom"})
        for key, first in (("eu", 0), (7, 0), ("gone", 500)):
            node.create_shard_key("docs", {"shard_key": key, "shards_number": 1})
            fill_key(node, "docs", key, 60, first)
        keys = [{"shard_key": key} for key in ("eu", 7)]
        then = [node.retrieve("docs", list(range(60)), key) for key in keys]
        back_up(node, repository, BackupRequest("docs"))
        delete(node, "docs", points=list(range(50)), shard_key=7)
        delete(node, "docs", points=[0], shard_key="eu")
        result = bring_back(node, repository, "docs", ids=tuple(range(40)))
        assert (result["restored"], result["unchanged"]) == (41, 39)
        there = [node.retrieve("docs", list(range(60)), key) for key in keys]
        assert there[0] == then[0]
        assert there[1] == [each for each in then[1] if each["id"] not in range(40, 50)]

        node.delete_shard_key("docs", "gone")
        before = state_of(node, "docs")
        with pytest.raises(TargetUnfit, match="lacks the shard key 'gone'"):
            bring_back(node, repository, "docs", ids=(40, 500))
        assert state_of(node, "docs") == before
        assert bring_back(node, repository, "docs", ids=(40,))["restored"] == 1


def test_what_a_killed_run_leaves_goes_with_the_next_one(
    start_module: Callable[..., ModuleProcess], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    then = content(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    delete(qdrant, name, points=[1])
    before = qdrant.collections()
    params = options(qdrant, repository, name, ids=[1])
    run = start_module("restore_points", params)
    scratch = f"{name}-restore-points"
    wait_for(lambda: scratch in qdrant.collections(), "the scratch collection")
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert scratch in qdrant.collections()
    result = start_module("restore_points", params).result()
    assert result["leftovers_removed"] == [f"half-restored collection {scratch}"]
    assert result["restored"] == 1
    assert content(qdrant, name) == then
    assert qdrant.collections() == before


def test_the_scratch_collection_stays_if_asked_until_the_next_run(
    qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    scratch = f"{name}-looked-at"
    back_up(qdrant, repository, BackupRequest(name))
    result = bring_back(qdrant, repository, name, ids=(1,), scratch=scratch, keep_scratch=True)
    assert result["scratch"] == scratch
    assert content(qdrant, scratch) == content(qdrant, name)


def test_what_cannot_be_is_refused_before_anything_is_made(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name, other = make_collection(), make_collection(dimensions={"text": 16})
    back_up(qdrant, repository, BackupRequest(name))
    before = state_of(qdrant, name, other)

    def refused(kind: type[Exception], said: str, collection: str = name, **how: Any) -> None:
        with pytest.raises(kind, match=said):
            bring_back(qdrant, repository, collection, **{"ids": (1,), **how})

    refused(TargetUnfit, "vector 'image' is 8 x float32, Cosine in the backup, absent there", other, recorded_as=name)
    refused(QdrantNotFound, "absent is not on", "absent")
    refused(TargetExists, f"{other} exists", scratch=other)
    refused(InvalidInput, "live and scratch", scratch=name)
    refused(InvalidInput, "batch_size is 0", batch_points=0)
    refused(QdrantError, "field condition", ids=(), filter={"must": [{"key": "group", "is": "g3"}]})
    for none in ({"ids": []}, {"filter": {}}):
        failed = run_module("restore_points", options(qdrant, repository, name, **none))
        assert failed["failure"]["code"] == "invalid_input"
        assert "vectorops.qdrant_dr.restore." in failed["msg"]
    for wrong in (-1, 2**64, True, "x"):
        failed = run_module("restore_points", options(qdrant, repository, name, ids=[1, wrong]))
        assert failed["failure"]["code"] == "invalid_input"
        assert f"{wrong}" in failed["msg"]
    for params in ({}, {"ids": [1], "filter": of_group("g1")}):
        assert "ids" in run_module("restore_points", options(qdrant, repository, name, **params))["msg"]
    assert state_of(qdrant, name, other) == before


def test_strict_mode_makes_batches_smaller_or_ends_the_run(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    then = content(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    delete(qdrant, name, points=list(then)[:100])
    limits = {"enabled": True, "upsert_max_batchsize": 3, "max_query_limit": 5, "unindexed_filtering_retrieve": False}
    qdrant.update_collection(name, {"strict_mode_config": {**limits, "write_rate_limit": 2}})
    params = options(qdrant, repository, name, ids=list(then))
    before = qdrant.collections()
    failed = run_module("restore_points", params)
    assert failed["failure"]["code"] == "strict_mode"
    assert 0 < failed["restored"] < 100
    assert f"{failed['restored']} points are back already" in failed["msg"]
    assert qdrant.collections() == before
    qdrant.update_collection(name, {"strict_mode_config": {**limits, "write_rate_limit": 1000}})
    result = run_module("restore_points", params)
    # Of the batch that was refused one shard may have taken its share.
    assert 0 < result["restored"] <= 100 - failed["restored"]
    assert content(qdrant, name) == then


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_point_that_another_client_writes_meanwhile_is_told(
    qdrant: Qdrant, repository: Repository, make_collection: Make, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    name = make_collection()
    then = content(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    delete(qdrant, name, points=[1, 2])
    before = qdrant.collections()
    upsert = Qdrant.upsert

    def with_another(self: Qdrant, *args: Any) -> None:
        write(qdrant, name, point(1, 0.5, newer=True))
        upsert(self, *args)
        if overwrite:
            write(qdrant, name, point(1, 0.5, newer=True))

    monkeypatch.setattr(Qdrant, "upsert", with_another)
    with pytest.raises(CheckFailed, match=r"1 of 2 points .* are not as they were written: 1") as caught:
        bring_back(qdrant, repository, name, ids=(1, 2), overwrite=overwrite)
    assert caught.value.result["differing"] == [1]
    assert qdrant.retrieve(name, [1], {})[0]["payload"] == {"newer": True}
    assert content(qdrant, name)[2] == then[2]
    assert qdrant.collections() == before
