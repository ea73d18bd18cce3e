# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore will do: which backup, to where, and everything that speaks against it; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..errors import InvalidInput, TargetExists, TargetUnfit
from ..formats import layout
from ..formats.expected_points import ExpectedPoints
from ..formats.manifest import Manifest
from ..formats.probes import open_probes
from ..formats.sealed import plain_facts
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .archived_wal import ArchivedWal
from .catalogue import find_backup
from .data_keys import open_data_keys
from .moment import MomentRequest, ShardMoment, choose_base
from .moment_replay import MomentReplay
from .preflight import preflight, space_reasons
from .restore_mark import half_restored

_NO_CHUNKS = {"chunks": 0, "entries": 0}


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore, and to where.

    ``aliases``: those to set once the checks have passed, or None for the recorded ones. ``ready_timeout``: seconds for
    replicas to be Active and the status green.
    """

    collection: str
    target: str | None = None
    backup_id: str | None = None
    before: datetime | None = None
    aliases: list[str] | None = None
    overwrite: bool = False
    safety_backup: bool = True
    replication_factor: int | None = None
    storage_path: str | None = None
    expect_digest: str | None = None
    digest: bool = True
    min_recall: float = 0.99
    ready_timeout: float = 3600.0
    moment: MomentRequest | None = None


@dataclass
class RestorePlan:
    """What a restore will do; made without changing anything.

    ``data_keys``: by id, what opens the backup, if it was encrypted before it was sent. ``probes``: opened. ``replay``:
    what a restore to a moment puts behind the backup.
    """

    manifest: Manifest
    target: str
    aliases: list[str]
    leftover: bool
    replaces: bool
    notes: list[dict[str, Any]] = field(default_factory=list)
    data_keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    probes: dict[str, Any] = field(default_factory=dict, repr=False)
    replay: MomentReplay | None = None

    @property
    def payload_indexes(self) -> dict[str, Any]:
        """Those that the restored collection must have."""
        return self.replay.payload_indexes if self.replay else self.manifest.payload_indexes

    @property
    def goes_on(self) -> bool:
        """Whether it goes on after the base, so that counts and probes of the base prove nothing."""
        return self.replay is not None and self.replay.entries > 0

    @property
    def expected_points(self) -> ExpectedPoints | None:
        """How many points there must be after a replay, as far as that can be told."""
        return self.replay.expected_points if self.replay else None

    def facts(self, shard: dict[str, Any]) -> tuple[int, str | None]:
        """Size and SHA-256 of what is uploaded for a shard; None for one that cannot be known before."""
        return self.replay.facts(shard) if self.replay else plain_facts(shard["object"])

    @property
    def sizes(self) -> list[int]:
        """Bytes to upload for each shard."""
        return [self.facts(shard)[0] for shard in self.manifest.shards]

    @property
    def archive_notes(self) -> list[dict[str, Any]]:
        """What sources did not have right of the archived log."""
        return list(self.replay.notes) if self.replay else []

    def describe(self) -> dict[str, Any]:
        """The plan as modules return it."""
        return {
            "collection": self.manifest.collection,
            "target": self.target,
            "backup_id": self.manifest.backup_id,
            "aliases": self.aliases,
            "size": self.manifest.size,
            "shards": len(self.manifest.shards),
            "replaces_existing": self.replaces,
            "leftovers_removed": [f"half-restored collection {self.target}"] if self.leftover else [],
            "notes": self.notes,
            **(self.replay.describe() if self.replay else {}),
        }

    def proof(self) -> dict[str, Any]:
        """What was read and proved to make the plan, and what only the restore will read."""
        verified, unverified = self.replay.proof() if self.replay else (_NO_CHUNKS, _NO_CHUNKS)
        shards = {"shards": len(self.manifest.shards), "shard_bytes": self.manifest.size}
        return {"verified": dict(verified), "unverified": {**shards, **unverified}}


def plan_restore(nodes: list[Qdrant], sources: list[Repository], request: RestoreRequest) -> RestorePlan:
    """Choose the backup and look at the target.

    Raises ``TargetUnfit`` with all reasons, ``TargetExists``, or ``WrongKey``.
    """
    layout.check_collection_name(request.target or request.collection)
    archive = ArchivedWal(sources, request.collection)
    moments: dict[int, ShardMoment] | None = None
    if request.moment is None:
        manifest, notes = find_backup(sources, request.collection, backup_id=request.backup_id, before=request.before)
    else:
        manifest, moments, notes = choose_base(sources, archive, request.backup_id, request.moment)
    data_keys = open_data_keys(manifest, sources)
    probes = open_probes(manifest.probes, data_keys)
    target = request.target or request.collection
    aliases = manifest.aliases if request.aliases is None else request.aliases
    if target in aliases:
        raise InvalidInput(f"{target} cannot be the target and one of its aliases.", "Choose another target.")
    qdrant = nodes[0]
    leftover = half_restored(qdrant, target)
    exists = target in qdrant.collections() and not leftover
    reasons = preflight(
        nodes,
        manifest,
        target,
        aliases=aliases,
        compare=exists,
        storage_path=request.storage_path,
        replication_factor=request.replication_factor,
    )
    if exists and not request.overwrite:
        if not reasons:
            raise _taken(qdrant, target, f"{request.collection}-{manifest.backup_id}")
        reasons.insert(0, f"the collection {target} exists")
    _refuse_unfit(qdrant, manifest, target, reasons)
    kept = aliases_of(qdrant, target) if exists else []
    aliases = [*aliases, *(alias for alias in kept if alias not in aliases)]
    plan = RestorePlan(manifest, target, aliases, leftover, exists, notes, data_keys, probes)
    if request.moment is not None and moments is not None:
        plan.replay = MomentReplay(archive, manifest, moments, data_keys, qdrant.version())
        plan.replay.prove(request.moment)
        if request.storage_path is not None:
            _refuse_unfit(qdrant, manifest, target, space_reasons(request.storage_path, plan.sizes, target))
    return plan


def _taken(qdrant: Qdrant, target: str, proposal: str) -> TargetExists:
    return TargetExists(
        f"The collection {target} exists on {qdrant.connection.url}.",
        f"Restore to another name, such as {proposal}, or set overwrite to replace it.",
        proposed_target=proposal,
    )


def _refuse_unfit(qdrant: Qdrant, manifest: Manifest, target: str, reasons: list[str]) -> None:
    if reasons:
        raise TargetUnfit(
            f"{qdrant.connection.url} cannot take backup {manifest.backup_id} as {target}: {'; '.join(reasons)}.",
            "Nothing was changed. Mend all of this, or choose another target.",
            reasons=reasons,
        )


def aliases_of(qdrant: Qdrant, collection: str) -> list[str]:
    """The aliases that point to a collection, sorted."""
    return sorted(alias for alias, to in qdrant.aliases().items() if to == collection)
