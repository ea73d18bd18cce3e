# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failover or a failback would do, for whoever has to confirm it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidInput
from ..formats.drill_words import visible
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from .clock import utc_now
from .drill_journal import require_place
from .drill_regions import drill_regions
from .failover import FailoverRequest, FailoverRun

Json = dict[str, Any]


def plan_failover(nodes: list[Qdrant], regions: Sequence[Repository], request: FailoverRequest) -> Json:
    """What would be done; nothing is changed: ``names``, ``collections`` and ``announcement`` (lines).

    Raises what stands in its way, as NotFenced, NotIsolated or TargetExists.
    """
    met = drill_regions(regions, "cluster_lost")
    plans = []
    for each in request.drills:
        if each.journal is not None:
            require_place(each.journal)
        run = FailoverRun(nodes, met, request, each, utc_now)
        run.isolate()
        if not request.saves:
            run.locate()
        plans.append(run.outlook())
    _refuse_shared_aliases(plans)
    lines = announcement(request, [node.connection.url for node in nodes], regions, plans)
    return {
        "names": [each.collection for each in request.drills],
        "collections": plans,
        "announcement": [visible(line) for line in lines],
    }


def _refuse_shared_aliases(plans: Sequence[Json]) -> None:
    """An alias that two backups recorded, as before and after a switch, can point to one of them only."""
    claims: dict[str, list[str]] = {}
    for plan in plans:
        for alias in plan["aliases"]:
            claims.setdefault(alias, []).append(plan["collection"])
    shared = [f"{alias} ({', '.join(names)})" for alias, names in sorted(claims.items()) if len(names) > 1]
    if shared:
        raise InvalidInput(
            f"Several collections would get the same alias: {'; '.join(shared)}.",
            "Name in collections only the one that users are to be served from, and recover the others by themselves.",
        )


def announcement(
    request: FailoverRequest, target: Sequence[str], regions: Sequence[Repository], plans: Sequence[Json]
) -> list[str]:
    """What will happen, line by line; ``target``: its addresses, ``plans``: of ``FailoverRun.outlook``."""
    cluster = regions[0].location.cluster
    serving = ", ".join(node.connection.url for node in request.source) or "not named"
    if request.is_failback:
        lines = [f"FAILBACK of cluster {cluster}", f"from (serves now; its writes must stop): {serving}"]
    else:
        lines = [f"FAILOVER of cluster {cluster}", f"from (the old cluster, which has to be fenced): {serving}"]
    lines += [f"to: {', '.join(target)}", f"backups: {', '.join(region.url('') for region in regions)}"]
    for plan in plans:
        backup = f"backup {plan['backup_id']}" if plan["backup_id"] else "a new backup"
        lines.append(f"collection {plan['collection']} to {plan['target']}: {backup}, up to {plan['until']}")
        lines += [f"  {line}" for line in _changes(plan)]
    return lines


def _changes(plan: Json) -> list[str]:
    """What it overwrites at the target."""
    moved = [
        f"alias {alias} moves from {before} to {plan['target']}" if before else f"alias {alias} is set"
        for alias, before in sorted(plan["aliases"].items())
        if before != plan["target"]
    ]
    left = [f"what an interrupted restore left of {plan['target']} is removed"] if plan["leftover"] else []
    overwritten = [*left, *moved]
    return overwritten or ["overwrites nothing"]
