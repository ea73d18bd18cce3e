# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent says of the logs of a real node: whether they are kept long enough, and what restores inexactly."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_lint import lint_logs
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import LoggedCollection
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

MIB = 1024 * 1024

Json = dict[str, Any]


@pytest.fixture
def logged(qdrant_server: QdrantServer) -> Iterator[LoggedCollection]:
    collection = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", shards=2, retain=3)
    yield collection
    collection.qdrant.delete_collection(collection.name)


def host_of(server: QdrantServer, repository: Repository, name: str, folder: Path) -> Agent:
    """An agent that archives the log of one collection of a server."""
    section = {
        "collections": [name],
        "storage_path": str(server.storage_path),
        "state_path": str(folder / "state"),
        "spool_path": str(folder / "spool"),
        "reserve_bytes": 0,
    }
    return Agent(folder, QdrantConnection(server.url), [repository.location], wal_archive=section)


def retention(host: Agent, minutes: float, *arguments: str) -> Json:
    done = host.runs("wal", "retention", f"--outage-minutes={minutes}", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: Json = json.loads(done.stdout)
    assert all(f"warning: {text}" in done.stderr for text in found["warnings"])
    return found


def of(found: Json, name: str) -> Json:
    (only,) = found["collections"]
    assert only["collection"] == name
    return dict(only)


def test_the_rate_is_seen_on_the_disk_and_then_by_the_archiver(
    qdrant_server: QdrantServer, logged: LoggedCollection, repository: Repository, tmp_path: Path
) -> None:
    host = host_of(qdrant_server, repository, logged.name, tmp_path)
    nothing = retention(host, 5)
    assert of(nothing, logged.name)["suffices"] is None
    assert nothing["new_collections"]["retain_closed"] == 1
    assert ["No rate of writes was observed yet" in text for text in nothing["warnings"]] == [True]

    # One run of the archiver has to be under way when entries come: nobody knows the minute of what it finds.
    assert host.runs("archive-wal", "--once").returncode == 0
    for first in range(0, 20_000, 500):
        logged.put(first, 500)
    on_disk = of(retention(host, 5), logged.name)["peak_mb_per_second"]
    # 20,000 points of 64 numbers, 5 bytes each at most, in two shards, less what stands in the open files.
    assert 0.3 * 3 / 300 < on_disk < 6.4 / 2 / 300 * 1.5

    archived = json.loads(host.runs("archive-wal", "--once", "--json").stdout)
    assert archived["entries"] >= 40
    seen = of(retention(host, 5), logged.name)["peak_mb_per_second"]
    assert on_disk <= seen < 6.4 / 2 / 300 * 1.5


def test_a_log_that_is_too_short_is_told_with_what_it_needs(
    qdrant_server: QdrantServer, logged: LoggedCollection, repository: Repository, tmp_path: Path
) -> None:
    host = host_of(qdrant_server, repository, logged.name, tmp_path)
    short = retention(host, 5, "--mb-per-second=1")
    judged = of(short, logged.name)
    assert (judged["keeps_mb"], judged["needs_mb"], judged["needs_retain_closed"]) == (3, 300, 300)
    assert judged["suffices"] is False
    (warning,) = short["warnings"]
    assert warning.startswith(
        f"The log of {logged.name} keeps at least 3 MB for each shard, and needs 300 MB to bridge 5 minutes at 1 MB/s"
    )
    assert "set wal_retain_closed to 300 or more in its config.json" in warning
    new = short["new_collections"]
    assert (new["capacity_mb"], new["retain_closed"], new["suffices"]) == (32, 13, True)
    assert retention(host, 5, "--mb-per-second=0.01")["warnings"] == []
    more = retention(host, 5, "--mb-per-second=1", "--retain-closed=40")["new_collections"]
    assert (more["retain_closed"], more["suffices"]) == (40, True)
    full = retention(host, 1e9, "--mb-per-second=1000")
    assert full["new_collections"]["suffices"] is False
    assert any("The disk has no room" in text for text in full["warnings"])


def test_new_collections_of_a_server_keep_what_was_planned_and_old_ones_what_they_had(tmp_path: Path) -> None:
    body = {"vectors": {"size": 4, "distance": "Dot"}}
    with QdrantServer(tmp_path / "node") as server, Qdrant(QdrantConnection(server.url)) as qdrant:
        qdrant.create_collection("old", body)
    env = {"QDRANT__STORAGE__WAL__WAL_CAPACITY_MB": "32", "QDRANT__STORAGE__WAL__WAL_RETAIN_CLOSED": "13"}
    with QdrantServer(tmp_path / "node", extra_env=env) as server, Qdrant(QdrantConnection(server.url)) as qdrant:
        qdrant.create_collection("new", body)
        qdrant.call("PATCH", "/collections/old", {"wal_config": {"wal_retain_closed": 13}})
        kept = {name: qdrant.collection(name)["config"]["wal_config"]["wal_retain_closed"] for name in ("old", "new")}
    assert kept == {"old": 1, "new": 13}


def write_inexactly(qdrant: Qdrant, name: str) -> None:
    """One entry of each class that Qdrant before 1.19 need not replay exactly, beside those that it does."""
    both = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    points: list[Json] = [
        {"points": [{"id": 1, "vector": both, "payload": {"n": 1}}]},
        {"points": [{"id": 2, "vector": {"a": [1.0, 2.0]}, "payload": {}}]},
        {"points": [{"id": 3, "vector": both}]},
        {"points": [{"id": 1, "vector": both, "payload": {}}], "update_filter": {"must": [{"has_id": [1]}]}},
    ]
    for each in points:
        qdrant.call("PUT", f"/collections/{name}/points", each, {"wait": True})


def test_what_restores_inexactly_is_counted_with_what_to_do(
    qdrant: Qdrant, qdrant_server: QdrantServer, repository: Repository, tmp_path: Path
) -> None:
    name = f"w-{secrets.token_hex(6)}"
    vector = {"size": 2, "distance": "Dot"}
    qdrant.create_collection(name, {"vectors": {"a": vector, "b": vector}, "shard_number": 1})
    try:
        host = host_of(qdrant_server, repository, name, tmp_path)
        clean = json.loads(host.runs("wal", "lint", "--json").stdout)
        write_inexactly(qdrant, name)
        done = host.runs("wal", "lint", "--json")
        newer = lint_logs(str(qdrant_server.storage_path), [name], MIB, "1.19.0")
    finally:
        qdrant.delete_collection(name)
    assert clean["warnings"] == []
    found = json.loads(done.stdout)
    assert found["qdrant_version"] == qdrant.version()
    (only,) = found["collections"]
    assert only["inexact"] == {"conditional": 1, "partial_vectors": 1, "without_payload": 1}
    assert [text.partition(" entries of its log ")[2] for text in found["warnings"]] == [
        "change points under a condition, which a restore to a moment need not bring back exactly before Qdrant 1.19: "
        "write without one while a backup is made.",
        "upsert points with only some of their vectors, which a restore to a moment need not bring back exactly before "
        "Qdrant 1.19: send all of them, or update vectors.",
        "upsert points without a payload, which a restore to a moment need not bring back exactly before Qdrant 1.19: "
        "send the whole payload, {} for none.",
    ]
    assert all(f"warning: {text}" in done.stderr for text in found["warnings"])
    assert newer["collections"] == found["collections"]
    assert newer["warnings"] == []


def test_only_the_newest_files_of_a_log_are_looked_at(logged: LoggedCollection) -> None:
    for first in range(0, 20_000, 500):
        logged.put(first, 500)
    part, whole = (
        lint_logs(str(logged.server.storage_path), [logged.name], size, None)["collections"][0]["entries"]
        for size in (1, 64 * MIB)
    )
    assert 2 < part < whole


def test_an_agent_that_archives_nothing_says_so(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository
) -> None:
    host = agent(qdrant, repository)
    for command in (["retention", "--outage-minutes=1"], ["lint"]):
        refused = host.runs("wal", *command)
        assert (refused.returncode, "The agent archives no log here." in refused.stderr) == (1, True)
    host.config["wal_archive"] = {"storage_path": "/nowhere", "state_path": "/nowhere", "spool_path": "/nowhere"}
    unread = host.runs("wal", "lint")
    assert (unread.returncode, "Name the directory that Qdrant works in" in unread.stderr) == (1, True)
    wrong = host.runs("wal", "retention", "--outage-minutes=-1")
    assert (wrong.returncode, "One of the numbers cannot be." in wrong.stderr) == (1, True)
