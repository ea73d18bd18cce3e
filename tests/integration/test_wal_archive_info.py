# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module and the agent tell of an archive, and how an archive gets the backup that it asks for."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.layout import new_backup_id
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import FIRST, Timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.agent_status import backup_status
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.base_requests import (
    request_base,
    requested_bases,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import LoggedCollection
from tests.made_backups import as_option, location_on
from tests.proofs import wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]


@pytest.fixture
def logged(qdrant_server: QdrantServer) -> Iterator[LoggedCollection]:
    collection = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", shards=2)
    yield collection
    collection.qdrant.delete_collection(collection.name)


@pytest.fixture
def host(qdrant_server: QdrantServer, repository: Repository, logged: LoggedCollection, tmp_path: Path) -> Agent:
    """An agent that archives the log of the collection, and has a backup that is young enough for its schedule."""
    storage = str(qdrant_server.storage_path)
    section = {
        "collections": [logged.name],
        "storage_path": storage,
        "state_path": str(tmp_path / "state"),
        "spool_path": str(tmp_path / "spool"),
        "reserve_bytes": 0,
    }
    backup = {"collections": [logged.name], "max_age": "1h", "storage_path": storage}
    stores = [repository.location]
    return Agent(tmp_path, QdrantConnection(qdrant_server.url), stores, wal_archive=section, backup=backup)


def test_the_backup_that_an_archive_needs_is_made_whatever_the_age_of_the_last_one(
    host: Agent, logged: LoggedCollection, tmp_path: Path
) -> None:
    logged.put(1, 20)
    made = json.loads(host.runs("backup", "--json").stdout)["backups"][0]
    assert host.runs("archive-wal", "--once").returncode == 0
    assert requested_bases(tmp_path / "state") == {}, "the first timeline goes on from that backup"
    logged.qdrant.delete_collection(logged.name)
    logged.qdrant.create_collection(logged.name, logged.body)
    logged.put(1, 20)
    archived = host.runs("archive-wal", "--once", "--json")
    assert json.loads(archived.stdout)["base_needed"] == [logged.name]
    assert "a new timeline has begun and needs a new backup" in archived.stderr
    assert f"{logged.name}: the archived log goes on from no backup" in host.runs("status").stdout
    planned = json.loads(host.runs("backup", "--check", "--json").stdout)["backups"][0]
    assert planned["created"]
    assert list(requested_bases(tmp_path / "state")) == [logged.name], "a plan meets no request"
    again = json.loads(host.runs("backup", "--json").stdout)["backups"][0]
    assert again["created"]
    assert again["backup_id"] > made["backup_id"]
    assert requested_bases(tmp_path / "state") == {}
    assert not json.loads(host.runs("backup", "--json").stdout)["backups"][0]["created"]


def test_only_what_is_requested_is_backed_up_and_what_is_requested_meanwhile_as_well(
    host: Agent, qdrant_server: QdrantServer, repository: Repository, logged: LoggedCollection, tmp_path: Path
) -> None:
    late = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}")
    other = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}")
    host.config["backup"] = {"collections": [logged.name, late.name, other.name]}
    assert json.loads(host.runs("backup", "--requested", "--json").stdout)["backups"] == []
    file_request(tmp_path, logged.name)
    planned = json.loads(host.runs("backup", "--requested", "--check", "--json").stdout)["backups"]
    assert [entry["collection"] for entry in planned] == [logged.name]
    running = host.start("backup", "--requested", "--json")
    wait_for(lambda: list(repository.list(f"{logged.name}/started/")), "the backup's begin")
    file_request(tmp_path, late.name)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert [(entry["collection"], entry["created"]) for entry in json.loads(out)["backups"]] == [
        (logged.name, True),
        (late.name, True),
    ]
    assert requested_bases(tmp_path / "state") == {}
    for collection in (late, other):
        collection.qdrant.delete_collection(collection.name)


def file_request(folder: Path, collection: str) -> None:
    """Ask for a backup, as the archiver does where a log goes on in a new timeline."""
    log = ReplicaLog(collection, 0, "1", new_backup_id(utc_now(), secrets.token_hex(3)))
    (folder / "state" / "base-needed").mkdir(parents=True, exist_ok=True)
    request_base(folder / "state", Timeline("production", log, utc_now(), FIRST, "A test began it.", {}), utc_now())


@pytest.mark.parametrize("writes", [0, 3], ids=["all is archived", "its end is on its way"])
def test_a_backup_that_was_just_made_is_no_cause_for_alarm_and_a_dead_archiver_is(
    host: Agent, logged: LoggedCollection, repository: Repository, writes: int
) -> None:
    logged.put(1, 20)
    assert host.runs("archive-wal", "--once").returncode == 0
    assert f"{logged.name}: the archived log goes on from no backup" in host.runs("status").stdout
    for number in range(writes):
        logged.put(100 + number, 5)
    assert host.runs("backup").returncode == 0
    assert restorable(repository, logged.name).ranges == [], "the archive has not come to the end of the backup"
    status = host.runs("status")
    assert (status.returncode, status.stdout.partition(":")[0]) == (0, "OK"), status.stdout

    def later() -> datetime:
        return utc_now() + timedelta(seconds=310)

    found = backup_status(logged.qdrant, repository, [logged.name], None, None, lambda _name: True, later)
    assert found["status"] == 1
    assert f"{logged.name}: the archived log ends 5m" in found["line"]


def test_a_log_that_was_replaced_after_a_backup_is_a_cause_for_alarm_at_once(
    host: Agent, logged: LoggedCollection
) -> None:
    logged.put(1, 20)
    assert host.runs("archive-wal", "--once").returncode == 0
    assert host.runs("backup").returncode == 0
    logged.qdrant.delete_collection(logged.name)
    logged.qdrant.create_collection(logged.name, logged.body)
    logged.put(1, 20)
    assert host.runs("archive-wal", "--once").returncode == 0
    status = host.runs("status")
    assert (status.returncode, f"{logged.name}: the archived log goes on from no backup" in status.stdout) == (1, True)


def test_status_and_module_tell_what_can_be_restored(
    host: Agent,
    logged: LoggedCollection,
    repository: Repository,
    run_module: Callable[..., Json],
    s3_server: SeaweedServer,
) -> None:
    logged.put(1, 20)
    made = json.loads(host.runs("backup", "--json").stdout)["backups"][0]["backup_id"]
    logged.put(21, 20)
    assert host.runs("archive-wal", "--once").returncode == 0
    status = host.runs("status", "--json")
    assert status.returncode == 0, status.stdout
    shown = json.loads(status.stdout)["collections"][logged.name]["wal_archive"]
    (only,) = shown["ranges"]
    assert only["backup_ids"] == [made]
    # Of what a first run finds nobody knows the rate.
    assert (shown["log"]["peak_mb_per_second"], shown["log"]["retention"]) == (None, None)
    logged.put(41, 20)
    assert host.runs("archive-wal", "--once").returncode == 0
    retention = json.loads(host.runs("wal", "retention", "--outage-minutes=60", "--json").stdout)["collections"][0]
    shown = json.loads(host.runs("status", "--json").stdout)["collections"][logged.name]["wal_archive"]
    told = shown["log"]
    assert (told["keeps_mb"], told["outage_minutes"], told["retention"]) == (1, 60, "ok")
    assert 0 < told["peak_mb_per_second"] == retention["peak_mb_per_second"] < 0.01
    assert told["needs_mb"] == pytest.approx(retention["needs_mb"], rel=0.02)
    assert told["inexact"] == {"without_payload": 1}
    assert only["from"] < told["inexact_before"] <= shown["ranges"][-1]["until"]
    lines = host.runs("status").stdout.splitlines()
    assert lines[1].startswith(f"{logged.name}: each shard is written to at ")
    assert "the log of 1 MB is enough for 60 minutes without the archiver" in lines[1]
    assert "a restore need not bring back exactly 1 without_payload" in lines[2]
    assert len(host.runs("status", "--check").stdout.splitlines()) == 1, "monitoring reads one line"
    host.config["wal_archive"]["outage_minutes"] = 1e9
    assert host.runs("archive-wal", "--once").returncode == 0
    assert "is too short for 1e+09 minutes" in host.runs("status").stdout
    shown = json.loads(host.runs("status", "--json").stdout)["collections"][logged.name]["wal_archive"]
    assert shown["log"]["inexact"] == told["inexact"], "what an earlier run has seen is not forgotten"
    assert only["from"] < only["until"]
    gone = location_on(s3_server, "no-such-bucket", name="gone")
    found = run_module(
        "wal_archive_info",
        {"repositories": [as_option(repository.location), as_option(gone)], "collection": logged.name},
        check=True,
    )
    assert not found["changed"]
    (archive,) = found["archives"]
    assert [each["region"] for each in found["unreachable_regions"]] == ["gone"]
    assert archive["ranges"] == shown["ranges"]
    assert archive["log"] == shown["log"]
    assert [(each["shard"], each["replica"], each["reason"]) for each in archive["shards"]] == [
        (0, logged.replica, "first"),
        (1, logged.replica, "first"),
    ]
    assert archive["continued"]
    assert archive["rpo_seconds"] < 60
    everything = run_module("wal_archive_info", {"repository": as_option(repository.location)})
    assert [each["collection"] for each in everything["archives"]] == [logged.name]
    failed = run_module("wal_archive_info", {"repository": as_option(gone)})
    assert failed["failure"]["code"] == "bucket_not_found"
