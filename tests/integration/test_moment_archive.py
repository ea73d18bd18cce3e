# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores to a moment from archives that are damaged, late, incomplete or of another life of the collection."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cbor2
import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedBackup,
    DrError,
    IntegrityError,
    MomentNotRestorable,
    TargetExists,
    UnknownWalOperation,
    WrongKey,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_join import Entries
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import parse_chunk_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import KEYS, fill_key, make_sharded, start_cluster
from tests.followed import Followed, followed_collections, moment_of
from tests.made_backups import flip_byte, with_key
from tests.made_snapshots import wal_segment
from tests.made_wal import sealed
from tests.polled_archive import PolledArchive
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Follow = Callable[..., Followed]


@pytest.fixture(scope="module")
def follow(qdrant_server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Follow]:
    with followed_collections(qdrant_server, s3_server) as made:
        yield made


def chunks(repository: Repository, shard: int = 0) -> list[str]:
    """The keys of a shard's chunks, oldest first."""
    found = [(parsed, item.key) for item in repository.list() if (parsed := parse_chunk_key(item.key))]
    return [key for (log, first, _last), key in sorted(found, key=lambda each: each[0][1:]) if log.shard == shard]


def copy_all(repository: Repository, to: Repository) -> None:
    for item in repository.list():
        to.put(item.key, repository.get(item.key))


def half_open(followed: Followed) -> Followed:
    """A base, and three steps after it, each of which has a chunk of its own."""
    followed.archive.poll()
    followed.back_up()
    for first in (200, 300, 400):
        followed.upsert(first, first + 10)
        followed.step()
    return followed


# -- damage


def test_a_damaged_chunk_comes_from_the_next_region_and_is_named(follow: Follow, standby: Repository) -> None:
    followed = half_open(follow())
    primary, step = followed.repository, followed.steps[-1]
    copy_all(primary, standby)
    header, body, missing = chunks(primary)[-3:]
    flip_byte(primary, header, 20)
    flip_byte(primary, body, len(primary.get(body)) - 1)
    primary.delete([missing])
    flip_byte(standby, chunks(standby, 1)[-1], len(standby.get(chunks(standby, 1)[-1])) - 1)

    result = followed.proves(MomentRequest(step.time), step, primary, standby)

    assert {(note["source"], note["object"]) for note in result["notes"]} >= {("primary", header), ("primary", body)}
    assert result["backup_id"] == followed.bases[0]


@pytest.mark.parametrize("where", ["header", "entries"])
@pytest.mark.parametrize("overwrite", [False, True], ids=["beside", "overwrite"])
def test_a_chunk_that_no_region_has_right_is_named_and_nothing_is_changed(
    follow: Follow, standby: Repository, where: str, overwrite: bool
) -> None:
    followed = half_open(follow())
    primary = followed.repository
    damaged = chunks(primary)[-2]
    flip_byte(primary, damaged, 20 if where == "header" else len(primary.get(damaged)) - 1)
    copy_all(primary, standby)
    more = {"overwrite": True, "target": None} if overwrite else {}
    for request in (MomentRequest(followed.steps[-1].time), MomentRequest()):
        kind: type[DrError] = MomentNotRestorable if where == "header" else DamagedBackup
        error = followed.refused(request, kind, primary, standby, **more)
        assert damaged in error.detail
    # What was before it can be had.
    followed.proves(MomentRequest(indexes=followed.steps[0].last), followed.steps[0], primary, standby)


def test_a_chunk_found_damaged_while_it_is_sent_leaves_nothing_behind(
    follow: Follow, standby: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = half_open(follow())
    primary = followed.repository
    damaged = chunks(primary)[-2]
    flip_byte(primary, damaged, len(primary.get(damaged)) - 1)
    copy_all(primary, standby)
    created, create = [], Qdrant.create_collection

    def noting(qdrant: Qdrant, name: str, body: dict[str, Any]) -> None:
        created.append(name)
        create(qdrant, name, body)

    monkeypatch.setattr(Qdrant, "create_collection", noting)
    error = followed.refused(MomentRequest(), DamagedBackup, primary, standby)
    assert f"No source has a good copy of {damaged}" in error.detail
    assert created == [f"{followed.name}-then"], "it was found when the collection was there already"
    assert created[0] not in followed.qdrant.collections()


def test_each_chunk_is_read_once_but_for_those_that_change_indexes(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = half_open(follow(shard_number=1))
    before = chunks(followed.repository)[:-3]
    followed.call("PUT", "/index", {"field_name": "at", "field_schema": "integer"})
    step = followed.step()
    read: list[str] = []
    get = Repository.get

    def noting(repository: Repository, key: str, *args: Any, **more: Any) -> bytes:
        read.append(key)
        return get(repository, key, *args, **more)

    monkeypatch.setattr(Repository, "get", noting)
    followed.proves(MomentRequest(step.time), step)
    *plain, changed = [key for key in chunks(followed.repository) if key not in before]
    assert [read.count(key) for key in (*plain, changed)] == [1, 1, 1, 2]


def test_nothing_can_be_had_beyond_a_missing_chunk(follow: Follow) -> None:
    followed = half_open(follow())
    missing = chunks(followed.repository)[-2]
    parsed = parse_chunk_key(missing)
    assert parsed is not None
    _log, first, last = parsed
    followed.repository.delete([missing])
    requests = [MomentRequest(followed.steps[-1].time), MomentRequest(), MomentRequest(indexes=followed.steps[-1].last)]
    for request in requests:
        error = followed.refused(request, MomentNotRestorable)
        assert f"the entries {first} to {last} are missing in the archive" in error.detail
        assert error.result["nearest_before_base"] == followed.bases[0]
        before = moment_of(error.result["nearest_before"])
    assert followed.restored(MomentRequest(before))[0]["backup_id"] == followed.bases[0]
    followed.proves(MomentRequest(indexes=followed.steps[0].last), followed.steps[0])


def test_a_region_that_is_behind_is_helped_out_by_another(follow: Follow, standby: Repository) -> None:
    followed = half_open(follow())
    copy_all(followed.repository, standby)
    followed.upsert(500, 510)
    step = followed.step()
    followed.proves(MomentRequest(step.time), step, standby, followed.repository)
    assert "known up to" in followed.refused(MomentRequest(step.time), MomentNotRestorable, standby).detail


# -- timelines


def test_an_archive_that_began_after_the_base_must_share_its_last_entry(follow: Follow) -> None:
    """The log goes on in the same file: an archiver that begins now still finds the entries that the base has."""
    followed = follow()
    followed.archive.close()
    base = followed.back_up()
    followed.upsert(200, 210)
    followed.follow_anew()
    step = followed.step()
    followed.proves(MomentRequest(step.time), step)
    # One that begins later, with entries that come after the base's, shows nothing.
    followed.repository.delete(chunks(followed.repository) + chunks(followed.repository, 1))
    followed.upsert(300, 310)
    step = followed.step()
    error = followed.refused(MomentRequest(step.time), MomentNotRestorable)
    assert "its log was not archived after the base" in error.detail
    assert f"Backup {base} can be restored as it is" in error.hint
    assert restorable(followed.repository, followed.name).ranges == [], "nor is anything else listed"
    result, found = followed.restored(MomentRequest())
    assert (result["entries_replayed"], found.digest[0]) == (0, 100)


def recreate(followed: Followed, points: int) -> None:
    followed.archive.close()
    followed.qdrant.delete_collection(followed.name)
    followed.create()
    followed.upsert(1000, 1000 + points)
    followed.follow_anew()


@pytest.mark.parametrize("further", [True, False], ids=["further entries", "the same indexes"])
def test_the_log_of_a_collection_that_was_made_anew_never_continues_the_old_base(follow: Follow, further: bool) -> None:
    """No archiver had seen the first life: only the entry that both have can show that they are of different ones."""
    followed = follow()
    followed.archive.close()
    base = followed.back_up()
    recreate(followed, 100)
    if further:
        followed.upsert(1100, 1110)
    step = followed.step()
    for request in (MomentRequest(step.time), MomentRequest(indexes=step.last), MomentRequest()):
        error = followed.refused(request, IntegrityError)
        assert f"is not that of base {base}" in error.detail


def test_each_life_of_a_collection_can_be_had_at_its_times(follow: Follow) -> None:
    followed = half_open(follow())
    recreate(followed, 50)
    between = followed.step()
    error = followed.refused(MomentRequest(between.time), MomentNotRestorable)
    assert "known up to" in error.detail
    followed.back_up()
    followed.upsert(1200, 1210)
    new = followed.step()
    followed.proves(MomentRequest(followed.steps[1].time), followed.steps[1])
    followed.proves(MomentRequest(new.time), new)
    error = followed.refused(MomentRequest(between.time), MomentNotRestorable)
    assert error.result["nearest_before_base"] == followed.bases[0]
    assert error.result["nearest_after_base"] == followed.bases[1]


def test_an_archiver_that_had_lost_its_place_goes_on_from_an_old_base(follow: Follow) -> None:
    """It begins a timeline; that has the base's last entry, while the one before ends earlier."""
    followed = follow()
    followed.archive.poll()
    followed.upsert(200, 210)
    base = followed.back_up()
    followed.upsert(300, 310)
    followed.follow_anew()
    step = followed.step()
    assert followed.proves(MomentRequest(step.time), step)["backup_id"] == base


# -- what a base goes with


def test_an_operation_not_known_here_is_refused_before_anything_is_changed(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = half_open(follow(shard_number=1))
    repository, index = followed.repository, followed.steps[-1].last[0] + 1
    newest = ChunkHeader.parse(repository.get(chunks(repository)[-1]))
    framed = wal_segment([cbor2.dumps({"fold_points": {}})], newest.last_crc)[wal.HEADER_SIZE :]
    scanned = wal.scan_from("open-1", wal.Position(index, 0, newest.last_crc), framed)
    entries = Entries(framed, (scanned.entries,), newest.last_crc, scanned.position.crc)
    data = sealed([entries], newest.log, datetime.now(timezone.utc), newest.cluster)
    repository.put(ChunkHeader.parse(data).key, data)
    monkeypatch.setattr(Qdrant, "create_collection", None)
    error = followed.refused(MomentRequest(indexes={0: index}), UnknownWalOperation)
    assert f"Entry {index} of the log is an operation not known here: fold_points" in error.detail


def test_strict_takes_what_is_exact(follow: Follow) -> None:
    followed = half_open(follow())
    step = followed.steps[-1]
    assert followed.proves(MomentRequest(step.time, strict=True), step)["inexact"] == {}


def test_over_the_live_collection_only_when_told_and_after_a_backup_of_it(follow: Follow) -> None:
    followed = half_open(follow())
    qdrant, name, step = followed.qdrant, followed.name, followed.steps[0]
    live = collection_digest(qdrant, name)
    followed.refused(MomentRequest(step.time), TargetExists, target=None)
    request = RestoreRequest(name, aliases=[], overwrite=True, moment=MomentRequest(step.time))
    result = restore([qdrant], [followed.repository], request)
    assert collection_digest(qdrant, name) == step.digest
    back = RestoreRequest(name, aliases=[], overwrite=True, safety_backup=False, backup_id=result["safety_backup"])
    restore([qdrant], [followed.repository], back)
    assert collection_digest(qdrant, name) == live
    # The log of the collection that is there now is another one; the times before can be had as they could.
    followed.follow_anew()
    now = followed.step()
    followed.proves(MomentRequest(followed.steps[1].time), followed.steps[1])
    followed.refused(MomentRequest(now.time - timedelta(microseconds=1)), MomentNotRestorable)


def test_an_encrypted_base_is_opened_for_its_log_as_for_its_points(follow: Follow, repository: Repository) -> None:
    key = secrets.token_hex(32)
    followed = half_open(follow(with_key(repository, key)))
    for step in followed.steps:
        followed.proves(MomentRequest(step.time), step)
    followed.refused(MomentRequest(followed.steps[0].time), WrongKey, with_key(repository, secrets.token_hex(32)))


def test_shard_keys_come_back_to_a_moment(tmp_path: Path, repository: Repository) -> None:
    with start_cluster(tmp_path, 1) as cluster:
        qdrant, server = cluster.nodes[0], cluster.servers[0]
        make_sharded([qdrant], "keyed", points=60, keys=KEYS, gaps=True, replication_factor=1)
        archive = PolledArchive(qdrant, server.storage_path, repository, "keyed", "a1b2c3")
        followed = Followed(qdrant, server, repository, "keyed", archive, lambda: None)
        archive.poll()
        followed.back_up()
        for number, key in enumerate(KEYS):
            fill_key(qdrant, "keyed", key, 20, 1000 + number * 100)
        step = followed.step()
        fill_key(qdrant, "keyed", "eu", 50, 2000)
        followed.step()
        for each in followed.steps:
            followed.proves(MomentRequest(each.time), each)
        assert step.digest[0] == 120
        archive.close()
