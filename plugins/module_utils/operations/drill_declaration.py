# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a drill: what is declared, and what is told of the backup. docs/drill_report.md has its fields."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..formats.drill_kind import DRILL
from ..formats.drill_record import SCHEMA_VERSION
from ..formats.key_wrap import master_key_of
from ..formats.sla import Sla
from ..formats.times import exact
from ..version import VERSION
from .catalogue import finished, snapshot_window
from .restore_plan import RestorePlan

SUPPORTS = ("SOC 2 A1.3", "ISO/IEC 27001 A.8.13", "DORA Art. 12", "HIPAA 164.308(a)(7)")

Json = dict[str, Any]


@dataclass(frozen=True)
class Declaration:
    """Who declares the disaster, when (``at``, aware), why, and what has happened.

    ``failure_at``: the time of the simulated failure (aware). ``trigger``: manual or scheduled.
    """

    at: datetime
    failure_at: datetime
    scenario: str
    operator: str
    reason: str = ""
    trigger: str = "manual"
    approver: str | None = None
    scope: str = ""
    run_id: str | None = None

    def describe(self) -> Json:
        """As the record has it."""
        return {
            "at": exact(self.at),
            "operator": self.operator,
            "reason": self.reason,
            "trigger": self.trigger,
            "scenario": self.scenario,
            "failure_at": exact(self.failure_at),
            "approver": self.approver,
            "scope": self.scope,
        }


def new_record(drill_id: str, cluster: str, collection: str, declared: Declaration, sla: Sla, facts: Json) -> Json:
    """A record of which nothing is known but its declaration; ``facts``: fields that win over these."""
    record: Json = {
        "schema_version": SCHEMA_VERSION,
        "kind": DRILL.text,
        "drill_id": drill_id,
        "run_id": declared.run_id or drill_id,
        "cluster": cluster,
        "collection": collection,
        "declared": declared.describe(),
        "sla": sla.as_result(),
        "controls_supported": list(SUPPORTS),
    }
    record |= dict.fromkeys(("failed_stage", "failure", "rto_seconds", "rpo_seconds", "rpo_bound", "backup", "cost"))
    record |= {
        name: []
        for name in ("stages", "regions", "isolation", "integrity", "controls", "cleanup", "throughput", "previous")
    }
    versions = {"tool": VERSION, "ansible": None, "python": platform.python_version()}
    versions |= {"qdrant_source": None, "qdrant_target": None}
    return record | {"coverage": None, "commands": [], "configuration_sha256": None, "versions": versions} | facts


def backup_of(plan: RestorePlan, log_refused: str | None) -> Json:
    """The ``backup`` of a record, as far as it is known before the restore."""
    manifest = plan.manifest
    objects = [
        {"key": manifest.object_key(shard), "size": shard["object"]["size"], "sha256": shard["object"]["sha256"]}
        for shard in manifest.shards
    ]
    replay = plan.replay.describe() if plan.replay else {}
    return {
        "backup_id": manifest.backup_id,
        "created": exact(finished(manifest)),
        "size": manifest.size,
        "points": manifest.points["after"],
        "qdrant_version": manifest.qdrant_version,
        "manifest_sha256": manifest.sha256,
        "objects": objects,
        "encryption": ", ".join(manifest.summary()["encryption"]),
        "client_encryption": bool(manifest.data_keys),
        "client_keys": sorted({master_key_of(wrap) for wrap in manifest.data_keys.values()}),
        "restored_from": [],
        "served": {},
        "damaged": [],
        "damaged_by_scenario": [],
        "notes": [],
        "moment": replay.get("moment"),
        "entries_replayed": replay.get("entries_replayed", 0),
        "inexact": replay.get("inexact", {}),
        "log_refused": log_refused,
        "recovered_until": None,
    }


def recovered_until(plan: RestorePlan) -> tuple[datetime, str]:
    """Up to when nothing that was written is missing, and how well that is known: ``exact`` or ``at most``.

    A log is complete up to where its archiver had read it, or to the first entry that was left out. A backup alone has
    all that was written before its snapshot began; more than that cannot be told.
    """
    times, bound = [], "exact"
    for shard in plan.manifest.shards:
        moment = plan.replay.shards.get(shard["shard"]) if plan.replay else None
        until = None
        if moment is not None:
            until = moment.cut.following[0] if moment.cut.following else moment.until
        if until is None:
            until, bound = snapshot_window(plan.manifest, shard)[0], "at most"
        times.append(until)
    return min(times), bound


def throughput_of(stage: str, size: int, seconds: float) -> Json:
    """One entry of the ``throughput``; ``size`` in bytes. What goes on within another stage has 0 ``seconds``."""
    rate = round(size / seconds / 2**20, 1) if seconds else 0.0
    return {"stage": stage, "bytes": size, "seconds": round(seconds, 3), "mib_per_second": rate}
