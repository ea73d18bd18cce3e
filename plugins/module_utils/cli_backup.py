# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr backup``."""

from __future__ import annotations

import argparse
import contextlib

from .agent_config import ALL, AgentConfig
from .cli_run import DONE, Answer, Json, one_run
from .errors import DrError, FileError, QdrantError, TargetUnfit
from .operations.backup_from_here import back_up_from_here
from .operations.backup_several import back_up_several
from .operations.base_requests import requested_bases, withdraw_request
from .operations.bucket_check import check_bucket
from .operations.share import BackupRequest
from .stores.qdrant import Qdrant
from .stores.repository import Repository

_SPREAD = (
    "The nodes of this cluster hold different shards: name all nodes in qdrant_agent_nodes, or schedule the playbook"
    " vectorops.qdrant_dr.backup on a controller."
)


def backup(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Back the collections of the node up, or of the cluster that is named, where nobody else does.

    With ``requested``, only those whose archived log needs a new backup. What is requested meanwhile follows.
    """
    backups: list[Json] = []
    warnings: list[str] = []
    with Qdrant(config.qdrant) as qdrant, Repository(config.repository) as repository:
        nodes = {name: Qdrant(connection) for name, connection in config.nodes.items()}
        needed = _needed(config)
        names = _names(config, [qdrant, *nodes.values()])
        chosen = [name for name in names if name in needed] if options.requested else names
        goes_on = bool(chosen) or not options.requested
        while goes_on:
            requests = [BackupRequest(name, **_what(config, name in needed)) for name in chosen]
            with one_run([repository], "backup", config.lock_seconds, options.check) as lost:
                if config.require_bucket_check and not options.check:
                    check_bucket(repository)
                result = _back_up(config, qdrant, nodes, repository, requests, options.check)
            backups += result["backups"]
            warnings += [*lost, *result.get("warnings", [])]
            if options.check:
                break
            warnings += _withdraw(config, result["backups"], needed)
            # Whoever came with them while the lock was held was refused; from now on nobody is.
            met, needed = needed, _needed(config)
            new = {name for name, request in needed.items() if request != met.get(name)}
            chosen = [name for name in _names(config, [qdrant, *nodes.values()]) if name in new] if new else []
            goes_on = bool(chosen)
    for entry in backups:
        warnings += [f"{entry['collection']}: {text}" for text in entry.get("warnings", [])]
    changed = any(entry["changed"] for entry in backups)
    done = {"changed": changed, "backups": backups, "warnings": warnings}
    return DONE, done, [_line(entry, options.check) for entry in backups]


def _back_up(
    config: AgentConfig,
    qdrant: Qdrant,
    nodes: dict[str, Qdrant],
    repository: Repository,
    requests: list[BackupRequest],
    check: bool,
) -> Json:
    if nodes:
        return back_up_from_here(nodes, repository, requests, qdrant, check, config.wait_for_transfers)
    return _back_up_alone(qdrant, repository, requests, check)


def _names(config: AgentConfig, qdrants: list[Qdrant]) -> list[str]:
    return _known_to(qdrants) if config.collections == [ALL] else config.collections


def _needed(config: AgentConfig) -> dict[str, bytes]:
    """The collections whose archived log needs a new backup, with the requests for it."""
    return requested_bases(config.wal_archive.state_path) if config.wal_archive is not None else {}


def _withdraw(config: AgentConfig, backups: list[Json], needed: dict[str, bytes]) -> list[str]:
    """Take the requests back that these backups have met; the warnings about those where that failed."""
    warnings: list[str] = []
    if config.wal_archive is None:
        return warnings
    made = {entry["collection"] for entry in backups if entry["created"]}
    for name in sorted(made & needed.keys()):
        try:
            withdraw_request(config.wal_archive.state_path, name, needed[name])
        except FileError as error:
            warnings.append(f"{name}: the archiver goes on asking for a backup. {error.detail}")
    return warnings


def _what(config: AgentConfig, needed: bool) -> Json:
    """How to back a collection up: whatever the age of its last backup, where its archived log needs a new one."""
    return {**config.backup, "max_age": None} if needed else config.backup


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


def _line(entry: Json, check: bool) -> str:
    done = ("would make" if check else "made") if entry["created"] else "kept"
    return f"{entry['collection']}: {done} {entry.get('backup_id', 'a backup')}, because {entry['reason']}"
