# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archiver among things that go wrong: nothing is lost without a word, and what is there is right."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.lock_layout import lock_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import timeline_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import wal_archive
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.base_requests import requested_bases
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_keys import contexts
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import (
    chunks,
    read_header,
    read_timeline,
    timelines,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.agent_files import Spool
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import (
    LoggedCollection,
    archived,
    archived_timelines,
    archiving,
    closed_files,
    give_key,
    identify,
    on_disk,
    reaches,
    settings_for,
    write_until,
)
from tests.faults.proxy import SLOW_DOWN, FaultProxy, Rule
from tests.forked_agents import ForkedAgents
from tests.made_backups import location_on, with_key
from tests.power_loss import process_before_a_boot
from tests.proofs import wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

# Of each kind the same number. Some are enough to see what breaks; the proof takes a hundred.
KILLS = int(os.environ.get("QDRANT_DR_KILLS", "36"))
SEED = int(os.environ.get("QDRANT_DR_SEED", "5"))


@dataclass
class Kill:
    """At the effect that is as many as one of ``numbers`` says, from the first one that matches ``pattern`` on.

    ``fresh``: with a log that has just come. ``fault``: what the store does meanwhile.
    """

    pattern: str
    numbers: tuple[int, int]
    fresh: bool = False
    fault: Rule | None = None


def some_kills(chance: random.Random) -> Iterator[Kill]:
    """Kills of every kind in turn."""
    while True:
        refused = Rule(method="PUT", path=r"\.(wal|json)", status=503, body=SLOW_DOWN, times=None)
        briefly = Rule(method="PUT", path=r"\.wal", status=503, body=SLOW_DOWN, times=2)
        lost = Rule(method="PUT", path=r"\.wal", lose_response=True, times=None)
        kinds = [
            Kill("", (1, 30)),
            Kill("/.locks/", (1, 6)),
            Kill("PUT .*/timeline.json", (1, 4), fresh=True),
            Kill("PUT .*[.]wal ", (1, 4)),
            Kill("PUT .*[.]wal ", (2, 6), fault=lost),
            Kill("write .*/spool/", (1, 6), fault=refused),
            Kill("os.remove .*/spool/", (1, 4), fault=briefly),
            Kill("os.rename .*/state/", (1, 2)),
            Kill("PUT .*/positions/", (1, 2)),
        ]
        yield from chance.sample(kinds, len(kinds))


def killable(
    folder: Path, server: QdrantServer, repository: Repository, names: list[str], key: str | None = None
) -> Agent:
    """``key``: to encrypt with what is archived."""
    section = {
        "collections": names,
        "storage_path": str(server.storage_path),
        "state_path": str(folder / "state"),
        "spool_path": str(folder / "spool"),
        "poll_interval": 0.1,
        "seal_interval": 0.1,
        "heartbeat": 1,
        "reserve_bytes": 0,
    }
    host = Agent(folder, QdrantConnection(server.url), [repository.location], wal_archive=section)
    give_key(host, key)
    return host


@contextmanager
def writing(write: Callable[[], object]) -> Iterator[None]:
    """Write again and again meanwhile."""
    ending = threading.Event()

    def go_on() -> None:
        while not ending.wait(0.02):
            write()

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        yield
    finally:
        ending.set()
        writer.join()


@pytest.mark.parametrize(("count", "key"), [(KILLS, None), (9, secrets.token_hex(32))], ids=["plain", "encrypted"])
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_archiver_that_is_killed_again_and_again_loses_nothing(
    qdrant_server: QdrantServer,
    repository: Repository,
    proxied: Repository,
    s3_proxy: FaultProxy,
    tmp_path: Path,
    count: int,
    key: str | None,
) -> None:
    chance = random.Random(SEED)
    kills = list(islice(some_kills(chance), count))
    names = [f"w-{secrets.token_hex(6)}" for _log in range(1 + sum(kill.fresh for kill in kills))]
    host = killable(tmp_path, qdrant_server, proxied, names, key)
    repository = with_key(repository, key)
    logs = [LoggedCollection(qdrant_server, names[0], retain=99)]
    gone_through = set()
    with writing(lambda: logs[-1].put(chance.randrange(1, 5000), 3)), ForkedAgents(host) as agents:
        for kill in kills:
            if kill.fresh:
                logs.append(LoggedCollection(qdrant_server, names[len(logs)], retain=99))
            if kill.fault is not None:
                s3_proxy.add(kill.fault)
            # Somewhere else after five seconds, where it does not get there.
            if agents.killed("archive-wal", pattern=kill.pattern, number=chance.randint(*kill.numbers), seconds=5):
                gone_through.add(kill.pattern)
            s3_proxy.clear()
        assert "Traceback" not in agents.said
    assert gone_through == {kill.pattern for kill in kills}
    done = host.runs("archive-wal", "--once", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["spool_bytes"], result["gaps"]) == (0, 0)
    for logged in logs:
        (log,) = archived_timelines(repository, logged.name)
        assert archived(repository, log) == on_disk(logged), "entry by entry"
        headers = [read_header(repository, chunk) for chunk in chunks(repository, log)]
        assert {header.client_encryption is not None for header in headers} == {key is not None}
        logged.qdrant.delete_collection(logged.name)


def test_sigterm_stores_what_was_read_and_ends_well(
    qdrant_server: QdrantServer, repository: Repository, logged: LoggedCollection, tmp_path: Path
) -> None:
    section = {
        "storage_path": str(qdrant_server.storage_path),
        "state_path": str(tmp_path / "state"),
        "spool_path": str(tmp_path / "spool"),
        "collections": [logged.name],
        "seal_interval": 600,
        "reserve_bytes": 0,
    }
    host = Agent(tmp_path, QdrantConnection(qdrant_server.url), [repository.location], wal_archive=section)
    last = logged.put(1, 5)
    process = host.start("archive-wal")
    wait_for(lambda: list(repository.list(".locks/wal-archive-")), "the archiver's begin")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False), err
    assert "archived" in out
    # Told to stop before it had found the place, it stores nothing; the next run does.
    assert host.runs("archive-wal", "--once").returncode == 0
    (log,) = archived_timelines(repository, logged.name)
    assert max(archived(repository, log)) == last


def test_after_a_power_loss_it_does_not_wait_for_its_own_lock(
    qdrant_server: QdrantServer,
    repository: Repository,
    logged: LoggedCollection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    lock = {"process": process_before_a_boot(monkeypatch, tmp_path), "expires": "2099-01-01T00:00:00Z"}
    repository.put(lock_key(f"wal-archive-{logged.replica}", 1), json.dumps(lock).encode("ascii"))
    last = logged.put(1)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    assert reaches(repository, logged.name, last)


@pytest.mark.parametrize("key", [None, secrets.token_hex(32)], ids=["plain", "encrypted"])
def test_the_spool_bridges_an_outage_that_is_longer_than_the_log(
    qdrant_server: QdrantServer, own_s3: SeaweedServer, logged: LoggedCollection, tmp_path: Path, key: str | None
) -> None:
    bucket = own_s3.create_bucket(f"b-{secrets.token_hex(6)}")
    repository = Repository(with_key(Repository(location_on(own_s3, bucket)), key).location, max_attempts=1)
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    with archiving(qdrant_server, repository, settings) as running:
        before = logged.put(1, 3)
        wait_for(lambda: reaches(repository, logged.name, before), "the first chunk")
        own_s3.kill()
        write_until(logged, lambda: closed_files(logged)[:1] > [before + 10])
        # A restart meanwhile goes on from the spool.
        result = running.stop()
    assert result["spool_bytes"] > 0
    spooled = [ChunkHeader.parse(path.read_bytes()) for path in (tmp_path / "spool").rglob("*.wal")]
    assert {header.client_encryption is not None for header in spooled} == {key is not None}
    last = logged.put(1, 3)
    with archiving(qdrant_server, repository, settings) as running:
        waiting = wait_for(lambda: Spool(settings.spool_path, 1, 0).in_order(), "spooled chunks")
        wait_for(lambda: str(last).zfill(20) in "".join(Spool(settings.spool_path, 1, 0).in_order()), "the last entry")
        own_s3.start()
        wait_for(lambda: reaches(repository, logged.name, last), "all entries")
        running.stop()
    (log,) = archived_timelines(repository, logged.name)
    entries = archived(repository, log)
    assert (min(entries), max(entries)) == (0, last)
    stored = chunks(repository, log)
    assert {chunk.key for chunk in stored} >= {key for key in waiting if key.endswith(".wal")}
    used = [context for chunk in stored if (context := read_header(repository, chunk).key_context) is not None]
    recorded = contexts(repository, logged.name)
    assert all(context in recorded for context in used), "those of the run before, too"
    assert len(recorded) == (2 if key else 0)
    assert Spool(settings.spool_path, 1, 0).in_order() == []


def test_a_full_spool_leads_to_a_gap_that_is_told(
    qdrant_server: QdrantServer,
    own_s3: SeaweedServer,
    logged: LoggedCollection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wal_archive, "_MEMORY", 1)
    bucket = own_s3.create_bucket(f"b-{secrets.token_hex(6)}")
    repository = Repository(location_on(own_s3, bucket), max_attempts=1)
    settings = settings_for(qdrant_server, tmp_path, logged.name, spool_max_bytes=100)
    with archiving(qdrant_server, repository, settings) as running:
        before = logged.put(1, 3)
        wait_for(lambda: reaches(repository, logged.name, before), "the first chunk")
        own_s3.kill()
        write_until(logged, lambda: closed_files(logged)[:1] > [before + 200])
        own_s3.start()
        last = logged.put(1, 3)
        wait_for(lambda: reaches(repository, logged.name, last), "the newest entry")
    assert any("has no room: the logs have to wait" in text for text in running.reports)
    assert sum(path.stat().st_size for path in Path(settings.spool_path).rglob("*.wal")) <= 100
    old, new = archived_timelines(repository, logged.name)
    record, kept = read_timeline(repository, new), archived(repository, new)
    assert (record.reason, record.previous) == ("gap", old.timeline)
    assert record.gap == (max(archived(repository, old)) + 1, min(kept) - 1)
    assert max(kept) == last
    assert json.loads(requested_bases(settings.state_path)[logged.name])["reason"] == "gap"


def test_without_the_store_it_goes_on_from_what_the_host_remembers(
    qdrant_server: QdrantServer, own_s3: SeaweedServer, logged: LoggedCollection, tmp_path: Path
) -> None:
    bucket = own_s3.create_bucket(f"b-{secrets.token_hex(6)}")
    repository = Repository(location_on(own_s3, bucket), max_attempts=1)
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    logged.put(1, 3)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    own_s3.kill()
    last = logged.put(1, 3)
    with archiving(qdrant_server, repository, settings):
        wait_for(lambda: Spool(settings.spool_path, 1, 0).in_order(), "a spooled chunk")
        own_s3.start()
        wait_for(lambda: reaches(repository, logged.name, last), "the entry")
    (log,) = archived_timelines(repository, logged.name)
    assert max(archived(repository, log)) == last


def test_what_the_host_remembers_is_not_trusted_over_the_repository(
    qdrant_server: QdrantServer, own_s3: SeaweedServer, logged: LoggedCollection, tmp_path: Path
) -> None:
    bucket = own_s3.create_bucket(f"b-{secrets.token_hex(6)}")
    repository = Repository(location_on(own_s3, bucket), max_attempts=1)
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    for number in range(1, 4):
        logged.put(number)
        Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (log,) = archived_timelines(repository, logged.name)
    lost = chunks(repository, log)[1:]
    repository.delete([chunk.key for chunk in lost])
    own_s3.kill()
    last = logged.put(4)
    with archiving(qdrant_server, repository, settings) as running:
        wait_for(lambda: Spool(settings.spool_path, 1, 0).in_order(), "a spooled chunk")
        own_s3.start()
        wait_for(lambda: reaches(repository, logged.name, last), "the entry")
        assert any("lacks the entries before" in text for text in running.reports)
    # The log still had what the repository had lost.
    (again,) = archived_timelines(repository, logged.name)
    assert again == log
    assert max(archived(repository, log)) == last


@pytest.mark.parametrize("damage", [b"", b"nothing\n" * 40], ids=["empty", "other bytes"])
def test_a_damaged_end_of_the_archive_begins_a_new_timeline(
    qdrant_server: QdrantServer, repository: Repository, logged: LoggedCollection, tmp_path: Path, damage: bytes
) -> None:
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    for number in (1, 2):
        last = logged.put(number, 5)
        Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (log,) = archived_timelines(repository, logged.name)
    newest = chunks(repository, log)[-1]
    repository.put(newest.key, damage)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    old, new = archived_timelines(repository, logged.name)
    record = read_timeline(repository, new)
    assert (record.reason, record.previous) == ("gap", old.timeline)
    assert "damaged" in record.detail
    assert max(archived(repository, new)) == last
    assert json.loads(requested_bases(settings.state_path)[logged.name])["timeline"] == new.timeline


@pytest.mark.parametrize("damage", [None, b"nothing\n"], ids=["gone", "other bytes"])
def test_a_timeline_that_has_lost_its_record_is_not_continued(
    qdrant_server: QdrantServer, repository: Repository, logged: LoggedCollection, tmp_path: Path, damage: bytes | None
) -> None:
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    last = logged.put(1, 5)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (old,) = archived_timelines(repository, logged.name)
    repository.delete([timeline_key(old)])
    if damage is not None:
        repository.put(timeline_key(old), damage)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (new,) = set(timelines(repository, logged.name, 0, logged.replica)) - {old}
    record = read_timeline(repository, new)
    assert (record.reason, record.previous) == ("gap", old.timeline)
    assert "has no record" in record.detail
    assert max(archived(repository, new)) == last
    assert json.loads(requested_bases(settings.state_path)[logged.name])["timeline"] == new.timeline


def test_a_disk_without_its_reserve_takes_nothing(tmp_path: Path) -> None:
    full = Spool(tmp_path, 1 << 30, 1 << 62)
    assert not full.add("c/wal/0/1/t/x.wal", b"data")
    assert list(tmp_path.rglob("*.wal")) == []


def test_what_a_killed_archiver_left_half_written_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000, 0)
    assert spool.add("c/wal/0/1/t/b.wal", b"data")
    assert spool.add("c/wal/0/1/t/timeline.json", b"{}")
    assert not spool.add("c/wal/0/1/t/c.wal", bytes(1000))
    (tmp_path / "c" / ".unfinished-1").write_bytes(b"half")
    again = Spool(tmp_path, 1000, 0)
    assert again.in_order() == ["c/wal/0/1/t/timeline.json", "c/wal/0/1/t/b.wal"]
    assert again.size == 6
    for key in again.in_order():
        again.remove(key)
    assert list(tmp_path.iterdir()) == [tmp_path / "c"] or list(tmp_path.iterdir()) == []
