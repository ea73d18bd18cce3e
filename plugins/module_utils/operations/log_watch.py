# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the archiver of a node learns of its logs on the way, for those who look at the archive."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import date, datetime

from ..errors import DrError
from ..formats.collection_config import vector_names
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_log_facts import LogFacts
from ..formats.wal_positions import Positions
from ..formats.wal_sizing import KeptLog
from ..stores.node_files import collection_config
from .log_retention import kept_log
from .wal_progress import Shard
from .wal_settings import ArchiveSettings
from .write_rates import WriteRates

# So often the configuration of a collection is read: it changes with a restart of Qdrant only.
_CONFIG_SECONDS = 60.0


class LogWatch:
    """The rate at which each log grows, what Qdrant keeps of it, and what restores inexactly in it."""

    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings
        self._rates = WriteRates(settings.state_path)
        self._configs: dict[str, tuple[float, KeptLog | None, Collection[str]]] = {}
        self._inexact: dict[Shard, tuple[dict[str, int], datetime | None]] = {}

    def add(self, shard: Shard, header: ChunkHeader) -> None:
        """A chunk of this log has been archived."""
        self._rates.add(shard, header)
        found = header.summary.inexact(self._config(shard[0])[1])
        if found:
            self._inexact[shard] = dict(found), header.polls[-1].before

    def facts(self, shard: Shard, today: date) -> LogFacts:
        """What is known of a log now; ``today``: in UTC."""
        if shard not in self._inexact:
            self._inexact[shard] = self._remembered(shard)
        inexact, before = self._inexact[shard]
        kept = self._config(shard[0])[0]
        return LogFacts(self._rates.peak(shard, today), kept, self._settings.outage_minutes, inexact, before)

    def store(self, today: date) -> None:
        """Write what a later run goes on with. Raises ``FileError``."""
        self._rates.store(today)

    def _remembered(self, shard: Shard) -> tuple[dict[str, int], datetime | None]:
        """What was inexact in an earlier run."""
        try:
            known = Positions.parse(self._settings.state_file(shard[0]).read_bytes())
        except OSError:
            known = None
        position = known.shards.get(shard[1]) if known is not None else None
        facts = position.facts if position is not None and position.facts is not None else LogFacts()
        return dict(facts.inexact), facts.inexact_before

    def _config(self, collection: str) -> tuple[KeptLog | None, Collection[str]]:
        """What Qdrant keeps of the logs of a collection, and the names of its vectors; neither if it cannot be read."""
        read, kept, names = self._configs.get(collection, (None, None, ()))
        if read is None or time.monotonic() >= read + _CONFIG_SECONDS:
            try:
                config = collection_config(self._settings.storage_path, collection)
                kept, names = kept_log(config), vector_names(config)
            except (DrError, KeyError, TypeError):
                kept, names = None, ()
            self._configs[collection] = time.monotonic(), kept, names
        return kept, names
