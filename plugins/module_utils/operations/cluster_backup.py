# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up a collection of a cluster: one plan, a share by each node, one commit.

The steps run on different hosts, one after another; what passes between them is JSON. Objects of a later attempt have
names of their own, so a node that was given up and still works never writes over what another has stored.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..errors import DrError, IncompleteBackup, ObjectNotFound
from ..formats import layout
from ..formats.backup_plan import plan_shares, shards_of
from ..formats.manifest import Manifest
from ..formats.sealed import plain_facts
from ..formats.shares import assemble
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .backup import need_of
from .backup_objects import shard_objects
from .backup_type import decided_type
from .catalogue import newest_committed
from .clock import iso, utc_now
from .commit import commit
from .fresh_id import fresh_id
from .leftovers import StartMarker, exists, find_leftovers, remove_objects, sweep, was_handed_over
from .object_copy import put_proved
from .share import BackupRequest, ShareRun, ShareTask

Json = dict[str, Any]


@dataclass(frozen=True)
class PlanRequest:
    """What to plan. ``only`` and ``backup_id``: these shards of a backup that has begun, as its ``attempt``-th try."""

    collection: str
    max_age: float | None = None
    exclude: frozenset[str] = frozenset()
    backup_id: str | None = None
    only: list[int] | None = None
    attempt: int = 0
    type: str = "full"
    full_every: float | None = None


def plan_cluster(
    repository: Repository,
    nodes: list[Json],
    request: PlanRequest,
    now: Callable[[], datetime] = utc_now,
    load: dict[str, float] | None = None,
) -> Json:
    """Plan the backup of one collection by ``nodes`` (in the shape of ``node_facts``); nothing is changed.

    ``load``: the work that the plans before have given to the nodes; that of this plan is added to it.

    Returns ``collection``, ``needed``, ``reason``, ``backup_id`` (that of the newest backup where none is needed),
    ``attempt``, ``started``, ``type``, ``shares`` (node -> shards), ``all_shards`` and ``warnings``.
    """
    layout.check_collection_name(request.collection)
    started = now()
    load = {} if load is None else load
    planned = plan_shares(nodes, request.collection, request.exclude, request.only, load)
    shares, all_shards = planned.shares, shards_of(nodes, request.collection)
    kind = decided_type(repository, request.collection, request.type, request.full_every, started)
    result: Json = {"collection": request.collection, "attempt": request.attempt, "started": iso(started), "type": kind}
    result |= {"all_shards": all_shards, "warnings": planned.warnings}
    if request.only is not None:
        load.update(planned.work)
        return {
            **result,
            "needed": True,
            "reason": "shares are missing",
            "backup_id": request.backup_id,
            "shares": shares,
        }
    newest = newest_committed(repository, request.collection)
    needed, reason = need_of(newest, request.max_age, started)
    if not needed and newest is not None:
        return {**result, "needed": False, "reason": reason, "backup_id": newest.backup_id, "shares": {}}
    load.update(planned.work)
    backup_id = fresh_id(started)
    return {**result, "needed": True, "reason": reason, "backup_id": backup_id, "shares": shares}


def store_share(
    qdrant: Qdrant,
    repository: Repository,
    request: BackupRequest,
    plan: Json,
    node: str,
    now: Callable[[], datetime] = utc_now,
) -> Json:
    """Store what ``plan`` gives to ``node``, and the document that says so.

    On an error what was stored is removed again, unless the document is there or may be: the backup may then have
    been committed with it. A node that ends after the commit, because it was given up, removes its part and says so.
    """
    request = replace(request, type=plan["type"])
    collection, backup_id = request.collection, plan["backup_id"]
    removed = sweep(repository, qdrant, collection, _leftovers(repository, qdrant, collection, backup_id, now()))
    run = _share_run(qdrant, repository, request, plan, node, now)
    run.marker.write()
    said = False
    try:
        share = run.make()
        _refuse_late(repository, collection, backup_id)
        said = True
        key = layout.share_key(collection, backup_id, node, run.task.attempt)
        put_proved(repository, key, json.dumps(share).encode("ascii"), "application/json")
        if run.remove_snapshots():
            run.marker.hand_over()
    except BaseException:
        with contextlib.suppress(DrError):
            run.discard_snapshots()
            if said:
                run.marker.hand_over()
            else:
                keys = [run.object_key(shard) for shard in run.task.shards or []]
                repository.delete([*keys, *map(layout.pack_table_key, keys)])
                run.forget()
        raise
    size = sum(plain_facts(entry["object"])[0] for entry in share["shards"])
    return {"collection": collection, "backup_id": backup_id, "shards": run.task.shards, "size": size} | {
        "warnings": run.warnings,
        "leftovers_removed": removed,
    }


def _share_run(
    qdrant: Qdrant,
    repository: Repository,
    request: BackupRequest,
    plan: Json,
    node: str,
    now: Callable[[], datetime],
) -> ShareRun:
    """What stores the share of ``node``, with a marker that is still to be written."""
    backup_id, attempt = plan["backup_id"], plan["attempt"]
    key = layout.share_marker_key(request.collection, backup_id, node, attempt)
    marker = StartMarker(repository, key, qdrant.connection.url)
    task = ShareTask(backup_id, node, plan["shares"][node], attempt, lead=node == min(plan["shares"]))
    return ShareRun(qdrant, repository, request, task, marker, now)


def _leftovers(repository: Repository, qdrant: Qdrant, collection: str, backup_id: str, now: datetime) -> list[Json]:
    """Those of others. Of this backup only a dead node's snapshots and marker: its objects stand among those of nodes
    that may have begun since, and go with the commit."""
    found = find_leftovers(repository, qdrant, collection, now)
    return [{**each, "whole": each["whole"] and each["backup_id"] != backup_id} for each in found]


def _refuse_late(repository: Repository, collection: str, backup_id: str) -> None:
    if exists(repository, layout.manifest_key(collection, backup_id)):
        raise IncompleteBackup(
            f"{backup_id} was committed without this share: other nodes have stored its shards.",
            "The backup is whole. Find out why this node was given up.",
        )


def missing_shards(repository: Repository, plans: list[Json]) -> list[int]:
    """The shards of the first plan that no node has stored yet under any of the ``plans``."""
    stored = [entry["shard"] for share in _shares(repository, plans) for entry in share["shards"]]
    return sorted(set(plans[0]["all_shards"]) - set(stored))


def commit_shares(repository: Repository, plans: list[Json], now: Callable[[], datetime] = utc_now) -> Json:
    """Check that the shares of all ``plans`` make one backup, and commit it.

    Raises ``IncompleteBackup``, and what ``commit`` does.
    Returns the manifest's summary with ``warnings``.
    """
    collection, backup_id = plans[0]["collection"], plans[0]["backup_id"]
    shares = _shares(repository, plans)
    manifest = assemble(shares, plans[0]["all_shards"], plans[0]["started"], iso(now()))
    commit(repository, manifest)
    warnings = []
    try:
        remove_objects(repository, collection, backup_id, keep=_belonging(manifest, shares))
        _remove_markers(repository, collection, backup_id)
    except DrError as error:
        warnings.append(f"cleaning up after the backup is left to the next run: {error.detail}")
    return {**manifest.summary(), "warnings": warnings}


def abandon(repository: Repository, collection: str, backup_id: str) -> list[str]:
    """Remove what the shares of a backup that will not be committed have stored; names it."""
    removed = remove_objects(repository, collection, backup_id)
    _remove_markers(repository, collection, backup_id)
    return removed


def _remove_markers(repository: Repository, collection: str, backup_id: str) -> None:
    """But for those of nodes that were given up: the next run there finds by them what is left on the node."""
    keys = [item.key for item in repository.list(layout.share_markers_prefix(collection, backup_id))]
    repository.delete([key for key in keys if was_handed_over(repository, key)])


def _belonging(manifest: Manifest, shares: list[Json]) -> set[str]:
    """The keys of a committed backup; whatever else stands in its folder is of nodes that were given up."""
    objects = [key for key, _stored in shard_objects(manifest)]
    keys = {layout.manifest_key(manifest.collection, manifest.backup_id), *objects, *map(layout.sidecar_key, objects)}
    return keys | {share["stored_as"] for share in shares}


def _shares(repository: Repository, plans: list[Json]) -> list[Json]:
    """The shares that were stored, the leading one first; ``stored_as`` is the key of each.

    Of a shard that several attempts have stored, since a node that was given up came to its end after all, that of
    the latest attempt counts.
    """
    found: list[Json] = []
    taken: set[int] = set()
    for plan in reversed(plans):
        shares = []
        for node in sorted(plan["shares"]):
            key = layout.share_key(plan["collection"], plan["backup_id"], node, plan["attempt"])
            with contextlib.suppress(ObjectNotFound):
                shares.append({**json.loads(repository.get(key)), "stored_as": key})
        for share in shares:
            share["shards"] = [entry for entry in share["shards"] if entry["shard"] not in taken]
        taken |= {entry["shard"] for share in shares for entry in share["shards"]}
        found = [share for share in shares if share["shards"]] + found
    return found
