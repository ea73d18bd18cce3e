# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the archived logs goes what no kept backup goes on in; what is left is unbroken, whatever went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog, timeline_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import prune_collection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.versions import list_versions
from tests.made_backups import flip_byte, make_backup
from tests.made_wal import make_timeline, tell_positions
from tests.proofs import verify_all

pytestmark = pytest.mark.s3

DAYS = [f"202611{day:02}T020000Z-{day:06x}" for day in (2, 3, 4, 5)]
LOGS = [(12, 19), (32, 39), (52, 59), (72, 79)]
BEFORE, BEGIN = "20261020T000000Z-00000a", "20261101T000000Z-00000b"
TENS = [10] * 10


def prune(*regions: Repository, check: bool = False, verified: bool = False, **rules: Any) -> list[dict[str, Any]]:
    limits = PruneLimits(grace=86400.0, require_verified=verified, max_delete_percent=100.0)
    request = PruneRequest(None, RetentionPolicy(**rules), limits)
    return prune_backups(regions, request, check=check).pruned


def fill(repository: Repository, **fields: Any) -> None:
    for backup_id, log in zip(DAYS, LOGS, strict=True):
        make_backup(repository, backup_id=backup_id, log=log, **fields)


def archived(repository: Repository) -> list[str]:
    return [item.key for item in repository.list("docs/wal/")]


def test_the_log_before_the_oldest_kept_backup_goes_and_nothing_else(repository: Repository, later: None) -> None:
    fill(repository, shards=(b"zero", b"one"))
    zero = make_timeline(repository, BEGIN, TENS)
    one = make_timeline(repository, BEGIN, TENS, shard=1)
    tell_positions(repository, ReplicaLog("docs", 0, "1", BEGIN), 99, datetime.now(timezone.utc))
    whole = archived(repository)
    planned = prune(repository, check=True, keep_last=2)
    assert archived(repository) == whole
    (entry,) = prune(repository, keep_last=2)
    assert planned == [entry]
    assert set(whole) - set(archived(repository)) == {*zero[:5], *one[:5]}, "the oldest backup that stays has S = 52"
    sizes = entry["wal"]["bytes"] + sum(each["bytes"] for each in entry["removed"])
    assert (entry["wal"]["objects"], entry["wal"]["kept_because"], entry["bytes"]) == (10, None, sizes)
    assert verify_all(repository) == DAYS[2:]

    (again,) = prune(repository, keep_last=2)
    assert (again["wal"]["objects"], again["bytes"]) == (0, 0)


def test_a_shorter_span_for_the_log_than_for_the_backups(repository: Repository) -> None:
    fill(repository)
    chunks = make_timeline(repository, BEGIN, TENS)
    since = layout.backup_time(DAYS[2]) + timedelta(hours=3)
    (entry,) = prune(repository, keep_last=4, keep_wal_within=(datetime.now(timezone.utc) - since).total_seconds())
    assert (entry["removed"], entry["wal"]["objects"]) == ([], 5), "the newest backup before the span has S = 52"
    assert not set(chunks[:5]) & set(archived(repository))


@pytest.mark.parametrize("peer_id", [None, 2])
def test_what_nobody_can_tell_the_use_of_stays(repository: Repository, later: None, peer_id: int | None) -> None:
    """A backup that does not say which replica's it is, or one of another replica: that was archived just now."""
    fill(repository, peer_id=peer_id)
    make_timeline(repository, BEGIN, TENS)
    whole = archived(repository)
    (entry,) = prune(repository, keep_last=2)
    assert len(entry["removed"]) == 2
    assert archived(repository) == whole
    assert ("does not tell of which replica" in (entry["wal"]["kept_because"] or "")) == (peer_id is None)


def test_without_a_backup_the_log_stays(repository: Repository, later: None) -> None:
    make_timeline(repository, BEFORE, TENS)
    make_timeline(repository, BEGIN, TENS, first=200, previous=BEFORE)
    whole = archived(repository)
    (entry,) = prune(repository, keep_last=1)
    assert archived(repository) == whole
    assert "no backup is kept" in entry["wal"]["kept_because"]


def test_a_catalogue_that_cannot_be_read_costs_no_log(repository: Repository, later: None) -> None:
    fill(repository)
    make_timeline(repository, BEGIN, TENS)
    flip_byte(repository, layout.manifest_key("docs", DAYS[3]), 40)
    whole = archived(repository)
    with pytest.raises(errors.DamagedManifest):
        prune(repository, keep_last=1)
    assert archived(repository) == whole


def test_without_a_newest_backup_that_was_verified_the_log_stays(repository: Repository) -> None:
    fill(repository)
    make_timeline(repository, BEGIN, TENS)
    whole = archived(repository)
    with pytest.raises(errors.PruneRefused, match=f"The content of {DAYS[3]}"):
        prune(repository, verified=True, keep_last=4)
    assert archived(repository) == whole


def test_a_timeline_before_all_kept_backups_goes_whole(repository: Repository, later: None) -> None:
    fill(repository)
    old = make_timeline(repository, BEFORE, TENS)
    new = make_timeline(repository, BEGIN, TENS, previous=BEFORE)
    record = timeline_key(ReplicaLog("docs", 0, "1", BEFORE))
    (entry,) = prune(repository, keep_last=4)
    assert entry["wal"]["timelines"] == [record.removesuffix("timeline.json")]
    assert entry["wal"]["objects"] == len(old) + 1 + 1
    assert archived(repository) == [*new[1:], timeline_key(ReplicaLog("docs", 0, "1", BEGIN))]


def test_a_timeline_that_was_written_to_a_moment_ago_stays(repository: Repository) -> None:
    fill(repository)
    old = make_timeline(repository, BEFORE, TENS)
    make_timeline(repository, BEGIN, TENS, previous=BEFORE)
    prune(repository, keep_last=4)
    assert set(old) <= set(archived(repository))


def test_a_locked_chunk_keeps_what_comes_after_it(locked: Repository, later: None) -> None:
    """So what is left has no gap, and the next prune goes on here."""
    fill(locked)
    chunks = make_timeline(locked, BEGIN, TENS)
    for key in chunks[:2]:
        flip_byte(locked, key, 9)
    until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=3)
    locked.client.put_object_retention(
        Bucket=locked.location.bucket,
        Key=locked.location.root + chunks[2],
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )
    planned = prune(locked, check=True, keep_last=2)
    (entry,) = prune(locked, keep_last=2)
    assert planned == [entry]
    assert entry["wal"]["locked"] == [
        {"timeline": f"docs/wal/0/1/{BEGIN}/", "until": until.isoformat(), "legal_hold": False}
    ]
    assert entry["wal"]["objects"] == 4, "two chunks, of two versions each"
    assert [key for key in archived(locked) if key.endswith(".wal")] == chunks[2:]
    left = {version.key for version in list_versions(locked, "docs/wal/")}
    assert not left & set(chunks[:2])


def test_what_an_interrupted_run_leaves_is_unbroken_and_goes_with_the_next(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(repository)
    chunks = make_timeline(repository, BEGIN, TENS)
    monkeypatch.setattr(prune_collection, "DELETE_BATCH", 2)
    delete = Repository.delete

    def failing(self: Repository, keys: Sequence[str]) -> None:
        if chunks[2] in keys:
            raise errors.StoreUnreachable("The store is gone.", "")
        delete(self, keys)

    monkeypatch.setattr(Repository, "delete", failing)
    with pytest.raises(errors.StoreUnreachable) as caught:
        prune(repository, keep_last=2)
    assert caught.value.result["pruned"][0]["wal"]["objects"] == 2
    assert [key for key in archived(repository) if key.endswith(".wal")] == chunks[2:]
    monkeypatch.setattr(Repository, "delete", delete)
    (entry,) = prune(repository, keep_last=2)
    assert entry["wal"]["objects"] == 3
    assert [key for key in archived(repository) if key.endswith(".wal")] == chunks[5:]


def test_the_end_of_the_log_stays_that_an_archiver_goes_on_from(repository: Repository, later: None) -> None:
    """All of it lies before the only backup, as where nothing is written any more."""
    make_backup(repository, backup_id=DAYS[3], log=(100, 99))
    chunks = make_timeline(repository, BEGIN, TENS)
    prune(repository, keep_last=1)
    assert [key for key in archived(repository) if key.endswith(".wal")] == chunks[9:]
