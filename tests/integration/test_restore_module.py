# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module restore as playbooks use it: what it may touch, in what order, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import QdrantError, TargetUnfit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import preflight, restore_target
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_mark import Mark, marks_on
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import (
    RestoreRequest,
    plan_restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option
from tests.proofs import holdings, state_of, verify_all
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]


@pytest.fixture
def name(qdrant: Qdrant, make_collection: Make) -> Iterator[str]:
    """A collection with the alias ``<name>-live``; all that has its name in theirs is deleted afterwards."""
    made = make_collection()
    qdrant.update_aliases([{"create_alias": {"collection_name": made, "alias_name": f"{made}-live"}}])
    yield made
    for existing in qdrant.collections():
        if existing.startswith(made):
            qdrant.delete_collection(existing)


def options(qdrant: Qdrant, sources: list[Repository], collection: str, **more: Any) -> Json:
    """The module's options."""
    stores = [as_option(source.location) for source in sources]
    return {"url": qdrant.connection.url, "sources": stores, "collection": collection, "ready_timeout": 60, **more}


def rewrite(repository: Repository, name: str, backup_id: str, **fields: Any) -> None:
    """Put another manifest in the place of a committed one; it proves itself, as if it had been made so."""
    manifest = read_manifest(repository, name, backup_id)[0]
    repository.put(layout.manifest_key(name, backup_id), Manifest({**manifest.fields, **fields}).dump())


def test_a_lost_collection_gets_its_name_and_alias_back(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    digest = collection_digest(qdrant, name)
    made = back_up(qdrant, repository, BackupRequest(name))
    qdrant.delete_collection(name)
    params = options(qdrant, [repository], name, expect_digest=digest[1])
    before = holdings(repository), state_of(qdrant)
    planned = run_module("restore", params, check=True)
    assert (holdings(repository), state_of(qdrant)) == before
    result = run_module("restore", params)
    for key in ("changed", "collection", "target", "backup_id", "aliases", "size", "shards", "leftovers_removed"):
        assert planned[key] == result[key], key
    assert (result["target"], result["backup_id"]) == (name, made["backup_id"])
    assert collection_digest(qdrant, name) == digest
    assert qdrant.aliases()[f"{name}-live"] == name
    assert [alias for alias, to in qdrant.aliases().items() if to == name] == [f"{name}-live"], "the mark is gone"
    assert result["served"] == {"primary": {"parts": 2, "bytes": made["size"]}}
    assert result["check"]["payload_indexes"] == ["group", "number"]
    assert result["check"]["exact_recall_at_10"] == 1.0


def test_the_mark_of_a_long_restore_is_renewed(
    qdrant: Qdrant, repository: Repository, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(qdrant, repository, BackupRequest(name))
    two_hours = count(0, 7200)
    monkeypatch.setattr(restore_target, "Mark", lambda target: Mark(target, lambda: next(two_hours)))
    seen = []
    upload = Qdrant.upload_shard_snapshot

    def look(self: Qdrant, *args: Any) -> None:
        seen.append(marks_on(self, f"{name}-2"))
        upload(self, *args)

    monkeypatch.setattr(Qdrant, "upload_shard_snapshot", look)
    restore([qdrant], [repository], RestoreRequest(name, target=f"{name}-2", aliases=[]))
    assert [len(marks) for marks in seen] == [1, 1]
    assert seen[0] != seen[1]
    assert f"{name}-2" not in qdrant.aliases().values()


@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
def test_a_name_that_is_taken_is_refused_and_another_proposed(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str, check: bool
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    before = state_of(qdrant, name)
    refused = run_module("restore", options(qdrant, [repository], name), check=check)
    assert refused["failure"]["code"] == "target_exists"
    assert refused["proposed_target"] == f"{name}-{made['backup_id']}"
    assert refused["proposed_target"] in refused["msg"]
    assert state_of(qdrant, name) == before
    again = options(qdrant, [repository], name, target=refused["proposed_target"], aliases=["none"])
    assert run_module("restore", again, check=check)["target"] == refused["proposed_target"]


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [(["recorded"], ["live"]), (["none"], []), (["new", "live"], ["live", "new"]), (["new"], ["new"])],
    ids=lambda value: "+".join(value) or "nothing",
)
def test_aliases_are_set_as_asked(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str, aliases: list[str], expected: list[str]
) -> None:
    back_up(qdrant, repository, BackupRequest(name))
    asked = [alias if alias in ("recorded", "none") else f"{name}-{alias}" for alias in aliases]
    target = f"{name}-2"
    run_module("restore", options(qdrant, [repository], name, target=target, aliases=asked))
    assert sorted(alias for alias, to in qdrant.aliases().items() if to == target) == [f"{name}-{e}" for e in expected]
    switched = "live" in expected
    assert qdrant.aliases()[f"{name}-live"] == (target if switched else name)


def test_a_failed_check_leaves_the_aliases_and_the_next_run_starts_anew(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    right = read_manifest(repository, name, made["backup_id"])[0].fields
    idle = [{**s, "wal": {"first": 9, "last": 9, "first_found_by": "ack_index"}} for s in right["shards"]]
    rewrite(repository, name, made["backup_id"], points={"before": 201, "after": 201}, shards=idle)
    target = f"{name}-2"
    params = options(qdrant, [repository], name, target=target)
    failed = run_module("restore", params)
    assert failed["failure"]["code"] == "check_failed"
    assert "points is 200, not 201" in failed["msg"]
    assert failed["check"]["points"] == 200
    assert qdrant.aliases()[f"{name}-live"] == name, "no alias was switched"

    rewrite(repository, name, made["backup_id"], points=right["points"], shards=right["shards"])
    planned = run_module("restore", params, check=True)
    assert planned["leftovers_removed"] == [f"half-restored collection {target}"]
    assert target in qdrant.collections()
    result = run_module("restore", params)
    assert result["leftovers_removed"] == [f"half-restored collection {target}"]
    assert qdrant.aliases()[f"{name}-live"] == target
    assert collection_digest(qdrant, target) == collection_digest(qdrant, name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expect_digest": "0" * 64}, "digest is "),
        ({"min_recall": 1.0}, "exact recall"),
    ],
)
def test_a_digest_or_recall_that_differs_fails_the_check(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str, change: Json, said: str
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    probes = read_manifest(repository, name, made["backup_id"])[0].probes
    for vector in probes["vectors"].values():
        vector["queries"][0]["expected"] = [{"id": 999_999, "score": 99.0}] * 10
    rewrite(repository, name, made["backup_id"], probes=probes if "min_recall" in change else {})
    failed = run_module("restore", options(qdrant, [repository], name, target=f"{name}-2", **change))
    assert failed["failure"]["code"] == "check_failed"
    assert said in failed["msg"]
    assert qdrant.aliases()[f"{name}-live"] == name


def test_everything_that_is_wrong_with_a_target_is_said_at_once(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str, make_collection: Make
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    rewrite(repository, name, made["backup_id"], qdrant_version="99.1.0")
    target = make_collection(dimensions={"text": 32, "image": 8}, shard_number=3)
    before = state_of(qdrant, name, target)
    more = {"target": target, "aliases": [name], "replication_factor": 2}
    for overwrite in (False, True):
        refused = run_module("restore", options(qdrant, [repository], name, overwrite=overwrite, **more))
        assert refused["failure"]["code"] == "preflight_failed"
        reasons = "; ".join(refused["reasons"])
        for said in (
            "older than the backup's 99.1.0",
            "replication_factor 2 needs a cluster",
            f"the alias {name} is the name of a collection",
            "vector 'text' is 16 x float32, Cosine in the backup, 32 x float32, Cosine there",
            f"{target} has shard_number 3, the backup 2",
        ):
            assert said in reasons
            assert said in refused["msg"]
        assert (f"the collection {target} exists" in reasons) is not overwrite
        assert state_of(qdrant, name, target) == before


def test_a_server_older_than_the_backup_is_refused(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    rewrite(repository, name, made["backup_id"], qdrant_version="1.999.0")
    refused = run_module("restore", options(qdrant, [repository], name, target=f"{name}-2"))
    assert refused["reasons"] == [f"the server has version {qdrant.version()}, older than the backup's 1.999.0"]
    assert f"{name}-2" not in qdrant.collections()


def test_shards_of_a_key_that_cannot_get_their_numbers_again_are_refused(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    """As a resharding leaves them behind, which Qdrant offers in its cloud only."""
    made = back_up(qdrant, repository, BackupRequest(name))
    shards = read_manifest(repository, name, made["backup_id"])[0].shards
    objects = [{**shard["object"], "key": layout.shard_key(made["backup_id"], 3 * shard["shard"])} for shard in shards]
    scattered = [
        {**shard, "shard": 3 * shard["shard"], "shard_key": "eu", "object": stored}
        for shard, stored in zip(shards, objects, strict=True)
    ]
    rewrite(repository, name, made["backup_id"], shards=scattered)
    refused = run_module("restore", options(qdrant, [repository], name, target=f"{name}-2"))
    assert refused["failure"]["code"] == "preflight_failed"
    [reason] = refused["reasons"]
    assert "the shards of the key 'eu' have the numbers 0, 3" in reason
    assert f"{name}-2" not in qdrant.collections()


def test_a_target_that_is_an_alias_is_refused(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    back_up(qdrant, repository, BackupRequest(name))
    refused = run_module("restore", options(qdrant, [repository], name, target=f"{name}-live", aliases=["none"]))
    assert refused["reasons"] == [f"the name {name}-live is an alias of {name}"]
    own = run_module("restore", options(qdrant, [repository], name, target=f"{name}-2", aliases=[f"{name}-2"]))
    assert own["failure"]["code"] == "invalid_input"


def test_a_live_collection_is_replaced_only_after_its_safety_backup(
    run_module: Run, qdrant: Qdrant, repository: Repository, name: str
) -> None:
    old = collection_digest(qdrant, name)
    made = back_up(qdrant, repository, BackupRequest(name))
    points = {"points": [{"id": 424242, "vector": {}, "payload": {"late": True}}]}
    qdrant.call("PUT", f"/collections/{name}/points", points, {"wait": True})
    qdrant.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-later"}}])
    new = collection_digest(qdrant, name)
    params = options(qdrant, [repository], name, overwrite=True, backup_id=made["backup_id"])

    before = holdings(repository), state_of(qdrant, name)
    planned = run_module("restore", params, check=True)
    assert planned["replaces_existing"]
    assert planned["aliases"] == [f"{name}-live", f"{name}-later"]
    assert (holdings(repository), state_of(qdrant, name)) == before

    result = run_module("restore", params)
    assert collection_digest(qdrant, name) == old
    assert {alias for alias, to in qdrant.aliases().items() if to == name} == {f"{name}-live", f"{name}-later"}
    assert verify_all(repository) == [made["backup_id"], result["safety_backup"]]
    back = options(qdrant, [repository], name, target=f"{name}-2", backup_id=result["safety_backup"], aliases=["none"])
    run_module("restore", back)
    assert collection_digest(qdrant, f"{name}-2") == new


def test_the_safety_backup_can_be_left_out(run_module: Run, qdrant: Qdrant, repository: Repository, name: str) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    result = run_module("restore", options(qdrant, [repository], name, overwrite=True, safety_backup=False))
    assert result["safety_backup"] is None
    assert verify_all(repository) == [made["backup_id"]]


def test_a_write_during_the_long_read_of_the_backup_is_in_the_safety_backup(
    qdrant: Qdrant, repository: Repository, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    read = Repository.get_range
    written = []

    def write_and_read(self: Repository, *args: Any, **more: Any) -> Any:
        if not written:
            written.append(424242)
            points = {"points": [{"id": 424242, "vector": {}, "payload": {"late": True}}]}
            qdrant.call("PUT", f"/collections/{name}/points", points, {"wait": True})
        return read(self, *args, **more)

    monkeypatch.setattr(Repository, "get_range", write_and_read)
    result = restore([qdrant], [repository], RestoreRequest(name, backup_id=made["backup_id"], overwrite=True))
    assert written
    assert qdrant.count(name) == 200
    before = RestoreRequest(name, target=f"{name}-2", backup_id=result["safety_backup"], aliases=[])
    restore([qdrant], [repository], before)
    assert 424242 in [point["id"] for point in qdrant.scroll(f"{name}-2")]


class TakenMeanwhile(Qdrant):
    """A node on which another client creates a collection of the target's name right before the restore does."""

    def create_collection(self, name: str, body: Json) -> None:
        super().create_collection(name, {"vectors": {"size": 4, "distance": "Dot"}})
        points = {"points": [{"id": 1, "vector": [1, 2, 3, 4]}]}
        self.call("PUT", f"/collections/{name}/points", points, {"wait": True})
        super().create_collection(name, body)


def test_a_collection_that_appears_meanwhile_is_not_touched(qdrant: Qdrant, repository: Repository, name: str) -> None:
    back_up(qdrant, repository, BackupRequest(name))
    target = f"{name}-2"
    with pytest.raises(QdrantError, match="already exists"):
        restore([TakenMeanwhile(qdrant.connection)], [repository], RestoreRequest(name, target=target))
    assert qdrant.count(target) == 1, "what the other client wrote is still there"
    assert target not in qdrant.aliases().values()


@pytest.mark.parametrize("key", ["wr0ng-key", "read_only_key", None])
def test_a_key_without_the_rights_makes_nothing(
    run_module: Run, qdrant: Qdrant, keyed_qdrant: QdrantServer, repository: Repository, name: str, key: str | None
) -> None:
    back_up(qdrant, repository, BackupRequest(name))
    secret = keyed_qdrant.read_only_key if key == "read_only_key" else key
    params = {**options(qdrant, [repository], name), "url": keyed_qdrant.url, "api_key": secret}
    refused = run_module("restore", params)
    assert refused["failure"]["code"] == "qdrant_unauthorized"
    assert "api_key" in refused["failure"]["hint"]
    assert not secret or secret not in str(refused)
    owner = Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key))
    assert (name in owner.collections(), owner.aliases()) == (False, {})


@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
def test_a_disk_without_room_is_told_and_what_is_replaced_makes_room(
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    name: str,
    check: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = back_up(qdrant, repository, BackupRequest(name))
    storage = str(qdrant_server.storage_path)
    request = RestoreRequest(name, target=f"{name}-2", storage_path=storage)
    act = plan_restore if check else restore
    free = {"bytes": made["size"]}
    monkeypatch.setattr(preflight, "free_bytes", lambda path: free["bytes"] if path == storage else None)
    with pytest.raises(TargetUnfit, match="the restore needs") as refusal:
        act([qdrant], [repository], request)
    assert refusal.value.result["reasons"][0].startswith(f"{storage} has ")
    assert f"{name}-2" not in qdrant.collections()
    act([qdrant], [repository], replace(request, target=name, overwrite=True, safety_backup=False))
    free["bytes"] = 10 * made["size"]
    act([qdrant], [repository], request)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sources": []}, "sources is empty"),
        ({"aliases": ["recorded", "x"]}, "mixes names"),
        ({"backup_id": "latest"}, "is not a backup id"),
        ({"before": "yesterday"}, "before is 'yesterday'"),
        ({"min_recall": 1.5}, "min_recall is 1.5"),
        ({"replication_factor": 0}, "replication_factor is 0"),
        ({"target": "a/b"}, "cannot be the name of a collection"),
    ],
)
def test_options_that_cannot_be_right_are_refused(
    run_module: Run, qdrant: Qdrant, repository: Repository, more: Json, said: str
) -> None:
    result = run_module("restore", {**options(qdrant, [repository], "x"), **more})
    assert result["failure"]["code"] == "invalid_input"
    assert said in result["msg"]
