# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the steps of a cluster's backup by one process, which reaches every node: no controller is needed.

The nodes work one after another, so that an interrupt finds one share at work and can remove it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from ..errors import DrError, IncompleteBackup, PartlyFailed, QdrantError, QdrantUnreachable, StoreUnreachable
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .backup import back_up
from .backup_several import each_request
from .cluster_backup import PlanRequest, commit_shares, plan_cluster
from .cluster_backup_several import abandon_several, further_requests, store_shares
from .node_facts import read_settled_node
from .share import BackupRequest

Json = dict[str, Any]
Answer = TypeVar("Answer")


def back_up_from_here(
    nodes: dict[str, Qdrant],
    repository: Repository,
    requests: list[BackupRequest],
    here: Qdrant | None = None,
    check: bool = False,
    wait_for_transfers: float = 0.0,
) -> Json:
    """Back up one collection of a cluster after another; with ``check``, say what would be done and change nothing.

    ``nodes``: name -> node; one that does not answer is left out, which is well where others have replicas of its
    shards. ``here``: the node whose directories the requests name, at whatever address; the others are read over HTTP.
    ``wait_for_transfers``: so many seconds may pass until no shard of a collection is being transferred.

    Returns and raises what ``each_request`` does, with ``warnings`` in the result.
    """
    repository.check_access()
    run = _Run(nodes, repository, here, check, wait_for_transfers)
    try:
        return {**each_request(requests, run.back_up), "warnings": run.warnings}
    except DrError as error:
        error.result["warnings"] = run.warnings
        raise


def back_up_whole(nodes: list[Qdrant], repository: Repository, collection: str) -> str:
    """Back up one collection, ``nodes`` being all of its cluster, or the only one; returns the id of the backup."""
    request = BackupRequest(collection)
    if nodes[0].cluster().get("status") != "enabled":
        return str(back_up(nodes[0], repository, request)["backup_id"])
    named = {node.connection.address: node for node in nodes}
    return str(back_up_from_here(named, repository, [request])["backups"][0]["backup_id"])


class _Run:
    """What is known of the nodes while collections are backed up."""

    def __init__(
        self, nodes: dict[str, Qdrant], repository: Repository, here: Qdrant | None, check: bool, patience: float
    ) -> None:
        self.patience = patience
        self.nodes, self.repository, self.check = dict(nodes), repository, check
        self.warnings: list[str] = []
        self.load: dict[str, float] = {}
        self.own_peer = self._peer_of(here) if here else None

    def back_up(self, request: BackupRequest) -> Json:
        """Make a committed backup of one collection, or find that none is needed."""
        facts = self._settled_facts(request.collection)
        plan = self._plan(
            facts, PlanRequest(request.collection, request.max_age, type=request.type, full_every=request.full_every)
        )
        entry: Json = {"collection": request.collection, "changed": plan["needed"], "created": plan["needed"]}
        entry |= {"reason": plan["reason"], "warnings": [], "leftovers_removed": []}
        if not plan["needed"]:
            return {**entry, "backup_id": plan["backup_id"]}
        elsewhere = replace(request, storage_path=None, snapshots_path=None)
        how = {node["name"]: request if node["peer_id"] == self.own_peer else elsewhere for node in facts}
        plans = [plan]
        try:
            if missing := self._store(plan, how, entry):
                plans += [self._plan(facts, each) for each in further_requests(plans, {request.collection: missing})]
                missing = self._store(plans[-1], how, entry)
            if missing:
                lacking = ", ".join(map(str, missing))
                raise IncompleteBackup(
                    f"No node could store shard {lacking} of {request.collection}.",
                    "Nothing of it is left. Mend what the warnings name, and run again.",
                )
        except BaseException:
            self._abandon(plans)
            raise
        if self.check:
            return entry
        made = self._commit(plans)
        return {**entry, **made, "warnings": entry["warnings"] + made["warnings"]}

    def _settled_facts(self, collection: str) -> list[Json]:
        deadline = time.monotonic() + self.patience
        return self._ask(
            lambda name, node: read_settled_node(node, name, [collection], max(0.0, deadline - time.monotonic()))
        )

    def _peer_of(self, here: Qdrant) -> str | None:
        try:
            return str(here.cluster().get("peer_id"))
        except QdrantError as error:
            self._warn([f"which node is on this host is not known, so that none of its files are read: {error.detail}"])
            return None

    def _ask(self, question: Callable[[str, Qdrant], Answer]) -> list[Answer]:
        """The answers of the nodes; one that gives none is not asked again, since waiting for it takes minutes."""
        answers = []
        for name, node in list(self.nodes.items()):
            try:
                answers.append(question(name, node))
            except QdrantError as error:
                del self.nodes[name]
                self._warn([f"{name} is left out: {error.detail}"])
        if not answers:
            raise QdrantUnreachable("No node of the cluster can be asked.", "Mend what the warnings name.")
        return answers

    def _plan(self, facts: list[Json], request: PlanRequest) -> Json:
        plan = plan_cluster(self.repository, facts, request, load=self.load)
        self._warn(plan["warnings"])
        return plan

    def _store(self, plan: Json, how: dict[str, BackupRequest], entry: Json) -> list[int]:
        """Let each node of the plan store its share; returns the shards of those that did not."""
        missing: list[int] = []
        for name, shards in plan["shares"].items():
            try:
                done = store_shares(self.nodes[name], self.repository, [plan], name, how[name], self.check)
            except PartlyFailed as error:
                self._warn([f"{name} could not store its share: {error.detail}"])
                missing += shards
                continue
            for share in done["shares"]:
                entry["warnings"] += share["warnings"]
                entry["leftovers_removed"] += share["leftovers_removed"]
        return missing

    def _commit(self, plans: list[Json]) -> Json:
        try:
            return commit_shares(self.repository, plans)
        except DrError as error:
            # One that the store gave no answer to may have gone through: the next run finds out.
            if not isinstance(error, StoreUnreachable):
                self._abandon(plans)
            raise

    def _abandon(self, plans: list[Json]) -> None:
        with contextlib.suppress(DrError):
            abandon_several(self.repository, plans, self.check)

    def _warn(self, texts: list[str]) -> None:
        self.warnings += [text for text in texts if text not in self.warnings]
