# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup as playbooks use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import EncryptionRefused
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option
from tests.proofs import holdings, state_of, verify_all
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]


def options(qdrant: Qdrant, repository: Repository, *collections: str, **more: Any) -> Json:
    """The module's options."""
    option = as_option(repository.location)
    return {"url": qdrant.connection.url, "repository": option, "collections": list(collections), **more}


def test_a_backup_is_made_once_in_its_time(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    params = options(qdrant, repository, make_collection(), max_age="1h")
    first = run_module("backup", params)
    assert (first["changed"], first["backups"][0]["created"]) == (True, True)
    assert first["backups"][0]["reason"] == "there is no committed backup yet"
    before = holdings(repository)
    second = run_module("backup", params)
    assert (second["changed"], second["backups"][0]["created"]) == (False, False)
    assert second["backups"][0]["backup_id"] == first["backups"][0]["backup_id"]
    assert "within max_age 3600 s" in second["backups"][0]["reason"]
    assert holdings(repository) == before
    third = run_module("backup", {**params, "max_age": "0"})
    assert third["backups"][0]["created"]
    assert verify_all(repository) == sorted(run["backups"][0]["backup_id"] for run in (first, third))


def test_check_mode_tells_the_truth_and_changes_nothing(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    params = options(qdrant, repository, make_collection(), make_collection(), max_age="1h")
    for _round in range(2):
        before = holdings(repository), state_of(qdrant)
        planned = run_module("backup", params, check=True)
        assert (holdings(repository), state_of(qdrant)) == before
        made = run_module("backup", params)
        assert planned["changed"] == made["changed"]
        for plan, entry in zip(planned["backups"], made["backups"], strict=True):
            assert {key: entry[key] for key in ("collection", "changed", "created")} == {
                key: plan[key] for key in ("collection", "changed", "created")
            }
    assert made["changed"] is False


def test_check_mode_refuses_what_would_fail(run_module: Run, qdrant: Qdrant, repository: Repository) -> None:
    planned = run_module("backup", options(qdrant, repository, "no-such-collection"), check=True)
    assert planned["failure"]["code"] == "qdrant_not_found"
    assert "no-such-collection" in planned["msg"]


@pytest.mark.parametrize("check", [False, True])
def test_an_alias_is_refused_by_the_name_of_its_collection(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make, check: bool
) -> None:
    name = make_collection(points=20)
    alias = f"{name}-live"
    qdrant.update_aliases([{"create_alias": {"alias_name": alias, "collection_name": name}}])
    backup = run_module("backup", options(qdrant, repository, alias), check=check)
    snapshot = run_module("snapshot", {"url": qdrant.connection.url, "collection": alias}, check=check)
    for result in (backup, snapshot):
        assert result["failure"]["code"] == "invalid_input"
        assert result["msg"] == f"{alias} is an alias of the collection {name}. Name {name} instead."
    node = run_module("node_info", {"url": qdrant.connection.url, "name": "n", "collections": [alias]})["node"]
    option = {"repository": as_option(repository.location), "nodes": [node]}
    plan = run_module("backup_plan", {**option, "collections": [alias]}, check=check)
    assert f"{alias} cannot be backed up: n: it is an alias of {name}." in plan["msg"]
    assert (holdings(repository), qdrant.snapshots(name)) == ({}, [])


def test_what_is_documented_is_returned(
    run_module: Run, qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, make_collection: Make
) -> None:
    paths = {"storage_path": str(qdrant_server.storage_path), "snapshots_path": str(qdrant_server.snapshots_path)}
    name = make_collection(points=123)
    entry = run_module("backup", options(qdrant, repository, name, **paths))["backups"][0]
    manifest = read_manifest(repository, name, entry["backup_id"])[0]
    assert entry["points"] == {"before": 123, "after": 123}
    assert entry["shards"] == 2
    assert entry["size"] == sum(item.size for item in repository.list() if item.key.endswith(".snapshot"))
    assert entry["encryption"] == ["AES256"]
    assert entry["manifest_sha256"] == manifest.sha256
    assert [snapshot["read_from"] for snapshot in entry["snapshots"]] == ["file"]
    assert (entry["warnings"], entry["leftovers_removed"]) == ([], [])
    assert entry["seconds"] > 0
    assert entry["mib_per_second"] > 0


def test_the_manifest_holds_what_proves_and_restores_the_backup(
    qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection(points=321, shard_number=3)
    aliases = [f"{name}-a", f"{name}-b"]
    create = [{"create_alias": {"collection_name": name, "alias_name": alias}} for alias in aliases]
    qdrant.update_aliases(create)
    made = back_up(qdrant, repository, BackupRequest(name, probes=4))
    fields = read_manifest(repository, name, made["backup_id"])[0].fields
    info, cluster = qdrant.collection(name), qdrant.collection_cluster(name)
    assert fields["config"] == info["config"]
    assert set(fields["payload_indexes"]) == {"group", "number"}
    assert fields["aliases"] == aliases
    assert fields["qdrant_version"] == qdrant.version()
    assert {shard["peer_id"] for shard in fields["shards"]} == {cluster["peer_id"]}
    local = {shard["shard_id"]: shard["points_count"] for shard in cluster["local_shards"]}
    assert {shard["shard"]: shard["points"] for shard in fields["shards"]} == local
    assert [shard["object"]["encryption"]["mode"] for shard in fields["shards"]] == ["AES256"] * 3
    window = [fields["window"][key] for key in ("started", "snapshot_started", "snapshot_finished", "finished")]
    assert window == sorted(window)
    assert {name: len(vector["queries"]) for name, vector in fields["probes"]["vectors"].items()} == {
        "image": 4,
        "text": 4,
    }


def test_a_snapshot_is_kept_on_the_node_where_asked(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    kept = run_module("backup", options(qdrant, repository, name, keep_on_node=True))["backups"][0]["snapshots"][0]
    on_node = qdrant.snapshots(name)
    assert [(entry["name"], entry["checksum"]) for entry in on_node] == [(kept["name"], kept["sha256"])]
    again = run_module("backup", options(qdrant, repository, name))
    assert again["backups"][0]["leftovers_removed"] == []
    assert qdrant.snapshots(name) == on_node, "the one kept stays, the new one is gone"


def test_one_collection_that_fails_leaves_the_others_committed(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    one, other = make_collection(), make_collection()
    result = run_module("backup", options(qdrant, repository, one, "lost", other))
    assert [entry["collection"] for entry in result["failures"]] == ["lost"]
    assert result["failures"][0]["failure"]["code"] == "qdrant_not_found"
    assert result["failure"]["code"] == "partly_failed"
    assert "1 of 3 collections" in result["msg"]
    assert "lost" in result["msg"]
    assert result["changed"]
    assert [entry["collection"] for entry in result["backups"]] == [one, other]
    assert verify_all(repository) == sorted(entry["backup_id"] for entry in result["backups"])


def test_all_stands_for_every_collection(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    make_collection(points=20)
    made = run_module("backup", options(qdrant, repository, "all"))
    assert [entry["collection"] for entry in made["backups"]] == qdrant.collections()
    assert len(verify_all(repository)) == len(qdrant.collections())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"collections": []}, "collections is empty"),
        ({"collections": ["all", "x"]}, "all and others"),
        ({"collections": ["a/b"]}, "cannot be the name of a collection"),
        ({"probes": -1}, "probes is -1"),
        ({"max_age": "soon"}, "max_age is 'soon'"),
    ],
)
def test_options_that_cannot_be_right_are_refused(
    run_module: Run, qdrant: Qdrant, repository: Repository, more: Json, said: str
) -> None:
    result = run_module("backup", {**options(qdrant, repository, "x"), **more})
    assert result["failure"]["code"] == "invalid_input"
    assert said in result["msg"]
    assert holdings(repository) == {}


def test_credentials_are_in_no_object(
    run_module: Run, keyed_qdrant: QdrantServer, repository: Repository, make_collection: Make
) -> None:
    node = Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key))
    params = options(node, repository, make_collection(on=node), api_key=keyed_qdrant.api_key)
    result = run_module("backup", params)
    assert result["changed"]
    secrets = [keyed_qdrant.api_key, repository.location.secret_key, repository.location.access_key]
    documents = [repository.get(key) for key in holdings(repository) if key.endswith(".json")]
    texts = [json.dumps({**result, "invocation": None}), *(document.decode() for document in documents)]
    assert len(texts) >= 2
    assert not [secret for secret in secrets for text in texts if str(secret) in text]


def test_a_store_that_ignores_the_encryption_asked_for_gets_no_backup(
    qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    before = state_of(qdrant, name)

    def ignore(params: Json, **_context: Any) -> None:
        params["headers"].pop("x-amz-server-side-encryption", None)

    repository.client.meta.events.register("before-call.s3", ignore)
    with pytest.raises(EncryptionRefused, match=r"was to be encrypted with AES256; .* shows none"):
        back_up(qdrant, repository, BackupRequest(name))
    assert holdings(repository) == {}
    assert state_of(qdrant, name) == before


def test_a_backup_without_encryption_warns(
    run_module: Run, qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    params = options(qdrant, repository, make_collection(shard_number=1))
    params["repository"]["encryption"] = "none"
    result = run_module("backup", params)
    assert result["backups"][0]["encryption"] == ["none"]
    assert "shard 0 is stored without server-side encryption" in str(result["warnings"])
