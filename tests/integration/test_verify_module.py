# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module backup_verify, as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import PART, as_option, flip_byte, make_backup, some_bytes
from tests.proofs import verify_all

pytestmark = pytest.mark.s3

BACKUP = "20261122T020000Z-000002"
SHARD = f"docs/backups/{BACKUP}/shards/0.snapshot"
SHARDS = (some_bytes(2 * PART + 5, 1), some_bytes(1000, 2))
TOTAL = sum(map(len, SHARDS))


def verdicts(result: dict[str, Any]) -> list[list[str]]:
    return [[region["verdict"] for region in backup["regions"]] for backup in result["backups"]]


def test_the_module_backup_verify(
    repository: Repository, standby: Repository, run_module: Callable[..., dict[str, Any]]
) -> None:
    for region in (repository, standby):
        make_backup(region, backup_id=BACKUP, shards=SHARDS)
    params = {"repositories": [as_option(repository.location), as_option(standby.location)]}
    good = run_module("backup_verify", params)
    assert (good["changed"], verdicts(good), good["bytes_read"]) == (True, [["good", "good"]], 2 * TOTAL)
    flip_byte(standby, SHARD, PART + 7)
    failed = run_module("backup_verify", params)
    assert (failed["failure"]["code"], failed["changed"], verdicts(failed)) == (
        "damaged_backup",
        True,
        [["good", "damaged"]],
    )
    for words in ("standby", SHARD, "part 2"):
        assert words in failed["failure"]["detail"]
    assert "repair" in failed["failure"]["hint"]
    planned = run_module("backup_verify", {**params, "repair": True}, check=True)
    assert (planned["changed"], verdicts(planned)) == (True, [["good", "repaired"]])
    done = run_module("backup_verify", {**params, "repair": True, "collections": ["docs"], "backup_id": BACKUP})
    assert (done["changed"], done["findings"][0]["repaired"]) == (True, True)
    assert verify_all(standby) == [BACKUP]


@pytest.mark.parametrize(
    "changes",
    [
        {"newest": 0},
        {"repositories": []},
        {"backup_id": BACKUP},
        {"backup_id": "nonsense", "collections": ["docs"]},
        {"sample_percent": 0},
        {"collections": ["all", "docs"]},
    ],
)
def test_the_module_refuses_what_contradicts_itself(
    repository: Repository, run_module: Callable[..., dict[str, Any]], changes: dict[str, Any]
) -> None:
    result = run_module("backup_verify", {"repositories": [as_option(repository.location)], **changes})
    assert result["failure"]["code"] == "invalid_input"
