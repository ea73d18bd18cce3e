# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental backups of real collections: little is stored, and each of them brings all of it back."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup, WrongKey
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import wraps_prefix
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import pack_writer
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup_objects import packs_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.commit import commit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.fresh_id import fresh_id
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.leftovers import StartMarker
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import back_up_cluster, make_sharded, start_cluster
from tests.followed import followed_collections
from tests.made_backups import archive_of, as_option, flip_byte, store_chunks, with_key
from tests.proofs import verify_all
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
DIMENSIONS = 256
KEY, OTHER = secrets.token_hex(32), secrets.token_hex(32)


@pytest.fixture
def collection(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection of two shards with 3,000 points; all that has it in its name is deleted afterwards."""
    name = f"i-{secrets.token_hex(6)}"
    create(qdrant, name)
    yield name
    for existing in qdrant.collections():
        if name in existing:
            qdrant.delete_collection(existing)


def create(qdrant: Qdrant, name: str, seed: int = 1) -> None:
    vectors = {"size": DIMENSIONS, "distance": "Cosine", "on_disk": True}
    qdrant.create_collection(name, {"vectors": vectors, "shard_number": 2})
    qdrant.create_payload_index(name, "group", "keyword")
    write(qdrant, name, range(3000), seed)


def write(qdrant: Qdrant, name: str, ids: range | list[int], seed: int = 1) -> None:
    chance = random.Random(seed)
    points = [
        {"id": each, "vector": [chance.gauss(0, 1) for _n in range(DIMENSIONS)], "payload": {"group": f"g{each % 7}"}}
        for each in ids
    ]
    for start in range(0, len(points), 500):
        body = {"points": points[start : start + 500]}
        qdrant.call("PUT", f"/collections/{name}/points", body, {"wait": True})


def back_up_chunks(qdrant: Qdrant, repository: Repository, name: str) -> Manifest:
    made = back_up(qdrant, repository, BackupRequest(name, type="incremental"))
    assert made["warnings"] == []
    return read_manifest(repository, name, made["backup_id"])[0]


def restored(qdrant: Qdrant, repository: Repository, name: str, manifest: Manifest, **more: Any) -> Json:
    target = f"{name}-{secrets.token_hex(3)}"
    request = RestoreRequest(name, target=target, backup_id=manifest.backup_id, aliases=[], **more)
    result = restore([qdrant], [repository], request)
    qdrant.delete_collection(target)
    return result


def stored_bytes(repository: Repository, prefix: str) -> int:
    return sum(item.size for item in repository.list(prefix))


def test_each_backup_stores_what_changed_and_restores_all(
    qdrant: Qdrant, repository: Repository, collection: str
) -> None:
    packs = layout.packs_prefix(collection)
    digests, manifests, sizes = [], [], [0]
    for change in (None, [5, 999, 2500], None):
        if change:
            write(qdrant, collection, change, seed=2)
        digests.append(collection_digest(qdrant, collection)[1])
        manifests.append(back_up_chunks(qdrant, repository, collection))
        sizes.append(stored_bytes(repository, packs))
    new = [after - before for before, after in pairwise(sizes)]
    assert new[0] > 3000 * DIMENSIONS * 4
    assert 0 < new[1] < new[0] / 4
    assert new[2] < new[0] / 100
    assert [manifest.fields["type"] for manifest in manifests] == ["incremental"] * 3
    for manifest, digest in zip(manifests, digests, strict=True):
        result = restored(qdrant, repository, collection, manifest, expect_digest=digest)
        assert result["check"]["points"] == 3000
        assert result["size"] == manifest.size > 3000 * DIMENSIONS * 4


def test_none_of_them_needs_another(qdrant: Qdrant, repository: Repository, collection: str) -> None:
    first = back_up_chunks(qdrant, repository, collection)
    write(qdrant, collection, [7], seed=3)
    second = back_up_chunks(qdrant, repository, collection)
    digest = collection_digest(qdrant, collection)[1]
    needed = {layout.pack_key(collection, name) for name in packs_of([repository], second)}
    prefix = layout.backup_prefix(collection, first.backup_id)
    everything = [item.key for item in repository.list(layout.packs_prefix(collection))]
    repository.delete([item.key for item in repository.list(prefix)] + [key for key in everything if key not in needed])
    restored(qdrant, repository, collection, second, expect_digest=digest)


@pytest.mark.parametrize("how", ["missing", "flipped", "swapped"])
def test_a_bad_pack_is_refused_by_name_and_made_up_for(
    qdrant: Qdrant, repository: Repository, standby: Repository, collection: str, how: str
) -> None:
    manifest = back_up_chunks(qdrant, repository, collection)
    for item in list(repository.list(f"{collection}/")):
        standby.put(item.key, repository.get(item.key))
    keys = sorted(layout.pack_key(collection, name) for name in packs_of([repository], manifest))
    data = bytearray(repository.get(keys[0]))
    if how == "missing":
        repository.delete([keys[0]])
    elif how == "flipped":
        data[len(data) // 2] ^= 1
        repository.put(keys[0], bytes(data))
    else:
        write(qdrant, collection, list(range(0, 3000, 10)), seed=4)
        other = back_up_chunks(qdrant, repository, collection)
        [*_rest, last] = sorted(set(packs_of([repository], other)) - set(packs_of([repository], manifest)))
        repository.put(keys[0], repository.get(layout.pack_key(collection, last)))
    before = set(qdrant.collections())
    with pytest.raises(DamagedBackup, match=keys[0]):
        restored(qdrant, repository, collection, manifest)
    assert set(qdrant.collections()) == before, "nothing of it is left"

    target = f"{collection}-again"
    request = RestoreRequest(collection, target=target, backup_id=manifest.backup_id, aliases=[])
    result = restore([qdrant], [repository, standby], request)
    assert {each["object"] for each in result["damaged"]} == {keys[0]}
    assert {each["served_by"] for each in result["damaged"]} == {standby.name}
    assert result["check"]["points"] == 3000


def test_a_copy_brings_only_the_packs_that_are_not_there(
    qdrant: Qdrant, repository: Repository, standby: Repository, collection: str
) -> None:
    back_up_chunks(qdrant, repository, collection)
    first = copy_backups(repository, [standby], [collection], Choice()).copied[0]
    write(qdrant, collection, [11, 2222], seed=5)
    digest = collection_digest(qdrant, collection)[1]
    manifest = back_up_chunks(qdrant, repository, collection)
    second = copy_backups(repository, [standby], [collection], Choice()).copied[0]
    assert second["bytes"] < first["bytes"] / 4
    assert verify_all(standby) == verify_all(repository)
    assert not [item.key for item in standby.list() if "/packs/" in item.key and not item.key.endswith(".pack")]
    restored(qdrant, standby, collection, manifest, expect_digest=digest)


def test_verification_reads_a_shared_pack_once_and_repair_mends_it(
    qdrant: Qdrant, repository: Repository, standby: Repository, collection: str
) -> None:
    first = back_up_chunks(qdrant, repository, collection)
    write(qdrant, collection, [8], seed=6)
    back_up_chunks(qdrant, repository, collection)
    copy_backups(repository, [standby], [collection], Choice(newest=None))
    everything = VerifyRequest([collection], Choice(newest=None), "content")
    stored = sum(item.size for item in repository.list(f"{collection}/") if ".sha256" not in item.key)
    assert verify_backups([repository], everything).bytes_read <= stored

    key = sorted(layout.pack_key(collection, name) for name in packs_of([repository], first))[0]
    flip_byte(repository, key, 1000)
    with pytest.raises(DamagedBackup) as caught:
        verify_backups([repository], everything)
    assert {finding["object"] for finding in caught.value.result["findings"]} == {key}
    repaired = verify_backups([repository, standby], replace(everything, repair=True))
    assert {(each["object"], each["repaired"]) for each in repaired.findings} == {(key, True)}
    assert verify_backups([repository], everything).findings == []


@pytest.mark.usefixtures("later")
def test_packs_go_when_the_last_backup_that_needs_them_is_gone_and_nobody_is_at_work(
    qdrant: Qdrant, repository: Repository, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_writer, "PACK_SIZE", 256 << 10)
    back_up_chunks(qdrant, repository, collection)
    qdrant.delete_collection(collection)
    create(qdrant, collection, seed=7)
    second = back_up_chunks(qdrant, repository, collection)
    digest = collection_digest(qdrant, collection)[1]
    needed = {layout.pack_key(collection, name) for name in packs_of([repository], second)}
    limits = PruneLimits(grace=86400.0, require_verified=False, max_delete_percent=100.0)
    request = PruneRequest([collection], RetentionPolicy(keep_last=1), limits)
    marker = StartMarker(repository, layout.started_key(collection, fresh_id(utc_now())), "http://other:6333")
    marker.write()
    [entry] = prune_backups([repository], request).as_result()["pruned"]
    assert len(entry["removed"]) == 1
    assert "is at work" in entry["packs"]["kept_because"]
    assert stored_bytes(repository, layout.packs_prefix(collection)) > 2 * 3000 * DIMENSIONS * 4

    marker.remove()
    [entry] = prune_backups([repository], request).as_result()["pruned"]
    assert entry["packs"]["bytes"] > 2000 * DIMENSIONS * 4
    assert {item.key for item in repository.list(layout.packs_prefix(collection))} == needed
    restored(qdrant, repository, collection, second, expect_digest=digest)


def test_packs_that_were_lost_are_stored_again(qdrant: Qdrant, repository: Repository, collection: str) -> None:
    first = back_up_chunks(qdrant, repository, collection)
    repository.delete([layout.pack_key(collection, name) for name in packs_of([repository], first)])
    digest = collection_digest(qdrant, collection)[1]
    second = back_up_chunks(qdrant, repository, collection)
    restored(qdrant, repository, collection, second, expect_digest=digest)


def test_encrypted_chunks_are_known_again_and_open_with_the_key_only(
    qdrant: Qdrant, repository: Repository, collection: str
) -> None:
    sealed = with_key(repository, KEY)
    word = "known-plaintext-in-every-payload"
    body = {"payload": {"word": word}, "filter": {}}
    qdrant.call("POST", f"/collections/{collection}/points/payload", body, {"wait": True})
    back_up_chunks(qdrant, sealed, collection)
    size = stored_bytes(repository, layout.packs_prefix(collection))
    write(qdrant, collection, [3], seed=8)
    digest = collection_digest(qdrant, collection)[1]
    second = back_up_chunks(qdrant, sealed, collection)
    assert stored_bytes(repository, layout.packs_prefix(collection)) < size * 1.25
    assert not [item.key for item in repository.list() if word.encode() in repository.get(item.key)]
    with pytest.raises(WrongKey):
        restored(qdrant, with_key(repository, OTHER), collection, second)
    restored(qdrant, sealed, collection, second, expect_digest=digest)


def test_a_moment_after_an_incremental_base_comes_back(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> None:
    with followed_collections(qdrant_server, s3_server) as follow:
        story = follow(points=100)
        story.archive.poll()
        made = back_up(
            story.qdrant,
            story.repository,
            BackupRequest(story.name, storage_path=str(qdrant_server.storage_path), type="incremental"),
        )
        story.upsert(90, 150)
        step = story.step()
        story.upsert(150, 160)
        story.step()
        result = story.proves(MomentRequest(step.time), step)
        assert result["backup_id"] == made["backup_id"]
        assert result["entries_replayed"] > 0


def test_auto_makes_a_full_backup_at_times(
    run_module: Run, qdrant: Qdrant, repository: Repository, collection: str
) -> None:
    option = as_option(repository.location)
    params = {"url": qdrant.connection.url, "repository": option, "collections": [collection], "type": "auto"}
    made = [run_module("backup", params)["backups"][0] for _each in range(3)]
    assert [each["type"] for each in made] == ["full", "incremental", "incremental"]
    assert run_module("backup", {**params, "full_every": "1h"})["backups"][0]["type"] == "incremental"
    assert run_module("backup", {**params, "full_every": "0"})["backups"][0]["type"] == "full"
    refused = run_module("backup", {**params, "type": "full", "full_every": "1h"})
    assert refused["failure"]["code"] == "invalid_input"
    assert "full_every is given, and type is 'full'" in refused["msg"]
    assert len(verify_all(repository)) == 5


def test_the_nodes_of_a_cluster_store_chunks(tmp_path: Path, repository: Repository) -> None:
    with start_cluster(tmp_path, 2) as cluster:
        make_sharded(cluster.nodes, "docs")
        first = back_up_cluster(cluster, repository, "docs", type="incremental")
        size = stored_bytes(repository, layout.packs_prefix("docs"))
        second = back_up_cluster(cluster, repository, "docs", type="auto", full_every=3600)
        third = back_up_cluster(cluster, repository, "docs", type="auto", full_every=3600)
        assert [each["type"] for each in (first, second, third)] == ["incremental", "full", "incremental"]
        assert stored_bytes(repository, layout.packs_prefix("docs")) < size * 1.5
        assert len(verify_all(repository)) == 3
        request = RestoreRequest("docs", target="again", backup_id=third["backup_id"], aliases=[])
        assert restore(cluster.nodes, [repository], request)["check"]["points"] == cluster.nodes[0].count("docs")


@pytest.mark.usefixtures("later")
def test_a_prune_keeps_the_keys_of_packs(repository: Repository) -> None:
    sealed = with_key(repository, KEY)
    manifest = store_chunks(sealed, fresh_id(utc_now()), (archive_of({"a": bytes(5000)}),), utc_now())
    commit(sealed, manifest)
    keys = [item.key for item in repository.list(wraps_prefix("docs"))]
    assert len(keys) == 1
    limits = PruneLimits(grace=60.0, require_verified=False, max_delete_percent=100.0)
    prune_backups([repository], PruneRequest(["docs"], RetentionPolicy(keep_last=1), limits))
    assert [item.key for item in repository.list(wraps_prefix("docs"))] == keys


def test_a_copy_of_encrypted_packs_is_rotated_and_damage_of_a_header_made_up_for(
    qdrant: Qdrant, repository: Repository, standby: Repository, collection: str
) -> None:
    near, far = with_key(repository, KEY), with_key(standby, KEY)
    manifest = back_up_chunks(qdrant, near, collection)
    copy_backups(near, [far], [collection], Choice())
    keys = [item.key for item in repository.list(wraps_prefix(collection))]
    assert [item.key for item in standby.list(wraps_prefix(collection))] == keys
    for pack in packs_of([repository], manifest):
        flip_byte(repository, layout.pack_key(collection, pack), 40)
    with pytest.raises((DamagedBackup, WrongKey)):
        restored(qdrant, near, collection, manifest)
    target = f"{collection}-both"
    request = RestoreRequest(collection, target=target, backup_id=manifest.backup_id, aliases=[])
    assert restore([qdrant], [near, far], request)["check"]["points"] == 3000


def test_nothing_is_shared_with_what_is_not_encrypted_as_the_repository_now_is(
    qdrant: Qdrant, repository: Repository, collection: str
) -> None:
    back_up_chunks(qdrant, repository, collection)
    plain = {item.key for item in repository.list(layout.packs_prefix(collection))}
    made = back_up(qdrant, with_key(repository, KEY), BackupRequest(collection, type="incremental"))
    assert "is not encrypted as the repository now is" in made["warnings"][0]
    manifest = read_manifest(repository, collection, made["backup_id"])[0]
    assert not plain & {layout.pack_key(collection, name) for name in packs_of([repository], manifest)}
