# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old the newest backup of each collection is, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..errors import QdrantError
from ..formats.agent_status import duration, judge
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .catalogue import backed_up, freshness, newest_committed
from .clock import utc_now
from .wal_ranges import CollectionArchive, restorable

# An archive that works is a few seconds behind, or a heartbeat where nothing is written.
_ARCHIVE_SECONDS = 300.0


def backup_status(
    qdrant: Qdrant,
    repository: Repository,
    collections: list[str] | None,
    rpo: float | None,
    warning: float | None,
    archived: Callable[[str], bool] = lambda _name: False,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """The status of these collections, or with None of all that the node has.

    ``rpo`` and ``warning``: seconds. A node that does not answer is a doubt; the collections in the repository are
    judged then. ``archived``: whether the log of a collection is to be archived; an archive that is behind is a doubt,
    too. Returns ``{status, line, collections}``: 0 (good), 1 (warning) or 2 (critical), one sentence, and for each
    collection what ``freshness`` says, and its ``wal_archive``. Raises StoreError where the repository cannot be read.
    """
    repository.check_access()
    doubts: list[str] = []
    names = collections if collections is not None else existing_collections(qdrant, repository, doubts)
    newest = {name: newest_committed(repository, name) for name in names}
    found = {name: freshness(one.fields if one else None, now(), rpo) for name, one in newest.items()}
    for name in filter(archived, names):
        archive = restorable(repository, name)
        found[name]["wal_archive"] = archive.as_result(now())
        doubts += _archive_doubts(archive, now())
    status, line = judge({name: entry["age_seconds"] for name, entry in found.items()}, rpo, warning, doubts)
    return {"status": status, "line": line, "collections": found}


def _archive_doubts(archive: CollectionArchive, now: datetime) -> list[str]:
    until = archive.followed_until
    if until is None:
        return [f"{archive.collection}: the archived log goes on from no backup"]
    behind = (now - until).total_seconds()
    return [f"{archive.collection}: the archived log ends {duration(behind)} ago"] if behind > _ARCHIVE_SECONDS else []


def existing_collections(qdrant: Qdrant, repository: Repository, doubts: list[str]) -> list[str]:
    """Those of the node; where it does not answer, which is added to ``doubts``, those that have backups."""
    try:
        return sorted(qdrant.collections())
    except QdrantError as error:
        doubts.append(f"the node could not be asked for its collections: {error.detail.rstrip('.')}")
    return backed_up(repository)
