# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sealed on its way to the repository: in memory, on this host's disk where that does not answer, then there.

The objects of one replica go one after another, so that what the repository holds of a timeline has no holes.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from ..errors import DrError, FileError, IntegrityError, ObjectExists, StoreError
from ..formats.wal_chunk import read_chunk
from ..formats.wal_chunk_header import MAX_HEADER, ChunkHeader
from ..formats.wal_layout import ReplicaLog, parse_chunk_key, parse_timeline_key
from ..formats.wal_timeline import Timeline
from ..stores.agent_files import Spool
from ..stores.repository import Repository
from .wal_follower import Sealed
from .wal_place import continues

_AT_ONCE = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

# Whose queue it is: the log without its timeline.
Owner = ReplicaLog


def owner(log: ReplicaLog) -> Owner:
    """The replica of a log, whatever its timeline."""
    return replace(log, timeline="")


@dataclass
class _Queue:
    """``sending``: the upload of the first item. ``proved``: the timeline to whose end in the repository they add."""

    items: deque[Sealed] = field(default_factory=deque)
    sending: Future[None] | None = None
    proved: str | None = None


class Outbox:
    """All queues. One thread uses it; uploads go on in those of ``threads``. ``wake`` is called when one has ended.

    ``errors``: how many uploads have failed; ``last_error``: the newest one's sentence, "" since one succeeded.
    """

    def __init__(self, repository: Repository, spool: Spool, threads: Executor, wake: Callable[[], None]) -> None:
        self._repository, self._spool, self._threads, self._wake = repository, spool, threads, wake
        self._queues: dict[Owner, _Queue] = {}
        self._retry_at = 0.0
        self._pause = 0.0
        self.errors = 0
        self.last_error = ""
        self.lost: list[tuple[Owner, str]] = []
        for key in spool.in_order():
            self._load(key)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return sum(len(item.data) for queue in self._queues.values() for item in queue.items)

    @property
    def is_empty(self) -> bool:
        """Whether all has arrived."""
        return not any(queue.items for queue in self._queues.values())

    def waiting(self, replica: Owner) -> list[ChunkHeader]:
        """The headers of the chunks of a replica that have not arrived, oldest first."""
        queue = self._queues.get(replica)
        return [item.header for item in queue.items if item.header is not None] if queue is not None else []

    def proved(self, log: ReplicaLog) -> None:
        """The repository was seen to have this timeline up to where the next chunk begins."""
        self._queues.setdefault(owner(log), _Queue()).proved = log.timeline

    def add(self, item: Sealed) -> None:
        """Put an object behind the others of its replica; on the disk, while the repository does not answer."""
        self._queues.setdefault(owner(item.log), _Queue()).items.append(item)
        if self._pause:
            self.spool_all()

    def spool_all(self) -> bool:
        """Take what waits out of the memory; False where the disk has no room for all of it."""
        fits = True
        for queue in self._queues.values():
            for number, item in enumerate(queue.items):
                if not item.data or (number == 0 and queue.sending is not None):
                    continue
                fits = fits and self._spool.add(item.key, item.data)
                if not fits:
                    return False
                queue.items[number] = replace(item, data=b"")
        return fits

    def collect(self) -> list[Sealed]:
        """The objects that have arrived since this was last asked; ``lost`` then has whose queue was dropped."""
        arrived: list[Sealed] = []
        for replica, queue in self._queues.items():
            if queue.sending is None or not queue.sending.done():
                continue
            sending, queue.sending = queue.sending, None
            try:
                sending.result()
            except IntegrityError as error:
                self._fail(error)
                self._drop(replica, queue, error)
            except DrError as error:
                self._fail(error)
                self._pause = min(max(_FIRST_PAUSE, self._pause * 2), _LONGEST_PAUSE)
                self._retry_at = time.monotonic() + self._pause
                self.spool_all()
            else:
                item = queue.items.popleft()
                queue.proved = item.log.timeline
                self._spool.remove(item.key)
                self._pause, self.last_error = 0.0, ""
                arrived.append(item)
        return arrived

    def send(self) -> None:
        """Begin the uploads that can be begun now."""
        busy = sum(queue.sending is not None for queue in self._queues.values())
        if time.monotonic() < self._retry_at:
            return
        # While nothing arrives, one try tells as much as several.
        most = 1 if self._pause else _AT_ONCE
        for queue in self._queues.values():
            if busy >= most:
                return
            if queue.items and queue.sending is None:
                item = queue.items[0]
                queue.sending = self._threads.submit(self._store, item, queue.proved == item.log.timeline)
                queue.sending.add_done_callback(lambda _future: self._wake())
                busy += 1

    def _store(self, item: Sealed, proved: bool) -> None:
        """One upload, in a thread. Raises ``IntegrityError`` where this object will never do, otherwise a DrError."""
        data = item.data or self._spooled(item.key)
        if item.header is not None:
            stored = data[len(item.header.dump()) :]
            if hashlib.sha256(stored).hexdigest() != item.header.stored_sha256:
                raise IntegrityError(f"The spooled chunk {item.key} is damaged.")
            if not proved and not continues(self._repository, item.header):
                raise IntegrityError(f"The repository lacks the entries before {item.key}.")
        _put_new(self._repository, item, data)

    def _spooled(self, key: str) -> bytes:
        try:
            return self._spool.read(key)
        except FileError as error:
            raise IntegrityError(error.detail) from error

    def _fail(self, error: DrError) -> None:
        self.errors += 1
        self.last_error = error.detail

    def _drop(self, replica: Owner, queue: _Queue, error: DrError) -> None:
        """What is in the queue is of no use: it cannot follow what the repository has."""
        for item in queue.items:
            self._spool.remove(item.key)
        queue.items.clear()
        queue.proved = None
        self.lost.append((replica, error.detail))

    def _load(self, key: str) -> None:
        """Take an object of an earlier run up; one that does not prove itself is of no use."""
        try:
            data = self._spool.read(key)[:MAX_HEADER]
            header = ChunkHeader.parse(data) if parse_chunk_key(key) is not None else None
            timeline = Timeline.parse(data) if parse_timeline_key(key) is not None else None
            found = header or timeline
            if found is None or found.key != key:
                raise IntegrityError(f"{key} is not what its name says.")
        except IntegrityError:
            self._spool.remove(key)
            return
        item = Sealed(key, b"", found.log, header, timeline)
        self._queues.setdefault(owner(found.log), _Queue()).items.append(item)


def _put_new(repository: Repository, item: Sealed, data: bytes) -> None:
    """Store an object under a name that is free, and prove what was stored."""
    content_type = "application/octet-stream" if item.header is not None else "application/json"
    try:
        stored = repository.put(item.key, data, if_none_match=True, content_type=content_type)
    except ObjectExists:
        there = repository.get(item.key, max(len(data) + MAX_HEADER, MAX_HEADER * 2))
        if not _is_same(item, there, data):
            raise IntegrityError(f"{repository.url(item.key)} is there, with other content.") from None
        return
    repository.verify_encryption(stored if stored.checked else repository.head(item.key))
    if not stored.checked and repository.get(item.key, len(data) + 1) != data:
        raise StoreError(f"The store gave other bytes for {repository.url(item.key)} than were written.")


def _is_same(item: Sealed, there: bytes, data: bytes) -> bool:
    """Whether what is there is this object, or the same entries with the times of another reader."""
    if there == data or item.header is None:
        return there == data
    try:
        other = read_chunk(there)[0]
    except IntegrityError:
        return False
    return (other.sha256, other.last_crc, other.runs) == (item.header.sha256, item.header.last_crc, item.header.runs)
