# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr wal show``: look at what was written, and when."""

from __future__ import annotations

import argparse
import contextlib
import json
from datetime import datetime

from .agent_config import AgentConfig
from .cli_run import DONE, Answer, Json
from .errors import InvalidInput
from .formats.times import parse_moment
from .operations.share import iso
from .operations.wal_show import ShownEntry, ShowRequest, archived_entries, entries_on_disk
from .stores.repository import Repository

_LIMIT = 50
_IDS = 5


def add_wal_commands(command: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    """Add the commands below ``wal``; ``shared``: the options that all commands have."""
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", parents=[shared], help="show what was written to a collection, newest first")
    show.add_argument("--collection", required=True, help="the collection's name")
    show.add_argument("--shard", type=int, help="of this shard only")
    show.add_argument("--replica", help="the log of the node with this peer id, not that which goes on the longest")
    show.add_argument("--since", metavar="TIME", help="what may have been written from then on (ISO 8601; UTC)")
    show.add_argument("--until", metavar="TIME", help="what may have been written until then")
    show.add_argument("--operation", metavar="KIND", help="upsert, delete, payload, vectors, index, or Qdrant's name")
    show.add_argument("--limit", type=int, default=_LIMIT, help="the newest so many (default: %(default)s)")
    show.add_argument("--storage-path", metavar="PATH", help="look into the node's own log, which has no times")
    show.set_defaults(run=wal_show)


def wal_show(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Show the newest entries that fit, from the archive or from the node's own log."""
    if options.limit < 1:
        raise InvalidInput(f"--limit is {options.limit}.", "Give 1 or more.")
    request = ShowRequest(
        options.collection,
        options.limit,
        options.shard,
        _moment(options.since, "--since"),
        _moment(options.until, "--until"),
        options.operation,
        options.replica,
    )
    if options.storage_path is not None:
        if request.since or request.until or request.replica:
            raise InvalidInput(
                "--since, --until and --replica do not go with --storage-path: the log on disk has no times.",
                "Leave them out, or look into the archive.",
            )
        found = entries_on_disk(options.storage_path, request)
    else:
        with contextlib.ExitStack() as stack:
            sources = [stack.enter_context(Repository(each)) for each in [config.repository, *config.destinations]]
            found = archived_entries(sources, request)
    return DONE, {"entries": [_fields(each) for each in found]}, [_line(each) for each in found]


def _moment(text: str | None, name: str) -> datetime | None:
    return None if text is None else parse_moment(text, name)


def _fields(entry: ShownEntry) -> Json:
    operation = entry.operation
    return {
        "shard": entry.shard,
        "replica": entry.replica,
        "timeline": entry.timeline,
        "index": entry.index,
        "written_after": _iso(entry.after),
        "written_before": _iso(entry.before),
        "operation": operation.name or operation.kind,
        "kind": operation.kind,
        "points": operation.points,
        "ids": list(operation.ids) if operation.ids is not None else None,
        "filter": operation.filter,
        "condition": operation.condition,
        "field": operation.field,
        "schema": operation.schema,
    }


def _line(entry: ShownEntry) -> str:
    operation = entry.operation
    words = [f"{_iso(entry.after)} .. {_iso(entry.before)}"] if entry.before is not None else []
    words += [f"shard {entry.shard}", f"index {entry.index}", operation.name or operation.kind]
    if operation.ids is not None:
        named = ", ".join(map(str, operation.ids[:_IDS])) + (", ..." if len(operation.ids) > _IDS else "")
        words.append(f"{len(operation.ids)} points: {named}" if operation.ids else "0 points")
    for name, value in (("filter", operation.filter), ("condition", operation.condition)):
        if value is not None:
            words.append(f"{name} {json.dumps(value)}")
    if operation.field is not None:
        words.append(f"field {operation.field}")
    return "  ".join(words)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
