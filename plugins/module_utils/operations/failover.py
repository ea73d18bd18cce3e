# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real thing: recover collections to the cluster that will serve them, check them as a drill does, and publish.

The stages, in order: isolate, backup (of a failback), locate, restore, replay, verify, first_query, publish. Nothing is
published before every collection has passed; then all aliases are switched in one atomic change. What was restored
stays. What a broken run has left bears the mark of a restore, and the next run removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..errors import CheckFailed, DrError, FileError, NotFenced, TargetExists
from ..formats.drill_cost import cost_of
from ..formats.drill_kind import FAILBACK, DrillKind
from ..formats.drill_record import BACKUP, FENCE, PUBLISH, REAL_STAGES
from ..formats.drill_verdict import judge
from ..formats.manifest import Manifest
from ..formats.times import exact, parse_moment
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .backup_from_here import back_up_whole
from .clock import utc_now
from .drill import DrillRequest, DrillRun, requests_of
from .drill_declaration import recovered_until
from .drill_isolation import prove_isolation, require_isolation
from .drill_regions import DrillRegion, drill_regions
from .moment import MomentRequest
from .restore_mark import half_restored
from .restore_plan import RestoreRequest, aliases_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Fence:
    """What is known of the old cluster. ``proof``: what shows that no client reaches it, in words. ``word``: somebody
    says so. ``planned``: a hook will fence it, which is enough to plan."""

    proof: str | None = None
    word: bool = False
    planned: bool = False


@dataclass(frozen=True)
class FailoverRequest:
    """Collections to recover together.

    ``drills``: what each is, with the name of its target. ``source``: in a failback all nodes of the cluster that
    serves now. ``save``: whether a failback backs that up first, into the first region. ``before``: the stages that the
    caller has taken, as the record has them. ``broke``: the name of the last of these and why it broke.
    """

    kind: DrillKind
    drills: Sequence[DrillRequest]
    fence: Fence = field(default_factory=Fence)
    source: Sequence[Qdrant] = ()
    save: bool = True
    before: Sequence[Json] = ()
    broke: tuple[str, str] | None = None

    @property
    def is_failback(self) -> bool:
        """Whether it goes home."""
        return self.kind is FAILBACK

    @property
    def saves(self) -> bool:
        """Whether it backs up before it restores."""
        return self.is_failback and self.save


def fail_over(
    nodes: list[Qdrant], regions: Sequence[Repository], request: FailoverRequest, now: Callable[[], datetime] = utc_now
) -> list[Json]:
    """Recover and publish, and return the record of each collection, whatever happened; ``nodes``: all of the target's
    cluster. ``conclude`` has to follow."""
    request = replace(request, fence=replace(request.fence, planned=False))
    met = drill_regions(regions, "cluster_lost")
    runs = [FailoverRun(nodes, met, request, each, now) for each in request.drills]
    first, *others = REAL_STAGES[:-1]
    steps = ((first,), (BACKUP,) if request.saves else (), others)
    for run in runs:
        # The plan has seen that there is a place for it. What has happened since is no reason to recover nothing.
        with suppress(FileError):
            run.open_journal([*(name for names in steps for name in names), PUBLISH])
    for names in steps:
        for run in runs:
            run.take(names, _broken(runs))
    switch = _Switch(nodes[0], runs)
    broken = _broken(runs)
    for run in runs:
        run.publish_by(switch, broken)
    for run in runs:
        run.end()
    return [run.record for run in runs]


def conclude(
    records: Sequence[Json], hook: str | None, broke: str | None, min_copies: int, now: datetime
) -> list[Json]:
    """The records after users were directed to the target, judged. ``hook``: what did that, None where nothing was to
    be done; ``broke``: why it did not succeed. ``now`` (aware) ends the recovery time."""
    concluded = []
    for record in records:
        done = {**record}
        if hook is not None and not record["failed_stage"]:
            done |= _published(record, hook, broke, now)
        concluded.append({**done, **judge(done, min_copies)})
    return concluded


def _published(record: Json, hook: str, broke: str | None, now: datetime) -> Json:
    stage = {**record["stages"][-1]}
    stage["ended"] = exact(now)
    stage["seconds"] = round(max(0.0, (now - parse_moment(stage["begun"], "begun")).total_seconds()), 3)
    stages = [*record["stages"][:-1], stage]
    if broke is None:
        stage["detail"] += f" Users were directed to it by {hook}."
        declared = parse_moment(record["declared"]["at"], "at")
        return {"stages": stages, "rto_seconds": round(max(0.0, (now - declared).total_seconds()), 3)}
    stage |= {"outcome": "failed", "detail": broke}
    hint = "The aliases of the target are set, and users may not reach it. Direct them by hand, or run again."
    failure = {"code": "not_published", "detail": broke, "hint": hint}
    return {"stages": stages, "rto_seconds": None, "failed_stage": PUBLISH, "failure": failure}


def _broken(runs: Sequence[FailoverRun]) -> list[str]:
    return [run.collection for run in runs if run.record["failed_stage"]]


class FailoverRun(DrillRun):
    """The recovery of one collection at work; ``record`` is what is known of it."""

    def __init__(
        self,
        nodes: list[Qdrant],
        regions: list[DrillRegion],
        whole: FailoverRequest,
        request: DrillRequest,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(nodes, regions, replace(request, facts={**request.facts, "kind": whole.kind.text}), now)
        self.whole = whole
        self.saved: str | None = None
        self._asked = (0, 0)
        self.record["stages"] += [{**stage} for stage in whole.before]
        if whole.broke is not None:
            self._never_began(*whole.broke, "Mend it, and run again.")

    def take(self, names: Sequence[str], broken: Sequence[str]) -> None:
        """These stages; where another collection has ``broken``, they are skipped."""
        before = requests_of(self.sources)
        for name in names:
            if broken and not self.record["failed_stage"]:
                self._skip(name, f"{', '.join(broken)} broke.")
            else:
                self._take([name])
        reads, writes = (after - then for after, then in zip(requests_of(self.sources), before, strict=True))
        self._asked = self._asked[0] + reads, self._asked[1] + writes

    def end(self) -> None:
        """What it cost, and how it is judged."""
        self.record["cost"] = cost_of(self.record, *self._asked, self.request.prices)
        self.record |= judge(self.record, self.request.min_copies)
        self.note()

    def isolate(self, dry: bool = False) -> str:
        """Prove that the target is another cluster, that the old one is out of the way, and that names are free."""
        manifest = self._meet_target()
        self.record["isolation"] = checks = self._apart(manifest)
        require_isolation(checks, "Name another cluster as the target.")
        checks.append(self._fenced(manifest))
        self._require_free()
        return "The target is another cluster, and its names are free."

    def backup(self) -> str:
        """Back up the cluster that serves now, which takes no writes any more."""
        self.saved = back_up_whole([*self.whole.source], self.sources[0], self.collection)
        return f"Backup {self.saved} of {self.whole.source[0].connection.url}."

    def verify(self) -> str:
        """As in a drill; what a lost cluster cannot be asked is left out."""
        try:
            return super().verify()
        finally:
            if not self.whole.is_failback:
                self.record["integrity"] = [each for each in self.record["integrity"] if each["check"] != "samples"]

    def first_query(self) -> str:
        """The first right answer; users are not directed to it yet."""
        super().first_query()
        self.record["rto_seconds"] = None
        return "The target answers right."

    def publish_by(self, switch: _Switch, broken: Sequence[str]) -> None:
        """The last stage, for all collections together."""
        if self.record["failed_stage"]:
            self._skip(PUBLISH, "a stage before it broke.")
            return
        with self._stage(PUBLISH) as stage:
            if broken:
                raise CheckFailed(f"Nothing was published, since {', '.join(broken)} could not be recovered.")
            switch()
            self.record["rto_seconds"] = round((self.now() - self.request.declaration.at).total_seconds(), 3)
            plan, _request = self._planned()
            named = f"The aliases {', '.join(plan.aliases)} point to it." if plan.aliases else "No alias is recorded."
            stage["detail"] = f"{plan.target} serves. {named}"

    def publication(self) -> list[Json]:
        """The change of aliases that makes the collection serve."""
        if self.restored is None:
            raise CheckFailed("Nothing was restored.")
        return self.restored.publication()

    def outlook(self) -> Json:
        """What would be done with this collection."""
        now, target = self.nodes[0].aliases(), self.request.scratch()
        plan = self.plan
        aliases = plan.aliases if plan else aliases_of(self.whole.source[0], self.collection)
        return {
            "collection": self.collection,
            "target": target,
            "backup_id": plan.manifest.backup_id if plan else None,
            "until": self._until(),
            "aliases": {alias: now.get(alias) for alias in aliases},
            "leftover": plan.leftover if plan else half_restored(self.nodes[0], target),
            "isolation": self.record["isolation"],
        }

    # -- what stages share

    def _apart(self, manifest: Manifest | None) -> list[Json]:
        """A lost cluster is told by the peers that were recorded; one that serves, in a failback, by itself alone,
        since the recorded ones may be those of home."""
        source = self.whole.source[0] if self.whole.source else None
        recorded, *live = prove_isolation(self.nodes, source, manifest, self.collection, shared_credentials=None)
        if self.whole.is_failback:
            return live
        lost = [each for each in live if each["check"] == "source" and recorded["passed"]]
        return [recorded, *(each for each in live if each not in lost)]

    def _until(self) -> str:
        if self.plan is None:
            return "what a backup made now will have"
        until = exact(recovered_until(self.plan)[0])
        return f"{until}, by the archived log" if self.plan.replay else f"{until}, by the backup alone"

    def _restoring(self, moment: MomentRequest | None) -> RestoreRequest:
        return replace(super()._restoring(moment), aliases=None, backup_id=self.saved)

    def _require_free(self) -> None:
        """Raise TargetExists, early, for a name that is taken; nothing that exists is ever overwritten."""
        qdrant, name = self.nodes[0], self.request.scratch()
        if name in qdrant.aliases() or (name in qdrant.collections() and not half_restored(qdrant, name)):
            raise TargetExists(
                f"The name {name} is taken on {qdrant.connection.url}, and nothing there is overwritten.",
                "Nothing was changed. Name another target for it, to which the aliases will be switched.",
            )

    def _fenced(self, manifest: Manifest | None) -> Json:
        fence = self.whole.fence
        if self.whole.is_failback:
            held = self._held(manifest)
            where = ", ".join(node.connection.url for node in self.nodes)
            if not held:
                return _check("empty", True, f"{where} holds none of the collections, nor their aliases.")
            if not fence.proof and not fence.planned:
                raise NotFenced(
                    f"{where} still holds {', '.join(held)}, and nothing proves that it is fenced.",
                    "Nothing was changed. Delete that there, or fence it by a hook that says what proves it.",
                )
            return _check("fenced", True, f"home holds {', '.join(held)}, and is fenced: {fence.proof or 'planned'}")
        if fence.proof or fence.planned:
            return _check(FENCE, True, f"the old cluster is fenced: {fence.proof or 'planned'}")
        if fence.word:
            return _check(FENCE, None, f"{self.request.declaration.operator} says that the old cluster is fenced.")
        raise NotFenced(
            "Nothing says that the old cluster is fenced, so that it and the target might both be written to.",
            "Nothing was changed. Fence it by a hook, or confirm that it is fenced.",
        )

    def _held(self, manifest: Manifest | None) -> list[str]:
        """What the nodes at home have of all collections, by their names and aliases."""
        collections = {each.collection for each in self.whole.drills}
        names = collections | {each.scratch() for each in self.whole.drills}
        names |= {alias for alias, to in self.whole.source[0].aliases().items() if to in collections}
        names |= {*(manifest.aliases if manifest else ())}
        found: set[str] = set()
        for node in self.nodes:
            mine = names & {*node.collections()}
            found |= {name for name in mine if not half_restored(node, name)} | (names & {*node.aliases()})
        return sorted(found)


class _Switch:
    """One atomic change of all aliases, made when it is first called; what broke it breaks every caller."""

    def __init__(self, qdrant: Qdrant, runs: Sequence[FailoverRun]) -> None:
        self._qdrant, self._runs = qdrant, runs
        self._done = False
        self._error: DrError | None = None

    def __call__(self) -> None:
        if self._error is not None:
            raise self._error
        if self._done:
            return
        try:
            self._qdrant.update_aliases([action for run in self._runs for action in run.publication()])
        except DrError as error:
            self._error = error
            raise
        self._done = True


def _check(name: str, passed: bool | None, detail: str) -> Json:
    return {"check": name, "passed": passed, "detail": detail}
