# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a cluster's backup for several collections: one that fails leaves the others.

Plans travel from step to step as one flat list, those of later attempts behind the earlier ones. Every step can be
repeated: what is committed, or has its share stored, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..errors import DrError, IncompleteBackup, InvalidInput, PartlyFailed
from ..formats import layout
from ..stores.master_keys import key_ring
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .catalogue import read_manifest
from .clock import utc_now
from .cluster_backup import PlanRequest, abandon, commit_shares, missing_shards, plan_cluster, store_share
from .leftovers import exists, find_leftovers
from .share import BackupRequest, read_collection

Json = dict[str, Any]

_NODE_FACTS = ("name", "version", "peer_id", "peers", "leader", "unreachable", "collections")
_PLAN_FIELDS = ("collection", "needed", "backup_id", "attempt", "started", "type", "shares", "all_shards")


def plan_several(repository: Repository, nodes: list[Json], requests: list[PlanRequest], earlier: list[Json]) -> Json:
    """Plan one collection after another; nothing is changed.

    ``earlier``: the plans of the attempts before. Returns ``plans``, ``all_plans`` (with the earlier ones) and
    ``failures``; raises ``PartlyFailed`` with the same where a collection cannot be planned.
    """
    if not nodes:
        raise InvalidInput("nodes is empty: no node has said anything of itself.", "Give the result of node_info.")
    _check_fields(nodes, _NODE_FACTS, "nodes")
    plans, failed = [], []
    load: dict[str, float] = {}
    for request in requests:
        try:
            plans.append(plan_cluster(repository, nodes, request, load=load))
        except DrError as error:
            failed.append({"collection": request.collection, "failure": error.failure()})
    result = {"plans": plans, "all_plans": [*earlier, *plans], "failures": failed}
    if failed:
        raise PartlyFailed(_reasons(failed), "The other collections have their plan.", **result)
    return result


def further_requests(
    plans: list[Json], missing: dict[str, list[int]], exclude: frozenset[str] = frozenset()
) -> list[PlanRequest]:
    """What to ask ``plan_several`` for so that other nodes store the ``missing`` shards of backups that have begun.

    Besides those in ``exclude``, the nodes that should have stored them are left out, each for its collection alone.
    """
    begun = _by_collection(plans)
    requests = []
    for collection, shards in missing.items():
        if collection not in begun:
            raise InvalidInput(f"plans has no backup of {collection}, which missing names.", "Give all earlier plans.")
        backup_id, attempt = begun[collection][0]["backup_id"], begun[collection][-1]["attempt"] + 1
        kind = begun[collection][0]["type"]
        only = sorted(int(shard) for shard in shards)
        failed = {
            node for plan in begun[collection] for node in plan["shares"] if set(plan["shares"][node]) & set(only)
        }
        requests.append(PlanRequest(collection, None, exclude | failed, backup_id, only, attempt, kind))
    return requests


def store_shares(
    qdrant: Qdrant, repository: Repository, plans: list[Json], node: str, options: BackupRequest, check: bool = False
) -> Json:
    """Store what ``plans`` give to ``node``; with ``check``, say what would be stored and change nothing.

    ``options``: how; its collection is replaced by that of each plan. Returns ``changed`` and ``shares``. Raises
    ``PartlyFailed`` with both and ``failures``.
    """
    shares, failed = [], []
    for plan in _last_of_each(plans):
        if node not in plan["shares"]:
            continue
        request = replace(options, collection=plan["collection"])
        try:
            shares.append(_share(qdrant, repository, plan, node, request, check))
        except DrError as error:
            failed.append({"collection": plan["collection"], "failure": error.failure()})
    result: Json = {"changed": any(entry["changed"] for entry in shares), "shares": shares}
    if failed:
        raise PartlyFailed(
            _reasons(failed), "Other nodes can store what is missing, if they have it.", failures=failed, **result
        )
    return result


def commit_several(repository: Repository, plans: list[Json], allow_missing: bool = False, check: bool = False) -> Json:
    """Commit every backup whose shards are all there; with ``check``, say which ones those are.

    Returns ``changed``, ``backups``, ``missing`` (collection -> shards) and ``failures``. Raises ``PartlyFailed`` with
    all of them where a commit failed, or, unless ``allow_missing``, where shards are missing.
    """
    backups: list[Json] = []
    failed: list[Json] = []
    missing: dict[str, list[int]] = {}
    for collection, attempts in _by_collection(plans).items():
        try:
            if not _is_committed(repository, attempts[0]) and (lacking := missing_shards(repository, attempts)):
                missing[collection] = lacking
                continue
            backups.append(_committed(repository, attempts, check))
        except DrError as error:
            failed.append({"collection": collection, "failure": error.failure()})
    if not allow_missing:
        failed += [{"collection": name, "failure": _incomplete(shards).failure()} for name, shards in missing.items()]
    changed = any(entry["created"] for entry in backups)
    result: Json = {"changed": changed, "backups": backups, "missing": missing, "failures": failed}
    if failed:
        raise PartlyFailed(_reasons(failed), "The other backups are committed.", **result)
    return result


def abandon_several(repository: Repository, plans: list[Json], check: bool = False) -> Json:
    """Remove what backups that did not commit have stored; a committed one stays. Returns ``changed``, ``removed``."""
    removed: list[str] = []
    for collection, attempts in _by_collection(plans).items():
        backup_id = attempts[0]["backup_id"]
        if _is_committed(repository, attempts[0]):
            continue
        if check:
            items = repository.list(layout.backup_prefix(collection, backup_id))
            removed += [f"object {item.key}" for item in items]
        else:
            removed += abandon(repository, collection, backup_id)
    return {"changed": bool(removed), "removed": removed}


def _share(qdrant: Qdrant, repository: Repository, plan: Json, node: str, request: BackupRequest, check: bool) -> Json:
    collection, shards = plan["collection"], plan["shares"][node]
    entry: Json = {"collection": collection, "backup_id": plan["backup_id"], "shards": shards}
    stored = layout.share_key(collection, plan["backup_id"], node, plan["attempt"])
    if _is_committed(repository, plan) or exists(repository, stored):
        return {**entry, "changed": False, "warnings": [], "leftovers_removed": []}
    if not check:
        return {**store_share(qdrant, repository, request, plan, node), "changed": True}
    key_ring(repository.location)
    read_collection(qdrant, collection, shards)
    found = find_leftovers(repository, qdrant, collection, utc_now())
    leftovers = [f"backup {leftover['backup_id']}: {leftover['reason']}" for leftover in found]
    return {**entry, "changed": True, "warnings": [], "leftovers_removed": leftovers}


def _committed(repository: Repository, attempts: list[Json], check: bool) -> Json:
    first = attempts[0]
    entry = {"collection": first["collection"], "backup_id": first["backup_id"], "reason": first.get("reason", "")}
    if _is_committed(repository, first):
        manifest, _data = read_manifest(repository, first["collection"], first["backup_id"])
        return {**entry, **manifest.summary(), "created": False}
    return {**entry, **({} if check else commit_shares(repository, attempts)), "created": True}


def _is_committed(repository: Repository, plan: Json) -> bool:
    return exists(repository, layout.manifest_key(plan["collection"], plan["backup_id"]))


def _by_collection(plans: Iterable[Json]) -> dict[str, list[Json]]:
    """Collection -> the plans of its attempts, the first one first; without those that need no backup."""
    _check_fields(plans, _PLAN_FIELDS, "plans")
    grouped: dict[str, list[Json]] = {}
    for plan in sorted(plans, key=lambda each: each["attempt"]):
        if plan["needed"]:
            layout.backup_time(plan["backup_id"])
            grouped.setdefault(layout.check_collection_name(plan["collection"]), []).append(plan)
    for collection, attempts in grouped.items():
        if len({plan["backup_id"] for plan in attempts}) > 1:
            raise InvalidInput(f"plans has several backups of {collection}.", "Give the plans of one run.")
    return grouped


def _last_of_each(plans: Iterable[Json]) -> list[Json]:
    return [attempts[-1] for attempts in _by_collection(plans).values()]


def _check_fields(given: Iterable[Json], fields: tuple[str, ...], option: str) -> None:
    for entry in given:
        lacking = [name for name in fields if name not in entry]
        if lacking:
            raise InvalidInput(f"An entry of {option} has no {', '.join(lacking)}.", "Pass it on as it was returned.")


def _incomplete(shards: list[int]) -> IncompleteBackup:
    lacking = ", ".join(map(str, shards))
    return IncompleteBackup(f"no node has stored shard {lacking}.", "Run the backup again.", missing=shards)


def _reasons(failed: list[Json]) -> str:
    return " ".join(f"{entry['collection']}: {entry['failure']['detail']}" for entry in failed)
