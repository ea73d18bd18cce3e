# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a failover or a failback ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from .argspec_repository import wanted_collections
from .drill_options import DRILL_SPEC, SOURCE_SPEC, drill_request, source_of
from .errors import InvalidInput
from .formats.drill_kind import FAILBACK, FAILOVER
from .formats.drill_record import CALLERS, PREPARE
from .formats.times import parse_moment
from .operations.drill import DrillRequest
from .operations.drills import protected_collections
from .operations.failover import FailoverRequest, Fence
from .operations.restore_mark import half_restored
from .restore_options import nodes_and_sources
from .stores.qdrant import Qdrant
from .stores.repository import Repository

KINDS = {kind.name: kind for kind in (FAILOVER, FAILBACK)}
# Options that mean the same for a drill.
_AS_DRILL = (
    "declared_at",
    "failure_at",
    "to_time",
    "operator",
    "reason",
    "approver",
    "scope",
    "run_id",
    "commands",
    "node_urls",
    "recall_tolerance",
    "max_query_seconds",
    "replication_factor",
    "storage_path",
    "ready_timeout",
    "journal",
    "prices",
)
_STAGE_SPEC: dict[str, Any] = {
    "name": {"type": "str", "choices": list(CALLERS), "required": True},
    "begun": {"type": "str", "required": True},
    "ended": {"type": "str", "required": True},
    "outcome": {"type": "str", "choices": ["done", "failed"], "default": "done"},
    "detail": {"type": "str", "default": ""},
}
FAILOVER_SPEC: dict[str, Any] = {
    "kind": {"type": "str", "choices": list(KINDS), "default": FAILOVER.name},
    "state": {"type": "str", "choices": ["recovered", "concluded"], "default": "recovered"},
    "sources": {**DRILL_SPEC["sources"], "required": False},
    "sla": {"type": "raw"},
    "collections": {"type": "list", "elements": "str", "default": ["all"]},
    "targets": {"type": "dict", "default": {}},
    "scenario": {
        "type": "str",
        "choices": ["collection_lost", "node_lost", "cluster_lost", "region_lost", "bad_deploy"],
        "default": "cluster_lost",
    },
    **{name: DRILL_SPEC[name] for name in _AS_DRILL},
    "source": {
        "type": "dict",
        "options": {**SOURCE_SPEC, "node_urls": {"type": "list", "elements": "str", "default": []}},
        "required_by": {"client_key": "client_cert"},
    },
    "target_kind": {"type": "str", "choices": ["standby", "fresh"], "default": "standby"},
    "backup": {"type": "bool", "default": True},
    "fence_proof": {"type": "str"},
    "fence_confirmed": {"type": "bool", "default": False},
    "fence_planned": {"type": "bool", "default": False},
    "stages": {"type": "list", "elements": "dict", "options": _STAGE_SPEC, "default": []},
    "broke": {"type": "str"},
    "broke_stage": {"type": "str", "choices": list(CALLERS), "default": PREPARE},
    "min_copies": {"type": "int", "default": 1},
    "records": {"type": "list", "elements": "dict"},
    "hook": {"type": "str"},
}

Json = dict[str, Any]


@contextmanager
def failover_of(
    params: Json, now: datetime, ansible_version: str
) -> Iterator[tuple[list[Qdrant], list[Repository], FailoverRequest]]:
    """The target's nodes, the regions and what is asked for. Raises InvalidInput and what naming ``all`` takes."""
    kind = KINDS[params["kind"]]
    if kind is FAILBACK and params["source"] is None:
        raise InvalidInput("A failback needs the cluster that serves now.", "Name a node of it in source.")
    with ExitStack() as stack:
        nodes, regions = stack.enter_context(nodes_and_sources(params))
        source = [stack.enter_context(node) for node in _source_nodes(params)]
        names = _names(params, regions, source)
        request = FailoverRequest(
            kind,
            [_drill(params, name, source, now, ansible_version) for name in names],
            Fence(params["fence_proof"] or None, params["fence_confirmed"], params["fence_planned"]),
            source,
            params["backup"],
            [_stage(stage) for stage in params["stages"]],
            None if params["broke"] is None else (params["broke_stage"], params["broke"]),
        )
        yield nodes, regions, request


def _source_nodes(params: Json) -> list[Qdrant]:
    if params["source"] is None:
        return []
    given = {name: value for name, value in params["source"].items() if name != "node_urls"}
    return [source_of({**given, "url": url}) for url in (given["url"], *params["source"]["node_urls"])]


def _names(params: Json, regions: Sequence[Repository], source: Sequence[Qdrant]) -> list[str]:
    names = wanted_collections(params["collections"])
    if names is None and params["kind"] == FAILBACK.name:
        names = [name for name in source[0].collections() if not half_restored(source[0], name)]
    elif names is None:
        names = protected_collections(regions)
    if not names:
        raise InvalidInput("There is no collection to recover.", "Name collections, or other sources.")
    unknown = sorted(set(params["targets"]) - set(names))
    if unknown:
        raise InvalidInput(f"targets names {', '.join(unknown)}, which is not recovered.", "Correct targets.")
    return sorted(names)


def _drill(params: Json, name: str, source: Sequence[Qdrant], now: datetime, ansible_version: str) -> DrillRequest:
    goes_home = params["kind"] == FAILBACK.name
    given = {each: params[each] for each in (*_AS_DRILL, "scenario", "sla", "sources", "min_copies")}
    given |= {"collection": name, "target": params["targets"].get(name, name)}
    given |= {"target_kind": "home" if goes_home else params["target_kind"], "trigger": "manual", "within_days": None}
    # Other options of a drill are as if nobody had set them.
    unset = {option: spec.get("default") for option, spec in DRILL_SPEC.items()}
    request = drill_request({**unset, **given}, now, ansible_version)
    if goes_home:
        return replace(request, checks=replace(request.checks, source=source[0], quiet=True, compared=True))
    return request


def _stage(given: Json) -> Json:
    begun, ended = (parse_moment(given[name], name, zone_required=True) for name in ("begun", "ended"))
    return {**given, "seconds": round(max(0.0, (ended - begun).total_seconds()), 3)}
