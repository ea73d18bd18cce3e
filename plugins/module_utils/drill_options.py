# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a drill ask for."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .argspec import QDRANT_SPEC
from .argspec_repository import repositories_option, store_locations
from .errors import DrError, InvalidInput
from .formats.canonical import canonical
from .formats.layout import is_backup_id
from .formats.prices import ALL_PRICES, Prices
from .formats.sla import SlaPolicy
from .formats.times import parse_moment
from .operations.drill import DrillRequest
from .operations.drill_checks import CheckRequest
from .operations.drill_declaration import Declaration
from .operations.drill_regions import SCENARIOS
from .operations.ephemeral_qdrant import ephemeral_qdrant
from .restore_options import nodes_and_sources
from .stores.qdrant import Qdrant, QdrantConnection
from .stores.regions import opened
from .stores.repository import Repository

# Of another cluster, without the environment: that names the target.
SOURCE_SPEC: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "no_log": True},
    **{name: QDRANT_SPEC[name] for name in ("validate_certs", "ca_path", "client_cert", "client_key", "timeout")},
}
DRILL_SPEC: dict[str, Any] = {
    "sources": repositories_option(required=True),
    "collection": {"type": "str", "required": True},
    "sla": {"type": "raw", "required": True},
    "scenario": {"type": "str", "choices": list(SCENARIOS), "default": "collection_lost"},
    "declared_at": {"type": "str"},
    "failure_at": {"type": "str"},
    "to_time": {"type": "str"},
    "operator": {"type": "str"},
    "reason": {"type": "str", "default": ""},
    "trigger": {"type": "str", "choices": ["manual", "scheduled"], "default": "manual"},
    "approver": {"type": "str"},
    "scope": {"type": "str", "default": ""},
    "run_id": {"type": "str"},
    "together": {"type": "list", "elements": "str", "default": []},
    "broke": {"type": "str"},
    "commands": {"type": "list", "elements": "str", "default": []},
    "target": {"type": "str"},
    "target_kind": {"type": "str", "choices": ["standby", "fresh", "ephemeral"], "default": "standby"},
    "binary": {"type": "path"},
    "scratch_path": {"type": "path"},
    "journal": {"type": "path"},
    "node_urls": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "dict", "options": SOURCE_SPEC, "required_by": {"client_key": "client_cert"}},
    "source_quiet": {"type": "bool", "default": False},
    "shared_credentials": {"type": "bool", "default": False},
    "expect_digest": {"type": "str"},
    "recall_tolerance": {"type": "float", "default": 0.01},
    "max_query_seconds": {"type": "float"},
    "replication_factor": {"type": "int"},
    "storage_path": {"type": "path"},
    "ready_timeout": {"type": "float", "default": 3600.0},
    "min_copies": {"type": "int", "default": 2},
    "within_days": {"type": "int", "default": 30},
    "prices": {"type": "dict", "options": ALL_PRICES},
    "fail_on_verdict": {"type": "bool", "default": False},
}
DRILL_REQUIRED_IF = [("target_kind", "ephemeral", ("binary",))]
# Of the host that declares, and the one that drills.
_CLOCKS_APART = timedelta(seconds=10)
_SECRETS = ("api_key", "access_key", "secret_key", "session_token", "sse_customer_key", "key")

Json = dict[str, Any]


@contextmanager
def drill_of(
    params: Json, now: datetime, ansible_version: str
) -> Iterator[tuple[list[Qdrant], list[Repository], DrillRequest]]:
    """The target's nodes, the regions and what is asked for. Raises InvalidInput.

    ``now``: the time of the declaration and of the failure, where none is given. A target that is ephemeral is there
    for as long; that it could not be started is what broke the drill.
    """
    request = drill_request(params, now, ansible_version)
    with ExitStack() as stack:
        if params["target_kind"] == "ephemeral" and request.broke is None:
            try:
                server = stack.enter_context(ephemeral_qdrant(params["binary"], _scratch_path(params)))
            except DrError as error:
                request = replace(request, broke=error.detail)
            else:
                request = replace(request, storage_path=str(server.storage_path))
                params = {**params, "url": server.url, "api_key": server.api_key, "node_urls": []}
        if request.broke and not params["url"]:
            # What could not be made has no address.
            yield [], stack.enter_context(opened(store_locations(params["sources"]))), request
            return
        nodes, regions = stack.enter_context(nodes_and_sources(params))
        yield nodes, regions, request


def _scratch_path(params: Json) -> Path | None:
    return Path(params["scratch_path"]) if params["scratch_path"] else None


def drill_request(params: Json, now: datetime, ansible_version: str) -> DrillRequest:
    """What is asked for of one collection. Raises InvalidInput."""
    sla = SlaPolicy.parse(params["sla"], "sla").of(params["collection"])
    if sla is None:
        raise InvalidInput(
            f"sla says nothing of {params['collection']}.", "Add an entry for it, or one for all collections."
        )
    for name, least in (("replication_factor", 1), ("min_copies", 1), ("within_days", 1)):
        if params[name] is not None and params[name] < least:
            raise InvalidInput(f"{name} is {params[name]}.", f"Give {least} or more.")
    if not 0 <= params["recall_tolerance"] <= 1:
        raise InvalidInput(f"recall_tolerance is {params['recall_tolerance']}.", "Give a number from 0 to 1.")
    if params["source_quiet"] and params["source"] is None:
        raise InvalidInput("source_quiet is set without source.", "Name the source that is quiet.")
    to_time = _moment(params, "to_time", None)
    return DrillRequest(
        params["collection"],
        _declaration(params, now, to_time),
        sla,
        to_time=to_time,
        checks=CheckRequest(
            source_of(params["source"]) if params["source"] else None,
            params["source_quiet"],
            params["expect_digest"],
            params["recall_tolerance"],
            params["max_query_seconds"],
        ),
        facts={"commands": params["commands"], "configuration_sha256": _configuration(params)},
        ansible_version=ansible_version,
        days=params["within_days"],
        journal=Path(params["journal"]) if params["journal"] else None,
        prices=Prices.of(params["prices"] or {}),
        **{name: params[name] for name in _SAME},
    )


_SAME = (
    "broke",
    "together",
    "target",
    "target_kind",
    "shared_credentials",
    "replication_factor",
    "storage_path",
    "ready_timeout",
    "min_copies",
)


def _declaration(params: Json, now: datetime, to_time: datetime | None) -> Declaration:
    declared = _moment(params, "declared_at", now) or now
    if declared > now + _CLOCKS_APART:
        raise InvalidInput(f"declared_at is {params['declared_at']}, which is to come.", "Compare the clocks.")
    if params["run_id"] is not None and not is_backup_id(params["run_id"]):
        raise InvalidInput(f"run_id is {params['run_id']!r}.", "Give an id such as 20261122T020000Z-a1b2c3.")
    bad_deploy = to_time if params["scenario"] == "bad_deploy" else None
    return Declaration(
        declared,
        _moment(params, "failure_at", bad_deploy or declared) or declared,
        params["scenario"],
        params["operator"] or _user(),
        **{name: params[name] for name in ("reason", "trigger", "approver", "scope", "run_id")},
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _moment(params: Json, name: str, default: datetime | None) -> datetime | None:
    return parse_moment(params[name], name, zone_required=True) if params[name] else default


def source_of(given: Json) -> Qdrant:
    """The node that the option ``source`` names."""
    return Qdrant(QdrantConnection(**{**given, "api_key": given["api_key"] or None}))


def _configuration(params: Json) -> str:
    """SHA-256 of all options that are no secrets and of one drill only, so that two drills can be told to be alike."""
    of_one = {"declared_at", "failure_at", "run_id", "commands", "together", "scope", "broke", "broke_stage", "stages"}
    lasting = {name: value for name, value in params.items() if name not in of_one and not name.startswith("_")}
    return hashlib.sha256(canonical(_without_secrets(lasting))).hexdigest()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items() if name not in _SECRETS}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value
