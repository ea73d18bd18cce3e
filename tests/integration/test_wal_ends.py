# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a log that another one has followed: known to the last poll that has seen it, and never any further.

``MadeLog`` does to the files what Qdrant 1.16.3 does, just when a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_timeline import Timeline
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archived_wal import ArchivedWal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import (
    read_positions,
    read_timeline,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_settings import ArchiveSettings
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import Running, archived_timelines
from tests.made_logs import MadeLog
from tests.proofs import wait_for
from tests.timed_writes import now

pytestmark = pytest.mark.s3

NAME, REPLICA = "docs", "47"
POLL = 0.1
NEVER = 3600.0


class Host:
    """A node with one log, and an archiver that follows it."""

    def __init__(self, folder: Path, repository: Repository, heartbeat: float) -> None:
        self.folder, self.repository = folder, repository
        self.shard = folder / "storage" / "collections" / NAME / "0"
        self.shard.mkdir(parents=True)
        self.log = MadeLog(self.shard / "wal")
        self.settings = ArchiveSettings(
            str(folder / "storage"),
            str(folder / "state"),
            str(folder / "spool"),
            poll_interval=POLL,
            seal_interval=POLL,
            heartbeat=heartbeat,
            reserve_bytes=0,
        )
        self.reports: list[str] = []
        self.looks = 0

    @contextmanager
    def archiving(self) -> Iterator[None]:
        """An archiver that runs meanwhile."""
        how = (lambda _name: REPLICA, self.repository, self.settings, self.reports.append, self._clock)
        running = Running(Archiver(*how))
        try:
            yield
        finally:
            running.stop()

    def write(self, entries: int) -> None:
        for number in range(entries):
            self.log.append(b"entry %d" % number)

    def wait_for_timelines(self, count: int) -> None:
        """Until so many have all that was written."""

        def are_there() -> bool:
            logs = archived_timelines(self.repository, NAME)
            newest = restorable(self.repository, NAME).timelines[-1:]
            return len(logs) == count and newest[0].newest.last == len(self.log.entries) - 1

        wait_for(are_there, "what was written")

    def told(self) -> Any:
        """What the archiver says of the log, and when it did."""
        positions = read_positions(self.repository, NAME).get(REPLICA)
        return None if positions is None else (positions.shards[0], positions.written)

    def wait_until_told_after(self, moment: datetime) -> None:
        wait_for(lambda: self.told() is not None and self.told()[1] > moment, "word of the archiver")

    def replace(self) -> datetime:
        """Another log, without an entry, takes the place of this one; when that had gone."""
        (self.shard / "wal").rename(self.folder / "old")
        gone = now()
        self.log = MadeLog(self.shard / "wal", seed=99)
        return gone

    def remove_and_make_anew(self) -> datetime:
        """The same, and the archiver has seen it gone."""
        (self.shard / "wal").rename(self.folder / "old")
        gone = now()
        wait_for(lambda: any("is gone" in text for text in self.reports), "the log to be seen gone")
        self.log = MadeLog(self.shard / "wal", seed=99)
        return gone

    def _clock(self) -> datetime:
        """The archiver looks at it at each poll."""
        self.looks += 1
        return now()


Change = Callable[[Host], datetime]
CHANGES = pytest.mark.parametrize("change", [Host.replace, Host.remove_and_make_anew], ids=["replaced", "made anew"])


def ends(repository: Repository) -> list[tuple[datetime, Timeline]]:
    """Up to when each timeline is known, as info and a restore find it, with its record."""
    archive, found = ArchivedWal([repository], NAME), []
    for each in restorable(repository, NAME).timelines:
        position = archive.position(each.log)
        seen = position.checked_at if position is not None and position.checked_at is not None else each.until
        assert max(seen, each.newest.polls[-1].before) == each.until
        found.append((each.until, read_timeline(repository, each.log)))
    return found


@CHANGES
def test_the_record_of_a_timeline_tells_how_long_the_one_before_was_seen(
    repository: Repository, tmp_path: Path, change: Change
) -> None:
    # It says so once, when it starts: nothing else tells how long the log was idle.
    host = Host(tmp_path, repository, heartbeat=NEVER)
    host.write(5)
    with host.archiving():
        host.wait_for_timelines(1)
        written = now()
        enough = host.looks + 15
        wait_for(lambda: host.looks > enough, "idle polls")
        idle = len(host.log.entries) - 1
        gone = change(host)
        host.write(3)
        host.wait_for_timelines(2)
    (until, first), (_until, second) = ends(repository)
    assert second.previous == first.log.timeline
    assert second.previous_seen is not None
    assert (second.previous_seen.at, second.previous_seen.last) == (until, idle)
    assert written < until <= gone
    assert (gone - until).total_seconds() < 5 * POLL


@CHANGES
def test_a_log_that_has_gone_is_not_told_to_be_current(repository: Repository, tmp_path: Path, change: Change) -> None:
    host = Host(tmp_path, repository, heartbeat=POLL)
    host.write(5)
    with host.archiving():
        host.wait_for_timelines(1)
        host.wait_until_told_after(now())
        gone = change(host)
        for _word in range(5):
            host.wait_until_told_after(now())
    position, _written = host.told()
    assert position.timeline == archived_timelines(repository, NAME)[0].timeline
    assert position.last == 4
    assert position.checked_at is not None
    assert position.checked_at <= gone
