# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archiver beside a real Qdrant and a real S3: what is in the logs gets into the repository, once, in order."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy, FileError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import describe
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.base_requests import requested_bases
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import (
    chunks,
    first_chunk,
    last_chunk,
    read_header,
    read_positions,
    read_timeline,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import (
    LoggedCollection,
    archived,
    archived_timelines,
    archiving,
    identify,
    on_disk,
    reaches,
    settings_for,
)
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture
def make_logged(qdrant_server: QdrantServer) -> Iterator[Callable[..., LoggedCollection]]:
    """Call it as ``make_logged(shards=1, retain=1)``."""
    made: list[LoggedCollection] = []

    def make(**how: Any) -> LoggedCollection:
        made.append(LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", **how))
        return made[-1]

    yield make
    for each in made:
        each.qdrant.delete_collection(each.name)


def test_what_is_written_under_load_is_in_the_repository_to_the_last_byte(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged()
    written: dict[int, Any] = {}

    def write() -> None:
        for number in range(1, 20001, 50):
            written[logged.put(number, 50)] = tuple(range(number, number + 50))

    with archiving(
        qdrant_server, repository, settings_for(qdrant_server, tmp_path, logged.name, seal_bytes=500_000)
    ) as running:
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        wait_for(lambda: reaches(repository, logged.name, max(written)), "the last entry")
        wait_for(lambda: min(on_disk(logged)) > 0, "Qdrant to remove the first files")
        kept = on_disk(logged)
        result = running.stop()
    (log,) = archived_timelines(repository, logged.name)
    entries = archived(repository, log)
    assert {index: describe(entry).ids for index, entry in entries.items()} == {0: (), **written}
    assert {index: entries[index] for index in kept} == kept
    assert log.replica == logged.replica
    assert (result["entries"], result["timelines"], result["gaps"]) == (len(entries), 1, 0)
    assert len(chunks(repository, log)) > 3
    assert read_timeline(repository, log).reason == "first"


def test_all_shards_of_all_collections_are_archived_and_idle_ones_are_told_to_be_current(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    several, other, left_out = make_logged(shards=3), make_logged(), make_logged()
    for number in range(1, 101, 10):
        several.put(number, 10)
    settings = settings_for(qdrant_server, tmp_path, several.name, other.name)
    with archiving(qdrant_server, repository, settings):
        wait_for(lambda: len(archived_timelines(repository, several.name)) == 3, "all shards")
        after = datetime.now(timezone.utc)

        def is_current() -> bool:
            positions = read_positions(repository, several.name).get(several.replica)
            shards = positions.shards if positions is not None else {}
            return len(shards) == 3 and all(
                each.checked_at is not None and each.checked_at > after and each.behind == 0 for each in shards.values()
            )

        wait_for(is_current, "a position later than the last write")
        wait_for(lambda: archived_timelines(repository, other.name), "the other collection")
    positions = read_positions(repository, several.name)[several.replica]
    for log in archived_timelines(repository, several.name):
        assert archived(repository, log) == on_disk(several, log.shard)
        newest = last_chunk(repository, log)
        assert newest is not None
        position = positions.shards[log.shard]
        assert (position.timeline, position.last) == (log.timeline, newest.last)
        assert position.crc == read_header(repository, newest).last_crc
    assert left_out.name not in list(repository.folders())


def test_every_entry_was_written_between_the_times_that_its_chunk_tells(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged(retain=9)
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    times: dict[int, tuple[datetime, datetime]] = {}

    def put() -> int:
        asked = datetime.now(timezone.utc)
        index = logged.put(1, 3)
        times[index] = (asked, datetime.now(timezone.utc))
        return index

    for _run in range(2):
        with archiving(qdrant_server, repository, settings):
            last = [put() for _number in range(60)][-1]
            wait_for(lambda last=last: reaches(repository, logged.name, last), "the entries")
        # While nobody looks.
        last = put()
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (log,) = archived_timelines(repository, logged.name)
    headers = [read_header(repository, chunk) for chunk in chunks(repository, log)]
    bounds = {index: header.bounds(index) for header in headers for index in range(header.first, header.last + 1)}
    for index, (asked, answered) in times.items():
        after, before = bounds[index]
        assert after <= answered
        assert before >= asked
    first = min(times)
    lengths = sorted(before - after for index, (after, before) in bounds.items() if index > first)
    assert lengths[len(lengths) // 2] < timedelta(seconds=2), "they are about as far apart as two polls"


def test_a_second_run_goes_on_where_the_first_one_ended(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged(retain=9)
    for run in range(3):
        last = [logged.put(number, 20) for number in range(run * 1000 + 1, run * 1000 + 401, 20)][-1]
        # Each on a host of its own: nothing but the repository tells the place.
        settings = settings_for(qdrant_server, tmp_path / str(run), logged.name)
        result = Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
        assert (result["timelines"], result["gaps"]) == (int(run == 0), 0)
        (log,) = archived_timelines(repository, logged.name)
        assert max(archived(repository, log)) == last
    before = list(repository.list(f"{logged.name}/wal/0/"))
    again = Archiver(identify(qdrant_server), repository, settings_for(qdrant_server, tmp_path / "x", logged.name))
    assert again.run(lambda: False, once=True)["entries"] == 0
    assert list(repository.list(f"{logged.name}/wal/0/")) == before


def test_what_qdrant_has_removed_meanwhile_is_a_recorded_gap_and_asks_for_a_base(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged()
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    last = logged.put(1, 50)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    for path in (tmp_path / "state" / "base-needed").iterdir():
        path.unlink()
    for number in range(1, 20001, 100):
        logged.put(number, 100)
    wait_for(lambda: min(on_disk(logged)) > last + 1, "Qdrant to remove files")
    reports: list[str] = []
    result = Archiver(identify(qdrant_server), repository, settings, reports.append).run(lambda: False, once=True)
    assert result["gaps"] == 1
    old, new = archived_timelines(repository, logged.name)
    record = read_timeline(repository, new)
    first = min(archived(repository, new))
    assert max(archived(repository, old)) == last
    assert (record.reason, record.previous, record.gap) == ("gap", old.timeline, (last + 1, first - 1))
    # Qdrant may have removed more since.
    assert on_disk(logged).items() <= archived(repository, new).items()
    request = json.loads(requested_bases(settings.state_path)[logged.name])
    assert (request["reason"], request["timeline"]) == ("gap", new.timeline)
    assert any(logged.name in text and "new backup" in text for text in reports)
    assert f'qdrant_dr_wal_base_needed{{collection="{logged.name}"}} 1' in (tmp_path / "metrics.prom").read_text()
    assert "qdrant_dr_wal_gaps_total 1" in (tmp_path / "metrics.prom").read_text()


def test_a_collection_that_is_made_anew_is_another_timeline(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged()
    with archiving(qdrant_server, repository, settings_for(qdrant_server, tmp_path, logged.name)) as running:
        for round_ in range(3):
            last = [logged.put(number, 7) for number in range(round_ * 100 + 1, round_ * 100 + 50, 7)][-1]

            def is_archived(last: int = last, number: int = round_ + 1) -> bool:
                logs = archived_timelines(repository, logged.name)
                return len(logs) == number and max(archived(repository, logs[-1])) == last

            wait_for(is_archived, "the entries")
            if round_ < 2:
                running.reports.clear()
                logged.qdrant.delete_collection(logged.name)
                if round_:
                    wait_for(lambda: any("is gone" in text for text in running.reports), "the log to be seen gone")
                logged.qdrant.create_collection(logged.name, logged.body)
    logs = archived_timelines(repository, logged.name)
    assert archived(repository, logs[-1]) == on_disk(logged)
    assert [read_timeline(repository, log).previous for log in logs] == [None, logs[0].timeline, logs[1].timeline]
    reasons = [read_timeline(repository, log).reason for log in logs]
    # Whether the first one was seen gone in between is a matter of chance.
    assert reasons in (["first", "replaced", "recreated"], ["first", "recreated", "recreated"])


def test_a_second_archiver_of_the_same_node_is_refused(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged()
    with archiving(qdrant_server, repository, settings_for(qdrant_server, tmp_path / "a", logged.name)):
        wait_for(lambda: archived_timelines(repository, logged.name), "the first chunk")
        second = Archiver(identify(qdrant_server), repository, settings_for(qdrant_server, tmp_path / "b", logged.name))
        with pytest.raises(Busy, match="wal-archive-"):
            second.run(lambda: False, once=True)
    assert len(archived_timelines(repository, logged.name)) == 1


def test_a_clock_that_is_set_back_breaks_nothing(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged()
    steps = [timedelta(0)]
    settings = settings_for(qdrant_server, tmp_path, logged.name)

    def clock() -> datetime:
        return datetime.now(timezone.utc) + steps[-1]

    with archiving(qdrant_server, repository, settings, clock=clock):
        for hours in (0, -2, 5, -30):
            steps.append(timedelta(hours=hours))
            last = logged.put(1, 3)
            wait_for(lambda last=last: reaches(repository, logged.name, last), "the entry")
        steps.append(timedelta(days=-400))
        logged.qdrant.delete_collection(logged.name)
        logged.qdrant.create_collection(logged.name, logged.body)
        logged.put(1, 3)
        wait_for(lambda: len(archived_timelines(repository, logged.name)) == 2, "the new timeline")
    old, new = archived_timelines(repository, logged.name)
    assert max(archived(repository, old)) == last
    assert read_timeline(repository, new).previous == old.timeline
    assert read_timeline(repository, new).started < read_timeline(repository, old).started


def test_a_first_timeline_that_goes_on_from_a_backup_needs_no_other(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    backed_up, not_backed_up = make_logged(), make_logged()
    for logged in (backed_up, not_backed_up):
        logged.put(1, 5)
    back_up(backed_up.qdrant, repository, BackupRequest(backed_up.name, storage_path=str(qdrant_server.storage_path)))
    backed_up.put(6, 5)
    settings = settings_for(qdrant_server, tmp_path, backed_up.name, not_backed_up.name)
    with archiving(qdrant_server, repository, settings) as running:
        wait_for(lambda: reaches(repository, not_backed_up.name, 1), "the first chunk")
        wait_for(lambda: reaches(repository, backed_up.name, 2), "the first chunk")
        assert list(requested_bases(settings.state_path)) == [not_backed_up.name]
        not_backed_up.qdrant.delete_collection(not_backed_up.name)
        wait_for(lambda: any("is gone" in text for text in running.reports), "the log to be seen gone")
    assert requested_bases(settings.state_path) == {}, "of what is gone no backup can be made"


def test_a_directory_that_is_none_of_a_node_is_refused_at_once(
    qdrant_server: QdrantServer, repository: Repository, tmp_path: Path
) -> None:
    settings = settings_for(qdrant_server, tmp_path, storage_path=str(tmp_path / "elsewhere"))
    with pytest.raises(FileError, match="cannot be read: No such file or directory"):
        Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)


def test_ranges_begin_with_a_backup_and_end_with_the_archive(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged(shards=2)
    request = BackupRequest(logged.name, storage_path=str(qdrant_server.storage_path))
    with archiving(qdrant_server, repository, settings_for(qdrant_server, tmp_path, logged.name)):
        logged.put(1, 50)
        wait_for(lambda: len(archived_timelines(repository, logged.name)) == 2, "both shards")
        assert restorable(repository, logged.name).ranges == []
        base = back_up(logged.qdrant, repository, request)["backup_id"]
        backed_up = datetime.now(timezone.utc)
        logged.put(51, 50)

        def reaches_beyond(moment: datetime) -> bool:
            ranges = restorable(repository, logged.name).ranges
            return bool(ranges) and ranges[-1].until > moment

        wait_for(lambda: reaches_beyond(backed_up + timedelta(seconds=1)), "a range beyond the backup")
        archive = restorable(repository, logged.name)
        (only,) = archive.ranges
        assert only.bases == (base,)
        assert only.begin <= backed_up < only.until <= datetime.now(timezone.utc)
        shown = archive.as_result(datetime.now(timezone.utc))
        assert shown["rpo_seconds"] < 30
        assert [entry["shard"] for entry in shown["shards"]] == [0, 1]
        assert (shown["gaps"], shown["doubts"]) == ([], [])
        logged.qdrant.delete_collection(logged.name)
        logged.qdrant.create_collection(logged.name, logged.body)
        logged.put(1, 50)
        wait_for(lambda: len(archived_timelines(repository, logged.name)) == 4, "the new timelines")
        second = back_up(logged.qdrant, repository, request)["backup_id"]
        finished = datetime.now(timezone.utc)
        wait_for(lambda: reaches_beyond(finished), "a range from the second backup")
    before, after = restorable(repository, logged.name).ranges
    assert (before.bases, after.bases) == ((base,), (second,))
    assert before.until < after.begin, "between the two logs there is nothing to restore"
    gaps = restorable(repository, logged.name).as_result(finished)["gaps"]
    assert sorted(gap["shard"] for gap in gaps) == [0, 1]


def test_chunks_are_found_without_listing_all_of_them(
    qdrant_server: QdrantServer, repository: Repository, make_logged: Callable[..., LoggedCollection], tmp_path: Path
) -> None:
    logged = make_logged(retain=9)
    settings = settings_for(qdrant_server, tmp_path, logged.name, seal_bytes=1)
    for number in range(1, 41):
        logged.put(number)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    for number in range(1, 31):
        logged.put(number)
    Archiver(identify(qdrant_server), repository, settings).run(lambda: False, once=True)
    (log,) = archived_timelines(repository, logged.name)
    everything = chunks(repository, log)
    highest = everything[-1].last
    assert len(everything) >= 2
    assert first_chunk(repository, log) == everything[0]
    for hint in (0, 1, highest, highest + 7, 10**12):
        assert last_chunk(repository, log, hint) == everything[-1]
    for index in range(highest + 1):
        found = chunks(repository, log, index, index)
        assert [chunk.first <= index <= chunk.last for chunk in found] == [True]
    assert chunks(repository, log, highest + 1) == []
