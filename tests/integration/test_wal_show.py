# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People find the moment before a mistake: newest first, by time and kind, without reading the whole archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import cbor2
import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_show import (
    ShownEntry,
    ShowRequest,
    archived_entries,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.made_backups import flip_byte
from tests.made_wal import make_timeline
from tests.polled_archive import PolledArchive
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

OLD, NEW = "20261101T000000Z-00000a", "20261102T000000Z-00000b"
BEGIN = layout.backup_time(NEW)
SECOND = timedelta(seconds=1)


def deletion(*ids: int) -> bytes:
    content: bytes = cbor2.dumps({"delete_points": {"ids": list(ids)}})
    return content


def shown(*regions: Repository, limit: int = 1000, **how: Any) -> list[ShownEntry]:
    return archived_entries(regions, ShowRequest("docs", limit, **how))


def places(entries: list[ShownEntry]) -> list[tuple[int, int]]:
    return [(entry.shard, entry.index) for entry in entries]


def test_the_mistake_stands_out_with_the_moments_around_it(
    agent: Callable[..., Agent],
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    repository: Repository,
    make_collection: Callable[..., str],
) -> None:
    name = make_collection(points=0, dimensions={"text": 4}, index=False, shard_number=1)
    storage = qdrant_server.storage_path
    with closing(PolledArchive(qdrant, storage, repository, name, "00000a")) as archive:
        points = [
            {"id": number, "vector": {"text": [1, 2, 3, number]}, "payload": {"n": number}} for number in range(8)
        ]
        qdrant.call("PUT", f"/collections/{name}/points", {"points": points}, {"wait": True})
        before = archive.moment()
        wrong = {"filter": {"must": [{"key": "n", "range": {"gt": 3}}]}}
        qdrant.call("POST", f"/collections/{name}/points/delete", wrong, {"wait": True})
        after = archive.moment()
        qdrant.call("PUT", f"/collections/{name}/points", {"points": points[:1]}, {"wait": True})
        archive.poll()
    host = agent(qdrant, repository)
    whole = json.loads(host.runs("wal", "show", "--collection", name, "--json").stdout)["entries"]
    assert [(each["kind"], each["points"]) for each in whole[:3]] == [("upsert", 1), ("delete", None), ("upsert", 8)]
    (mistake,) = json.loads(host.runs("wal", "show", "--collection", name, "--operation", "delete", "--json").stdout)[
        "entries"
    ]
    assert mistake == whole[1]
    assert mistake["filter"]["must"][0]["range"]["gt"] == 3
    stamps = [moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in (before, after)]
    assert stamps[0] <= mistake["written_after"] <= mistake["written_before"] <= stamps[1]
    text = host.runs("wal", "show", "--collection", name, "--limit", "3").stdout.splitlines()
    assert text[1].startswith(f"{mistake['written_after']} .. {mistake['written_before']}  shard 0  index ")
    assert '"gt": 3' in text[1]
    assert text[2].endswith("upsert_points  8 points: 0, 1, 2, 3, 4, ...")

    on_disk = json.loads(
        host.runs("wal", "show", "--collection", name, "--storage-path", str(storage), "--json").stdout
    )["entries"]
    untimed = dict.fromkeys(("replica", "timeline", "written_after", "written_before"))
    assert on_disk[:3] == [{**each, **untimed} for each in whole[:3]]
    refused = host.runs("wal", "show", "--collection", name, "--storage-path", str(storage), "--since", stamps[0])
    assert (refused.returncode, "has no times" in refused.stderr) == (1, True)


def test_all_shards_and_timelines_in_the_order_of_time(repository: Repository) -> None:
    make_timeline(repository, OLD, [2, 2])
    make_timeline(repository, NEW, [2, 3], first=10, previous=OLD)
    make_timeline(repository, NEW, [4], first=12, shard=1)
    entries = shown(repository)
    assert places(entries) == [
        *[(1, 15), (0, 14), (1, 14), (0, 13), (1, 13), (0, 12), (1, 12), (0, 11), (0, 10)],
        *[(0, index) for index in (3, 2, 1, 0)],
    ]
    times = [entry.before for entry in entries if entry.before is not None]
    assert times == sorted(times, reverse=True)
    assert [entry.timeline for entry in entries[-5:]] == [NEW, OLD, OLD, OLD, OLD]
    assert places(shown(repository, shard=1, limit=2)) == [(1, 15), (1, 14)]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, 25, range(25, -1, -1)),
        (25, None, range(99, 23, -1)),
        (25.5, 30.5, range(30, 24, -1)),
        (200, None, []),
        (None, -1, []),
    ],
)
def test_a_span_has_what_may_have_been_written_in_it(
    repository: Repository, since: float | None, until: float | None, expected: range
) -> None:
    """The entry with index n was written between the seconds n and n + 1."""
    make_timeline(repository, NEW, [10] * 10)
    span = {name: BEGIN + at * SECOND for name, at in (("since", since), ("until", until)) if at is not None}
    assert [entry.index for entry in shown(repository, **span)] == list(expected)


def test_a_moment_long_ago_is_found_by_a_few_headers(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    make_timeline(repository, NEW, [1] * 200)
    read: list[str] = []
    for name in ("get", "get_range"):
        original = getattr(Repository, name)

        def noting(self: Repository, key: str, *more: Any, original: Any = original) -> Any:
            read.append(key)
            return original(self, key, *more)

        monkeypatch.setattr(Repository, name, noting)
    (entry,) = shown(repository, until=BEGIN + 17.5 * SECOND, limit=1)
    assert entry.index == 17
    assert len(read) <= 8 + 2


def test_what_an_entry_did_can_be_asked_for(repository: Repository) -> None:
    operations = [deletion(1, 2), b"\xa1junk", deletion(3), cbor2.dumps({"new_operation": 1})]
    make_timeline(repository, NEW, [4], operations=operations)
    assert [entry.operation.ids for entry in shown(repository, operation="delete")] == [(3,), (1, 2)]
    assert places(shown(repository, operation="delete_points", limit=1)) == [(0, 2)]
    assert places(shown(repository, operation="unknown")) == [(0, 3), (0, 1)]
    assert places(shown(repository, operation="new_operation")) == [(0, 3)]


def test_of_several_replicas_that_one_is_shown_which_goes_on_the_longest(repository: Repository) -> None:
    make_timeline(repository, NEW, [3], replica="7")
    make_timeline(repository, OLD, [9], replica="5")
    assert {entry.replica for entry in shown(repository)} == {"7"}
    assert {entry.replica for entry in shown(repository, replica="5")} == {"5"}


def test_a_damaged_chunk_is_read_from_another_region(repository: Repository, standby: Repository) -> None:
    for region in (repository, standby):
        keys = make_timeline(region, NEW, [5, 5])
    flip_byte(repository, keys[0], len(repository.get(keys[0])) - 3)
    assert len(shown(repository, standby)) == 10
    with pytest.raises(errors.DamagedBackup, match=keys[0]):
        shown(repository)


def test_what_is_not_archived_is_said(repository: Repository) -> None:
    make_timeline(repository, NEW, [5])
    for how in ({"shard": 3}, {"replica": "9"}):
        with pytest.raises(errors.BackupNotFound, match="no archived log"):
            shown(repository, **how)
