# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_prune, as a process of its own, and the playbook prune."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, make_backup
from tests.made_wal import make_timeline
from tests.proofs import holdings, verify_all

pytestmark = pytest.mark.s3

ROOT = Path(__file__).resolve().parent.parent.parent
DAYS = [f"202611{day:02}T020000Z-{day:06x}" for day in range(1, 5)]
Run = Callable[..., dict[str, Any]]


def test_the_module_backup_prune(repository: Repository, run_module: Run) -> None:
    for backup_id in DAYS:
        make_backup(repository, backup_id=backup_id)
    params = {"repositories": [as_option(repository.location)], "keep_daily": 2, "require_verified": False}
    before = holdings(repository)
    planned = run_module("backup_prune", params, check=True, diff=True)
    assert holdings(repository) == before
    done = run_module("backup_prune", {**params, "price_per_gb_month": 0.023}, diff=True)
    assert verify_all(repository) == DAYS[2:]
    assert (planned["changed"], done["changed"], planned["removed"], done["removed"]) == (True, True, 2, 2)
    assert planned["diff"] == done["diff"]
    size = done["pruned"][0]["removed"][0]["bytes"]
    assert done["diff"]["before"].splitlines()[:2] == [f"primary: docs {day} ({size} bytes)" for day in DAYS[:2]]
    assert done["diff"]["after"].splitlines() == [f"primary: docs {day}" for day in DAYS[2:]]
    assert (done["bytes"], done["monthly_saving"]) == (2 * size, 0.0)
    again = run_module("backup_prune", params)
    assert (again["changed"], again["removed"], again["monthly_saving"]) == (False, 0, None)


def test_the_module_tells_what_goes_of_the_log(repository: Repository, run_module: Run) -> None:
    for backup_id, log in zip(DAYS, [(10, 19), (20, 29), (30, 39), (40, 49)], strict=True):
        make_backup(repository, backup_id=backup_id, log=log)
    make_timeline(repository, "20261101T000000Z-000001", [10] * 6)
    params = {"repositories": [as_option(repository.location)], "keep_last": 4, "require_verified": False}
    assert run_module("backup_prune", params)["pruned"][0]["wal"]["objects"] == 1, "before the oldest backup"
    done = run_module("backup_prune", {**params, "keep_wal_within": "1s"}, diff=True)
    wal = done["pruned"][0]["wal"]
    assert (done["changed"], done["removed"], wal["objects"], done["bytes"]) == (True, 0, 3, wal["bytes"])
    assert f"primary: docs: 3 objects of the WAL archive ({wal['bytes']} bytes)" in done["diff"]["before"]


def test_the_module_says_why_it_refuses(repository: Repository, run_module: Run) -> None:
    for backup_id in DAYS:
        make_backup(repository, backup_id=backup_id)
    params = {"repositories": [as_option(repository.location)]}
    refused = run_module("backup_prune", {**params, "keep_last": 2})
    assert (refused["failure"]["code"], refused["removed"], refused["changed"]) == ("prune_refused", 0, False)
    assert "backup_verify" in refused["failure"]["hint"]
    assert refused["failures"][0]["collection"] == "docs"
    assert verify_all(repository) == DAYS


@pytest.mark.parametrize(
    "changes",
    [
        {"repositories": []},
        {"keep_last": 0},
        {"keep_last": -1},
        {"keep_within": "a month"},
        {"keep_last": 1, "keep_wal_within": "a month"},
        {"keep_wal_within": "7d"},
        {"grace": "soon", "keep_last": 1},
        {"keep_last": 1, "min_redundancy": 0},
        {"keep_last": 1, "max_delete_percent": 0},
        {"keep_last": 1, "overrides": [{"regions": ["primary"]}]},
        {"keep_last": 1, "overrides": [{"regions": ["elsewhere"], "keep_last": 1}]},
        {"keep_last": 1, "collections": ["all", "docs"]},
    ],
)
def test_the_module_refuses_what_cannot_be_meant(
    repository: Repository, run_module: Run, changes: dict[str, Any]
) -> None:
    make_backup(repository, backup_id=DAYS[0])
    result = run_module("backup_prune", {"repositories": [as_option(repository.location)], **changes})
    assert result["failure"]["code"] == "invalid_input"
    assert verify_all(repository) == DAYS[:1]


def play(folder: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook on this host with these variables."""
    given = folder / "vars.json"
    given.write_text(
        json.dumps({"qdrant_hosts": "localhost", "ansible_python_interpreter": sys.executable, **variables})
    )
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(ROOT / "playbooks/prune.yml")]
    return subprocess.run(
        [*command, "-e", f"@{given}", *arguments],
        env={**os.environ, "HOME": str(folder), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_playbook_verifies_first_and_then_prunes(
    repository: Repository, standby: Repository, tmp_path: Path
) -> None:
    for region, days in ((repository, DAYS), (standby, DAYS[:3])):
        for backup_id in days:
            make_backup(region, backup_id=backup_id)
    variables = {
        "qdrant_retention_repositories": [as_option(each.location) for each in (repository, standby)],
        "qdrant_retention_keep_last": 2,
    }
    before = holdings(repository), holdings(standby)
    planned = play(tmp_path, "--check", "--diff", **variables)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert (holdings(repository), holdings(standby)) == before
    assert "primary: docs: would remove 2 backups and 0 leftovers" in " ".join(planned.stdout.split())
    assert f"-standby: docs {DAYS[0]}" in planned.stdout
    done = play(tmp_path, "-vvvv", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "standby: docs: removed 1 backups and 0 leftovers" in " ".join(done.stdout.split())
    assert (verify_all(repository), verify_all(standby)) == (DAYS[2:], DAYS[1:3])
    assert repository.location.secret_key not in done.stdout + done.stderr


def test_the_playbook_wants_a_rule(repository: Repository, tmp_path: Path) -> None:
    make_backup(repository, backup_id=DAYS[0])
    refused = play(tmp_path, qdrant_retention_repositories=[as_option(repository.location)])
    assert refused.returncode == 2
    assert "No rule says what to keep: set qdrant_retention_keep_last" in " ".join(refused.stdout.split())
