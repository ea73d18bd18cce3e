# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archiver of one node: follows the log of every replica on this host, and stores what comes.

One thread reads, seals and decides; it never waits for the repository or for Qdrant, so that no log outruns it because
one of them does not answer. Where its memory is full, the logs wait for a moment; where the repository does not take
what is sealed, a spool on the disk does; where that is full as well, the logs wait on. What is lost then begins a new
timeline, and a request for a new base.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DrError
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import positions_key
from ..formats.wal_timeline import FIRST, Seen, Timeline
from ..stores.agent_files import Spool, write_file
from ..stores.node_files import local_replicas
from ..stores.repository import Repository
from ..stores.wakeup import Wakeup
from .archiver_keys import ArchiverKeys
from .base_requests import repeat_requests, request_base, requested_bases, withdraw_request
from .clock import utc_now
from .log_watch import LogWatch
from .troubles import Troubles
from .wal_discovery import Discovery
from .wal_follower import EVER, MIB, Follower, KnownPlace, Sealed
from .wal_outbox import Outbox
from .wal_place import Located
from .wal_progress import Progress, Shard, Totals, metrics, named, needs_base, positions_of
from .wal_settings import ArchiveSettings

_UPLOADS, _ASIDE = 4, 4
_LONGEST_PAUSE = 3.0
_METRICS_SECONDS = 15.0
_REPEAT_SECONDS = 3600.0
_RATES_SECONDS = 60.0
# Bytes of read entries, and of these and sealed ones together: the program itself takes 46 MiB of the 64 that it may.
_READ, _MEMORY = 6 * MIB, 8 * MIB
# So long the logs wait before the spool takes what the repository is slow to take.
_PATIENCE = 2.0
_STOP_SECONDS, _ONCE_SECONDS = 5.0, 120.0

Json = dict[str, Any]


class Archiver:
    """Archives until it is told to stop.

    ``identify``: the peer id of the node, which it tells for one of its collections; raises QdrantError.
    ``report``: told a sentence about what somebody should know.
    """

    def __init__(
        self,
        identify: Callable[[str], str],
        repository: Repository,
        settings: ArchiveSettings,
        report: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._repository, self._settings, self._report, self._clock = repository, settings, report, clock
        self._keys = ArchiverKeys(repository.location, clock)
        self.wakeup = Wakeup()
        self._uploads = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="wal-upload")
        self._aside = ThreadPoolExecutor(_ASIDE, thread_name_prefix="wal-aside")
        Path(settings.spool_path).mkdir(mode=0o750, parents=True, exist_ok=True)
        (Path(settings.state_path) / "base-needed").mkdir(mode=0o750, parents=True, exist_ok=True)
        self._spool = Spool(settings.spool_path, settings.spool_max_bytes, settings.reserve_bytes)
        self._outbox = Outbox(repository, self._spool, self._uploads, self.wakeup.set)
        self._troubles = Troubles(report)
        self._discovery = Discovery(
            identify, repository, settings, self._aside, self.wakeup.set, self._troubles, self._keys
        )
        self._followers: dict[Shard, Follower] = {}
        self._progress: dict[Shard, Progress] = {}
        self._watch = LogWatch(settings)
        self._base_last: dict[Shard, int | None] = {}
        # With the end of its log, as far as that was seen.
        self._gone: dict[Shard, tuple[str, Seen | None]] = {}
        self._unfiled: list[Timeline] = []
        self._dirty: set[str] = set()
        self._telling: dict[str, Future[Any]] = {}
        self._more = False
        self._behind_since: float | None = None
        self._due: dict[str, float] = {}
        self.totals = Totals()

    def run(self, stop: Callable[[], bool], once: bool = False, alive: Callable[[], None] = lambda: None) -> Json:
        """Archive until ``stop``, or with ``once`` until all that there is now was stored; what was done.

        ``alive`` is called at every turn. Raises Busy where another archiver follows this node, ``QdrantError`` where
        the node has become another one, and ``FileError`` where its files cannot be read.
        """
        try:
            local_replicas(self._settings.storage_path)
            while not stop():
                self._turn()
                alive()
                if once and self._has_read_all():
                    break
                self.wakeup.wait(self._pause())
            self._finish(_ONCE_SECONDS if once else _STOP_SECONDS)
        finally:
            for follower in self._followers.values():
                follower.close()
            self._uploads.shutdown(wait=False, cancel_futures=True)
            self._aside.shutdown(wait=False, cancel_futures=True)
            self._discovery.close()
        return {
            "replica": self._discovery.replica,
            "logs": len(self._followers),
            "entries": self.totals.entries,
            "chunks": self.totals.chunks,
            "timelines": self.totals.timelines,
            "gaps": self.totals.gaps,
            "spool_bytes": self._spool.size,
            "base_needed": self.totals.base_needed,
        }

    # -- one turn

    def _turn(self) -> None:
        for shard, located in self._discovery.look(self._followers, self._outbox.newest).items():
            self._follow(shard, located)
        self._collect()
        self._read(self._is_due("poll", self._settings.poll_interval))
        self._outbox.send()
        if self._is_due("beat", self._settings.heartbeat):
            self._tell({collection for collection, _shard in self._progress})
        elif self._dirty and self._is_due("dirty", self._settings.seal_interval):
            self._tell(set(self._dirty))
        if self._is_due("metrics", _METRICS_SECONDS):
            self._write_metrics()
            if self._unfiled:
                self._troubles.attempt("requests", self._file_requests)
        if self._is_due("repeat", _REPEAT_SECONDS):
            self._troubles.attempt("requests", lambda: repeat_requests(self._settings.state_path))
            self._aside.submit(self._troubles.attempt, "keys", self._keys.renew)
        if self._is_due("rates", _RATES_SECONDS):
            self._store_rates()

    def _is_due(self, name: str, interval: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return False
        self._due[name] = now + interval
        return True

    def _pause(self) -> float:
        """Seconds until something is to be done."""
        if self._more:
            return 0.0
        seals = [due for each in self._followers.values() if (due := each.due(self._settings.seal_interval))]
        at = min([self._due[name] for name in ("poll", "beat", "metrics")] + seals)
        return max(0.0, min(at - time.monotonic(), _LONGEST_PAUSE))

    # -- which logs there are, and where to go on

    def _follow(self, shard: Shard, located: Located) -> None:
        directory = Path(self._settings.storage_path) / "collections" / shard[0] / str(shard[1]) / "wal"
        recreated, place = shard in self._gone, self._as_seen(shard, located.place)
        self._followers[shard] = Follower(
            self._repository.location.cluster,
            located.log,
            directory,
            place,
            recreated=recreated,
            lost=located.damage,
            clock=self._clock,
            data_key=partial(self._keys.current, shard[0]),
        )
        self._base_last[shard] = located.base_last
        progress = self._progress[shard] = Progress(located.log, time.monotonic())
        if place is not None and not self._outbox.waiting(located.log) and not located.damage:
            progress.log, progress.last, progress.crc = place.log, place.last, place.crc
            # Also where another log has taken its place: then nobody looks at this one again.
            progress.checked_at = place.after if place.after != EVER else None
            if located.proved:
                self._outbox.proved(place.log, place.last)
        self._due["poll"] = 0.0

    def _as_seen(self, shard: Shard, place: KnownPlace | None) -> KnownPlace | None:
        """The place with which a log begins, with what was seen of it until it was gone."""
        timeline, seen = self._gone.pop(shard, ("", None))
        if place is None or seen is None or (timeline, seen.last) != (place.log.timeline, place.last):
            return place
        return replace(place, after=max(place.after, seen.at))

    # -- reading and sealing

    def _read(self, all_logs: bool) -> None:
        """Poll every log, or those that have more; seal those whose time has come."""
        self._more = False
        has_room = self._relieve()
        for shard, follower in list(self._followers.items()):
            due = follower.due(self._settings.seal_interval)
            is_due = due is not None and due <= time.monotonic()
            if (all_logs or is_due or follower.unfinished) and has_room:
                self._poll(shard, follower)
                if self._take(shard, follower) or follower.size:
                    has_room = self._relieve()
            if is_due or follower.absent:
                follower.seal()
            self._take(shard, follower)
            if follower.absent:
                follower.close()
                del self._followers[shard], self._progress[shard]
                self._gone[shard] = follower.timeline, follower.seen
                self._report(f"{named(shard)} is gone.")
                self._forget_request(shard[0])
        behind = self._more or not has_room
        self._behind_since = (self._behind_since or time.monotonic()) if behind else None

    def _forget_request(self, collection: str) -> None:
        """No backup can be made of a collection that is gone."""
        request = requested_bases(self._settings.state_path).get(collection)
        if request is not None and all(name != collection for name, _shard in self._followers):
            take_back = partial(withdraw_request, self._settings.state_path, collection, request)
            self._troubles.attempt("requests", take_back)

    def _poll(self, shard: Shard, follower: Follower) -> None:
        try:
            self._more = follower.poll(self._settings.seal_bytes) or self._more
        except DrError as error:
            self.totals.read_errors += 1
            self._troubles.note(f"log of {shard}", f"{named(shard)}: {error.detail} {error.hint}")
        else:
            self._troubles.note(f"log of {shard}")

    def _take(self, shard: Shard, follower: Follower) -> bool:
        """Send what is sealed; whether something was."""
        sealed, follower.sealed = follower.sealed, []
        for number, item in enumerate(sealed):
            if item.timeline is not None:
                # Its first chunk is always sealed with it.
                self._note_timeline(shard, item, sealed[number + 1].header)
            self._outbox.add(item)
        if not follower.pending and follower.ended is not None and not self._outbox.waiting(follower.replica):
            self._progress[shard].reached(follower.ended, follower.timeline)
        return bool(sealed)

    def _note_timeline(self, shard: Shard, item: Sealed, first_chunk: ChunkHeader | None) -> None:
        timeline = item.timeline
        if timeline is None or first_chunk is None or not needs_base(timeline, first_chunk, self._base_last.get(shard)):
            return
        if timeline.reason == FIRST and shard[0] in requested_bases(self._settings.state_path):
            return
        self._report(f"{named(shard)}: a new timeline has begun and needs a new backup. {timeline.detail}")
        self._unfiled.append(timeline)
        self._troubles.attempt("requests", self._file_requests)

    def _file_requests(self) -> None:
        """Ask for the backups that are needed; what a full disk does not take is asked for again."""
        while self._unfiled:
            request_base(self._settings.state_path, self._unfiled[0], self._clock())
            del self._unfiled[0]

    @property
    def _size(self) -> int:
        """Bytes of entries that were read and not sealed."""
        return sum(each.size for each in self._followers.values())

    @property
    def _held(self) -> int:
        """All bytes that wait in memory."""
        return self._size + self._outbox.held

    def _relieve(self) -> bool:
        """Seal the largest logs, and take what is sealed to the disk, to have room in memory; whether there is some.

        Where the repository takes it, but for a while, the disk is spared.
        """
        while self._size > _READ:
            shard, largest = max(self._followers.items(), key=lambda item: item[1].size)
            largest.seal()
            self._take(shard, largest)
        since = self._behind_since
        is_slow = self._outbox.is_away or (since is not None and time.monotonic() >= since + _PATIENCE)
        is_full = self._held > _MEMORY and is_slow and not self._outbox.spool_all()
        self.totals.spool_full = is_full
        waits = f"The spool {self._settings.spool_path} has no room: the logs have to wait."
        self._troubles.note("spool", waits if is_full else "")
        return self._held <= _MEMORY

    def _collect(self) -> None:
        """See what has arrived."""
        for item in self._outbox.collect():
            self.totals.arrived(item)
            shard = (item.log.collection, item.log.shard)
            if item.header is not None:
                self._watch.add(shard, item.header)
            progress = self._progress.get(shard)
            if progress is not None and progress.log.replica == item.log.replica:
                progress.arrived(item)
                self._dirty.add(shard[0])
        self.totals.upload_errors = self._outbox.errors
        self._troubles.note("upload", self._outbox.last_error)
        for replica, why in self._outbox.lost:
            self._report(f"{replica.collection}, shard {replica.shard}: what was read has to be read anew: {why}")
            shard = (replica.collection, replica.shard)
            if shard in self._followers and self._followers[shard].replica == replica:
                self._followers.pop(shard).close()
                del self._progress[shard]
                self._discovery.look_again()
        self._outbox.lost.clear()

    # -- telling others

    def _tell(self, collections: set[str]) -> None:
        """Store how far these collections are, here and in the repository."""
        for collection in collections:
            telling = self._telling.get(collection)
            if self._discovery.replica is None or (telling is not None and not telling.done()):
                continue
            record = self._positions(collection, self._discovery.replica)
            if collection in self._dirty:
                self._dirty.discard(collection)
                self._troubles.attempt("state", partial(write_file, self._settings.state_file(collection), record))
            key = positions_key(collection, self._discovery.replica)
            self._telling[collection] = self._aside.submit(self._store_positions, key, record)

    def _positions(self, collection: str, replica: str) -> bytes:
        shards = {number: each for (name, number), each in self._progress.items() if name == collection}
        for number, each in shards.items():
            follower = self._followers[(collection, number)]
            each.behind = self._outbox.waiting(follower.replica) + follower.pending
        now = self._clock()
        facts = {number: self._watch.facts((collection, number), now.date()) for number in shards}
        return positions_of(self._repository.location.cluster, collection, replica, shards, facts, now).dump()

    def _store_positions(self, key: str, record: bytes) -> None:
        # It is written again soon.
        with contextlib.suppress(DrError):
            self._repository.put(key, record, content_type="application/json")

    def _write_metrics(self) -> None:
        self.totals.base_needed = sorted(requested_bases(self._settings.state_path))
        self.totals.spool_bytes = self._spool.size
        self.totals.memory_bytes = self._held
        path = self._settings.metrics_path
        if path is not None:
            text = metrics(self._progress, self.totals, time.monotonic(), self._clock())
            self._troubles.attempt("metrics", lambda: write_file(Path(path), text, 0o644))

    def _store_rates(self) -> None:
        self._troubles.attempt("rates", lambda: self._watch.store(self._clock().date()))

    # -- the end

    def _has_read_all(self) -> bool:
        read = not self._more and all(each.ended is not None for each in self._followers.values())
        return read and self._discovery.has_found(self._followers)

    def _finish(self, seconds: float) -> None:
        """Store what was read, as far as that goes within ``seconds``; the rest waits on the disk."""
        until = time.monotonic() + seconds
        for shard, follower in self._followers.items():
            if self._relieve():
                self._poll(shard, follower)
            follower.seal()
            self._take(shard, follower)
        while not self._outbox.is_empty and time.monotonic() < until:
            self._outbox.send()
            self.wakeup.wait(min(1.0, max(0.0, until - time.monotonic())))
            self._collect()
        self._outbox.spool_all()
        self._dirty = {collection for collection, _shard in self._progress}
        self._tell(set(self._dirty))
        self._write_metrics()
        self._store_rates()
        for telling in self._telling.values():
            with contextlib.suppress(TimeoutError):
                telling.exception(max(0.1, until - time.monotonic()))
