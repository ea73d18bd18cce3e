# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr status``: for people and for monitoring, which judges by its exit code."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from .agent_config import ALL, AgentConfig
from .cli_run import DONE, Answer, Json
from .errors import InvalidInput
from .formats.wal_log_facts import log_lines
from .formats.watch import limits_of
from .formats.watch_metrics import watch_metrics
from .operations.agent_status import backup_status, existing_collections
from .operations.clock import utc_now
from .operations.watch import watch
from .stores.agent_files import write_file
from .stores.qdrant import Qdrant
from .stores.regions import opened
from .stores.repository import Repository


def status(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Compare the age of the newest backups with the RPO; with ``--check``, or service levels, look at all regions."""
    if options.check or config.sla is not None:
        code, found, lines = _watched(config)
        told = {name: next(iter(entry["logs"].values()), None) for name, entry in found["collections"].items()}
        return code, found, lines if options.check else [*lines, *_of_logs(told)]
    names = None if config.collections == [ALL] else config.collections
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        found = backup_status(qdrant, repository, names, config.rpo, config.warning, config.is_archived)
    told = {name: entry["wal_archive"]["log"] for name, entry in found["collections"].items() if "wal_archive" in entry}
    return found["status"], found, [found["line"], *_of_logs(told)]


def metrics(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Write what ``status --check`` sees to a file for Prometheus; what is wrong is no failure of this."""
    if config.metrics_path is None:
        raise InvalidInput(
            f"{options.config} names no file for metrics.",
            "Set qdrant_agent_metrics_path and apply the role qdrant_agent.",
        )
    _code, found, lines = _watched(config)
    levels = {name: config.sla.of(name) for name in found["collections"]} if config.sla else {}
    known = {name: level.as_result() for name, level in levels.items() if level is not None}
    text = watch_metrics(config.repository.cluster, found, known, utc_now())
    write_file(Path(config.metrics_path), text, 0o644)
    return DONE, {**found, "metrics_path": config.metrics_path}, lines


def _of_logs(told: Mapping[str, Json | None]) -> list[str]:
    return [line for name, log in told.items() if log is not None for line in log_lines(name, log)]


def _watched(config: AgentConfig) -> Answer:
    doubts: list[str] = []
    with Qdrant(config.qdrant) as qdrant, opened(config.regions) as regions:
        names = config.collections
        if names == [ALL]:
            names = existing_collections(qdrant, regions[0], doubts)
        limits = {
            name: limits_of(config.sla.of(name) if config.sla else None, config.rpo, config.warning) for name in names
        }
        found = watch(regions, names, limits.__getitem__, config.is_archived, utc_now(), doubts)
    return found["status"], found, [found["line"]]
