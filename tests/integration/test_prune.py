# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy does not keep goes, manifest first; nothing else does, whatever store and other runs are up to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import prune as prune_operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.leftovers import StartMarker
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import (
    PolicyOverride,
    PruneReport,
    PruneRequest,
    prune_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import collection_lock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.versions import list_versions
from tests.made_backups import flip_byte, location_on, make_backup, some_bytes
from tests.proofs import holdings, verify_all
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

SHARDS = (some_bytes(3000, 1), some_bytes(1000, 2))
DAYS = [f"202611{day:02}T020000Z-{day:06x}" for day in range(1, 9)]
KEEP_TWO = RetentionPolicy(keep_last=2)
TOMORROW = timedelta(days=1)


def prune(
    *regions: Repository, policy: RetentionPolicy | None = KEEP_TWO, check: bool = False, **how: Any
) -> PruneReport:
    limits = PruneLimits(
        grace=how.pop("grace", 86400.0),
        require_verified=how.pop("require_verified", False),
        max_delete_percent=how.pop("max_delete_percent", 100.0),
    )
    request = PruneRequest(how.pop("collections", None), policy, limits, **how)
    return prune_backups(regions, request, check=check)


def fill(repository: Repository, collection: str = "docs", ids: list[str] = DAYS) -> None:
    for backup_id in ids:
        make_backup(repository, collection, backup_id, SHARDS)


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["backup_id"] for entry in entries]


def keys(repository: Repository) -> set[str]:
    """What a repository holds, but for its locks."""
    return {key for key in holdings(repository) if not key.startswith(".locks/")}


def lock_for(region: Repository, key: str, seconds: float) -> datetime:
    until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=seconds)
    region.client.put_object_retention(
        Bucket=region.location.bucket,
        Key=region.location.root + key,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )
    return until


def test_what_no_rule_keeps_goes_with_all_that_belongs_to_it(repository: Repository) -> None:
    fill(repository)
    verify_backups([repository], VerifyRequest(None, Choice(newest=None), "exists"))
    before = holdings(repository)
    planned = prune(repository, check=True, price=0.023).as_result()
    assert holdings(repository) == before

    done = prune(repository, price=23000.0).as_result()
    (entry,) = done["pruned"]
    assert ids(entry["removed"]) == DAYS[:6]
    assert [(kept["backup_id"], kept["reasons"]) for kept in entry["kept"]] == [
        (DAYS[7], ["keep_last: 1 of 2"]),
        (DAYS[6], ["keep_last: 2 of 2"]),
    ]
    assert planned["pruned"] == done["pruned"]
    assert verify_all(repository) == DAYS[6:]
    gone = {
        key
        for key in before
        if key.startswith(tuple(f"docs/{kind}/{day}" for kind in ("backups", "verified") for day in DAYS[:6]))
    }
    assert keys(repository) == set(before) - gone
    assert done["bytes"] > 6 * 4000
    assert done["monthly_saving"] == pytest.approx(done["bytes"] / 1e9 * 23000, abs=0.01)
    assert (done["removed"], done["changed"]) == (6, True)

    again = prune(repository).as_result()
    assert (again["removed"], again["bytes"], again["changed"]) == (0, 0, False)


def test_every_collection_and_region_can_have_a_policy_of_its_own(repository: Repository, standby: Repository) -> None:
    for region in (repository, standby):
        fill(region, "docs", DAYS[:4])
        fill(region, "docs-archive", DAYS[:4])
    overrides = [
        PolicyOverride(RetentionPolicy(keep_last=3), ["docs-*"], ["standby"]),
        PolicyOverride(RetentionPolicy(keep_last=1), None, ["standby"]),
    ]
    report = prune(repository, standby, policy=None, overrides=overrides)
    assert [(entry["region"], entry["collection"], ids(entry["removed"])) for entry in report.pruned] == [
        ("standby", "docs", DAYS[:3]),
        ("standby", "docs-archive", DAYS[:1]),
    ]
    assert len(verify_all(repository)) == 8


def test_a_catalogue_that_cannot_be_read_whole_is_left_alone(repository: Repository) -> None:
    fill(repository, ids=DAYS[:5])
    fill(repository, "other", DAYS[:3])
    flip_byte(repository, layout.manifest_key("docs", DAYS[4]), 40)
    before = {key for key in keys(repository) if key.startswith("docs/")}
    with pytest.raises(errors.DamagedManifest, match=DAYS[4]) as caught:
        prune(repository)
    assert {key for key in keys(repository) if key.startswith("docs/")} == before
    assert [(entry["collection"], ids(entry["removed"])) for entry in caught.value.result["pruned"]] == [
        ("docs", []),
        ("other", DAYS[:1]),
    ]


def test_more_than_the_limit_is_refused(repository: Repository) -> None:
    fill(repository)
    before = keys(repository)
    with pytest.raises(errors.PruneRefused, match=r"remove 6 of 8 .* 75% and more than 74%"):
        prune(repository, max_delete_percent=74.0)
    assert keys(repository) == before
    assert len(prune(repository, max_delete_percent=75.0).pruned[0]["removed"]) == 6


@pytest.mark.parametrize("level", [None, "exists", "damaged"])
def test_without_a_newest_backup_that_was_verified_nothing_goes(repository: Repository, level: str | None) -> None:
    fill(repository, ids=DAYS[:3])
    if level == "exists":
        verify_backups([repository], VerifyRequest(None, Choice(newest=None), "exists"))
    if level == "damaged":
        flip_byte(repository, f"docs/{layout.shard_key(DAYS[2], 1)}", 7)
        with pytest.raises(errors.DamagedBackup):
            verify_backups([repository], VerifyRequest(None, Choice(), "content"))
    before = keys(repository)
    with pytest.raises(errors.PruneRefused, match=f"The content of {DAYS[2]}"):
        prune(repository, require_verified=True)
    assert keys(repository) == before


def test_with_a_newest_backup_that_was_verified_the_others_go(repository: Repository) -> None:
    fill(repository, ids=DAYS[:3])
    verify_backups([repository], VerifyRequest(None, Choice(), "content"))
    assert ids(prune(repository, require_verified=True).pruned[0]["removed"]) == DAYS[:1]


def test_in_a_versioned_bucket_old_versions_go_too(locked: Repository) -> None:
    fill(locked, ids=DAYS[:3])
    for backup_id in DAYS[:3]:
        locked.put(layout.keys_key("docs", backup_id), b"{}")
        flip_byte(locked, f"docs/{layout.shard_key(backup_id, 0)}", 5)
        flip_byte(locked, f"docs/{layout.shard_key(backup_id, 0)}", 5)
    entry = prune(locked).pruned[0]
    assert ids(entry["removed"]) == DAYS[:1]
    assert entry["removed"][0]["bytes"] > 3 * 3000
    left = {version.key for version in list_versions(locked, "docs/")}
    assert {key for key in left if DAYS[0] in key} == set()
    assert {key for key in left if DAYS[1] in key}
    assert verify_all(locked) == DAYS[1:3]


def test_a_backup_of_which_anything_is_locked_stays_and_says_until_when(locked: Repository) -> None:
    fill(locked, ids=DAYS[:5])
    until = lock_for(locked, f"docs/{layout.shard_key(DAYS[0], 1)}", 3600)
    locked.client.put_object_legal_hold(
        Bucket=locked.location.bucket,
        Key=locked.location.root + layout.manifest_key("docs", DAYS[1]),
        LegalHold={"Status": "ON"},
    )
    planned = prune(locked, check=True).pruned
    entry = prune(locked).pruned[0]
    assert planned == [entry]
    assert ids(entry["removed"]) == [DAYS[2]]
    assert entry["locked"] == [
        {"backup_id": DAYS[0], "committed": True, "until": until.isoformat(), "legal_hold": False},
        {"backup_id": DAYS[1], "committed": True, "until": None, "legal_hold": True},
    ]
    assert verify_all(locked) == [DAYS[0], DAYS[1], *DAYS[3:5]]


def test_a_lock_that_is_not_told_keeps_the_backup_in_the_catalogue(
    locked: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials without the right to ask for locks see none; the store keeps to them all the same."""
    fill(locked, ids=DAYS[:3])
    lock_for(locked, layout.manifest_key("docs", DAYS[0]), 3600)
    monkeypatch.setattr(
        "ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.erase.lock_of", lambda *_: None
    )
    entry = prune(locked).pruned[0]
    assert (ids(entry["removed"]), ids(entry["locked"])) == ([], [DAYS[0]])
    assert verify_all(locked) == DAYS[:3]


def test_what_a_dead_prune_has_left_goes_with_the_next_one(repository: Repository, later: None) -> None:
    fill(repository, ids=DAYS[:4])
    repository.delete([layout.manifest_key("docs", DAYS[0])])
    entry = prune(repository).pruned[0]
    assert ids(entry["removed"]) == DAYS[1:2]
    assert {f"object docs/{layout.shard_key(DAYS[0], shard)}" for shard in (0, 1)} <= set(entry["swept"])
    assert not any(DAYS[0] in key for key in keys(repository))


def test_leftovers_go_after_the_time_of_grace_and_not_before(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(repository, ids=DAYS[:2])
    orphan = f"docs/{layout.shard_key(DAYS[5], 0)}"
    record = layout.verified_key("docs", DAYS[6])
    repository.put(orphan, b"left by a run that died")
    repository.put(record, b"{}")
    begun = repository.start_upload(f"docs/{layout.shard_key(DAYS[1], 0)}")
    everything = holdings(repository)
    assert begun in everything.values()
    assert prune(repository).pruned[0]["swept"] == []
    ahead = datetime.now(timezone.utc) + TOMORROW + timedelta(minutes=1)
    monkeypatch.setattr(prune_operation, "store_time", lambda _region: ahead)
    swept = prune(repository, check=True).pruned[0]["swept"]
    assert set(everything) <= set(holdings(repository))
    assert swept == prune(repository).pruned[0]["swept"]
    assert swept == [f"object {orphan}", f"multipart upload of docs/{layout.shard_key(DAYS[1], 0)}", f"object {record}"]
    assert verify_all(repository) == DAYS[:2]
    assert not {orphan, record} & keys(repository)


def test_a_backup_at_work_is_not_a_leftover_however_long_it_takes(repository: Repository, later: None) -> None:
    fill(repository, ids=DAYS[:2])
    marker = StartMarker(repository, layout.started_key("docs", DAYS[5]), "http://127.0.0.1:6333")
    marker.write()
    orphan = f"docs/{layout.shard_key(DAYS[5], 0)}"
    repository.put(orphan, b"of a run at work")
    assert prune(repository).pruned[0]["swept"] == []
    marker.remove()
    assert prune(repository).pruned[0]["swept"] == [f"object {orphan}"]


def test_a_listing_without_a_manifest_costs_no_backup(
    repository: Repository, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store whose listing lags behind: no real one can be made to."""
    fill(repository, ids=DAYS[:4])
    whole = Repository.list

    def lagging(self: Repository, prefix: str = "") -> Any:
        return (item for item in whole(self, prefix) if item.key != layout.manifest_key("docs", DAYS[2]))

    monkeypatch.setattr(Repository, "list", lagging)
    prune(repository)
    monkeypatch.undo()
    assert set(DAYS[2:4]) <= set(verify_all(repository))


def test_who_changes_the_backups_of_a_collection_keeps_others_out(repository: Repository, standby: Repository) -> None:
    fill(repository, ids=DAYS[:4])
    fill(standby, ids=DAYS[:3])
    with collection_lock(standby, "docs"):
        before = keys(standby)
        with pytest.raises(errors.Busy):
            copy_backups(repository, [standby], None, Choice())
        with pytest.raises(errors.Busy) as caught:
            prune(repository, standby)
        assert keys(standby) == before
    assert [(entry["region"], ids(entry["removed"])) for entry in caught.value.result["pruned"]] == [
        ("primary", DAYS[:2])
    ]
    assert ids(prune(standby).pruned[0]["removed"]) == DAYS[:1]


def test_old_generations_of_locks_go(repository: Repository) -> None:
    fill(repository, ids=DAYS[:1])
    for number in (1, 2, 3):
        repository.put(f".locks/backup/{number:010}.json", json.dumps({"released": True}).encode())
    prune(repository)
    assert [key for key in holdings(repository) if key.startswith(".locks/backup/")] == [
        ".locks/backup/0000000003.json"
    ]


def test_a_region_out_of_reach_leaves_the_others_pruned(repository: Repository, s3_server: SeaweedServer) -> None:
    fill(repository, ids=DAYS[:3])
    with (
        Repository(location_on(s3_server, "no-such-bucket", name="lost")) as lost,
        pytest.raises(errors.BucketNotFound) as caught,
    ):
        prune(lost, repository)
    assert caught.value.result["failures"][0]["region"] == "lost"
    assert verify_all(repository) == DAYS[1:3]


def test_what_cannot_be_meant_is_refused(repository: Repository) -> None:
    fill(repository, ids=DAYS[:3])
    with pytest.raises(errors.InvalidInput, match="No rule"):
        prune(repository, policy=None)
    with pytest.raises(errors.InvalidInput, match="elsewhere"):
        prune(repository, overrides=[PolicyOverride(KEEP_TWO, regions=["elsewhere"])])
    with pytest.raises(errors.BackupNotFound, match="nothing-like-it"):
        prune(repository, collections=["nothing-like-it"])
    assert verify_all(repository) == DAYS[:3]
