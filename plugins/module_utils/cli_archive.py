# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``qdrant-dr archive-wal``: the archiver in the foreground, for a systemd service."""

from __future__ import annotations

import argparse
import signal
import time
from dataclasses import replace

from .agent_config import AgentConfig
from .cli_run import DONE, Answer, say
from .errors import InvalidInput
from .operations.wal_archive import Archiver
from .stores.qdrant import Qdrant
from .stores.repository import Repository
from .stores.service_manager import notify

# An archiver tries again by itself, and has to end soon where it is told to.
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5.0, 20.0, 2
_WATCHDOG_SECONDS = 5.0


class _Service:
    """What the archiver and systemd tell each other."""

    def __init__(self, archiver: Archiver) -> None:
        self._archiver = archiver
        self._told_at = -_WATCHDOG_SECONDS
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopped = True
        self._archiver.wakeup.set()
        notify("STOPPING=1")

    def alive(self) -> None:
        """Tell that it runs, now and then."""
        if time.monotonic() - self._told_at >= _WATCHDOG_SECONDS:
            self._told_at = time.monotonic()
            notify("READY=1\nWATCHDOG=1")


def archive_wal(config: AgentConfig, options: argparse.Namespace) -> Answer:
    """Archive the logs of this node until it is told to stop, or with ``--once`` what there is now."""
    settings = config.wal_archive
    if settings is None:
        raise InvalidInput(
            f"{options.config} does not say what to archive.", "Add the section wal_archive, with storage_path."
        )
    location = config.repository
    location = replace(
        location,
        connect_timeout=min(location.connect_timeout, _CONNECT_SECONDS),
        read_timeout=min(location.read_timeout, _READ_SECONDS),
    )
    with Qdrant(config.qdrant) as qdrant, Repository(location, _ATTEMPTS) as repository:
        archiver = Archiver(
            lambda collection: str(qdrant.collection_cluster(collection)["peer_id"]), repository, settings, say
        )
        service = _Service(archiver)
        result = archiver.run(lambda: service.stopped, options.once, service.alive)
    return DONE, result, [f"archived {result['entries']} entries of {result['logs']} logs in {result['chunks']} chunks"]
