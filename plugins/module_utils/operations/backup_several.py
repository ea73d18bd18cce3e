# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up several collections of one node: one that fails leaves the others committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import DrError, PartlyFailed
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .backup import BackupRequest, back_up, plan_backup
from .bucket_check import check_bucket


def back_up_several(
    qdrant: Qdrant,
    repository: Repository,
    requests: list[BackupRequest],
    check: bool = False,
    require_bucket_check: bool = False,
) -> dict[str, Any]:
    """Back up one collection after another; with ``check``, say what would be done and change nothing.

    ``require_bucket_check``: raise ``BucketUnfit`` first where the store does not do what backups rely on; ``check``
    writes no probes, and so leaves it out. Returns and raises what ``each_request`` does.
    """
    if require_bucket_check and not check:
        check_bucket(repository)
    one = _planned if check else back_up
    return each_request(requests, lambda request: one(qdrant, repository, request))


def each_request(
    requests: list[BackupRequest], back_up_one: Callable[[BackupRequest], dict[str, Any]]
) -> dict[str, Any]:
    """Do one request after another.

    Returns ``{changed, backups}``. Raises the error of the only collection asked for, or ``PartlyFailed`` with
    ``changed``, ``backups`` and ``failures``.
    """
    backups: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for request in requests:
        try:
            backups.append(back_up_one(request))
        except DrError as error:
            if len(requests) == 1:
                raise
            failed.append({"collection": request.collection, "failure": error.failure()})
    result: dict[str, Any] = {"changed": any(entry["changed"] for entry in backups), "backups": backups}
    if failed:
        reasons = " ".join(f"{entry['collection']}: {entry['failure']['detail']}" for entry in failed)
        raise PartlyFailed(
            f"{len(failed)} of {len(requests)} collections have no new backup. {reasons}",
            "The other backups are committed. Mend the causes and run again.",
            failures=failed,
            **result,
        )
    return result


def _planned(qdrant: Qdrant, repository: Repository, request: BackupRequest) -> dict[str, Any]:
    plan = plan_backup(qdrant, repository, request)
    entry = {
        "collection": request.collection,
        "changed": plan["needed"] or bool(plan["leftovers"]),
        "created": plan["needed"],
        "reason": plan["reason"],
        "leftovers_removed": [
            f"backup {leftover['backup_id']}: {leftover['reason']}" for leftover in plan["leftovers"]
        ],
    }
    return entry if plan["newest"] is None else {**entry, "backup_id": plan["newest"].backup_id}
