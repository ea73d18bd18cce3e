# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill whose figures plans and the watch look at, in a repository."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record as drill_format
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests import made_drills

_STAGES = {"isolate": 2.0, "locate": 3.0, "restore": 60.0, "replay": 20.0, "verify": 10.0, "first_query": 0.5}


def drill_record(collection: str = "docs", drill_id: str = "20261120T100000Z-aaaaaa", **changes: Any) -> dict[str, Any]:
    """A drill of 3 GB that replayed 200 MB, the writes of an hour."""
    record = made_drills.passed(collection=collection, drill_id=drill_id, run_id=drill_id)
    begun = layout.backup_time(drill_id).isoformat().replace("+00:00", "Z")
    record["declared"] |= {"at": begun, "failure_at": "2026-11-20T10:00:00Z"}
    record["backup"] |= {"backup_id": "20261120T090000Z-aaaaaa", "created": "2026-11-20T09:00:00Z"}
    record |= {"rto_seconds": 95.0, "rpo_seconds": 4.0}
    record["stages"] = [
        {**stage, "seconds": _STAGES[stage["name"]]} for stage in record["stages"] if stage["name"] in _STAGES
    ]
    record["throughput"] = [
        {"stage": "restore", "bytes": 3_000_000_000, "seconds": 60.0, "mib_per_second": 47.7},
        {"stage": "replay", "bytes": 200_000_000, "seconds": 20.0, "mib_per_second": 9.5},
    ]
    return {**record, **changes}


def store_drill(repository: Repository, record: dict[str, Any]) -> None:
    """Put a record, with its sidecar, where its drill would have put it."""
    key, data = layout.drill_key(record["collection"], record["drill_id"]), drill_format.dump(record)
    repository.put(layout.sidecar_key(key), layout.sidecar(key, hashlib.sha256(data).hexdigest()))
    repository.put(key, data)
