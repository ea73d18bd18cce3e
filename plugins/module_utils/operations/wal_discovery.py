# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs there are on a node, whose they are, and where the archive of each one ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from concurrent.futures import Executor, Future

from ..errors import DrError, QdrantError
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_positions import Positions
from ..stores.node_files import local_replicas
from ..stores.repository import Repository
from .archiver_keys import ArchiverKeys
from .archiver_lock import ArchiverLock
from .troubles import Troubles
from .wal_place import Located, locate
from .wal_progress import Shard, named
from .wal_settings import ArchiveSettings

_SCAN_SECONDS = 3.0
_IDENTIFY_SECONDS = 60.0


class Discovery:
    """Looks for logs that are not followed yet. What has to be asked for is asked for in ``threads``.

    ``identify``: the peer id of the node, which it tells for one of its collections; raises QdrantError. ``wake`` is
    called when an answer has come. ``keys``: have one for each log that is found. ``replica``: the peer id, None until
    it is known.
    """

    def __init__(
        self,
        identify: Callable[[str], str],
        repository: Repository,
        settings: ArchiveSettings,
        threads: Executor,
        wake: Callable[[], None],
        troubles: Troubles,
        keys: ArchiverKeys,
    ) -> None:
        self._identify, self._repository, self._settings, self._keys = identify, repository, settings, keys
        self._threads, self._wake, self._troubles = threads, wake, troubles
        self._lock = ArchiverLock(repository, threads, settings.lock_seconds)
        self._identifying: Future[str] | None = None
        self._identify_at = 0.0
        self._locating: dict[Shard, Future[Located]] = {}
        self._scan_at = 0.0
        self.replica: str | None = None

    def look(
        self, followed: Container[Shard], newest: Callable[[ReplicaLog], ChunkHeader | None]
    ) -> dict[Shard, Located]:
        """The logs whose place has been found since the last call. Never waits.

        ``followed``: those that are known; ``newest``: the header of the last chunk that a replica has not stored yet.
        Raises Busy where another archiver follows this node, and ``QdrantError`` where the node has become another one.
        """
        self._identify_node()
        if self.replica is None or not self._lock.try_hold(self.replica):
            return {}
        if time.monotonic() >= self._scan_at:
            self._scan_at = time.monotonic() + _SCAN_SECONDS
            for shard in self.wanted():
                if shard not in followed and shard not in self._locating:
                    log = ReplicaLog(shard[0], shard[1], self.replica, "")
                    remembered = self._remembered(shard[0])
                    self._locating[shard] = self._ask(self._locate, log, newest(log), remembered)
        return self._located()

    def look_again(self) -> None:
        """Look for logs at the next call, not only when it is time."""
        self._scan_at = 0.0

    def wanted(self) -> list[Shard]:
        """The logs that are there and to be archived."""
        chosen = self._settings.collections
        try:
            found = local_replicas(self._settings.storage_path)
        except DrError as error:
            self._troubles.note("scan", f"{error.detail} {error.hint}")
            return []
        self._troubles.note("scan")
        return [each for each in found if chosen is None or each[0] in chosen]

    def has_found(self, followed: Container[Shard]) -> bool:
        """Whether all logs that there are are followed."""
        return self._identifying is None and all(shard in followed for shard in self.wanted())

    def close(self) -> None:
        """Give the lock of the archiver back."""
        self._lock.release()

    def _locate(self, log: ReplicaLog, newest: ChunkHeader | None, remembered: Positions | None) -> Located:
        """Where to go on with a log, once there is a key to encrypt what comes with."""
        self._keys.ensure(log.collection, log.replica)
        return locate(self._repository, log, newest, remembered)

    def _located(self) -> dict[Shard, Located]:
        found: dict[Shard, Located] = {}
        for shard, locating in list(self._locating.items()):
            if locating.done():
                del self._locating[shard]
                try:
                    found[shard] = locating.result()
                except DrError as error:
                    text = f"{named(shard)} cannot be archived yet: {error.detail}"
                    self._troubles.note(f"place of {shard}", text)
                else:
                    self._troubles.note(f"place of {shard}")
        return found

    def _identify_node(self) -> None:
        """Ask for the peer id, now and then; what this host remembers does while Qdrant does not answer."""
        if self._identifying is None:
            wanted = self.wanted() if time.monotonic() >= self._identify_at else []
            if wanted:
                self._identifying = self._ask(self._identify, wanted[0][0])
            return
        if not self._identifying.done():
            return
        identifying, self._identifying = self._identifying, None
        found: str | None
        try:
            found = identifying.result()
        except QdrantError as error:
            self._troubles.note("identify", error.detail)
            found = self.replica or self._remembered_replica()
        else:
            self._troubles.note("identify")
        if self.replica is not None and found != self.replica:
            raise QdrantError(
                f"The node is the peer {found} now, and was {self.replica}.",
                "The archiver has to be started again; it then follows the node as a new replica.",
            )
        self.replica = found
        self._identify_at = time.monotonic() + (_SCAN_SECONDS if found is None else _IDENTIFY_SECONDS)

    def _remembered_replica(self) -> str | None:
        found = {known.replica for name, _shard in self.wanted() if (known := self._remembered(name)) is not None}
        return found.pop() if len(found) == 1 else None

    def _remembered(self, collection: str) -> Positions | None:
        try:
            return Positions.parse(self._settings.state_file(collection).read_bytes())
        except OSError:
            return None

    def _ask(self, ask: Callable[..., object], *args: object) -> Future:
        asking = self._threads.submit(ask, *args)
        asking.add_done_callback(lambda _future: self._wake())
        return asking
