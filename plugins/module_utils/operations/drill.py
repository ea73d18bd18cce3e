# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drill one collection: restore it into scratch as in a disaster, measure, prove, try what must be refused, clean up.

The stages, in order: isolate, locate, restore, replay, verify, first_query, controls, cleanup. The first one that
breaks ends the drill, but for the cleaning up, and its record says so.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import CheckFailed, DrError, DrillFailed, InvalidInput, MomentNotRestorable, StoreError
from ..formats import layout
from ..formats.drill_cost import cost_of
from ..formats.drill_record import FAIL, PREPARE, STAGES, skipped_stage
from ..formats.drill_verdict import MAJOR, NOT_APPLICABLE, judge
from ..formats.manifest import Manifest
from ..formats.prices import Prices
from ..formats.sla import Sla
from ..formats.times import exact
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .catalogue import find_backup
from .check import wait_until_ready
from .clock import utc_now
from .drill_checks import CheckRequest, DrillChecks
from .drill_controls import run_controls
from .drill_declaration import Declaration, backup_of, new_record, recovered_until, throughput_of
from .drill_isolation import prove_isolation, require_isolation
from .drill_journal import Journal
from .drill_regions import DrillRegion, drill_regions, is_archived
from .drill_scratch import Scratch, scratch_name
from .drills import coverage_with
from .moment import MomentRequest
from .restore import RestoreRun
from .restore_plan import RestorePlan, RestoreRequest, plan_restore

Json = dict[str, Any]


@dataclass(frozen=True)
class DrillRequest:
    """What to drill, and what is allowed.

    ``to_time`` (aware): the moment to go back to, by
    default the newest. ``target``: the scratch collection. ``shared_credentials``: that the source takes the target's
    key is a finding, no failure. ``min_copies``: in how many regions a backup has to be. ``days``: within which every
    collection of the repositories has to be drilled, None: not looked at. ``together``: the collections of the same
    run, which count as drilled. ``broke``: what the caller could not prepare, so that there is nothing
    but a record to be made. ``facts``: further fields of the record. ``journal``: the directory of the journals.
    """

    collection: str
    declaration: Declaration
    sla: Sla
    to_time: datetime | None = None
    target: str | None = None
    target_kind: str = "standby"
    shared_credentials: bool = False
    checks: CheckRequest = field(default_factory=CheckRequest)
    replication_factor: int | None = None
    storage_path: str | None = None
    ready_timeout: float = 3600.0
    min_copies: int = 2
    days: int | None = None
    together: Sequence[str] = ()
    broke: str | None = None
    facts: Json = field(default_factory=dict)
    ansible_version: str | None = None
    journal: Path | None = None
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        if self.declaration.scenario == "bad_deploy" and self.to_time is None:
            raise InvalidInput(
                "The scenario bad_deploy goes back to a time, and none is given.", "Set to_time to just before it."
            )

    def scratch(self) -> str:
        """The name of the collection to restore to."""
        return layout.check_collection_name(self.target or scratch_name(self.collection))

    def restoring(self, moment: MomentRequest | None) -> RestoreRequest:
        """The restore into scratch."""
        return RestoreRequest(
            self.collection,
            target=self.scratch(),
            aliases=[],
            before=None if moment is not None else self.to_time,
            replication_factor=self.replication_factor,
            storage_path=self.storage_path,
            ready_timeout=self.ready_timeout,
            moment=moment,
        )


def plan_drill(nodes: list[Qdrant], regions: Sequence[Repository], request: DrillRequest) -> Json:
    """What a drill would do; nothing is changed. Raises what stands in its way, as NotIsolated."""
    if request.broke is not None:
        raise InvalidInput(request.broke, "Mend it, and drill again.")
    met = drill_regions(regions, request.declaration.scenario)
    run = DrillRun(nodes, met, request, utc_now)
    run.isolate(dry=True)
    detail = run.locate()
    if run.plan is None:
        raise InvalidInput("No backup was chosen.")
    return {
        "collection": request.collection,
        "target": request.scratch(),
        "isolation": run.record["isolation"],
        "regions": run.record["regions"],
        "plan": run.plan.describe(),
        "detail": detail,
    }


def drill(
    nodes: list[Qdrant], regions: Sequence[Repository], request: DrillRequest, now: Callable[[], datetime] = utc_now
) -> Json:
    """Drill one collection and return the record, whatever happened; ``nodes``: all of the target's cluster.

    Raises InvalidInput for a request that cannot be right, and FileError where no journal can be written.
    """
    before = requests_of(regions)
    run = DrillRun(nodes, drill_regions(regions, request.declaration.scenario), request, now)
    run.go()
    record = run.record
    if request.days is not None:
        with suppress(StoreError):
            together = {request.collection, *request.together}
            record["coverage"] = coverage_with(regions, together, request.days, now())
    reads, writes = (after - then for after, then in zip(requests_of(regions), before, strict=True))
    record["cost"] = cost_of(record, reads, writes, request.prices)
    record |= judge(record, request.min_copies)
    run.note()
    return record


def requests_of(regions: Sequence[Repository]) -> tuple[int, int]:
    """Those to the stores that read, and those that write or list, so far."""
    counts = [region.requests for region in regions]
    return sum(each.reads for each in counts), sum(each.writes for each in counts)


def require_verdict(record: Json) -> None:
    """Raise DrillFailed, with the record, where a drill has failed."""
    if record["verdict"] != FAIL:
        return
    reasons = " ".join(each["text"] for each in record["findings"] if each["severity"] == MAJOR)
    raise DrillFailed(f"The drill of {record['collection']} failed: {reasons}", "The record says more.", record=record)


class DrillRun:
    """One drill at work; ``record`` is what is known of it."""

    def __init__(
        self, nodes: list[Qdrant], regions: list[DrillRegion], request: DrillRequest, now: Callable[[], datetime]
    ) -> None:
        self.nodes, self.regions, self.request, self.now = nodes, regions, request, now
        self.sources = [region.repository for region in regions]
        self.collection = request.collection
        declared = request.declaration
        # All of a run are declared at one time.
        self.drill_id = layout.new_backup_id(declared.at, secrets.token_hex(3))
        cluster = regions[0].repository.location.cluster
        self.record = new_record(self.drill_id, cluster, self.collection, declared, request.sla, request.facts)
        self.record["versions"]["ansible"] = request.ansible_version
        self.record["target"] = {
            "nodes": [node.connection.address for node in nodes],
            "qdrant_version": "",
            "kind": request.target_kind,
            "collection": request.scratch(),
        }
        self.scratch: Scratch | None = None
        self.plan: RestorePlan | None = None
        self.restoring: RestoreRequest | None = None
        self.log_refused: str | None = None
        self.restored: RestoreRun | None = None
        self.checks: DrillChecks | None = None
        self.journal: Journal | None = None

    def go(self) -> None:
        """All stages; what breaks is in the record, and what was made is gone."""
        self.open_journal(STAGES)
        if self.request.broke is not None:
            self._never_began(PREPARE, self.request.broke, "Mend it, and drill again.")
        try:
            self._take(STAGES[:-1])
        finally:
            with self._stage("cleanup") as stage:
                stage["detail"] = self.cleanup()

    def open_journal(self, stages: Sequence[str]) -> None:
        """Keep a journal, where one is asked for, until the report is stored; ``stages``: all that will be taken."""
        if self.request.journal is not None:
            facts = {"min_copies": self.request.min_copies, "storage_path": self.request.storage_path}
            self.journal = Journal(self.request.journal, self.record, stages=list(stages), **facts)

    def note(self) -> None:
        """Have the journal say what is known now."""
        if self.journal is not None:
            self.journal.note(self.record)

    def _never_began(self, stage: str, why: str, hint: str) -> None:
        """What its caller could not do before it."""
        self.record["failed_stage"] = stage
        self.record["failure"] = {"code": "not_begun", "detail": why, "hint": hint}

    def _take(self, names: Sequence[str]) -> None:
        """These stages, one after the other; a method of the name is each."""
        for name in names:
            if self.record["failed_stage"]:
                self._skip(name, "a stage before it broke.")
                continue
            with self._stage(name) as stage:
                stage["detail"] = getattr(self, name)()

    @contextmanager
    def _stage(self, name: str) -> Iterator[Json]:
        started = time.monotonic()
        stage: Json = {"name": name, "begun": exact(self.now()), "ended": None, "seconds": 0.0, "outcome": "done"}
        stage["detail"] = ""
        self.record["stages"].append(stage)
        self.note()
        try:
            yield stage
        except DrError as error:
            self._broke(stage, error.failure())
        except Exception as error:
            self._broke(stage, {"code": "unexpected", "detail": f"{type(error).__name__}: {error}", "hint": ""})
        finally:
            stage["seconds"] = round(time.monotonic() - started, 3)
            stage["ended"] = exact(self.now())

    def _broke(self, stage: Json, failure: Json) -> None:
        stage["outcome"], stage["detail"] = "failed", failure["detail"]
        if self.record["failed_stage"] is None:
            self.record["failed_stage"], self.record["failure"] = stage["name"], failure

    def _skip(self, name: str, why: str) -> None:
        self.record["stages"].append(skipped_stage(name, why))

    # -- the stages; each returns what there is to say of it

    def isolate(self, dry: bool = False) -> str:
        """Prove that the target is not production, and make the scratch names free."""
        request, manifest = self.request, self._meet_target()
        self.record["isolation"] = prove_isolation(
            self.nodes, request.checks.source, manifest, self.collection, shared_credentials=request.shared_credentials
        )
        require_isolation(self.record["isolation"])
        self.scratch, left = Scratch.prepare(self.nodes[0], request.scratch(), dry)
        free = {"check": "scratch", "passed": True, "detail": f"the name {request.scratch()} is free."}
        self.record["isolation"].append(free)
        return f"Removed what an interrupted drill had left: {', '.join(left)}." if left else "The target is isolated."

    def locate(self) -> str:
        """Find the backup and the log as someone does who has nothing but the buckets."""
        archived = is_archived(self.regions, self.collection)
        self.restoring = self._restoring(MomentRequest(self.request.to_time) if archived else None)
        try:
            self.plan = plan_restore(self.nodes, self.sources, self.restoring)
        except MomentNotRestorable as error:
            self.log_refused = error.detail
            self.restoring = self._restoring(None)
            self.plan = plan_restore(self.nodes, self.sources, self.restoring)
        chosen = self.plan.manifest
        self.record["regions"] = [each.describe(self.collection, chosen.backup_id) for each in self.regions]
        self.record["versions"]["qdrant_source"] = chosen.qdrant_version
        self.record["backup"] = backup_of(self.plan, self.log_refused)
        return f"Backup {chosen.backup_id}, {chosen.size} bytes" + (", and the archived log." if archived else ".")

    def restore(self) -> str:
        """Create the scratch collection and fill it, until every node serves it."""
        plan, request = self._planned()
        self.restored = run = RestoreRun(self.nodes, self.sources, request, plan)
        try:
            run.make_room()
            run.fill()
            ready = wait_until_ready(
                self.nodes, plan.target, request.ready_timeout, trigger_optimizer=True, uniform_keys=True
            )
        finally:
            self._tell_of_sources(run, plan)
        self.record["throughput"].append(throughput_of("restore", plan.manifest.size, run.upload_seconds))
        if plan.replay is not None:
            self.record["throughput"].append(throughput_of("replay", plan.replay.size, 0.0))
        return f"Uploaded in {run.upload_seconds:.1f} s, ready {ready:.1f} s after that."

    def replay(self) -> str:
        """Qdrant replays while it loads a shard, so this stage tells of it and takes no time of its own."""
        plan, _request = self._planned()
        until, bound = recovered_until(plan)
        failure_at = self.request.declaration.failure_at
        self.record["rpo_seconds"] = round(max(0.0, (failure_at - until).total_seconds()), 3)
        self.record["rpo_bound"] = bound
        self.record["backup"]["recovered_until"] = exact(until)
        if plan.replay is None:
            self.record["stages"][-1]["outcome"] = "skipped"
            return "No archived log is used."
        return f"{plan.replay.entries} entries were replayed with the upload of the shards."

    def verify(self) -> str:
        """Measure everything, then judge."""
        plan, _request = self._planned()
        asked = self.request.checks
        if not asked.compared and any(check["check"] == "source" for check in self.record["isolation"]):
            # It did not answer then, and each further question would wait as long again.
            asked = replace(asked, source=None, quiet=False)
        self.checks = DrillChecks(self.nodes, plan.target, plan, asked)
        for check in self.checks.run():
            self.record["integrity"].append(check)
        self._refuse_wrong()
        return f"{len(self.record['integrity'])} checks."

    def first_query(self) -> str:
        """The first right answer ends the recovery time."""
        if self.checks is None:
            raise CheckFailed("Nothing was verified.")
        self.record["integrity"].append(self.checks.first_query())
        self._refuse_wrong()
        self.record["rto_seconds"] = round(max(0.0, (self.now() - self.request.declaration.at).total_seconds()), 3)
        return "It ends the recovery time. What follows does not count into it."

    def controls(self) -> str:
        """Try what must be refused."""
        plan, request = self._planned()
        if self.scratch is None:
            raise CheckFailed("There is no scratch collection.")
        for control in run_controls(self.nodes, self.sources, plan, request, self.scratch.names[1]):
            self.record["controls"].append(control)
        tried = [control for control in self.record["controls"] if control["code"] != NOT_APPLICABLE]
        refused = sum(control["refused"] is True for control in tried)
        return f"{refused} of {len(tried)} were refused, after the recovery time."

    def cleanup(self) -> str:
        """Remove what this drill has made, and prove that nothing is left."""
        if self.scratch is None:
            self.record["stages"][-1]["outcome"] = "skipped"
            return "Nothing had been made."
        self.record["cleanup"] = self.scratch.clean(self.nodes)
        self.record["isolation"].append(self.scratch.aliases_untouched(self.nodes[0]))
        left = [each["detail"] for each in self.record["cleanup"] if not each["removed"]]
        if left:
            raise CheckFailed(f"Something is left: {' '.join(left)}", "Remove it by hand.")
        return "Nothing is left of the drill."

    # -- what stages share

    def _meet_target(self) -> Manifest | None:
        """Take its version; the newest backup, if there is one, which tells the peers that must not be its."""
        version = self.nodes[0].version()
        self.record["target"]["qdrant_version"] = self.record["versions"]["qdrant_target"] = version
        with suppress(DrError):
            return find_backup(self.sources, self.collection)[0]
        return None

    def _restoring(self, moment: MomentRequest | None) -> RestoreRequest:
        return self.request.restoring(moment)

    def _planned(self) -> tuple[RestorePlan, RestoreRequest]:
        if self.plan is None or self.restoring is None:
            raise CheckFailed("No backup was located.")
        return self.plan, self.restoring

    def _tell_of_sources(self, run: RestoreRun, plan: RestorePlan) -> None:
        simulated = {region.repository.name for region in self.regions if region.simulated}
        self.record["backup"] |= {
            "restored_from": sorted(run.served),
            "served": run.served,
            "damaged": [each for each in run.damaged if each["source"] not in simulated],
            "damaged_by_scenario": [each for each in run.damaged if each["source"] in simulated],
            "notes": plan.notes + run.health.notes + plan.archive_notes,
        }

    def _refuse_wrong(self) -> None:
        wrong = [check for check in self.record["integrity"] if check["passed"] is False]
        if wrong:
            raise CheckFailed("; ".join(f"{check['check']}: {check['detail']}" for check in wrong))
