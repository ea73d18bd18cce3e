# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a collection back from a backup: create, upload shard by shard, check, then switch aliases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property, partial
from threading import Lock
from typing import Any

from ..errors import CheckFailed, DrError, QdrantDiskFull, QdrantError
from ..formats.wal_operations import counted, replays_exactly
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .archive_reader import ArchiveReader
from .at_once import run_at_once
from .backup_from_here import back_up_whole
from .base_log import inexact_in_base
from .check import check_collection, points_by_shard, wait_until_ready
from .preflight import lack_of_room, uploads_at_once
from .restore_mark import marks_on
from .restore_plan import RestorePlan, RestoreRequest, aliases_of, plan_restore
from .restore_target import RestoreTarget
from .verified_parts import SourceHealth, add_served

_SEND = 1024 * 1024
_PARTS_AHEAD = 4


def restore(nodes: list[Qdrant], sources: list[Repository], request: RestoreRequest) -> dict[str, Any]:
    """Restore a collection.

    ``nodes``: the server, and after it all others of its cluster. ``sources``: in order of preference. Returns the
    plan's description with ``seconds``, ``check``, ``served`` (parts and bytes by source) and ``damaged`` (each bad
    part, and who had it right). After an error in the data the target that this run created is gone again; after a
    failed check it stays, marked, for people to look at.
    """
    started = time.monotonic()
    plan = plan_restore(nodes, sources, request)
    run = RestoreRun(nodes, sources, request, plan)
    try:
        run.make_room()
        run.fill()
        checked = run.check()
        run.publish()
    except DrError as error:
        run.tell_what_was_replaced(error)
        raise
    seconds = time.monotonic() - started
    return {
        **plan.describe(),
        "changed": True,
        "safety_backup": run.safety_backup,
        "seconds": round(seconds, 3),
        "mib_per_second": round(plan.manifest.size / max(run.upload_seconds, 1e-3) / 2**20, 1),
        "stages": {"upload": round(run.upload_seconds, 3), "ready": round(run.ready_seconds, 3)},
        "check": checked,
        "served": run.served,
        "damaged": run.damaged,
        "notes": plan.notes + run.health.notes + plan.archive_notes,
        "restored_from": sorted(run.served),
    }


class RestoreRun:
    """One restore at work, step by step in the order of its methods."""

    def __init__(
        self, nodes: list[Qdrant], sources: list[Repository], request: RestoreRequest, plan: RestorePlan
    ) -> None:
        self.nodes, self.sources, self.request, self.plan = nodes, sources, request, plan
        self.qdrant = nodes[0]
        self.manifest, self.target = plan.manifest, plan.target
        self.health = SourceHealth()
        self.served: dict[str, dict[str, int]] = {}
        self.damaged: list[dict[str, Any]] = []
        self._lock = Lock()
        self.upload_seconds = self.ready_seconds = 0.0
        self.safety_backup: str | None = None
        self.replaced_aliases: list[str] = []
        self.replaced = False

    @cached_property
    def collection(self) -> RestoreTarget:
        """Made when it is first asked for, since its mark says when that was: what goes before may take hours."""
        factor = self.request.replication_factor
        return RestoreTarget(self.nodes, self.target, self.manifest, factor, self.plan.payload_indexes)

    def make_room(self) -> None:
        """Remove what stands at the target's name. Live data goes only after every part of the backup has been read and
        found right, and at once after its safety backup: what is written between the two is in neither."""
        if self.plan.replaces:
            self.read_everything()
            if self.request.safety_backup:
                self.safety_backup = self._save()
            self.replaced_aliases = aliases_of(self.qdrant, self.target)
            self.plan.aliases += [alias for alias in self.replaced_aliases if alias not in self.plan.aliases]
        if self.plan.replaces or self.plan.leftover:
            self.qdrant.delete_collection(self.target)
        self.replaced = self.plan.replaces

    def tell_what_was_replaced(self, error: DrError) -> None:
        """Add to an error where the live data is, and what pointed to it: nothing else knows that once it is gone."""
        error.result["safety_backup"] = self.safety_backup
        error.result["replaced_aliases"] = self.replaced_aliases
        if not self.replaced:
            return
        error.hint += f" The collection {self.target} that was replaced is gone."
        if self.safety_backup:
            error.hint += f" Its safety backup is {self.safety_backup}."
        if self.replaced_aliases:
            error.hint += f" Its aliases were {', '.join(self.replaced_aliases)}."
        error.hint = error.hint.strip()

    def _save(self) -> str:
        return back_up_whole(self.nodes, self.sources[0], self.target)

    def fill(self) -> None:
        """Create the collection and upload every shard; on an error remove what this run has created."""
        started = time.monotonic()
        try:
            self.collection.create()
            jobs = [partial(self._upload, shard) for shard in self.manifest.shards]
            run_at_once(jobs, self._at_once, self.collection.uploads.cancel)
            self.collection.settle()
        except BaseException:
            self.collection.discard()
            raise
        self.upload_seconds = time.monotonic() - started

    @cached_property
    def _at_once(self) -> int:
        return uploads_at_once(self.nodes, self.request.storage_path, self.plan.sizes)

    def check(self) -> dict[str, Any]:
        """Wait until every node serves the collection, then compare it with what the manifest says."""
        self.ready_seconds = wait_until_ready(
            self.nodes, self.target, self.request.ready_timeout, trigger_optimizer=True, uniform_keys=True
        )
        checked = check_collection(
            self.nodes,
            self.target,
            expect_points=None if self.plan.goes_on else self.manifest.exact_points,
            expect_digest=self.request.expect_digest,
            digest=self.request.digest,
            probes=None if self.plan.goes_on else self.plan.probes,
            min_recall=self.request.min_recall,
        )
        checked["unmeasured"] += self._unproved(checked["points"])
        wrong = self._compare_points(checked) if self.plan.goes_on else []
        schema = self.qdrant.collection(self.target)["payload_schema"]
        checked["payload_indexes"] = sorted(schema)
        lost = sorted(set(self.plan.payload_indexes) - set(schema))
        findings = checked["findings"] + wrong + [f"the payload index on {name} is missing" for name in lost]
        if findings:
            raise self._failure(checked, findings)
        return checked

    def _failure(self, checked: dict[str, Any], findings: list[str]) -> CheckFailed:
        """What the checks have found, with what may be the reason."""
        inexact = self._inexact()
        why = f" This Qdrant may not have replayed {counted(inexact)} exactly." if inexact else ""
        return CheckFailed(
            f"{self.target} was restored and did not pass its checks: {'; '.join(findings)}.{why}",
            "No alias was switched. Look at the collection, or restore again: the next run removes it first.",
            check=checked,
            **{**self.plan.describe(), "inexact": inexact},
        )

    def _inexact(self) -> dict[str, int]:
        """How many entries, by class, this Qdrant may not have replayed exactly; nothing where they cannot be read."""
        if self.plan.replay is not None:
            return self.plan.replay.inexact
        try:
            if replays_exactly(self.qdrant.version()):
                return {}
            return inexact_in_base(self.sources, self.manifest, self.plan.data_keys, self.health)
        except DrError:
            return {}

    def _compare_points(self, checked: dict[str, Any]) -> list[str]:
        """What is wrong with the number of points after a replay. What that has to be is added to ``checked``, and what
        may be odd, but need not be wrong, to its ``unmeasured``."""
        expected = self.plan.expected_points
        if expected is None:
            checked["unmeasured"].append("what the replay made of the counts: the base's log has an unknown entry")
            return []
        checked["expected_points"] = {**expected.describe(), "tolerance": expected.tolerance}
        if checked["points"] is None:
            return []
        faults = expected.faults(checked["points"], points_by_shard(self.nodes, self.target))
        if expected.proven:
            return faults
        checked["unmeasured"] += [f"{fault}, but {expected.doubt}" for fault in faults]
        return []

    def _unproved(self, points: int | None) -> list[str]:
        """What is odd about the number of points, where the backup does not prove what it has to be."""
        if self.plan.goes_on:
            return ["recall was recorded with the base, before the entries that were replayed"]
        counted = self.manifest.points
        if points is None or counted["before"] != counted["after"] or points == counted["after"]:
            return []
        return [
            f"the collection has {points} points, and the backup counted {counted['after']} before and after its "
            "snapshot; it does not prove that nothing was written in between"
        ]

    def publish(self) -> None:
        """Take the mark off and set the aliases, in one atomic change."""
        self.qdrant.update_aliases(self.publication())

    def publication(self) -> list[dict[str, Any]]:
        """The change of aliases that publishes; the collection gets its recorded config before it."""
        self.collection.finish()
        known = self.qdrant.aliases()
        actions = [{"delete_alias": {"alias_name": mark}} for mark in marks_on(self.qdrant, self.target)]
        for alias in self.plan.aliases:
            if alias in known:
                actions.append({"delete_alias": {"alias_name": alias}})
            actions.append({"create_alias": {"collection_name": self.target, "alias_name": alias}})
        return actions

    def _upload(self, shard: dict[str, Any]) -> None:
        ahead = _PARTS_AHEAD // self._at_once
        with self._archive(shard, ahead) as archive:
            size, sha256 = self.plan.facts(shard)
            try:
                self.collection.upload(shard, _pieces(self._with_log(shard, archive)), size, sha256)
            except QdrantError as error:
                self._refuse_full_disk(size, error)
                raise
            finally:
                self._record(archive)

    def _archive(self, shard: dict[str, Any], ahead: int = _PARTS_AHEAD) -> ArchiveReader:
        key = self.manifest.object_key(shard)
        return ArchiveReader(self.sources, key, shard["object"], self.plan.data_keys, self.health, ahead)

    def _refuse_full_disk(self, size: int, error: QdrantError) -> None:
        """Of an upload that it has no room for, Qdrant says only that it could not process it."""
        path = self.request.storage_path
        lack = lack_of_room(path, size) if path else ""
        if lack:
            hint = "Make room there, or restore to another disk."
            raise QdrantDiskFull(f"The disk of Qdrant has no room: {lack}. {error.detail}", hint) from error

    def _with_log(self, shard: dict[str, Any], archive: ArchiveReader) -> Iterator[bytes | memoryview]:
        return self.plan.replay.pieces(shard, iter(archive)) if self.plan.replay else iter(archive)

    def _record(self, archive: ArchiveReader) -> None:
        with self._lock:
            add_served(self.served, archive.served)
            self.damaged += archive.damaged

    def read_everything(self) -> None:
        """Read all parts as a restore does, and send nothing. Raises as ``VerifiedParts``, at the first bad part."""
        for shard in self.manifest.shards:
            with self._archive(shard) as archive:
                for _data in self._with_log(shard, archive):
                    pass


def _pieces(parts: Iterator[bytes | memoryview]) -> Iterator[memoryview]:
    for data in parts:
        view = memoryview(data)
        for offset in range(0, len(view), _SEND):
            yield view[offset : offset + _SEND]
