# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sealed on its way to the repository: in memory, on this host's disk where that does not answer, then there.

The objects of one replica go one after another, so that what the repository holds of a timeline has no holes. However
many wait on the disk, only the names of the next few are in memory.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from ..errors import DrError, FileError, IntegrityError, ObjectExists, StoreError
from ..formats.wal_chunk import prove_chunk
from ..formats.wal_chunk_header import MAX_HEADER, ChunkHeader
from ..formats.wal_layout import ReplicaLog, parse_chunk_key, parse_timeline_key, replica_prefix
from ..formats.wal_timeline import Timeline
from ..stores.agent_files import Spool
from ..stores.repository import Repository
from .clock import utc_now
from .wal_follower import EVER, Round, Sealed
from .wal_keys import keep_record
from .wal_place import continues
from .wal_settings import MIB

# So many uploads at once, as long as they are small; a large one goes alone.
_AT_ONCE, _BYTES_AT_ONCE = 4, 4 * MIB
_NAMES = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

# Whose queue it is: the log without its timeline.
Owner = ReplicaLog


def owner(log: ReplicaLog) -> Owner:
    """The replica of a log, whatever its timeline."""
    return replace(log, timeline="")


@dataclass
class _Queue:
    """What waits of one replica, oldest first: ``current``, ``spooled`` objects on the disk, then those in memory.

    ``current``: an object, or the key of one on the disk; it has ``size`` bytes, ``sending`` is its upload. ``names``:
    the next keys on the disk. ``entries``: how many wait. ``proved``: a timeline, up to which entry it is stored.
    """

    current: Sealed | str | None = None
    sending: Future[Sealed] | None = None
    size: int = 0
    spooled: int = 0
    names: deque[str] = field(default_factory=deque)
    fresh: deque[Sealed] = field(default_factory=deque)
    entries: int = 0
    proved: tuple[str, int] | None = None

    @property
    def is_empty(self) -> bool:
        return self.current is None and not self.spooled and not self.fresh

    @property
    def held(self) -> int:
        """Bytes in memory; what is sent from the disk is there, too."""
        current = self.size if self.sending is not None or isinstance(self.current, Sealed) else 0
        return current + sum(len(item.data) for item in self.fresh)


class Outbox:
    """All queues. One thread uses it; uploads go on in those of ``threads``. ``wake`` is called when one has ended.

    ``errors``: how many uploads have failed; ``last_error``: the newest one's sentence, "" since one succeeded.
    """

    def __init__(self, repository: Repository, spool: Spool, threads: Executor, wake: Callable[[], None]) -> None:
        self._repository, self._spool, self._threads, self._wake = repository, spool, threads, wake
        self._queues: dict[Owner, _Queue] = {}
        self._recorded: set[str] = set()
        self._retry_at = 0.0
        self._pause = 0.0
        self.errors = 0
        self.last_error = ""
        self.lost: list[tuple[Owner, str]] = []
        for key in spool:
            self._load(key)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return sum(queue.held for queue in self._queues.values())

    @property
    def is_away(self) -> bool:
        """Whether the repository has not taken what was sent last."""
        return self._pause > 0

    @property
    def is_empty(self) -> bool:
        """Whether all has arrived."""
        return all(queue.is_empty for queue in self._queues.values())

    def waiting(self, replica: Owner) -> int:
        """How many entries of a replica have not arrived."""
        queue = self._queues.get(replica)
        return queue.entries if queue is not None else 0

    def newest(self, replica: Owner) -> ChunkHeader | None:
        """The header of the last chunk of a replica that has not arrived, None where there is none."""
        queue = self._queues.get(replica)
        if queue is None:
            return None
        current = [queue.current] if isinstance(queue.current, Sealed) else []
        for item in [*reversed(queue.fresh), *self._on_disk(replica, queue), *current]:
            if item.header is not None:
                return item.header
        return None

    def proved(self, log: ReplicaLog, last: int) -> None:
        """The repository was seen to have this timeline up to the entry ``last``."""
        self._queues.setdefault(owner(log), _Queue()).proved = log.timeline, last

    def add(self, item: Sealed) -> None:
        """Put an object behind the others of its replica; on the disk, while the repository does not answer."""
        queue = self._queues.setdefault(owner(item.log), _Queue())
        queue.fresh.append(item)
        queue.entries += item.entries
        if self.is_away:
            self.spool_all()

    def spool_all(self) -> bool:
        """Take what waits out of the memory; False where the disk has no room for all of it.

        Nothing gets to the disk before what it follows: what is being sent is kept there, too, until it has arrived.
        """
        for queue in self._queues.values():
            if isinstance(queue.current, Sealed) and (queue.sending is None or queue.fresh):
                key = queue.current.key
                if key not in self._spool and not self._spool.add(key, queue.current.data):
                    return False
                queue.current = queue.current if queue.sending is not None else key
            while queue.fresh:
                if not self._spool.add(queue.fresh[0].key, queue.fresh[0].data):
                    return False
                queue.fresh.popleft()
                queue.spooled += 1
        return True

    def collect(self) -> list[Sealed]:
        """The objects that have arrived since this was last asked; ``lost`` then has whose queue was dropped."""
        errors = self.errors
        ended = [each for each in self._queues.items() if each[1].sending is not None and each[1].sending.done()]
        arrived = [item for replica, queue in ended if (item := self._ended(replica, queue)) is not None]
        if self.errors > errors:
            # The traces of a failed request are a ring that holds its body.
            gc.collect()
        return arrived

    def _ended(self, replica: Owner, queue: _Queue) -> Sealed | None:
        """What has arrived by the upload of a queue, which has ended."""
        sending, queue.sending = queue.sending, None
        try:
            item = sending.result() if sending is not None else None
        except IntegrityError as error:
            self._fail(error)
            self._drop(replica, queue, error)
            return None
        except DrError as error:
            self._fail(error)
            self._pause = min(max(_FIRST_PAUSE, self._pause * 2), _LONGEST_PAUSE)
            self._retry_at = time.monotonic() + self._pause
            self.spool_all()
            return None
        if item is not None:
            queue.current = None
            queue.entries -= item.entries
            if item.header is not None:
                queue.proved = item.log.timeline, item.header.last
            self._spool.remove(item.key)
            self._pause, self.last_error = 0.0, ""
        return item

    def send(self) -> None:
        """Begin the uploads that can be begun now."""
        if time.monotonic() < self._retry_at:
            return
        sizes = [queue.size for queue in self._queues.values() if queue.sending is not None]
        # While nothing arrives, one try tells as much as several.
        most = 1 if self.is_away else _AT_ONCE
        for replica, queue in list(self._queues.items()):
            if len(sizes) >= most:
                return
            current = self._choose(replica, queue) if queue.sending is None else None
            if current is None:
                continue
            if sizes and sum(sizes) + queue.size > _BYTES_AT_ONCE:
                return
            queue.sending = self._threads.submit(self._store, current, queue.proved)
            queue.sending.add_done_callback(lambda _future: self._wake())
            sizes.append(queue.size)
            # The others come first next time.
            self._queues[replica] = self._queues.pop(replica)

    def _choose(self, replica: Owner, queue: _Queue) -> Sealed | str | None:
        """Make the oldest object of a queue the current one; None where there is none."""
        if queue.current is None and queue.spooled:
            queue.names.extend(() if queue.names else self._spool.in_order(_prefix(replica))[:_NAMES])
            if not queue.names:
                self._drop(replica, queue, IntegrityError("Files of the spool were removed."))
                return None
            queue.current, queue.spooled = queue.names.popleft(), queue.spooled - 1
            queue.size = self._spool.size_of(queue.current)
        elif queue.current is None and queue.fresh:
            queue.current = queue.fresh.popleft()
            queue.size = len(queue.current.data)
        return queue.current

    def _store(self, current: Sealed | str, proved: tuple[str, int] | None) -> Sealed:
        """One upload, in a thread; what has arrived. Raises ``IntegrityError`` where this object will never do,
        otherwise a DrError."""
        item = self._read(current) if isinstance(current, str) else current
        if item.header is not None:
            stored = memoryview(item.data)[len(item.header.dump()) :]
            if hashlib.sha256(stored).hexdigest() != item.header.stored_sha256:
                raise IntegrityError(f"The spooled chunk {item.key} is damaged.")
            timeline, last = proved or ("", -1)
            follows = timeline == item.log.timeline and item.header.first <= last + 1
            if not follows and not continues(self._repository, item.header):
                raise IntegrityError(f"The repository lacks the entries before {item.key}.")
            self._record_key(item.header)
        _put_new(self._repository, item)
        return replace(item, data=b"")

    def _record_key(self, header: ChunkHeader) -> None:
        """No chunk is stored whose data key a rotation would not find."""
        key_id = header.client_encryption["data_key"] if header.client_encryption is not None else None
        if key_id is not None and key_id not in self._recorded:
            keep_record(self._repository, header)
            self._recorded.add(key_id)

    def _read(self, key: str, most: int | None = None) -> Sealed:
        """An object on the disk, or its first ``most`` bytes. Raises ``IntegrityError`` where it proves not itself."""
        try:
            data = self._spool.read(key, most)
        except FileError as error:
            raise IntegrityError(error.detail) from error
        header = ChunkHeader.parse(data) if parse_chunk_key(key) is not None else None
        timeline = Timeline.parse(data) if header is None else None
        found = header or timeline
        if found is None or found.key != key:
            raise IntegrityError(f"{key} is not what its name says.")
        return Sealed(key, data, found.log, header, timeline, _round(header))

    def _on_disk(self, replica: Owner, queue: _Queue) -> list[Sealed]:
        """The newest chunk on the disk, without its content; what is newer and damaged is of no use."""
        keys = [key for key in self._spool.in_order(_prefix(replica)) if parse_chunk_key(key) is not None]
        current = queue.current.key if isinstance(queue.current, Sealed) else queue.current
        for key in reversed(keys):
            try:
                return [self._read(key, MAX_HEADER)]
            except IntegrityError:
                if key == current:
                    break
                self._spool.remove(key)
                queue.names.clear()
                queue.spooled -= 1
                queue.entries -= _entries(key)
        return []

    def _fail(self, error: DrError) -> None:
        self.errors += 1
        self.last_error = error.detail

    def _drop(self, replica: Owner, queue: _Queue, error: DrError) -> None:
        """What is in the queue is of no use: it cannot follow what the repository has."""
        for key in self._spool.in_order(_prefix(replica)):
            self._spool.remove(key)
        self._queues[replica] = _Queue()
        self.lost.append((replica, error.detail))

    def _load(self, key: str) -> None:
        """Take an object of an earlier run up."""
        chunk = parse_chunk_key(key)
        log = chunk[0] if chunk is not None else parse_timeline_key(key)
        if log is None:
            self._spool.remove(key)
            return
        queue = self._queues.setdefault(owner(log), _Queue())
        queue.spooled += 1
        queue.entries += _entries(key)


def _prefix(replica: Owner) -> str:
    return replica_prefix(replica.collection, replica.shard, replica.replica)


def _entries(key: str) -> int:
    """How many entries an object has, by its key."""
    chunk = parse_chunk_key(key)
    return chunk[2] - chunk[1] + 1 if chunk is not None else 0


def _round(header: ChunkHeader | None) -> Round | None:
    """Of a chunk of which only its header is known: all that was in the log when its last round but one began."""
    if header is None or header.polls[-1].after == EVER:
        return None
    began = header.polls[-1].after
    return Round(began, time.monotonic() - (utc_now() - began).total_seconds())


def _put_new(repository: Repository, item: Sealed) -> None:
    """Store an object under a name that is free, and prove what was stored."""
    data = item.data
    content_type = "application/octet-stream" if item.header is not None else "application/json"
    try:
        stored = repository.put(item.key, data, if_none_match=True, content_type=content_type)
    except ObjectExists:
        there = repository.get(item.key, max(len(data) + MAX_HEADER, MAX_HEADER * 2))
        if not _is_same(item, there):
            raise IntegrityError(f"{repository.url(item.key)} is there, with other content.") from None
        return
    repository.verify_encryption(stored if stored.checked else repository.head(item.key))
    if not stored.checked and repository.get(item.key, len(data) + 1) != data:
        raise StoreError(f"The store gave other bytes for {repository.url(item.key)} than were written.")


def _is_same(item: Sealed, there: bytes) -> bool:
    """Whether what is there is this object, or the same entries with the times of another reader."""
    if there == item.data or item.header is None:
        return there == item.data
    try:
        other = prove_chunk(there)
    except IntegrityError:
        return False
    # Encrypted entries have no digest to compare: the seeds of the files and the last CRC tell theirs from others.
    digests = {other.sha256, item.header.sha256} - {None}
    mine = item.header.size, item.header.last_crc, item.header.runs
    return (other.size, other.last_crc, other.runs) == mine and len(digests) < 2
