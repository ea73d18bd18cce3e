# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a restore ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .argspec import qdrant_connection
from .argspec_repository import repositories_option, store_locations
from .errors import InvalidInput
from .formats.layout import backup_time
from .formats.times import parse_moment
from .operations.moment import MomentRequest
from .operations.restore_plan import RestoreRequest
from .stores.qdrant import Qdrant
from .stores.regions import opened
from .stores.repository import Repository

MOMENT_SPEC: dict[str, Any] = {
    "to_time": {"type": "str"},
    "to_index": {"type": "dict"},
    "to": {"type": "str", "choices": ["backup", "latest"], "default": "backup"},
    "strict": {"type": "bool", "default": False},
}
# How a restore finds what to restore, and when it counts as done.
RESTORING_SPEC: dict[str, Any] = {
    "sources": repositories_option(required=True),
    "backup_id": {"type": "str"},
    "before": {"type": "str"},
    **MOMENT_SPEC,
    "node_urls": {"type": "list", "elements": "str", "default": []},
    "storage_path": {"type": "path"},
    "min_recall": {"type": "float", "default": 0.99},
    "ready_timeout": {"type": "float", "default": 3600.0},
}
MOMENT_EXCLUSIVE = [("backup_id", "before"), ("before", "to_time", "to_index")]
# Options that are fields of the request, too.
_SAME = (
    "collection",
    "target",
    "backup_id",
    "overwrite",
    "safety_backup",
    "replication_factor",
    "storage_path",
    "digest",
    "expect_digest",
    "min_recall",
    "ready_timeout",
)


def aliases_of(names: list[str]) -> list[str] | None:
    """The aliases to set, None for the recorded ones. Raises InvalidInput for a mixture."""
    if names == ["recorded"]:
        return None
    if names == ["none"]:
        return []
    if "recorded" in names or "none" in names:
        raise InvalidInput("aliases mixes names with recorded or none.", "Give recorded or none alone, or names.")
    return names


def moment_of(params: dict[str, Any]) -> MomentRequest | None:
    """The moment to restore to, None for that of a backup. Raises InvalidInput."""
    others = [name for name in ("to_time", "to_index", "before") if params[name] is not None]
    if params["to"] == "latest" and others:
        raise InvalidInput(f"to is latest, and {others[0]} is given, too.", "Give one of them.")
    if params["to_time"] is not None:
        return MomentRequest(parse_moment(params["to_time"], "to_time", zone_required=True), strict=params["strict"])
    if params["to_index"] is not None:
        indexes = {str(shard): str(index) for shard, index in params["to_index"].items()}
        if not indexes or not all(text.isdecimal() for pair in indexes.items() for text in pair):
            raise InvalidInput(f"to_index is {params['to_index']}.", "Give an index of each shard, such as {0: 5217}.")
        moment = {int(shard): int(index) for shard, index in indexes.items()}
        return MomentRequest(indexes=moment, strict=params["strict"])
    return MomentRequest(strict=params["strict"]) if params["to"] == "latest" else None


@contextmanager
def nodes_and_sources(params: dict[str, Any]) -> Iterator[tuple[list[Qdrant], list[Repository]]]:
    """The node, all others of its cluster after it, and the repositories. Raises InvalidInput."""
    if not params["sources"]:
        raise InvalidInput("sources is empty.", "Name at least one repository.")
    locations = store_locations(params["sources"])
    connections = [qdrant_connection(params)] + [qdrant_connection(params, url=url) for url in params["node_urls"]]
    with ExitStack() as stack:
        nodes = [stack.enter_context(Qdrant(connection)) for connection in connections]
        yield nodes, stack.enter_context(opened(locations))


def request_of(params: dict[str, Any]) -> RestoreRequest:
    """What the options ask for. Raises InvalidInput."""
    if params["backup_id"] is not None:
        backup_time(params["backup_id"])
    if not 0 <= params["min_recall"] <= 1:
        raise InvalidInput(f"min_recall is {params['min_recall']}.", "Give a number from 0 to 1.")
    if params["replication_factor"] is not None and params["replication_factor"] < 1:
        raise InvalidInput(f"replication_factor is {params['replication_factor']}.", "Give 1 or more.")
    moment = moment_of(params)
    return RestoreRequest(
        **{name: params[name] for name in _SAME},
        before=params["before"] and parse_moment(params["before"], "before"),
        aliases=aliases_of(params["aliases"]),
        moment=moment,
    )
