# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the host agent that speak to stores, but for ``backup``."""

from __future__ import annotations

import argparse
import contextlib

from .agent_config import ALL, AgentConfig
from .cli_run import DONE, Answer, one_run
from .errors import InvalidInput
from .operations.agent_status import backup_status
from .operations.copy import Choice, copy_backups
from .operations.regions_catalogue import list_backups
from .stores.qdrant import Qdrant
from .stores.repository import Repository


def copy(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Copy the newest backups to every destination."""
    if not config.destinations:
        raise InvalidInput("There is no destination to copy to.", f"Add destinations to {options.config}.")
    choice = Choice(newest=config.copy_newest)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(Repository(config.repository))
        destinations = [stack.enter_context(Repository(each)) for each in config.destinations]
        warnings = stack.enter_context(one_run([source], "copy", config.lock_seconds, options.check))
        report = copy_backups(source, destinations, config.copy_collections, choice, check=options.check)
    result = {"changed": bool(report.copied), **report.as_result(), "warnings": warnings}
    done = "would copy" if options.check else "copied"
    lines = [f"{each['collection']}: {done} {each['backup_id']} to {each['destination']}" for each in report.copied]
    lines += [f"{each['collection']}: {each['backup_id']} is in {each['destination']}" for each in report.unchanged]
    return DONE, result, lines


def status(config: AgentConfig, _options: argparse.Namespace) -> Answer:
    """Compare the age of the newest backups with the RPO."""
    names = None if config.collections == [ALL] else config.collections
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        found = backup_status(qdrant, repository, names, config.rpo, config.warning)
    return found["status"], found, [found["line"]]


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
