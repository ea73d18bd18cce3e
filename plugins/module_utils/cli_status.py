# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr status``: for people and for monitoring, which judges by its exit code."""

from __future__ import annotations

import argparse
import contextlib

from .agent_config import ALL, AgentConfig
from .cli_run import Answer
from .formats.watch import limits_of
from .operations.agent_status import backup_status, existing_collections
from .operations.share import utc_now
from .operations.watch import watch
from .stores.qdrant import Qdrant
from .stores.repository import Repository


def status(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Compare the age of the newest backups with the RPO; with ``--check``, or service levels, look at all regions."""
    if options.check or config.sla is not None:
        return _watched(config)
    names = None if config.collections == [ALL] else config.collections
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        found = backup_status(qdrant, repository, names, config.rpo, config.warning, config.is_archived)
    return found["status"], found, [found["line"]]


def _watched(config: AgentConfig) -> Answer:
    doubts: list[str] = []
    with contextlib.ExitStack() as stack:
        qdrant = stack.enter_context(Qdrant(config.qdrant))
        regions = [stack.enter_context(Repository(each)) for each in [config.repository, *config.destinations]]
        names = config.collections
        if names == [ALL]:
            names = existing_collections(qdrant, regions[0], doubts)
        limits = {
            name: limits_of(config.sla.of(name) if config.sla else None, config.rpo, config.warning) for name in names
        }
        found = watch(regions, names, limits.__getitem__, config.is_archived, utc_now(), doubts)
    return found["status"], found, [found["line"]]
