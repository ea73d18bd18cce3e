# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the host agent that speak to stores, but for ``backup``."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .agent_config import AgentConfig
from .cli_run import DONE, Answer, Json, one_run
from .errors import InvalidInput
from .formats.verification import CONTENT
from .operations.copy import Choice, copy_backups
from .operations.prune import prune_backups
from .operations.regions_catalogue import list_backups
from .operations.verify import VerifyRequest, verify_backups
from .prune_options import prune_request
from .stores.location import StoreLocation
from .stores.regions import opened
from .stores.repository import Repository


def copy(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Copy the newest backups to every destination."""
    if not config.destinations:
        raise InvalidInput("There is no destination to copy to.", f"Add destinations to {options.config}.")
    choice = Choice(newest=config.copy_newest)
    with opened(config.regions) as regions:
        source, *destinations = regions
        with one_run([source], "copy", config.lock_seconds, options.check) as warnings:
            report = copy_backups(source, destinations, config.copy_collections, choice, check=options.check)
    result = {"changed": report.changed, **report.as_result(), "warnings": warnings}
    done = "would copy" if options.check else "copied"
    lines = [f"{each['collection']}: {done} {each['backup_id']} to {each['destination']}" for each in report.copied]
    lines += [f"{each['collection']}: {each['backup_id']} is in {each['destination']}" for each in report.unchanged]
    lines += [
        f"{each['collection']}: {done} {each['objects']} objects of the WAL archive to {each['destination']}"
        for each in report.wal
        if each["objects"]
    ]
    return DONE, result, lines


def verify(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Verify the backups of the repository and of every destination, as the configuration says."""
    with _regions(config.regions, "verify", config, options) as (regions, warnings):
        result = verify_backups(regions, config.verify, check=options.check).as_result()
    lines = [
        f"{each['collection']}: {each['backup_id']} {_verdict(there['verdict'], options.check)} in {there['region']}"
        for each in result["backups"]
        for there in each["regions"]
    ]
    return DONE, {**result, "warnings": result["warnings"] + warnings}, lines


def prune(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Remove what no rule keeps in the repository and in every destination, with the pruner's credentials."""
    request = prune_request(config.prune, config.prune_collections)
    with _regions(config.to_prune, "prune", config, options) as (regions, warnings):
        if config.verify_before_prune:
            newest = VerifyRequest(config.prune_collections, Choice(newest=1), CONTENT, wal=False)
            warnings += verify_backups(regions, newest, check=options.check).warnings
            if options.check:
                # Nothing is remembered of that verification, which has failed if it found damage.
                request = replace(request, limits=replace(request.limits, require_verified=False))
        result = prune_backups(regions, request, check=options.check).as_result()
    return (
        DONE,
        {**result, "warnings": warnings},
        [line for each in result["pruned"] for line in _pruned(each, options)],
    )


def list_(config: AgentConfig, options: argparse.Namespace) -> Answer:
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
def _regions(
    locations: Sequence[StoreLocation], name: str, config: AgentConfig, options: argparse.Namespace
) -> Iterator[tuple[list[Repository], list[str]]]:
    """The regions, while no other host does the same; and the warnings about that."""
    with opened(locations) as regions, one_run(regions, name, config.lock_seconds, options.check) as warnings:
        yield regions, warnings


def _verdict(verdict: str, check: bool) -> str:
    return "would be repaired" if check and verdict == "repaired" else f"is {verdict}"


def _pruned(entry: Json, options: argparse.Namespace) -> list[str]:
    """What a prune did in one region to one collection, a line each."""
    collection, where = entry["collection"], f"in {entry['region']}"
    would = "would be " if options.check else ""
    lines = [
        f"{collection}: {each['backup_id']} {where} {would or 'was '}removed ({each['bytes']} bytes)"
        for each in entry["removed"]
    ]
    lines += [
        f"{collection}: {each['backup_id']} {where} is locked until {each['until'] or 'its legal hold ends'}"
        for each in entry["locked"]
        if each["committed"]
    ]
    lines += [f"{collection}: {name} {where} {would or 'was '}swept up" for name in entry["swept"]]
    return [*lines, f"{collection}: {len(entry['kept'])} backups {where} are kept"]
