# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr plan``: whether the service levels can be met, with the arithmetic."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .agent_config import ALL, AgentConfig
from .cli_run import DONE, FOUND, Answer
from .errors import InvalidInput, SlaNotMet
from .formats.plan_result import MONTH_DAYS
from .formats.prices import PRICE_OPTIONS
from .formats.sla import SlaPolicy
from .operations.plan import make_plans
from .plan_options import INTERVALS, RATES, plan_request
from .stores.regions import opened


def add_plan_command(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add ``plan``; ``shared``: the options that all commands have."""
    command = commands.add_parser("plan", parents=[shared], help="say whether the service levels can be met, and why")
    command.add_argument("--collection", help="of this collection only")
    command.add_argument(
        "--sla", metavar="TIER", help="against this tier, or level in JSON, whatever the configuration says"
    )
    command.add_argument(
        "--wal-archive", metavar="FILE", help="with this file for the wal-archive.json beside the configuration"
    )
    command.add_argument(
        "--intended", action="store_true", help="where no archiver is configured, as if one were that the levels need"
    )
    command.add_argument(
        "--skip-unknown", action="store_true", help="leave out collections that have no backup, and so no known size"
    )
    command.add_argument("--size-gb", type=float, metavar="GB", help="for a backup of this size")
    command.add_argument("--keep-days", type=int, default=MONTH_DAYS, metavar="DAYS", help="(default: %(default)s)")
    command.add_argument(
        "--rate", action="append", default=[], metavar="STAGE=MB/S", help=f"STAGE is one of {', '.join(RATES)}"
    )
    command.add_argument(
        "--schedule", action="append", default=[], metavar="NAME=TIME", help=f"NAME is one of {', '.join(INTERVALS)}"
    )
    command.add_argument(
        "--price", action="append", default=[], metavar="NAME=AMOUNT", help=f"NAME is one of {', '.join(PRICE_OPTIONS)}"
    )
    command.set_defaults(run=plan)


def plan(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Plan the collections that are backed up, with the log archived as this host does it."""
    policy = SlaPolicy.parse(_level(options.sla), "--sla") if options.sla is not None else config.sla
    if policy is None:
        raise InvalidInput(
            f"{options.config} names no service level.",
            "Give --sla, or set qdrant_sla and apply the role qdrant_agent.",
        )
    names = [options.collection] if options.collection is not None else config.collections
    archive = config.wal_archive
    sealing = {} if archive is None else {"seal_interval": archive.seal_interval}
    given = {
        "schedule": sealing | _pairs(options.schedule, "--schedule", INTERVALS),
        "size_gb": options.size_gb,
        "keep_days": options.keep_days,
        "rates": _numbers(options.rate, "--rate", RATES),
        "prices": _prices(options.price),
        "require_backups": not options.skip_unknown,
    }
    state_path = None if archive is None else archive.state_path
    request = plan_request(given, policy, None if names == [ALL] else names, state_path)
    as_wanted = options.intended and archive is None
    result: dict[str, Any] = {"met": True}
    with opened(config.regions) as regions:
        try:
            result |= make_plans(regions, request, _as_wanted if as_wanted else config.is_archived)
        except SlaNotMet as error:
            result |= {**error.result, "failure": error.failure(), "met": False}
    found = [*result["report"], *(f"{name}: no service level is for it" for name in result["unplanned"])]
    found += [f"{name}: no backup, so that its size is not known" for name in result["unknown"]]
    return DONE if result["met"] else FOUND, result, found


def _as_wanted(_name: str) -> None:
    """Whether a log is archived is for its level to say."""


def _level(given: str) -> Any:
    """A tier's name, or what is in JSON."""
    if not given.startswith(("{", "[")):
        return given
    try:
        return json.loads(given)
    except ValueError as error:
        raise InvalidInput(f"--sla is no JSON: {error}.", "Give a tier, or a level in JSON.") from error


def _pairs(given: list[str], name: str, known: tuple[str, ...]) -> dict[str, str]:
    pairs = {key: value for key, _sign, value in (each.partition("=") for each in given)}
    for key, value in pairs.items():
        if key not in known or not value:
            raise InvalidInput(f"{name} is {key}={value}.", f"Give NAME=VALUE with one of {', '.join(known)}.")
    return pairs


def _numbers(given: list[str], name: str, known: tuple[str, ...]) -> dict[str, float]:
    return {key: _number(value, f"{name} {key}") for key, value in _pairs(given, name, known).items()}


def _number(value: str, name: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InvalidInput(f"{name} is {value!r}, which is no number.", "Give one such as 0.023.") from error


def _prices(given: list[str]) -> dict[str, Any]:
    pairs = _pairs(given, "--price", tuple(PRICE_OPTIONS))
    return {
        key: _number(value, f"--price {key}") if PRICE_OPTIONS[key]["type"] == "float" else value
        for key, value in pairs.items()
    }
