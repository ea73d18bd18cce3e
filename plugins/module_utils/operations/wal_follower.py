# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One replica's log, read while Qdrant writes it, and sealed as chunks of a timeline.

Entries are kept as they were read until they are sealed: a compressor for each log of a node would take more memory.
They are let go while they are compressed, so that they are never held twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..formats import layout
from ..formats.wal_chunk import ChunkBuilder
from ..formats.wal_chunk_header import MAX_POLLS, ChunkHeader
from ..formats.wal_join import Entries
from ..formats.wal_layout import ReplicaLog
from ..formats.wal_timeline import FIRST, GAP, RECREATED, REPLACED, Seen, Timeline
from ..stores.wal_files import Absent, Gap, NewEntries, NewTimeline, Place, WalFiles
from ..version import TOOL
from .clock import utc_now
from .data_keys import DataKey
from .fresh_id import fresh_id
from .wal_settings import MIB

# What one log may read before the others have their turn.
TURN_BYTES = MIB
# Of what a log held when it was first seen, nobody knows since when.
EVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class KnownPlace:
    """Where the archive of a replica ends: in ``log``, with the entry ``last`` and its ``crc``.

    ``after`` (aware): a time before which the entries that follow were not written.
    """

    log: ReplicaLog
    last: int
    crc: int
    after: datetime


@dataclass(frozen=True)
class Round:
    """When a round of polls was begun that read all there was: by the host's clock, and in seconds of uptime."""

    clock: datetime
    uptime: float


@dataclass(frozen=True)
class Sealed:
    """An object to store, in this order. ``header``: None for the record of a timeline, which then is ``timeline``.

    ``round``: all that was in the log then is in this or an earlier object, None where that was never so.
    """

    key: str
    data: bytes | bytearray
    log: ReplicaLog
    header: ChunkHeader | None = None
    timeline: Timeline | None = None
    round: Round | None = None

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return self.header.last - self.header.first + 1 if self.header is not None else 0


class Follower:
    """Follows one log. ``sealed`` is what waits to be taken; ``absent`` once the log is gone."""

    def __init__(
        self,
        cluster: str,
        log: ReplicaLog,
        directory: str | Path,
        place: KnownPlace | None,
        *,
        recreated: bool = False,
        lost: str = "",
        clock: Callable[[], datetime] = utc_now,
        data_key: Callable[[], DataKey | None] = lambda: None,
    ) -> None:
        """``log``: whose it is; its timeline counts for nothing.

        ``place``: where the archive ends, None where there is none. ``recreated``, ``lost`` (a sentence): the archive
        is not continued, because the log has come anew, or because what was read of it is lost. ``data_key``: what to
        encrypt the next chunk with, if with anything.
        """
        self._cluster, self._clock, self._data_key = cluster, clock, data_key
        self.replica = replace(log, timeline="")
        self._previous = place.log.timeline if place is not None else None
        self._previous_seen = Seen(place.after, place.last) if place is not None and not lost else None
        known = None if recreated or lost else place
        self._log = known.log if known is not None else None
        self._begins: tuple[str, str, tuple[int, int] | None] = (FIRST, "The log is followed for the first time.", None)
        if recreated:
            self._begins = (RECREATED, "The log was gone, and has come anew.", None)
        elif lost:
            self._begins = (GAP, lost, None)
        self._files = WalFiles(directory, Place(known.last + 1, known.crc) if known is not None else None)
        self._after = known.after if known is not None else EVER
        self._last = known.last if known is not None else None
        self._round: Round | None = None
        self._pieces: deque[tuple[Entries, datetime, datetime]] = deque()
        self._since = 0.0
        self._record: Timeline | None = None
        self.ended: Round | None = None
        self.size = 0
        self.sealed: list[Sealed] = []
        self.absent = False

    @property
    def unfinished(self) -> bool:
        """Whether the last poll has left something to read."""
        return self._round is not None

    @property
    def pending(self) -> int:
        """How many entries were read and not sealed."""
        return self._pieces[-1][0].stop - self._pieces[0][0].first if self._pieces else 0

    @property
    def timeline(self) -> str:
        """The timeline that what was read last is of; "" where the log has nothing that is of one."""
        return self._log.timeline if self._log is not None else ""

    @property
    def seen(self) -> Seen | None:
        """How the log of ``timeline`` ended when it was last seen; None where its end was not yet."""
        known = self._log is not None and self._last is not None and self._after != EVER
        return Seen(self._after, self._last or 0) if known else None

    def close(self) -> None:
        """Let the files go."""
        self._files.close()

    def due(self, interval: float) -> float | None:
        """The uptime at which to seal, None while there is nothing; ``interval``: seconds from the first entry on."""
        return self._since + interval if self._pieces else None

    def poll(self, seal_bytes: int) -> bool:
        """Read what is new; whether there is more. Raises what ``WalFiles.poll`` raises.

        ``seal_bytes``: seals what is as large as this.
        """
        budget = TURN_BYTES
        while budget > 0:
            self._round = self._round or Round(self._clock(), time.monotonic())
            found = self._files.poll(TURN_BYTES)
            if isinstance(found, NewEntries):
                budget -= len(found.entries.data)
                self._take(found.entries, seal_bytes)
                continue
            if isinstance(found, Gap):
                self._pass(found)
                continue
            if isinstance(found, NewTimeline):
                self._begin_anew(REPLACED, f"Another log has taken its place: {found.reason}.")
                self._after = EVER
                continue
            ended, self._round = self._round, None
            self.absent = isinstance(found, Absent)
            if not self.absent:
                self.ended, self._after = ended, ended.clock
            return False
        return True

    def seal(self) -> None:
        """Make an object of what was read since the last one."""
        if not self._pieces or self._log is None:
            return
        if self._record is not None:
            record, self._record = self._record, None
            self.sealed.append(Sealed(record.key, record.dump(), record.log, timeline=record))
        builder = ChunkBuilder(self._cluster, self._log)
        data = bytearray()
        while self._pieces:
            data += builder.add(*self._pieces.popleft())
        header, rest = builder.finish()
        data += rest
        key = self._data_key()
        if key is not None:
            header = key.seal_chunk(header, data)
        data[:0] = header.dump()
        self.sealed.append(Sealed(header.key, data, header.log, header, round=self.ended))
        self.size = 0

    def _take(self, entries: Entries, seal_bytes: int) -> None:
        if self._log is None:
            self._begin()
        if not self._pieces:
            self._since = time.monotonic()
        self._pieces.append((entries, self._after, self._clock()))
        self._last = entries.stop - 1
        self.size += len(entries.data)
        if self.size >= seal_bytes or len(self._pieces) >= MAX_POLLS:
            self.seal()

    def _pass(self, gap: Gap) -> None:
        """Go on behind entries that are lost; of several such gaps in a row one timeline tells."""
        earlier = self._begins[2] if self._log is None else None
        first = earlier[0] if earlier is not None else gap.first
        lost = f"The entries {first} to {gap.last} could not be read: {gap.reason}."
        self._begin_anew(GAP, lost, (first, gap.last))

    def _begin_anew(self, reason: str, detail: str, gap: tuple[int, int] | None = None) -> None:
        """The next entry is of another timeline."""
        if self._log is not None:
            self.seal()
            self._previous, self._previous_seen = self._log.timeline, self.seen
            self._log = self._last = None
        self._begins = (reason, detail, gap)

    def _begin(self) -> None:
        now = moment = self._clock()
        if self._previous is not None:
            # Timelines sort by their ids, also where the clock was set back.
            moment = max(moment, layout.backup_time(self._previous) + _SECOND)
        reason, detail, gap = self._begins
        self._log = replace(self.replica, timeline=fresh_id(moment))
        self._record = Timeline(
            self._cluster, self._log, now, reason, detail, dict(TOOL), self._previous, gap, self._previous_seen
        )
