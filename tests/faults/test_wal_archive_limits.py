# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archiver where memory or disk are short: it keeps to its limits, and what it cannot keep the log keeps."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import read_timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_settings import MIB
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import (
    LoggedCollection,
    archived,
    archived_timelines,
    give_key,
    reaches,
    settings_for,
    write_wide,
)
from tests.faults.lying_store import LIES, Lie, LyingStore
from tests.made_backups import location_on, with_key
from tests.proofs import wait_for
from tests.small_disk import on_a_small_disk
from tools.archiver import peak_rss_mib, service_environment
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[SeaweedServer]:
    """A store that a test may stop."""
    with SeaweedServer(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def repository(own_s3: SeaweedServer) -> Iterator[Repository]:
    """One in that store."""
    with Repository(location_on(own_s3, own_s3.create_bucket(f"b-{secrets.token_hex(6)}"))) as made:
        yield made


@contextmanager
def logged_collection(server: QdrantServer, retain: int) -> Iterator[LoggedCollection]:
    """A collection whose log keeps so many files that were closed, of a MiB each."""
    logged = LoggedCollection(server, f"w-{secrets.token_hex(6)}", retain=retain)
    try:
        yield logged
    finally:
        logged.qdrant.delete_collection(logged.name)


def agent(folder: Path, disk: Path, logged: LoggedCollection, repository: Repository) -> Agent:
    """An agent that archives the log of a collection, with spool and state on ``disk``."""
    settings = settings_for(logged.server, disk, logged.name, metrics_path=str(folder / "metrics.prom"))
    section = {name: value for name, value in asdict(settings).items() if name != "lock_seconds"}
    return Agent(folder, QdrantConnection(logged.server.url), [repository.location], wal_archive=section)


@contextmanager
def at_work(host: Agent) -> Iterator[subprocess.Popen[str]]:
    """The archiver as a process, ended as its service ends it."""
    process = host.start("archive-wal")
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("key", [None, secrets.token_hex(32)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("shows", [True, False], ids=["shows checksums", "is read back"])
def test_memory_stays_small_whatever_the_store_does(
    qdrant_server: QdrantServer,
    own_s3: SeaweedServer,
    repository: Repository,
    tmp_path: Path,
    key: str | None,
    shows: bool,
) -> None:
    lie = Lie() if shows else LIES["ignores checksums"]
    with logged_collection(qdrant_server, retain=1000) as logged, LyingStore(own_s3, lie) as store:
        through = Repository(replace(repository.location, endpoint_url=store.url))
        assert through.put("probe", b"probe").checked == shows, "what is not shown to be checked is read back"
        host = agent(tmp_path, tmp_path, logged, through)
        give_key(host, key)
        host.environment |= service_environment()
        assert host.runs("archive-wal", "--once").returncode == 0
        own_s3.kill()
        last = write_wide(logged, 100 * MIB)
        with at_work(host) as process:
            spooled = tmp_path / "spool" / logged.name
            wait_for(lambda: any(path.name.endswith(f"{last}.wal") for path in spooled.rglob("*")), "the last entry")
            own_s3.start()
            wait_for(lambda: reaches(repository, logged.name, last), "all entries")
            assert peak_rss_mib(process.pid) <= 64
    (log,) = archived_timelines(repository, logged.name)
    assert max(archived(with_key(repository, key), log)) == last


FULL = pytest.mark.parametrize("options", ["size=8m", "size=1g,nr_inodes=12"], ids=["bytes", "inodes"])


def shows(folder: Path, line: str) -> bool:
    """Whether the metrics have this line."""
    path = folder / "metrics.prom"
    return path.exists() and line in path.read_text().splitlines()


@FULL
def test_a_full_disk_loses_nothing_that_the_log_keeps(
    qdrant_server: QdrantServer, own_s3: SeaweedServer, repository: Repository, tmp_path: Path, options: str
) -> None:
    with logged_collection(qdrant_server, retain=1000) as logged:
        host = agent(tmp_path, tmp_path / "disk", logged, repository)
        host.before = on_a_small_disk(tmp_path / "disk", options)
        before = logged.put(1, 3)
        with at_work(host) as process:
            wait_for(lambda: reaches(repository, logged.name, before), "the first chunk")
            own_s3.kill()
            write_wide(logged, 30 * MIB)
            wait_for(lambda: shows(tmp_path, "qdrant_dr_wal_spool_full 1"), "the metric")
            assert not shows(tmp_path, "qdrant_dr_wal_spool_bytes 0")
            last = write_wide(logged, MIB)
            own_s3.start()
            wait_for(lambda: reaches(repository, logged.name, last), "all entries")
            wait_for(lambda: shows(tmp_path, "qdrant_dr_wal_spool_full 0"), "the metric's end")
        assert "has no room: the logs have to wait." in process.communicate()[1]
    (log,) = archived_timelines(repository, logged.name)
    entries = archived(repository, log)
    assert (min(entries), max(entries)) == (0, last)


@FULL
def test_what_a_full_disk_and_the_log_do_not_keep_is_a_gap_and_a_request_for_a_backup(
    qdrant_server: QdrantServer, own_s3: SeaweedServer, repository: Repository, tmp_path: Path, options: str
) -> None:
    with logged_collection(qdrant_server, retain=1) as logged:
        host = agent(tmp_path, tmp_path / "disk", logged, repository)
        host.before = on_a_small_disk(tmp_path / "disk", options)
        before = logged.put(1, 3)
        with at_work(host) as process:
            wait_for(lambda: reaches(repository, logged.name, before), "the first chunk")
            disk = Path(f"/proc/{process.pid}/root{tmp_path}/disk")
            own_s3.kill()
            wait_for(
                lambda: write_wide(logged, 5 * MIB) and shows(tmp_path, "qdrant_dr_wal_spool_full 1"), "the metric"
            )
            write_wide(logged, 30 * MIB)
            own_s3.start()
            last = write_wide(logged, MIB)
            wait_for(lambda: reaches(repository, logged.name, last), "the newest entry")
            wait_for(lambda: list(disk.glob("state/base-needed/[!.]*.json")), "the request")
            (request,) = (json.loads(path.read_text()) for path in disk.glob("state/base-needed/[!.]*.json"))
    old, new = archived_timelines(repository, logged.name)
    record, kept = read_timeline(repository, new), archived(repository, new)
    assert record.gap == (max(archived(repository, old)) + 1, min(kept) - 1)
    assert max(kept) == last
    assert (request["collection"], request["reason"], request["timeline"]) == (logged.name, "gap", new.timeline)
