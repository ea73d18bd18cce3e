# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``qdrant-dr``, the host agent: the operations of the modules for systemd timers, without a controller.

Exit codes: 0 done, 1 failed, 2 wrong usage, 65 (EX_DATAERR of sysexits.h) found what another try would find as well,
75 (EX_TEMPFAIL) another run holds the lock, 143 ended by SIGTERM; those of ``status`` are a monitoring plugin's.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from .agent_config import STDIN, AgentConfig, archive_beside, read_config
from .cli_archive import archive_wal
from .cli_backup import backup
from .cli_commands import copy, list_, prune, verify
from .cli_plan import add_plan_command
from .cli_run import FOUND, Answer, say
from .cli_status import metrics, status
from .cli_wal import add_wal_commands
from .errors import BucketUnfit, Busy, DamagedBackup, DamagedManifest, DrError, PruneRefused
from .formats.agent_status import UNKNOWN, WORDS
from .version import VERSION

DEFAULT_CONFIG = "/etc/qdrant-dr/config.json"
FAILED, BUSY, TERMINATED = 1, 75, 143
# What stays as it is until somebody mends it: to try again at once only costs.
_LASTING = (BucketUnfit, DamagedBackup, DamagedManifest, PruneRefused)

Command = Callable[[AgentConfig, argparse.Namespace], Answer]


def main(arguments: Sequence[str] | None = None, default_config: str = DEFAULT_CONFIG) -> int:
    """Run one command; returns the exit code. ``default_config``: the configuration where no option names one."""
    signal.signal(signal.SIGTERM, _end)
    options = _parser(default_config).parse_args(arguments)
    command: Command = options.run
    try:
        archive = getattr(options, "wal_archive", None) or (
            archive_beside(default_config) if options.config == STDIN else None
        )
        code, result, lines = command(read_config(options.config, archive=archive), options)
    except DrError as error:
        return _fail(error, options)
    except KeyboardInterrupt:
        return TERMINATED
    _warn(result.get("warnings", []))
    _print(json.dumps(result) if options.json else "\n".join(lines))
    return code


def _fail(error: DrError, options: argparse.Namespace) -> int:
    sentence = f"{error.detail} {error.hint}".strip()
    if options.json:
        _print(json.dumps({"failed": True, "failure": error.failure(), **error.result}))
    if options.run is status:
        if not options.json:
            _print(f"{WORDS[UNKNOWN]}: {sentence}")
        return UNKNOWN
    _warn(error.result.get("warnings", []))  # type: ignore[arg-type]
    say(sentence)
    if isinstance(error, Busy):
        return BUSY
    return FOUND if isinstance(error, _LASTING) else FAILED


def _warn(warnings: list[str]) -> None:
    for text in warnings:
        say(f"warning: {text}")


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
    shared.add_argument(
        "--config", default=default_config, help="configuration, JSON; - for standard input (default: %(default)s)"
    )
    shared.add_argument("--json", action="store_true", help="print one JSON document")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("backup", backup, "back up the collections of this node, or its cluster, that need it"),
        ("copy", copy, "copy the newest backups to the destinations"),
        ("verify", verify, "verify backups in the repository and all destinations, and repair them if configured"),
        ("prune", prune, "remove the backups that no retention rule keeps, in the repository and all destinations"),
    ):
        command = commands.add_parser(name, parents=[shared], help=text)
        command.add_argument("--check", action="store_true", help="say what would be done, and change nothing")
        command.set_defaults(run=run)
        if run is backup:
            text = "only the collections whose archived log needs a new backup, whatever the age of the last one"
            command.add_argument("--requested", action="store_true", help=text)
    command = commands.add_parser("archive-wal", parents=[shared], help="archive the write-ahead logs of this node")
    command.add_argument("--once", action="store_true", help="archive what there is now, and end")
    command.set_defaults(run=archive_wal)
    command = commands.add_parser("status", parents=[shared], help="compare the age of the newest backups with the RPO")
    command.add_argument(
        "--check", action="store_true", help="judge all regions, logs, verifications and drills by the service levels"
    )
    command.set_defaults(run=status)
    command = commands.add_parser("metrics", parents=[shared], help="write what status --check sees for Prometheus")
    command.set_defaults(run=metrics)
    command = commands.add_parser("list", parents=[shared], help="list the committed backups")
    command.add_argument("--collection", help="of this collection only")
    command.add_argument("--limit", type=int, help="the newest so many of each collection")
    command.set_defaults(run=list_)
    add_plan_command(commands, shared)
    command = commands.add_parser("wal", help="look at the write-ahead logs")
    add_wal_commands(command, shared)
    return parser
