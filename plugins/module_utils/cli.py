# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``qdrant-dr``, the host agent: the operations of the modules for systemd timers, without a controller.

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 (EX_TEMPFAIL of sysexits.h) another run holds the lock, 143 ended by
SIGTERM; those of ``status`` are a monitoring plugin's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from .agent_config import ALL, AgentConfig, read_config
from .errors import Busy, DrError, InvalidInput, QdrantError, TargetUnfit
from .formats.agent_status import UNKNOWN, WORDS
from .operations.agent_status import backup_status
from .operations.backup_from_here import back_up_from_here
from .operations.backup_several import back_up_several
from .operations.copy import Choice, copy_backups
from .operations.regions_catalogue import list_backups
from .operations.repository_lock import RepositoryLock
from .operations.share import BackupRequest
from .stores.qdrant import Qdrant
from .stores.repository import Repository
from .version import VERSION

DEFAULT_CONFIG = "/etc/qdrant-dr/config.json"
DONE, FAILED, BUSY, TERMINATED = 0, 1, 75, 143

Json = dict[str, Any]
Command = Callable[[AgentConfig, argparse.Namespace], tuple[int, Json, list[str]]]

_SPREAD = (
    "The nodes of this cluster hold different shards: name all nodes in qdrant_agent_nodes, or schedule the playbook"
    " vectorops.qdrant_dr.backup on a controller."
)


def main(arguments: Sequence[str] | None = None, default_config: str = DEFAULT_CONFIG) -> int:
    """Run one command; returns the exit code. ``default_config``: the configuration where no option names one."""
    signal.signal(signal.SIGTERM, _end)
    options = _parser(default_config).parse_args(arguments)
    command: Command = options.run
    try:
        code, result, lines = command(read_config(options.config), options)
    except DrError as error:
        return _fail(error, options)
    except KeyboardInterrupt:
        return TERMINATED
    _print(json.dumps(result) if options.json else "\n".join(lines))
    return code


def backup(config: AgentConfig, options: argparse.Namespace) -> tuple[int, Json, list[str]]:
    """Back the collections of the node up, or of the cluster that is named, where nobody else does."""
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        nodes = {name: Qdrant(connection) for name, connection in config.nodes.items()}
        names = _known_to([qdrant, *nodes.values()]) if config.collections == [ALL] else config.collections
        requests = [BackupRequest(name, **config.backup) for name in names]
        with _one_run(repository, "backup", config, options) as warnings:
            if nodes:
                result = back_up_from_here(
                    nodes, repository, requests, qdrant, options.check, config.wait_for_transfers
                )
                warnings += result["warnings"]
            else:
                result = _back_up_alone(qdrant, repository, requests, check=options.check)
    for entry in result["backups"]:
        warnings += [f"{entry['collection']}: {text}" for text in entry.get("warnings", [])]
    _warn(warnings)
    return DONE, {**result, "warnings": warnings}, [_backup_line(entry, options) for entry in result["backups"]]


def copy(config: AgentConfig, options: argparse.Namespace) -> tuple[int, Json, list[str]]:
    """Copy the newest backups to every destination."""
    if not config.destinations:
        raise InvalidInput("There is no destination to copy to.", f"Add destinations to {options.config}.")
    names = None if config.copy_collections in (None, [ALL]) else config.copy_collections
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(Repository(config.repository))
        destinations = [stack.enter_context(Repository(each)) for each in config.destinations]
        warnings = stack.enter_context(_one_run(source, "copy", config, options))
        report = copy_backups(source, destinations, names, Choice(newest=config.copy_newest), check=options.check)
    _warn(warnings)
    result = {"changed": bool(report.copied), **report.as_result(), "warnings": warnings}
    done = "would copy" if options.check else "copied"
    lines = [f"{each['collection']}: {done} {each['backup_id']} to {each['destination']}" for each in report.copied]
    lines += [f"{each['collection']}: {each['backup_id']} is in {each['destination']}" for each in report.unchanged]
    return DONE, result, lines


def status(config: AgentConfig, _options: argparse.Namespace) -> tuple[int, Json, list[str]]:
    """Compare the age of the newest backups with the RPO."""
    names = None if config.collections == [ALL] else config.collections
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        found = backup_status(qdrant, repository, names, config.rpo, config.warning)
    return found["status"], found, [found["line"]]


def list_(config: AgentConfig, options: argparse.Namespace) -> tuple[int, Json, list[str]]:
    """List the committed backups of the repository."""
    with Repository(config.repository) as repository:
        repository.check_access()
        backups = list_backups(repository, options.collection, limit=options.limit)
    lines = [
        f"{entry['backup_id']}  {entry['collection']}  {entry.get('reason') or str(entry['size']) + ' bytes'}"
        for entry in backups
    ]
    return DONE, {"backups": backups}, lines


@contextlib.contextmanager
def _one_run(
    repository: Repository, name: str, config: AgentConfig, options: argparse.Namespace
) -> Iterator[list[str]]:
    """The lock of this kind of run; yields the list of warnings. Check mode changes nothing and takes none."""
    warnings: list[str] = []
    if options.check:
        yield warnings
        return
    with RepositoryLock(repository, name, config.lock_seconds) as lock:
        yield warnings
        if not lock.held:
            warnings.append(f"the lock {name!r} could not be renewed in time: another run may have begun meanwhile")


def _known_to(qdrants: list[Qdrant]) -> list[str]:
    """The collections that the first of the nodes knows that answers."""
    for qdrant in qdrants[:-1]:
        with contextlib.suppress(QdrantError):
            return qdrant.collections()
    return qdrants[-1].collections()


def _back_up_alone(qdrant: Qdrant, repository: Repository, requests: list[BackupRequest], check: bool) -> Json:
    try:
        return back_up_several(qdrant, repository, requests, check=check)
    except DrError as error:
        _explain_spread(error, qdrant, requests)
        raise


def _explain_spread(error: DrError, qdrant: Qdrant, requests: list[BackupRequest]) -> None:
    """Say what to do instead, where a collection was refused because other nodes hold the rest of it."""
    failures = [each["failure"]["code"] for each in error.result.get("failures", [])]  # type: ignore[attr-defined]
    if error.code != TargetUnfit.code and TargetUnfit.code not in failures:
        return
    for request in requests:
        with contextlib.suppress(QdrantError):
            placed = qdrant.collection_cluster(request.collection)
            local = {shard["shard_id"] for shard in placed["local_shards"]}
            if {shard["shard_id"] for shard in placed["remote_shards"]} - local:
                error.hint = _SPREAD
                return


def _backup_line(entry: Json, options: argparse.Namespace) -> str:
    done = ("would make" if options.check else "made") if entry["created"] else "kept"
    return f"{entry['collection']}: {done} {entry.get('backup_id', 'a backup')}, because {entry['reason']}"


def _fail(error: DrError, options: argparse.Namespace) -> int:
    sentence = f"{error.detail} {error.hint}".strip()
    if options.json:
        _print(json.dumps({"failed": True, "failure": error.failure(), **error.result}))
    if options.run is status:
        if not options.json:
            _print(f"{WORDS[UNKNOWN]}: {sentence}")
        return UNKNOWN
    _warn(error.result.get("warnings", []))  # type: ignore[arg-type]
    _say(sentence)
    return BUSY if isinstance(error, Busy) else FAILED


def _warn(warnings: list[str]) -> None:
    for text in warnings:
        _say(f"warning: {text}")


def _say(text: str) -> None:
    sys.stderr.write(f"qdrant-dr: {' '.join(text.split())}\n")


def _print(text: str) -> None:
    if text:
        sys.stdout.write(text + "\n")


def _end(_number: int, _frame: object) -> NoReturn:
    """SIGTERM unwinds like an interrupt, so that what is not committed is removed and the lock given back."""
    # A second one must not break off the removal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser(default_config: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qdrant-dr", description="Back up Qdrant collections to S3, with proof.")
    parser.add_argument("--version", action="version", version=f"qdrant-dr {VERSION}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", default=default_config, help="configuration, JSON (default: %(default)s)")
    shared.add_argument("--json", action="store_true", help="print one JSON document")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("backup", backup, "back up the collections of this node, or its cluster, that need it"),
        ("copy", copy, "copy the newest backups to the destinations"),
    ):
        command = commands.add_parser(name, parents=[shared], help=text)
        command.add_argument("--check", action="store_true", help="say what would be done, and change nothing")
        command.set_defaults(run=run)
    command = commands.add_parser("status", parents=[shared], help="compare the age of the newest backups with the RPO")
    command.set_defaults(run=status)
    command = commands.add_parser("list", parents=[shared], help="list the committed backups")
    command.add_argument("--collection", help="of this collection only")
    command.add_argument("--limit", type=int, help="the newest so many of each collection")
    command.set_defaults(run=list_)
    return parser
