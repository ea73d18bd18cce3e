# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is listed as restorable can be restored, to its first and its last moment; nothing else is."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MomentNotRestorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_moment
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive_info import read_archives
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import LoggedCollection, archived_timelines, archiving, back_up_now, restored, settings_for
from tests.proofs import wait_for
from tests.timed_writes import TimedWrites, now
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

TICK = timedelta(microseconds=1)


def ranges_of(repository: Repository, name: str) -> list[tuple[datetime, datetime, list[str]]]:
    """As the module tells them."""
    (archive,) = read_archives([repository], name, now())["archives"]
    assert archive["doubts"] == []
    return [
        (parse_moment(each["from"], "from"), parse_moment(each["until"], "until"), each["backup_ids"])
        for each in archive["ranges"]
    ]


def test_what_is_listed_can_be_restored_and_nothing_else(
    qdrant_server: QdrantServer, repository: Repository, tmp_path: Path
) -> None:
    logged = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", shards=2)
    lives, bases = [TimedWrites(logged.put)], []
    try:
        # Slow enough to look at a backup's last entry after the backup was finished.
        settings = settings_for(qdrant_server, tmp_path, logged.name, poll_interval=0.7)
        with archiving(qdrant_server, repository, settings):
            for backups in (2, 1):
                with lives[-1].going_on():
                    logs = 2 * len(lives)
                    wait_for(lambda logs=logs: len(archived_timelines(repository, logged.name)) == logs, "the archiver")
                    for _backup in range(backups):
                        lives[-1].wait_for_more()
                        bases.append(back_up_now(logged, repository))
                ended = now()
                wait_for(
                    lambda ended=ended: any(each[1] > ended for each in ranges_of(repository, logged.name)), "its end"
                )
                if backups == 2:
                    logged.qdrant.delete_collection(logged.name)
                    logged.qdrant.create_collection(logged.name, logged.body)
                    lives.append(TimedWrites(logged.put))
        ranges = ranges_of(repository, logged.name)
        assert [each[2] for each in ranges] == [bases[:2], bases[2:]]
        for life, (begin, until, _bases) in zip(lives, ranges, strict=True):
            for moment in (begin, begin + (until - begin) / 2, until):
                result, found = restored(logged, MomentRequest(moment), repository)
                assert life.allow(found, moment, resolution=3), (moment, result["moment"])
        assert found == set(lives[-1].written), "the last moment has all of it"
        between = ranges[0][1] + (ranges[1][0] - ranges[0][1]) / 2
        for moment in [*(edge for begin, until, _b in ranges for edge in (begin - TICK, until + TICK)), between]:
            with pytest.raises(MomentNotRestorable):
                restored(logged, MomentRequest(moment), repository)
    finally:
        logged.qdrant.delete_collection(logged.name)
