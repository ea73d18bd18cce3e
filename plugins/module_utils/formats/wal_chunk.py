# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archived WAL chunks: a header line (``wal_chunk_header``), then the framed entries compressed with zstd.

With client-side encryption that body is one part as in ``sealed``, with the header's digest in its key.
A chunk is written while polls come in (``ChunkBuilder``), and read whole (``read_chunk``): a reader gets just the
entries that Qdrant wrote, or an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..errors import DamagedBackup, IntegrityError, InvalidInput
from . import wal
from .sealed import HEADER_SIZE, TAG_SIZE, WAL_CHUNK, PartOpener, PartSealer
from .wal_chunk_header import MAX_POLLS, MAX_RUNS, ChunkHeader, Poll
from .wal_join import Entries, missing_entries
from .wal_layout import ReplicaLog
from .wal_summary import Summarizer
from .zstd import zstandard

# Vectors hardly get smaller at higher levels.
_LEVEL = 1
_HINT = "Take this object from another copy of the repository, or restore to a moment before it."


class ChunkBuilder:
    """Collects the polls of one log until they are sealed as one object: header, then all bytes of ``add``, ``finish``.

    ``size``: bytes of entries so far; ``stop``: the index after the last one, None before the first.
    """

    def __init__(self, cluster: str, log: ReplicaLog) -> None:
        self._cluster = cluster
        self._log = log
        self._compressor = zstandard().ZstdCompressor(level=_LEVEL).compressobj()
        self._sha256, self._stored_sha256 = hashlib.sha256(), hashlib.sha256()
        self._stored_size = 0
        self._runs: list[tuple[int, int]] = []
        self._polls: list[Poll] = []
        self._summarizer = Summarizer()
        self._first = 0
        self._crc = 0
        self._previous_crc: int | None = None
        self.size = 0
        self.stop: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether the chunk must be sealed before another poll."""
        return len(self._polls) >= MAX_POLLS or len(self._runs) >= MAX_RUNS

    def add(self, entries: Entries, after: datetime, before: datetime) -> bytes:
        """The next bytes to store. ``entries`` follow those before, and were written between the two times (aware).

        Raises ``InvalidInput`` for entries that do not follow, without any, or where the chunk is full.
        """
        follows = self.stop is None or (entries.first == self.stop and entries.previous_crc == self._crc)
        if not follows or entries.first == entries.stop or self.is_full:
            raise InvalidInput(f"The entries {entries.first} to {entries.stop - 1} do not go into this WAL chunk.")
        if self.stop is None:
            self._first, self._previous_crc = entries.first, entries.previous_crc
        data = entries.data
        for run in entries.runs:
            if not self._runs or run.seed != self._crc:
                self._runs.append((run.first, run.seed))
            self._crc = wal.entry_crc(data, run, run.stop - 1)
        self._summarizer.add_all(entries)
        self.stop = entries.stop
        self._take_poll(Poll(entries.stop - 1, after, before))
        self.size += len(data)
        self._sha256.update(data)
        return self._store(self._compressor.compress(data))

    def finish(self) -> tuple[ChunkHeader, bytes]:
        """Seal it: the header, and the last bytes to store."""
        if self.stop is None:
            raise InvalidInput("A WAL chunk without entries cannot be stored.")
        rest = self._store(self._compressor.flush())
        header = ChunkHeader(
            cluster=self._cluster,
            log=self._log,
            first=self._first,
            last=self.stop - 1,
            previous_crc=self._previous_crc,
            last_crc=self._crc,
            runs=tuple(self._runs),
            polls=tuple(self._polls),
            summary=self._summarizer.summary(),
            size=self.size,
            sha256=self._sha256.hexdigest(),
            stored_size=self._stored_size,
            stored_sha256=self._stored_sha256.hexdigest(),
        )
        return header, rest

    def _take_poll(self, poll: Poll) -> None:
        """One poll may bring its entries in several pieces: those with the same bounds are one."""
        last = self._polls[-1] if self._polls else None
        if last is not None and (last.after, last.before) == (poll.after, poll.before):
            self._polls.pop()
        self._polls.append(poll)

    def _store(self, data: bytes) -> bytes:
        self._stored_sha256.update(data)
        self._stored_size += len(data)
        return data


def seal_chunk(
    header: ChunkHeader, body: bytearray, secret: bytes, key_id: str, wrap: dict[str, Any], salt: bytes
) -> ChunkHeader:
    """Encrypt the body of a chunk (all bytes of a ``ChunkBuilder``) where it is; the header that it has then.

    ``secret``: the data key; ``key_id``, ``wrap``: its id and its wrap; ``salt``: 32 random bytes.
    """
    body[:0] = bytes(HEADER_SIZE)
    body += bytes(TAG_SIZE)
    sealed = replace(header, sha256=None, stored_size=len(body), client_encryption={"data_key": key_id, "wrap": wrap})
    with memoryview(body) as part:
        PartSealer(secret, key_id, salt, WAL_CHUNK + sealed.digest()).seal(part, 1, True)
        return replace(sealed, stored_sha256=hashlib.sha256(part).hexdigest())


def prove_stored(data: bytes) -> tuple[ChunkHeader, memoryview]:
    """The header of a whole object, and what follows it, encrypted or not; proved by their digests.

    Raises ``IntegrityError``.
    """
    header, stored = _split(data)
    _require_stored(header, stored)
    return header, stored


def prove_chunk(
    data: bytes, secret_of: Callable[[ChunkHeader], bytes | None] = lambda _header: None, summary: bool = False
) -> ChunkHeader:
    """The header of a whole object, which is proved: without a data key by the digests alone, otherwise as when it is
    read.

    ``secret_of``: gives the data key of a chunk that is encrypted, or None where it cannot. ``summary``: whether to
    compare what it says of the entries, too, which takes about as long: nothing but an error of the archiver could be
    found. Raises ``IntegrityError``.
    """
    header, stored = prove_stored(data)
    secret = b"" if header.client_encryption is None else secret_of(header)
    if secret is not None:
        entries = unpack(header, stored, secret)
        if summary:
            _require_summary(header, entries)
    return header


def read_chunk(data: bytes, secret: bytes = b"") -> tuple[ChunkHeader, Entries]:
    """The header and the entries of a whole object.

    ``secret``: the data key of one that is encrypted. All that is given is proved: the digests of the header and of the
    entries, or of what is encrypted, the chain of CRCs, and that there is just one entry for each index. Raises
    ``IntegrityError`` otherwise.
    """
    header, stored = _split(data)
    if header.sha256 is None:
        _require_stored(header, stored)
    return header, unpack(header, stored, secret)


def _split(data: bytes) -> tuple[ChunkHeader, memoryview]:
    header = ChunkHeader.parse(data)
    stored = memoryview(data)[len(header.dump()) :]
    if len(stored) != header.stored_size:
        raise _damaged(header, f"it has {len(stored)} bytes instead of the {header.stored_size} that its header says")
    return header, stored


def _require_stored(header: ChunkHeader, stored: memoryview) -> None:
    if hashlib.sha256(stored).hexdigest() != header.stored_sha256:
        raise _damaged(header, "its bytes differ from the digest in its header")


def unpack(header: ChunkHeader, stored: bytes | memoryview, secret: bytes = b"") -> Entries:
    """The entries in what follows the header of a chunk; as ``read_chunk``."""
    unpacked = _unpacked(header, _opened(header, stored, secret))
    is_other = header.sha256 is not None and hashlib.sha256(unpacked).hexdigest() != header.sha256
    if len(unpacked) != header.size or is_other:
        raise _damaged(header, "its entries differ from the digest in its header")
    return Entries(unpacked, _runs(header, unpacked), header.previous_crc, header.last_crc)


def _opened(header: ChunkHeader, stored: bytes | memoryview, secret: bytes) -> bytes | memoryview:
    sealed = header.client_encryption
    if sealed is None:
        return stored
    opener = PartOpener(secret, sealed["data_key"], 1, header.key, WAL_CHUNK + header.digest())
    try:
        return opener.open(stored, 1)
    except DamagedBackup as error:
        raise _damaged(header, f"it does not open below its header ({error.detail.rstrip('.')})") from error


def _require_summary(header: ChunkHeader, entries: Entries) -> None:
    summarizer = Summarizer()
    summarizer.add_all(entries)
    if header.summary.contradicts(summarizer.summary()):
        raise _damaged(header, "its entries do something else than its header says")


def _unpacked(header: ChunkHeader, stored: bytes | memoryview) -> bytes:
    """The framed entries; never much more than the header says, whatever the frame would give."""
    zstd = zstandard()
    try:
        # In one piece: to join many costs as much as to unpack them. Memory that is not filled is not taken.
        return bytes(zstd.ZstdDecompressor().stream_reader(stored).read(header.size + 1))
    except zstd.ZstdError as error:
        raise _damaged(header, f"it cannot be decompressed ({error})") from error
    except (MemoryError, OverflowError) as error:
        raise _damaged(header, f"no memory holds the {header.size} bytes that it is said to have") from error


def _runs(header: ChunkHeader, data: bytes) -> tuple[wal.Segment, ...]:
    """The entries in each run; every one must be there and valid, and nothing else."""
    runs: list[wal.Segment] = []
    offset = 0
    stops = [index for index, _seed in header.runs[1:]] + [header.last + 1]
    for (first, seed), stop in zip(header.runs, stops, strict=True):
        run = wal.scan_from(header.key, wal.Position(first, offset, seed), data, stop, offset).entries
        if run.stop != stop:
            raise _damaged(header, f"entry {run.stop} in it is not valid")
        runs.append(run)
        offset = run.offset(stop)
    if offset != len(data) or wal.entry_crc(data, runs[-1], header.last) != header.last_crc:
        raise _damaged(header, "it does not end with its last entry")
    return tuple(runs)


@dataclass(frozen=True)
class Needed:
    """A chunk that a restore needs, and which of its entries: ``first`` to ``last`` (inclusive)."""

    header: ChunkHeader
    first: int
    last: int

    @property
    def is_whole(self) -> bool:
        """Whether these are all entries of the chunk."""
        return (self.first, self.last) == (self.header.first, self.header.last)


def goes_on(before: Needed, after: Needed) -> bool:
    """Whether the entries of ``after`` can follow those of ``before`` in one segment as they are."""
    ends = len(before.header.runs) == 1 and before.last == before.header.last
    seed = after.header.runs[0][1] if after.first == after.header.first else None
    return ends and seed == before.header.last_crc


def cover(headers: Iterable[ChunkHeader], first: int, last: int) -> list[Needed]:
    """The chunks of one log that hold the entries ``first`` to ``last`` (inclusive), in order, each entry once.

    Raises ``WalGap`` where entries are missing, ``IntegrityError`` where a chunk does not continue the one before.
    """
    needed: list[Needed] = []
    following = first
    for header in sorted(headers, key=lambda header: (header.first, -header.last)):
        if header.last < following:
            continue
        if following > last:
            break
        if header.first > following:
            raise missing_entries(following, min(header.first - 1, last))
        if needed:
            require_continuous(needed[-1].header, header)
        needed.append(Needed(header, following, min(last, header.last)))
        following = header.last + 1
    if following <= last:
        raise missing_entries(following, last)
    return needed


def require_continuous(before: ChunkHeader, after: ChunkHeader) -> None:
    """Raise ``IntegrityError`` where the headers show that ``after`` is of another log than ``before``.

    Chunks that overlap say nothing here: ``Joiner`` compares an entry that both have.
    """
    same_log = (before.cluster, before.log) == (after.cluster, after.log)
    adjacent = after.first == before.last + 1
    if not same_log or (adjacent and after.previous_crc != before.last_crc):
        raise IntegrityError(
            f"The archived WAL chunk {after.key} does not continue {before.key}.",
            "They are of different timelines; restore to a moment before, or take another backup.",
        )


def _damaged(header: ChunkHeader, why: str) -> IntegrityError:
    return IntegrityError(f"The archived WAL chunk {header.key} is damaged: {why}.", _HINT)
