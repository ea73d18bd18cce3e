# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores from what the archiver has stored while something was wrong: all is there, or it is told what is not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archiver_lock import ArchiverLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import chunks
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import (
    LoggedCollection,
    archived,
    archived_timelines,
    archiving,
    back_up_now,
    on_disk,
    reaches,
    restored,
    settings_for,
)
from tests.made_backups import flip_byte
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def logged(qdrant_server: QdrantServer) -> Iterator[LoggedCollection]:
    """A collection whose log keeps all of its files."""
    collection = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", retain=99)
    yield collection
    collection.qdrant.delete_collection(collection.name)


def test_a_chunk_that_rots_in_one_region_comes_from_the_other(
    repository: Repository, standby: Repository, logged: LoggedCollection, tmp_path: Path
) -> None:
    with archiving(logged.server, repository, settings_for(logged.server, tmp_path, logged.name)):
        logged.put(1, 10)
        back_up_now(logged, repository)
        for first in (11, 21, 31):
            last = logged.put(first, 10)
            wait_for(lambda last=last: reaches(repository, logged.name, last), "a chunk of its own")
    for item in repository.list():
        standby.put(item.key, repository.get(item.key))
    (log,) = archived_timelines(repository, logged.name)
    rotten = chunks(repository, log)[-2].key
    flip_byte(repository, rotten, len(repository.get(rotten)) - 1)
    result, found = restored(logged, MomentRequest(), repository, standby)
    assert found == set(range(1, 41))
    assert (repository.name, rotten) in {(note["source"], note["object"]) for note in result["notes"]}
    with pytest.raises(DamagedBackup, match=rotten):
        restored(logged, MomentRequest(), repository)


def test_two_archivers_at_once_leave_no_gap(
    repository: Repository, logged: LoggedCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lock that was lost, or one that a store does not keep, comes to."""
    monkeypatch.setattr(ArchiverLock, "try_hold", lambda _lock, _replica: True)
    back_up_now(logged, repository)
    with ExitStack() as both:
        for name, seal in (("a", 0.3), ("b", 0.5)):
            settings = settings_for(logged.server, tmp_path / name, logged.name, seal_interval=seal)
            both.enter_context(archiving(logged.server, repository, settings))
            last = [logged.put(first, 10) for first in range(1, 500, 10)][-1]
            wait_for(lambda last=last: reaches(repository, logged.name, last), "the entries")
        last = [logged.put(first, 10) for first in range(500, 1000, 10)][-1]
        wait_for(lambda: reaches(repository, logged.name, last), "the entries")
    logs = archived_timelines(repository, logged.name)
    written = on_disk(logged)
    for log in logs:
        assert archived(repository, log).items() <= written.items()
    assert archived(repository, logs[0]) == written, "the first one has missed nothing"
    assert restored(logged, MomentRequest(), repository)[1] == set(range(1, 1000))


def test_after_a_clock_was_set_back_all_can_be_had_and_no_wrong_time_is_listed(
    repository: Repository, logged: LoggedCollection, tmp_path: Path
) -> None:
    steps = [timedelta(0)]
    settings = settings_for(logged.server, tmp_path, logged.name)
    with archiving(
        logged.server, repository, settings, clock=lambda: datetime.now(timezone.utc) + steps[-1]
    ) as running:
        logged.put(1, 10)
        wait_for(lambda: reaches(repository, logged.name, 1), "the first entries")
        back_up_now(logged, repository)
        for number, hours in enumerate((0, -2, 0, -1), start=1):
            steps.append(timedelta(hours=hours))
            last = logged.put(1 + number * 10, 10)
            wait_for(lambda last=last: reaches(repository, logged.name, last), "the entries")
        running.stop()
    (log,) = archived_timelines(repository, logged.name)
    assert archived(repository, log) == on_disk(logged)
    assert restored(logged, MomentRequest(), repository)[1] == set(range(1, 51))
    for each in restorable(repository, logged.name).ranges:
        for moment in (each.begin, each.until):
            assert restored(logged, MomentRequest(moment), repository)[1] <= set(range(1, 51))
