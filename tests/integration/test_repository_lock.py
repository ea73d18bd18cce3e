# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a repository on a real store: processes that contend, die and come too late."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy, InvalidInput, StoreUnreachable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.lock_layout import lock_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import repository_lock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.store_clock import store_time
from tests.made_backups import as_option
from tests.power_loss import process_before_a_boot
from tests.proofs import wait_for

pytestmark = pytest.mark.s3

ROOT = Path(__file__).resolve().parent.parent.parent
CONTENDERS = 3
ROUNDS = 15

# Takes the lock again and again, and notes in a file of its own when it was held, on a clock that all processes share.
CONTENDER = """
import json, sys, time
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
given = json.load(sys.stdin)
repository, held, refused = Repository(StoreLocation(**given["location"])), [], 0
while len(held) < given["rounds"]:
    try:
        with RepositoryLock(repository, "contended", life=given["life"]):
            print("held", flush=True)
            begun = time.monotonic()
            time.sleep(given["hold"])
            held.append((begun, time.monotonic()))
        time.sleep(0.02)
    except Busy:
        refused += 1
        time.sleep(0.01)
print(json.dumps({"held": held, "refused": refused}), flush=True)
"""


def contender(
    repository: Repository, rounds: int, hold: float, life: float, code: str = CONTENDER
) -> subprocess.Popen[str]:
    """A process that takes the lock ``rounds`` times for ``hold`` seconds each."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT / "build" / "collections"), "AWS_EC2_METADATA_DISABLED": "true"},
    )
    assert process.stdin is not None
    given = {"location": as_option(repository.location), "rounds": rounds, "hold": hold, "life": life}
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def holding(cleanup: ExitStack, repository: Repository, life: float) -> subprocess.Popen[str]:
    """A process that holds the lock until it is killed."""
    process = contender(repository, 1, 100, life)
    cleanup.callback(process.communicate)
    cleanup.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def held_objects(repository: Repository, name: str = "contended") -> list[str]:
    return [item.key for item in repository.list(f".locks/{name}/")]


def content(repository: Repository, generation: int, name: str = "contended") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(repository.get(lock_key(name, generation)))
    return found


def test_several_processes_never_hold_it_at_once(repository: Repository) -> None:
    processes = [contender(repository, ROUNDS, 0.05, 30) for _number in range(CONTENDERS)]
    reports = [json.loads(process.communicate(timeout=200)[0].splitlines()[-1]) for process in processes]
    spans = sorted(tuple(span) for report in reports for span in report["held"])
    assert len(spans) == CONTENDERS * ROUNDS
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert all(report["refused"] for report in reports), "they did contend"
    assert len(held_objects(repository)) == 1, "older generations are tidied up"


def test_a_second_run_is_told_who_holds_it_and_until_when(repository: Repository) -> None:
    with RepositoryLock(repository, "backup", life=60), pytest.raises(Busy) as refused:
        RepositoryLock(repository, "backup", life=60).__enter__()
    owner = content(repository, 1, "backup")
    assert f"process {owner['process']['pid']} on {owner['process']['host']}" in refused.value.detail
    assert refused.value.result["owner"] == owner["process"]
    assert refused.value.result["expires"] in refused.value.detail


def test_it_is_free_at_once_after_its_end_and_locks_differ_by_name(repository: Repository) -> None:
    for _round in range(3):
        with RepositoryLock(repository, "backup") as lock, RepositoryLock(repository, "copy"):
            assert lock.held
        assert not lock.held
    assert held_objects(repository, "backup") == [lock_key("backup", 3)]


def test_the_lock_of_a_killed_process_of_this_host_is_taken_over_at_once(
    cleanup: ExitStack, repository: Repository
) -> None:
    process = holding(cleanup, repository, 600)
    with pytest.raises(Busy):
        RepositoryLock(repository, "contended").__enter__()
    process.kill()
    process.wait()
    with RepositoryLock(repository, "contended") as lock:
        assert lock.held


def test_the_lock_of_before_a_power_loss_of_this_host_is_taken_over_at_once(
    cleanup: ExitStack, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    holding(cleanup, repository, 600)
    left = {**content(repository, 1), "process": process_before_a_boot(monkeypatch, tmp_path)}
    repository.put(lock_key("contended", 1), json.dumps(left).encode("ascii"))
    with RepositoryLock(repository, "contended") as lock:
        assert lock.held


def test_the_lock_of_another_host_is_taken_over_when_it_expires(
    cleanup: ExitStack, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holding(cleanup, repository, 4)
    process.kill()
    process.wait()
    # What is seen from another host: nothing.
    monkeypatch.setattr(repository_lock, "has_ended", lambda process: None)
    expires = datetime.fromisoformat(content(repository, 1)["expires"].replace("Z", "+00:00"))
    with pytest.raises(Busy):
        RepositoryLock(repository, "contended").__enter__()
    while True:
        try:
            with RepositoryLock(repository, "contended"):
                break
        except Busy:
            time.sleep(0.1)
    assert (store_time(repository) or expires) >= expires


def test_it_is_renewed_while_it_is_held(cleanup: ExitStack, repository: Repository) -> None:
    holding(cleanup, repository, 3)
    first = content(repository, 1)
    end = time.monotonic() + 7
    while time.monotonic() < end:
        with pytest.raises(Busy):
            RepositoryLock(repository, "contended").__enter__()
        time.sleep(0.2)
    latest = content(repository, 1)
    assert latest["expires"] > first["expires"]
    assert latest["since"] == first["since"]


def test_a_holder_that_cannot_renew_stops_and_others_wait_until_it_expires(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Repository(repository.location) as cut_off, RepositoryLock(cut_off, "contended", life=3) as lock:

        def no_answer(*_given: Any, **_named: Any) -> None:
            raise StoreUnreachable("cut off")

        monkeypatch.setattr(cut_off, "put", no_answer)
        monkeypatch.setattr(repository_lock, "has_ended", lambda process: None)
        expires = datetime.fromisoformat(content(repository, 1)["expires"].replace("Z", "+00:00"))
        wait_for(lambda: not lock.held, "the holder's end")
        just_before = expires - timedelta(milliseconds=1)
        with pytest.raises(Busy):
            RepositoryLock(repository, "contended", clock=lambda store: just_before).__enter__()
        with RepositoryLock(repository, "contended", clock=lambda store: expires) as other:
            assert other.held
            assert not lock.held


def test_a_late_creation_below_a_newer_one_is_withdrawn(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contender that looked, slept through two others' turns, and creates what has been tidied up meanwhile."""
    late = RepositoryLock(repository, "backup")
    look = late._newest
    looks = iter([(0, {})])
    monkeypatch.setattr(late, "_newest", lambda: next(looks, None) or look())
    with RepositoryLock(repository, "backup"):
        pass
    with RepositoryLock(repository, "backup"):
        assert held_objects(repository, "backup") == [lock_key("backup", 2)]
        with pytest.raises(Busy):
            late.__enter__()
        assert held_objects(repository, "backup") == [lock_key("backup", 2)]
        assert not late.held


def test_a_damaged_lock_holds_for_one_life(repository: Repository) -> None:
    repository.put(lock_key("backup", 7), b'{"expires": 5}')
    with pytest.raises(Busy):
        RepositoryLock(repository, "backup").__enter__()
    later = datetime.now(timezone.utc) + timedelta(seconds=61)
    with RepositoryLock(repository, "backup", life=60, clock=lambda _repository: later):
        assert held_objects(repository, "backup") == [lock_key("backup", 8)]


def test_the_clock_is_that_of_the_store(repository: Repository) -> None:
    found = store_time(repository)
    assert found is not None
    assert abs((datetime.now(timezone.utc) - found).total_seconds()) < 5
    with RepositoryLock(repository, "backup", life=60, clock=lambda _repository: None):
        expires = datetime.fromisoformat(content(repository, 1, "backup")["expires"].replace("Z", "+00:00"))
        assert 50 < (expires - datetime.now(timezone.utc)).total_seconds() < 61


def test_a_life_too_short_to_renew_is_refused(repository: Repository) -> None:
    with pytest.raises(InvalidInput, match="too short"):
        RepositoryLock(repository, "backup", life=1)
