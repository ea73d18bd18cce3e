# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``qdrant-dr wal``: look at what was written, and when, and whether it can be archived and restored."""

from __future__ import annotations

import argparse
import contextlib
import json
from datetime import datetime

from .agent_config import AgentConfig
from .cli_run import DONE, Answer, Json
from .errors import InvalidInput, MissingDependency, QdrantError
from .formats.times import parse_moment
from .formats.wal_sizing import KeptLog
from .operations.clock import iso, utc_now
from .operations.log_retention import RetentionRequest, look_at_retention
from .operations.wal_lint import lint_logs
from .operations.wal_settings import MIB, ArchiveSettings
from .operations.wal_show import ShownEntry, ShowRequest, archived_entries, entries_on_disk
from .stores.qdrant import Qdrant
from .stores.regions import opened

_LIMIT = 50
_LINT_MB = 16
_QDRANT = KeptLog()
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
    kept = commands.add_parser("retention", parents=[shared], help="judge how long the logs of this node are kept")
    kept.add_argument("--outage-minutes", type=float, required=True, help="how long the archiver may be down")
    kept.add_argument("--mb-per-second", type=float, help="the peak rate of writes to a shard (default: as observed)")
    kept.add_argument("--capacity-mb", type=int, default=_QDRANT.capacity_mb, help="wal_capacity_mb of new collections")
    kept.add_argument("--retain-closed", type=int, default=_QDRANT.retain_closed, help="wal_retain_closed of them")
    kept.set_defaults(run=wal_retention)
    lint = commands.add_parser("lint", parents=[shared], help="count what a restore need not bring back exactly")
    lint.add_argument(
        "--mb", type=int, default=_LINT_MB, help="the newest so many MB of each log (default: %(default)s)"
    )
    lint.set_defaults(run=wal_lint)


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
        with opened(config.regions) as sources:
            found = archived_entries(sources, request)
    return DONE, {"entries": [_fields(each) for each in found]}, [_line(each) for each in found]


def wal_retention(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Judge how long the logs of this node are kept, and plan for those of new collections."""
    settings = _settings(config)
    rate = options.mb_per_second
    if min(options.outage_minutes, rate or 0.0) < 0 or min(options.capacity_mb, options.retain_closed) < 1:
        raise InvalidInput(
            "One of the numbers cannot be.", "Give minutes and rates of 0 or more, and 1 or more MB and files."
        )
    request = RetentionRequest(
        settings.storage_path,
        settings.state_path,
        settings.collections,
        options.outage_minutes,
        None if rate is None else rate * MIB,
        KeptLog(options.capacity_mb, options.retain_closed),
    )
    result = look_at_retention(request, utc_now().date())
    return DONE, result, [_retention_line(each) for each in result["collections"]]


def wal_lint(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Count what a restore need not bring back exactly in the newest entries of the logs of this node."""
    settings = _settings(config)
    version = None
    # Without an answer it counts as an old one.
    with contextlib.suppress(QdrantError, MissingDependency), Qdrant(config.qdrant) as qdrant:
        version = qdrant.version()
    result = lint_logs(settings.storage_path, settings.collections, options.mb * MIB, version)
    lines = [f"{each['collection']}: looked at {each['entries']} entries" for each in result["collections"]]
    return DONE, result, lines


def _settings(config: AgentConfig) -> ArchiveSettings:
    if config.wal_archive is None:
        raise InvalidInput("The agent archives no log here.", "Let the role qdrant_wal_archive configure it.")
    return config.wal_archive


def _retention_line(judged: Json) -> str:
    kept = f"{judged['collection']}: each shard keeps {judged['keeps_mb']} MB"
    if judged["needs_mb"] is None:
        return f"{kept}, no rate of writes was observed"
    return f"{kept}, {judged['needs_mb']:.3g} MB are needed at {judged['peak_mb_per_second']:.3g} MB/s"


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
