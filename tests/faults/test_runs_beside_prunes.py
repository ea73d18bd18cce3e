# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prune beside another prune, a backup or a copy: all that is to be kept verifies afterwards, on a real store.

A gate holds one run in the middle of its work until the other one is done. Where both just run, they are processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from threading import Event
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy, DrError, StoreUnreachable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import prune as prune_operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import ModuleProcess
from tests.made_backups import as_option, make_backup, some_bytes
from tests.proofs import PATIENCE, holdings, verify_all, wait_for

pytestmark = pytest.mark.s3

DAYS = [f"202611{day:02}T020000Z-{day:06x}" for day in range(1, 9)]
SHARDS = (some_bytes(3000, 1), some_bytes(1000, 2))
ALL = Choice(newest=None)


class Gate:
    """Holds the first call of a repository's method that fits ``when``, until it is opened."""

    def __init__(self, repository: Repository, method: str, when: Callable[..., bool]) -> None:
        self._reached, self._open = Event(), Event()
        self._method, self._when = getattr(repository, method), when
        setattr(repository, method, self._call)

    def _call(self, *args: Any, **how: Any) -> Any:
        if not self._reached.is_set() and self._when(*args):
            self._reached.set()
            assert self._open.wait(PATIENCE)
        return self._method(*args, **how)

    def wait(self) -> None:
        """Until the run is held."""
        assert self._reached.wait(PATIENCE), "the run never came here"

    def open(self) -> None:
        """Let the run go on."""
        self._open.set()


@pytest.fixture
def gated(beside: Callable[..., Future[Any]]) -> Iterator[Callable[..., Gate]]:
    """Call it for a ``Gate``; those that a failed test has left are opened before `beside` waits for its runs."""
    gates: list[Gate] = []

    def make(repository: Repository, method: str, when: Callable[..., bool]) -> Gate:
        gates.append(Gate(repository, method, when))
        return gates[-1]

    yield make
    for gate in gates:
        gate.open()


@pytest.fixture
def again() -> Iterator[Callable[[Repository], Repository]]:
    """Call it for a second client of a repository, as another run has one."""
    with ExitStack() as stack:
        yield lambda repository: stack.enter_context(Repository(repository.location))


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Any]]]:
    """Call it with a function and its arguments to run it beside the test."""
    with ThreadPoolExecutor() as threads:
        yield threads.submit


def prune(region: Repository, keep: int, grace: float = 0.0) -> list[str]:
    """The ids of the backups that went. Without grace, nothing is safe for its age alone."""
    limits = PruneLimits(grace, require_verified=False, max_delete_percent=100.0)
    report = prune_backups([region], PruneRequest(None, RetentionPolicy(keep_last=keep), limits))
    return [each["backup_id"] for entry in report.pruned for each in entry["removed"]]


def fill(*regions: Repository) -> None:
    for region in regions:
        for backup_id in DAYS:
            make_backup(region, backup_id=backup_id, shards=SHARDS)


def deletes_manifest_of(backup_id: str) -> Callable[..., bool]:
    return lambda keys: any(backup_id in key and key.endswith("manifest.json") for key in keys)


def stores(ending: str) -> Callable[..., bool]:
    return lambda key, *_more: key.endswith(ending)


def backups_in(repository: Repository) -> dict[str, str]:
    """What belongs to backups, open uploads included."""
    return {key: etag for key, etag in holdings(repository).items() if "/backups/" in key}


# -- two prunes


def test_a_second_prune_waits_for_its_turn(
    repository: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
) -> None:
    fill(repository)
    first = again(repository)
    gate = gated(first, "delete", deletes_manifest_of(DAYS[2]))
    running = beside(prune, first, 3)
    gate.wait()
    with pytest.raises(Busy):
        prune(repository, 1)
    assert verify_all(repository) == DAYS[2:]
    gate.open()
    assert running.result() == DAYS[:5]
    assert verify_all(repository) == DAYS[5:]
    assert prune(repository, 3) == []


def test_a_prune_that_was_taken_over_stops(
    repository: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host lost sight of the store for longer than its lock lives; the one that took over keeps more."""
    fill(repository)
    monkeypatch.setattr(
        prune_operation, "collection_lock", lambda region, name: RepositoryLock(region, f"backups-of-{name}", life=3)
    )
    first = again(repository)
    gate = gated(first, "delete", deletes_manifest_of(DAYS[2]))
    running = beside(prune, first, 1)
    gate.wait()

    def out_of_reach(*_args: Any, **_how: Any) -> None:
        raise StoreUnreachable("the store does not answer")

    monkeypatch.setattr(first, "put", out_of_reach)
    assert wait_for(lambda: taken_over(repository, 4), "the end of the lock") == DAYS[2:4]
    gate.open()
    with pytest.raises(Busy, match="could not be renewed in time"):
        running.result()
    assert verify_all(repository) == DAYS[4:]


def taken_over(repository: Repository, keep: int) -> list[str]:
    try:
        return prune(repository, keep)
    except Busy:
        return []


def test_two_processes_that_prune_at_once(repository: Repository, start_module: Callable[..., ModuleProcess]) -> None:
    fill(repository)
    rules = {"require_verified": False, "max_delete_percent": 100, "grace": "0"}
    params = {"repositories": [as_option(repository.location)], **rules}
    runs = [start_module("backup_prune", {**params, "keep_last": keep}) for keep in (3, 5)]
    results = [run.result() for run in runs]
    failures = [result["failure"]["code"] for result in results if result.get("failed")]
    assert failures in ([], ["busy"])
    kept = verify_all(repository)
    assert kept in (DAYS[5:], DAYS[3:]), "by the rule of one that ran to its end"
    prune(repository, 3)
    assert verify_all(repository) == DAYS[5:]


# -- a prune during a backup


@pytest.mark.qdrant
@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("put_part", lambda _key, _upload, number, *_more: number == 3),
        ("complete_upload", lambda *_all: True),
        ("put", stores("0.snapshot.sha256")),
        ("put", stores("manifest.json")),
    ],
    ids=["between parts", "before the object", "before the sidecar", "before the commit"],
)
def test_a_backup_at_work_commits_whatever_a_prune_does(
    qdrant: Qdrant,
    large: str,
    small_parts: int,
    repository: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    when: Callable[..., bool],
) -> None:
    ahead = datetime.now(timezone.utc) + timedelta(days=2)
    monkeypatch.setattr(prune_operation, "store_time", lambda _region: ahead)
    old = [make_backup(repository, large, backup_id, SHARDS).backup_id for backup_id in DAYS[:3]]
    writer = again(repository)
    gate = gated(writer, method, when)
    running = beside(back_up, qdrant, writer, BackupRequest(large))
    gate.wait()
    stored = {key: etag for key, etag in backups_in(repository).items() if not any(each in key for each in old)}
    assert stored, "the backup has stored something that is not committed"
    assert prune(repository, 1) == old[:2]
    assert stored.items() <= backups_in(repository).items()
    gate.open()
    backup_id = running.result()["backup_id"]
    verify_backups([repository], VerifyRequest([large], ALL, "content"))
    assert verify_all(repository) == [old[2], backup_id]
    assert prune(repository, 1) == [old[2]]
    assert verify_all(repository) == [backup_id]


# -- a prune during a copy


def test_a_copy_of_what_is_pruned_meanwhile_is_whole_or_none(
    repository: Repository,
    standby: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
) -> None:
    fill(repository)
    make_backup(standby, backup_id=DAYS[0], shards=SHARDS)
    arriving = again(standby)
    gate = gated(arriving, "put", lambda key, *_more: DAYS[2] in key and key.endswith("0.snapshot.sha256"))
    running = beside(copy_backups, repository, [arriving], ["docs"], ALL)
    gate.wait()
    assert prune(repository, 4) == DAYS[:4]
    gate.open()
    with pytest.raises(DrError) as failed:
        running.result()
    lost = {entry["backup_id"] for entry in failed.value.result["failures"]}  # type: ignore[attr-defined]
    assert lost >= {DAYS[1]}, "it was gone before the copy came to it"
    assert verify_all(repository) == DAYS[4:]
    # The one that was held: with both shards, if both had been read by then.
    assert set(verify_all(standby)) == set(DAYS) - lost | {DAYS[0]}


def test_a_prune_keeps_out_of_what_a_copy_brings(
    repository: Repository,
    standby: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
) -> None:
    fill(repository)
    for backup_id in DAYS[:3]:
        make_backup(standby, backup_id=backup_id, shards=SHARDS)
    arriving = again(standby)
    gate = gated(arriving, "put", stores("manifest.json"))
    running = beside(copy_backups, repository, [arriving], ["docs"], Choice())
    gate.wait()
    with pytest.raises(Busy):
        prune(standby, 1)
    gate.open()
    assert [entry["backup_id"] for entry in running.result().copied] == [DAYS[7]]
    assert verify_all(standby) == [*DAYS[:3], DAYS[7]]
    assert prune(standby, 1) == DAYS[:3]
    assert verify_all(standby) == [DAYS[7]]


def test_a_copy_keeps_out_of_a_prune(
    repository: Repository,
    standby: Repository,
    again: Callable[..., Repository],
    beside: Callable[..., Future[Any]],
    gated: Callable[..., Gate],
) -> None:
    fill(repository)
    for backup_id in DAYS[:4]:
        make_backup(standby, backup_id=backup_id, shards=SHARDS)
    pruning = again(standby)
    gate = gated(pruning, "delete", deletes_manifest_of(DAYS[1]))
    running = beside(prune, pruning, 2)
    gate.wait()
    with pytest.raises(Busy):
        copy_backups(repository, [standby], ["docs"], Choice())
    gate.open()
    assert running.result() == DAYS[:2]
    copy_backups(repository, [standby], ["docs"], Choice())
    assert verify_all(standby) == [*DAYS[2:4], DAYS[7]]


def test_processes_that_copy_and_prune_both_sides_at_once(
    repository: Repository, standby: Repository, start_module: Callable[..., ModuleProcess]
) -> None:
    fill(repository)
    source, destination = (as_option(region.location) for region in (repository, standby))
    limits = {"require_verified": False, "max_delete_percent": 100, "grace": "0"}
    copies = {"source": source, "destinations": [destination], "collections": ["docs"], "all": True}
    copying = start_module("backup_copy", copies)
    pruning = start_module("backup_prune", {"repositories": [source, destination], "keep_last": 4, **limits})
    failures = {result["failure"]["code"] for result in (copying.result(), pruning.result()) if result.get("failed")}
    assert failures <= {"busy", "partly_failed", "backup_not_found", "object_not_found", "damaged_backup"}
    assert verify_all(repository) == DAYS[4:]
    verify_all(standby)
    copy_backups(repository, [standby], ["docs"], ALL)
    prune(standby, 4)
    assert verify_all(standby) == DAYS[4:]
