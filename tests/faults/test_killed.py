# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of a module at its worst moments, and two at once: the next run names what was left and removes it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.proxy import FaultProxy, Rule
from tests.made_backups import PART, as_option, make_backup, some_bytes, with_key
from tests.proofs import holdings, verify_all, wait_for

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
Make = Callable[..., str]

# Longer than any test: the process is killed while it waits.
FOREVER = 200.0


def kill_at(proxy: FaultProxy, moment: Rule, module: Any) -> None:
    """SIGKILL the module when a request comes that the rule takes, and wait for its end."""
    wait_for(lambda: moment.hits or module.process.poll() is not None, f"a request {moment.method} {moment.path}")
    assert module.process.poll() is None, module.process.communicate()
    module.process.kill()
    module.process.wait()
    proxy.clear()


def backup_options(qdrant: Qdrant, repository: Repository, *names: str, **more: Any) -> Json:
    option = {**as_option(repository.location), "read_timeout": FOREVER}
    return {"url": qdrant.connection.url, "repository": option, "collections": list(names), "timeout": FOREVER, **more}


def swept(run_module: Run, params: Json, left: bool = True) -> Json:
    """The one entry of a run, which check mode has foretold; ``left``: whether there must be something to sweep up."""
    planned = run_module("backup", params, check=True)
    assert planned["backups"][0]["leftovers_removed"] or not left, "check mode names what is left"
    result = run_module("backup", params)
    assert planned["changed"] is True
    assert result["changed"] is True
    assert result["backups"][0]["created"] == planned["backups"][0]["created"]
    again = run_module("backup", {**params, "max_age": "1h"})
    assert (again["changed"], again["backups"][0]["leftovers_removed"]) == (False, [])
    return result["backups"][0]


@pytest.mark.parametrize("key", [None, "5a" * 32], ids=["plain", "encrypted"])
def test_a_backup_killed_while_it_uploads(
    start_module: Callable[..., Any],
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    proxied: Repository,
    s3_proxy: FaultProxy,
    large: str,
    key: str | None,
) -> None:
    moment = s3_proxy.add(Rule(method="PUT", path="partNumber=", delay=FOREVER, times=None))
    kill_at(s3_proxy, moment, start_module("backup", backup_options(qdrant, with_key(proxied, key), large)))
    left = holdings(repository)
    assert [key for key in left if key.startswith("upload of")], "the upload is open"
    assert len(qdrant.snapshots(large)) == 1
    assert verify_all(repository) == []
    snapshot = qdrant.snapshots(large)[0]["name"]

    entry = swept(run_module, backup_options(qdrant, with_key(repository, key), large))

    named = entry["leftovers_removed"]
    assert f"snapshot {snapshot} on {qdrant.connection.url}" in named
    assert len([line for line in named if line.startswith("multipart upload of large/backups/")]) == 1
    assert verify_all(repository) == [entry["backup_id"]]
    assert not list(repository.uploads())
    assert qdrant.snapshots(large) == []
    assert not left.keys() & holdings(repository).keys()


def test_a_backup_killed_while_qdrant_makes_its_snapshot(
    start_module: Callable[..., Any],
    run_module: Run,
    proxied_qdrant: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
) -> None:
    name = make_collection()
    qdrant.create_snapshot(name)
    foreign = qdrant.snapshots(name)
    moment = qdrant_proxy.add(Rule(method="POST", path="/snapshots", delay=1.0))
    kill_at(qdrant_proxy, moment, start_module("backup", backup_options(proxied_qdrant, repository, name)))
    wait_for(lambda: len(qdrant.snapshots(name)) == 2, "the snapshot that Qdrant makes all the same")
    entry = swept(run_module, backup_options(proxied_qdrant, repository, name))
    assert [line for line in entry["leftovers_removed"] if line.startswith("snapshot ")]
    assert qdrant.snapshots(name) == foreign, "a snapshot that was there before stays"
    assert verify_all(repository) == [entry["backup_id"]]


@pytest.mark.parametrize("end", ["interrupt", "timeout"])
def test_a_snapshot_that_qdrant_makes_after_its_backup_was_given_up(
    start_module: Callable[..., Any],
    run_module: Run,
    proxied_qdrant: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
    end: str,
) -> None:
    name = make_collection()
    params = backup_options(proxied_qdrant, repository, name)
    moment = qdrant_proxy.add(Rule(method="POST", path="/snapshots", delay=3.0))
    module = start_module("backup", params | ({"operation_timeout": 0.5} if end == "timeout" else {}))
    wait_for(lambda: moment.hits, "the call for a snapshot")
    if end == "interrupt":
        module.process.send_signal(signal.SIGINT)
        module.process.communicate()
    else:
        assert module.result()["failure"]["code"] == "timeout"
    # The call goes on to Qdrant, unless the client's end broke it off on the way.
    wait_for(lambda: not qdrant_proxy.connections, "the end of the call")
    came = qdrant.snapshots(name)
    entry = swept(run_module, params, left=bool(came))
    assert len([line for line in entry["leftovers_removed"] if line.startswith("snapshot ")]) == len(came)
    assert qdrant.snapshots(name) == []


def test_a_backup_killed_between_its_commit_and_its_end(
    start_module: Callable[..., Any],
    run_module: Run,
    proxied_qdrant: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
) -> None:
    name = make_collection()
    moment = qdrant_proxy.add(Rule(method="DELETE", path="/snapshots/", delay=FOREVER))
    kill_at(qdrant_proxy, moment, start_module("backup", backup_options(proxied_qdrant, repository, name)))
    committed = verify_all(repository)
    assert len(committed) == 1, "the commit went before"
    entry = swept(run_module, backup_options(proxied_qdrant, repository, name, max_age="1h"))
    assert (entry["created"], entry["backup_id"]) == (False, committed[0])
    assert [line for line in entry["leftovers_removed"] if line.startswith("snapshot ")]
    assert (qdrant.snapshots(name), verify_all(repository)) == ([], committed)


def test_a_backup_killed_before_its_commit(
    start_module: Callable[..., Any],
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    proxied: Repository,
    s3_proxy: FaultProxy,
    make_collection: Make,
) -> None:
    name = make_collection()
    moment = s3_proxy.add(Rule(method="PUT", path=r"\.sha256", delay=FOREVER))
    kill_at(s3_proxy, moment, start_module("backup", backup_options(qdrant, proxied, name)))
    assert verify_all(repository) == []
    left = [key for key in holdings(repository) if key.endswith(".snapshot")]
    assert len(left) == 2
    entry = swept(run_module, backup_options(qdrant, repository, name))
    assert {f"object {key}" for key in left} <= set(entry["leftovers_removed"])
    assert verify_all(repository) == [entry["backup_id"]]


@pytest.mark.parametrize(
    ("moment", "surely_kept"),
    [
        ({"path": "partNumber=2"}, 0),
        ({"path": r"0\.snapshot\.sha256"}, 1),
        ({"path": r"1\.snapshot\.sha256"}, 1),
        ({"path": r"manifest\.json"}, 2),
    ],
    ids=["in an object", "before a sidecar", "before the other sidecar", "before the commit"],
)
def test_a_copy_killed_on_its_way(
    start_module: Callable[..., Any],
    run_module: Run,
    repository: Repository,
    standby: Repository,
    s3_proxy: FaultProxy,
    moment: Json,
    surely_kept: int,
) -> None:
    """Two objects are on their way at once: how far the other one is, is open."""
    manifest = make_backup(repository, shards=(some_bytes(PART + 5), b"small"))
    # Through the proxy it is another endpoint, so that the bytes stream.
    proxied = {**as_option(standby.location), "endpoint_url": s3_proxy.url, "read_timeout": FOREVER}
    params = {"source": as_option(repository.location), "collections": ["docs"]}
    rule = s3_proxy.add(Rule(method="PUT", **moment, delay=FOREVER, times=None))
    kill_at(s3_proxy, rule, start_module("backup_copy", {**params, "destinations": [proxied]}))
    assert verify_all(standby) == []

    done = run_module("backup_copy", {**params, "destinations": [as_option(standby.location)]})

    [entry] = done["copied"]
    assert surely_kept <= entry["objects_kept"] == 2 - entry["objects"]
    assert len(entry["leftovers_removed"]) == 1 or surely_kept > 0
    assert verify_all(standby) == [manifest.backup_id], "with a sidecar beside each object"
    assert not list(standby.uploads())


@pytest.mark.parametrize(
    "moment",
    [
        {"method": "POST", "path": "/snapshots/upload"},
        {"method": "PUT", "path": "/index"},
        {"method": "POST", "path": "/aliases"},
        {"method": "PATCH", "path": "/collections/"},
        {"method": "POST", "path": "/aliases", "skip": 2},
    ],
    ids=["uploading", "creating", "marking", "finishing", "switching"],
)
def test_a_restore_killed_on_its_way(
    start_module: Callable[..., Any],
    run_module: Run,
    proxied_qdrant: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
    free_name: str,
    moment: Json,
) -> None:
    name = make_collection()
    digest = collection_digest(qdrant, name)
    back_up(qdrant, repository, BackupRequest(name))
    option = {"url": qdrant_proxy.url, "sources": [as_option(repository.location)], "timeout": FOREVER}
    params = {**option, "collection": name, "target": free_name, "aliases": [f"{free_name}-live"]}
    rule = qdrant_proxy.add(Rule(**moment, delay=FOREVER))
    kill_at(qdrant_proxy, rule, start_module("restore", params))
    assert free_name in qdrant.collections()
    assert f"{free_name}-live" not in qdrant.aliases()

    planned = run_module("restore", params, check=True)
    result = run_module("restore", params)
    assert planned["leftovers_removed"] == result["leftovers_removed"] == [f"half-restored collection {free_name}"]
    assert collection_digest(qdrant, free_name) == digest == collection_digest(qdrant, name)
    assert [alias for alias, to in qdrant.aliases().items() if to == free_name] == [f"{free_name}-live"]


def test_a_restore_killed_while_qdrant_creates_its_collection(
    start_module: Callable[..., Any],
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    back_up(qdrant, repository, BackupRequest(name))
    params = {"sources": [as_option(repository.location)], "collection": name, "target": free_name}
    moment = qdrant_proxy.add(Rule(method="PUT", path=rf"/collections/{free_name}(\?|$)", delay=1.0))
    kill_at(qdrant_proxy, moment, start_module("restore", {"url": qdrant_proxy.url, "timeout": FOREVER, **params}))
    wait_for(lambda: free_name in qdrant.collections(), "the collection that Qdrant makes all the same")
    result = run_module("restore", {"url": qdrant.connection.url, **params})
    assert result["leftovers_removed"] == [f"half-restored collection {free_name}"]
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)


def test_a_restore_at_work_is_not_taken_for_a_leftover(
    start_module: Callable[..., Any],
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    qdrant_proxy: FaultProxy,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection()
    back_up(qdrant, repository, BackupRequest(name))
    params = {"sources": [as_option(repository.location)], "collection": name, "target": free_name}
    moment = qdrant_proxy.add(Rule(method="POST", path="/snapshots/upload", delay=4.0))
    first = start_module("restore", {"url": qdrant_proxy.url, **params})
    wait_for(lambda: moment.hits, "the first upload")
    second = run_module("restore", {"url": qdrant.connection.url, **params, "overwrite": True})
    assert second["failure"]["code"] == "busy"
    assert str(first.process.pid) in second["msg"]
    assert first.result()["check"]["healthy"]
    assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)


def test_two_backups_of_one_collection_at_once(
    start_module: Callable[..., Any],
    run_module: Run,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Make,
    free_name: str,
) -> None:
    name = make_collection(points=1500)
    both = [start_module("backup", backup_options(qdrant, repository, name)) for _number in range(2)]
    results = [module.result() for module in both]
    made = [entry for result in results for entry in result.get("backups", [])]
    refused = [result["failure"]["code"] for result in results if result.get("failed")]
    assert made, results
    assert set(refused) <= {"busy"}
    assert all(entry["leftovers_removed"] == [] for entry in made), "neither takes the other for a leftover"
    assert verify_all(repository) == sorted(entry["backup_id"] for entry in made)
    assert qdrant.snapshots(name) == []
    assert not [key for key in holdings(repository) if "/started/" in key or key.startswith("upload of")]
    for entry in made:
        params = {"url": qdrant.connection.url, "sources": [as_option(repository.location)], "collection": name}
        run_module(
            "restore",
            {
                **params,
                "backup_id": entry["backup_id"],
                "target": free_name,
                "overwrite": True,
                "safety_backup": False,
                "aliases": ["none"],
            },
        )
        assert collection_digest(qdrant, free_name) == collection_digest(qdrant, name)
