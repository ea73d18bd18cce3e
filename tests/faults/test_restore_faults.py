# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with a backup once it is made, or while it is restored: no wrong byte ever becomes data in Qdrant."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    BackupNotFound,
    DamagedBackup,
    DamagedManifest,
    DrError,
    OperationTimeout,
    QdrantError,
    TargetExists,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.collection_config import create_body
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.proxy import FaultProxy, Rule
from tests.made_backups import as_option, flip_byte
from tests.proofs import holdings, state_of, verify_all

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]

CLOSED = "http://127.0.0.1:9"
PLACES = 50


def made(qdrant: Qdrant, repository: Repository, name: str) -> Manifest:
    """Back the collection up."""
    return read_manifest(repository, name, back_up(qdrant, repository, BackupRequest(name))["backup_id"])[0]


def random_places(manifest: Manifest, number: int, seed: int) -> list[tuple[Json, int]]:
    """Places in the stored shard archives, each byte as likely as any other: (shard, offset)."""
    chance = random.Random(seed)
    sizes = [shard["object"]["size"] for shard in manifest.shards]
    shards = chance.choices(manifest.shards, weights=sizes, k=number)
    return [(shard, chance.randrange(shard["object"]["size"])) for shard in shards]


@pytest.mark.parametrize("seed", range(5))
def test_a_flipped_bit_without_another_copy_refuses_the_restore(
    qdrant: Qdrant, repository: Repository, make_collection: Make, free_name: str, seed: int
) -> None:
    name = make_collection(points=60)
    manifest = made(qdrant, repository, name)
    before = state_of(qdrant, name)
    for shard, offset in random_places(manifest, PLACES // 5, seed):
        key = manifest.object_key(shard)
        good = repository.get(key)
        flip_byte(repository, key, offset)
        with pytest.raises(DamagedBackup, match="No source has a good copy of part 1 of 1") as refusal:
            restore([qdrant], [repository], RestoreRequest(name, target=free_name))
        assert key in refusal.value.detail
        assert [(bad["object"], bad["part"], bad["source"]) for bad in refusal.value.result["damaged"]] == [
            (key, 1, "primary")
        ]
        assert state_of(qdrant, name) == before, "no target, and nothing else changed"
        repository.put(key, good)
    restore([qdrant], [repository], RestoreRequest(name, target=free_name))
    assert collection_digest(qdrant, free_name) == before["digests"][name]


@pytest.mark.parametrize("seed", range(5))
def test_flipped_bits_are_made_good_by_another_region(
    qdrant: Qdrant, repository: Repository, standby: Repository, make_collection: Make, free_name: str, seed: int
) -> None:
    name = make_collection(points=100, shard_number=4)
    manifest = made(qdrant, repository, name)
    copy_backups(repository, [standby], [name], Choice())
    places = random_places(manifest, PLACES // 5, seed)
    for shard, offset in places:
        flip_byte(repository, manifest.object_key(shard), offset)
    result = restore([qdrant], [repository, standby], RestoreRequest(name, target=free_name))
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)
    reported = {bad["object"]: (bad["source"], bad["served_by"]) for bad in result["damaged"]}
    # Two flips at the same byte would undo each other.
    odd = {(shard["shard"], at) for shard, at in places if places.count((shard, at)) % 2}
    hit = {manifest.object_key(shard) for shard in manifest.shards if shard["shard"] in {number for number, _at in odd}}
    assert reported == dict.fromkeys(hit, ("primary", "standby"))
    assert result["served"]["standby"]["parts"] == len(hit)


@pytest.mark.usefixtures("small_parts")
def test_copies_damaged_in_different_parts_give_one_whole_restore(
    qdrant: Qdrant, large: str, repository: Repository, standby: Repository, free_name: str
) -> None:
    manifest = made(qdrant, repository, large)
    copy_backups(repository, [standby], [large], Choice())
    stored, key = manifest.shards[0]["object"], manifest.object_key(manifest.shards[0])
    parts = len(stored["parts"])
    assert parts >= 4
    for number in range(1, parts + 1):
        damaged = repository if number % 2 else standby
        flip_byte(damaged, key, (number - 1) * stored["part_size"] + 1000)
    result = restore([qdrant], [repository, standby], RestoreRequest(large, target=free_name))
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, large)
    assert [bad["part"] for bad in sorted(result["damaged"], key=lambda bad: bad["part"])] == list(
        range(1, parts + 1, 2)
    )
    assert result["restored_from"] == ["primary", "standby"]
    flip_byte(standby, key, 7)
    with pytest.raises(DamagedBackup, match=rf"part 1 of {parts} of .*primary: its bytes.*standby: its bytes"):
        restore([qdrant], [repository, standby], RestoreRequest(large, target=f"{free_name}-2"))
    assert f"{free_name}-2" not in qdrant.collections()


def test_an_object_that_is_missing_or_cut_short_is_taken_from_another_region(
    qdrant: Qdrant, repository: Repository, standby: Repository, make_collection: Make, free_name: str
) -> None:
    name = make_collection()
    manifest = made(qdrant, repository, name)
    copy_backups(repository, [standby], [name], Choice())
    keys = [manifest.object_key(shard) for shard in manifest.shards]
    repository.delete([keys[0]])
    repository.put(keys[1], repository.get(keys[1])[:-1000])
    with pytest.raises(DamagedBackup, match="the object is missing"):
        restore([qdrant], [repository], RestoreRequest(name, target=free_name))
    assert free_name not in qdrant.collections()
    result = restore([qdrant], [repository, standby], RestoreRequest(name, target=free_name))
    assert {bad["object"] for bad in result["damaged"]} == set(keys)
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)


MANIFESTS: dict[str, Callable[[Json], Json]] = {
    "other schema": lambda whole: {**whole, "schema_version": 3},
    "other collection": lambda whole: {**whole, "collection": "other"},
    "altered": lambda whole: {**whole, "points": {"before": 0, "after": 0}},
}


@pytest.mark.parametrize("damage", [*MANIFESTS, "cut short"])
def test_a_damaged_manifest_is_refused_or_taken_from_another_region(
    qdrant: Qdrant, repository: Repository, standby: Repository, make_collection: Make, free_name: str, damage: str
) -> None:
    name = make_collection()
    manifest = made(qdrant, repository, name)
    copy_backups(repository, [standby], [name], Choice())
    key = layout.manifest_key(name, manifest.backup_id)
    data = repository.get(key)
    bad = data[: len(data) // 2] if damage == "cut short" else json.dumps(MANIFESTS[damage](json.loads(data))).encode()
    repository.put(key, bad)
    before = state_of(qdrant, name)
    for backup_id, error in ((manifest.backup_id, DamagedManifest), (None, BackupNotFound)):
        with pytest.raises(error, match=r"[Tt]he manifest ") as refusal:
            restore([qdrant], [repository], RestoreRequest(name, target=free_name, backup_id=backup_id))
        assert manifest.backup_id in refusal.value.detail
    assert state_of(qdrant, name) == before
    result = restore([qdrant], [repository, standby], RestoreRequest(name, target=free_name))
    assert [(note["source"], note["object"]) for note in result["notes"]] == [("primary", key)]
    assert collection_digest(qdrant, free_name) == before["digests"][name]


@pytest.mark.parametrize(
    ("code", "node", "store"),
    [
        ("qdrant_unreachable", {"url": CLOSED}, {}),
        ("backup_not_found", {"collection": "lost"}, {}),
        ("backup_not_found", {"backup_id": "20200101T000000Z-000000"}, {}),
        ("backup_not_found", {}, {"cluster": "other"}),
        ("bucket_not_found", {}, {"bucket": "no-such-bucket"}),
        ("store_denied", {}, {"secret_key": "wrong"}),
        ("store_unreachable", {}, {"endpoint_url": CLOSED, "connect_timeout": 1}),
    ],
)
def test_wrong_addresses_and_names_are_told(
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Make,
    free_name: str,
    code: str,
    node: Json,
    store: Json,
) -> None:
    name = make_collection(points=5)
    made(qdrant, repository, name)
    before = state_of(qdrant)
    params = {"url": qdrant.connection.url, "collection": name, "target": free_name, **node}
    result = run_module("restore", {**params, "sources": [{**as_option(repository.location), **store}]})
    assert (result["failed"], result["failure"]["code"]) == (True, code)
    assert result["failure"]["hint"]
    assert str(repository.location.secret_key) not in result["msg"]
    assert state_of(qdrant) == before


def test_a_region_that_is_down_is_passed_by(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make, free_name: str
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    down = {**as_option(repository.location), "name": "down", "endpoint_url": CLOSED, "connect_timeout": 1}
    params = {"url": qdrant.connection.url, "collection": name, "target": free_name}
    result = run_module("restore", {**params, "sources": [down, as_option(repository.location)]})
    assert result["restored_from"] == ["primary"]
    assert {note["source"] for note in result["notes"]} == {"down"}


UPLOAD = {"method": "POST", "path": "/snapshots/upload"}


@pytest.mark.parametrize(
    "fault",
    [{"flip_request_at": 60_000}, {"status": 500}, {"cut_request_after": 50_000}, {"lose_response": True}],
    ids=["bit flipped on the way", "500", "cut", "answer lost"],
)
@pytest.mark.parametrize("shard", [0, 1])
def test_an_upload_that_fails_leaves_no_target(
    qdrant: Qdrant,
    proxied_qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    free_name: str,
    fault: Json,
    shard: int,
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    before = state_of(qdrant, name)
    broken = qdrant_proxy.add(Rule(**UPLOAD, **fault, skip=shard))
    with pytest.raises(DrError) as refusal:
        restore([proxied_qdrant], [repository], RestoreRequest(name, target=free_name, aliases=[f"{free_name}-live"]))
    assert broken.hits == 1
    assert refusal.value.code in ("qdrant_error", "qdrant_unreachable", "timeout")
    assert state_of(qdrant, name) == before


def test_a_target_whose_creation_was_not_answered_is_removed(
    qdrant: Qdrant,
    proxied_qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    before = state_of(qdrant, name)
    qdrant_proxy.add(Rule(method="PUT", path=rf"/collections/{free_name}(\?|$)", lose_response=True))
    with pytest.raises(OperationTimeout):
        restore([proxied_qdrant], [repository], RestoreRequest(name, target=free_name))
    assert state_of(qdrant, name) == before
    restore([proxied_qdrant], [repository], RestoreRequest(name, target=free_name))
    assert collection_digest(qdrant, free_name) == before["digests"][name]


def test_an_empty_collection_of_somebody_else_is_no_leftover(
    qdrant: Qdrant, repository: Repository, make_collection: Make, free_name: str
) -> None:
    """As an application makes it that finds its collection lost: nothing tells it from a target but the mark."""
    name = make_collection()
    manifest = made(qdrant, repository, name)
    qdrant.create_collection(free_name, create_body(manifest.config))
    with pytest.raises(TargetExists):
        restore([qdrant], [repository], RestoreRequest(name, target=free_name))
    assert qdrant.count(free_name) == 0


def test_a_target_that_could_not_be_removed_is_removed_by_the_next_run(
    run_module: Run,
    qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    qdrant_proxy.add(Rule(**UPLOAD, status=500))
    qdrant_proxy.add(Rule(method="DELETE", path=rf"/collections/{free_name}(\?|$)", status=500))
    params = {
        "url": qdrant_proxy.url,
        "collection": name,
        "target": free_name,
        "sources": [as_option(repository.location)],
    }
    assert run_module("restore", params)["failure"]["code"] == "qdrant_error"
    assert free_name in qdrant.collections()
    assert run_module("restore", params)["leftovers_removed"] == [f"half-restored collection {free_name}"]
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)


def test_a_damaged_backup_never_replaces_live_data(
    qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    manifest = made(qdrant, repository, name)
    qdrant.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    before = state_of(qdrant, name)
    last = manifest.shards[-1]
    flip_byte(repository, manifest.object_key(last), last["object"]["size"] - 1)
    request = RestoreRequest(name, backup_id=manifest.backup_id, overwrite=True)
    with pytest.raises(DamagedBackup, match=f"shards/{last['shard']}.snapshot"):
        restore([qdrant], [repository], request)
    assert state_of(qdrant, name) == before


def test_the_safety_backup_is_named_where_a_replacement_fails(
    run_module: Run,
    qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    digest = collection_digest(qdrant, name)
    made(qdrant, repository, name)
    qdrant_proxy.add(Rule(**UPLOAD, status=500))
    params = {"collection": name, "overwrite": True, "sources": [as_option(repository.location)]}
    failed = run_module("restore", {"url": qdrant_proxy.url, **params})
    assert failed["failed"]
    assert failed["safety_backup"] in verify_all(repository)
    again = {"url": qdrant.connection.url, **params, "backup_id": failed["safety_backup"]}
    run_module("restore", again)
    assert collection_digest(qdrant, name) == digest


@pytest.mark.parametrize("safety", [True, False], ids=["safety backup", "none"])
@pytest.mark.parametrize(
    ("fault", "gone"),
    [(UPLOAD, True), ({"method": "DELETE", "path": "/collections/[^/]+$"}, False)],
    ids=["filling", "making room"],
)
def test_a_replacement_that_fails_names_what_its_collection_had(
    run_module: Run,
    qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    fault: Json,
    gone: bool,
    safety: bool,
) -> None:
    name = make_collection()
    backup_id = made(qdrant, repository, name).backup_id
    qdrant.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-later"}}])
    qdrant_proxy.add(Rule(**fault, status=500))
    params = {"url": qdrant_proxy.url, "collection": name, "overwrite": True, "safety_backup": safety}
    failed = run_module("restore", {**params, "sources": [as_option(repository.location)], "backup_id": backup_id})
    assert failed["failure"]["code"] == "qdrant_error"
    assert failed["replaced_aliases"] == [f"{name}-later"]
    assert verify_all(repository) == [backup_id, *([failed["safety_backup"]] if safety else [])]
    assert (name not in qdrant.collections()) is gone
    assert (f"{name}-later" in failed["failure"]["hint"]) is gone
    assert (str(failed["safety_backup"]) in failed["failure"]["hint"]) is (gone and safety)


def test_a_store_that_is_only_read_is_enough(
    qdrant: Qdrant,
    repository: Repository,
    proxied: Repository,
    s3_proxy: FaultProxy,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    before = holdings(repository)
    restore([qdrant], [proxied], RestoreRequest(name, target=free_name))
    assert {method for method, _target in s3_proxy.requests} <= {"GET", "HEAD"}
    assert holdings(repository) == before


def test_a_shard_that_qdrant_refuses_is_told_with_its_reason(
    qdrant: Qdrant,
    proxied_qdrant: Qdrant,
    qdrant_proxy: FaultProxy,
    repository: Repository,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    made(qdrant, repository, name)
    qdrant_proxy.add(Rule(**UPLOAD, flip_request_at=60_000))
    with pytest.raises(QdrantError, match=r"(?i)checksum"):
        restore([proxied_qdrant], [repository], RestoreRequest(name, target=free_name))
