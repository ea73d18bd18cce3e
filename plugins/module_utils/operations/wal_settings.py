# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the WAL archiver of a node is told to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import InvalidInput
from .repository_lock import LIFE_SECONDS

MIB = 1024 * 1024


@dataclass(frozen=True)
class ArchiveSettings:
    """What to archive and how; times are seconds.

    ``collections``: None for all. ``seal_interval``: from the first entry of a chunk on. ``spool_max_bytes``: what may
    wait on the disk; ``reserve_bytes``: what stays free there. ``heartbeat``: how often the end of idle logs is told.
    ``metrics_path``: a file for Prometheus' textfile collector, None for none. ``outage_minutes``: how long it may be
    down without a gap; what Qdrant keeps of the logs is compared with that.
    """

    storage_path: str
    state_path: str
    spool_path: str
    collections: tuple[str, ...] | None = None
    poll_interval: float = 1.0
    seal_interval: float = 5.0
    seal_bytes: int = 4 * MIB
    spool_max_bytes: int = 10 * 1024 * MIB
    reserve_bytes: int = 1024 * MIB
    heartbeat: float = 30.0
    metrics_path: str | None = None
    outage_minutes: float = 60.0
    lock_seconds: float = LIFE_SECONDS

    def __post_init__(self) -> None:
        if not 0.1 <= self.poll_interval <= 60:
            raise InvalidInput(f"poll_interval is {self.poll_interval:g} s.", "Give 0.1 to 60 seconds.")
        if not 0 < self.seal_interval <= 3600 or not 1 <= self.seal_bytes <= 4 * MIB or self.heartbeat <= 0:
            raise InvalidInput(
                "seal_interval, seal_bytes or heartbeat is out of range.",
                "Give up to an hour, 1 byte to 4 MiB, and more than 0 seconds.",
            )

    def state_file(self, collection: str) -> Path:
        """What this host remembers of how far it has come with a collection; the repository knows it better."""
        return Path(self.state_path) / f"{quote(collection, safe=' ')}.json"
