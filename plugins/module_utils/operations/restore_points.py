# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring single points back: a backup or a moment becomes a scratch collection, and only these points go live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CheckFailed, DrError, InvalidInput, QdrantNotFound, StrictModeRefused, TargetExists, TargetUnfit
from ..formats.collection_config import is_custom_sharded, vector_differences
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .put_back import Id, PutBack
from .restore import RestoreRun
from .restore_mark import half_restored
from .restore_plan import RestorePlan, RestoreRequest, plan_restore

_SCRATCH = "-restore-points"
# Ids that one filter names.
_IDS = 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class PointsRequest:
    """Which points to bring back, from when, and to where.

    ``collection``: the live one, or an alias of it. ``restore``: from when and how; its ``collection`` and ``target``
    are those of this request. ``ids`` or ``filter``: which points. ``recorded_as``: the collection's name in the
    repository, None for that of the live one. ``overwrite``: also points that are there.
    """

    collection: str
    restore: RestoreRequest
    ids: tuple[Id, ...] = ()
    filter: Json | None = None
    recorded_as: str | None = None
    overwrite: bool = False
    scratch: str | None = None
    keep_scratch: bool = False
    batch_points: int = 100

    def __post_init__(self) -> None:
        """Raises InvalidInput for a choice of no points or of all."""
        if bool(self.ids) == bool(self.filter):
            raise InvalidInput(
                "Which points to bring back is not clear: ids and filter are both given, or empty.",
                "Give ids or a filter. To bring all points back, use vectorops.qdrant_dr.restore.",
            )
        if self.batch_points < 1:
            raise InvalidInput(f"batch_size is {self.batch_points}.", "Give 1 or more.")

    def filters(self) -> Iterator[Json]:
        """The choice as filters; ids in portions."""
        if self.filter is not None:
            yield self.filter
        for start in range(0, len(self.ids), _IDS):
            yield {"must": [{"has_id": list(self.ids[start : start + _IDS])}]}


def restore_points(
    nodes: list[Qdrant], sources: list[Repository], request: PointsRequest, *, only_look: bool = False
) -> Json:
    """Bring points back, or with ``only_look`` say which ones would be.

    ``nodes``: the server, and after it all others of its cluster. ``sources``: in order of preference. The scratch
    collection is marked like any collection that is being restored until it is deleted, so that the next run removes
    what a killed one has left. Returns what the module ``restore_points`` documents, with ``diff``.
    """
    started = time.monotonic()
    qdrant = nodes[0]
    live = _live(qdrant, request)
    how = _restore_request(request, live)
    plan = _plan(nodes, sources, how, live)
    run = RestoreRun(nodes, sources, how, plan)
    try:
        _make_scratch(run)
        put = PutBack(
            qdrant,
            plan.target,
            live,
            asked=request.ids,
            overwrite=request.overwrite,
            batch_points=request.batch_points,
            only_look=only_look,
        )
        _put(put, request)
    finally:
        if only_look or not request.keep_scratch:
            run.collection.discard()
    return {
        **_describe(plan, live),
        **put.describe(),
        "changed": put.restored.count > 0,
        "scratch": plan.target if plan.target in qdrant.collections() else None,
        "served": run.served,
        "damaged": run.damaged,
        "notes": plan.notes + run.health.notes + plan.archive_notes,
        "seconds": round(time.monotonic() - started, 3),
        "diff": put.diff(),
    }


def _live(qdrant: Qdrant, request: PointsRequest) -> str:
    """The live collection, which can be asked for such points."""
    live = qdrant.aliases().get(request.collection, request.collection)
    if live not in qdrant.collections():
        raise QdrantNotFound(
            f"The collection {live} is not on {qdrant.connection.url}.",
            "To bring back all of it, use vectorops.qdrant_dr.restore.",
        )
    if request.filter is not None:
        # Among no points: this costs nothing, and finds a filter that Qdrant does not understand. Where strict mode
        # does not let it be asked here, the scratch collection is the first to tell.
        nothing = {"filter": {"must": [{"has_id": []}, request.filter]}}
        with suppress(StrictModeRefused):
            next(qdrant.scroll(live, vectors=False, payload=False, chosen=nothing), None)
    return live


def _restore_request(request: PointsRequest, live: str) -> RestoreRequest:
    scratch = request.scratch or f"{live}{_SCRATCH}"
    if scratch in (live, request.collection):
        raise InvalidInput(f"{scratch} cannot be live and scratch.", "Give scratch a name that is free.")
    return replace(
        request.restore,
        collection=request.recorded_as or live,
        target=scratch,
        aliases=[],
        overwrite=False,
        digest=False,
        # One copy of it is read once.
        replication_factor=1,
    )


def _plan(nodes: list[Qdrant], sources: list[Repository], how: RestoreRequest, live: str) -> RestorePlan:
    """What the scratch collection is made of; refuses a moment whose points the live collection cannot take."""
    scratch = str(how.target)
    if scratch in nodes[0].collections() and not half_restored(nodes[0], scratch):
        raise TargetExists(
            f"The collection {scratch} exists on {nodes[0].connection.url}.", "Give scratch a name that is free."
        )
    plan = plan_restore(nodes, sources, how)
    recorded, there = plan.manifest.config, nodes[0].collection(live)["config"]
    reasons = vector_differences(recorded, there)
    if is_custom_sharded(recorded) != is_custom_sharded(there):
        reasons.append("only one of them has shard keys")
    if reasons:
        raise TargetUnfit(
            f"{live} cannot take points of backup {plan.manifest.backup_id}: {'; '.join(reasons)}.",
            "Nothing was changed. Restore the whole collection to another name, and read the points there.",
            reasons=reasons,
        )
    return plan


def _make_scratch(run: RestoreRun) -> None:
    run.make_room()
    run.fill()
    try:
        run.check()
    except CheckFailed as error:
        error.hint = "No point was put back. Choose another backup or moment."
        raise


def _put(put: PutBack, request: PointsRequest) -> None:
    try:
        put.put(request.filters())
    except DrError as error:
        error.result.update(put.describe())
        if put.restored.count:
            done = f"At least {put.restored.count} points are back already; another run goes on with the others."
            error.hint = f"{error.hint} {done}".strip()
        raise


def _describe(plan: RestorePlan, live: str) -> Json:
    planned = plan.describe()
    names = ("backup_id", "leftovers_removed", "moment", "apart_seconds", "entries_replayed", "inexact")
    return {"collection": live, **{name: planned[name] for name in names if name in planned}}
