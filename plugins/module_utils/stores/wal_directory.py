# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory and the files of one WAL, held open: what Qdrant renames, removes or replaces can still be read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ..formats import wal

# Reads are tried with this many bytes first: most polls find little.
_FIRST_READ = 64 * 1024
_SKIP_READ = 4 * 1024 * 1024
_CRC_SIZE = 4
_LENGTH_SIZE = 8
# Two changes of a directory within one tick of the file system's clock leave the same time; ext3 ticks in seconds.
_TICK = 1.1
_LISTINGS = 5


class TailChanged(Exception):
    """The bytes before a reader's position are not those that it has read."""


class WalFile:
    """One file of the log. ``first``: the index of its first entry; ``final``: no entry will be added to it."""

    def __init__(self, handle: int, name: str, first: int, *, final: bool) -> None:
        self._handle = handle
        self.name = name
        self.first = first
        self.final = final
        self._clean_at: wal.Position | None = None
        # None while Qdrant has not written the header.
        self.position = self._begin()

    @property
    def stop(self) -> int:
        """The index of the next entry."""
        return self.first if self.position is None else self.position.index

    @property
    def crc(self) -> int | None:
        """What the CRC of the next entry continues from: that of the entry before, or the file's seed."""
        return None if self.position is None else self.position.crc

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this file from any other, whatever its name."""
        status = os.fstat(self._handle)
        return status.st_dev, status.st_ino

    @property
    def is_removed(self) -> bool:
        """Whether the file has no name any more."""
        return os.fstat(self._handle).st_nlink == 0

    def read(self, max_bytes: int) -> tuple[bytes, wal.Segment] | None:
        """The next entries, framed: at most ``max_bytes`` or one entry, None for none. Raises ``TailChanged``."""
        self.position = self.position or self._begin()
        if self.position is None:
            return None
        around = os.pread(self._handle, _CRC_SIZE + _LENGTH_SIZE, self.position.offset - _CRC_SIZE)
        if around[:_CRC_SIZE] != self.position.crc.to_bytes(_CRC_SIZE, "little"):
            raise TailChanged
        # Qdrant writes the length first: while it is zero, nothing was begun.
        if not any(around[_CRC_SIZE:]):
            return None
        data, scanned = self._scan(self.position, min(_FIRST_READ, max_bytes))
        if scanned.wanted and max_bytes > _FIRST_READ:
            data, scanned = self._scan(self.position, max_bytes)
        if not scanned.entries.ends:
            return None
        self.position = scanned.position
        return data[: scanned.entries.ends[-1]], scanned.entries

    def skip_to(self, index: int) -> None:
        """Go on to the entry with this index, or to the last valid one before it."""
        position = self.position = self.position or self._begin()
        while position is not None and position.index < index:
            scanned = self._scan(position, _SKIP_READ, index)[1]
            if not scanned.entries.ends:
                return
            position = self.position = scanned.position

    def has_entry(self) -> bool:
        """Whether the entry at the position is there and valid."""
        position = self.position = self.position or self._begin()
        return position is not None and bool(self._scan(position, _FIRST_READ, position.index + 1)[1].entries.ends)

    def ends_cleanly(self) -> bool:
        """Whether only zeros follow the position. Otherwise entries may be missing that were there once."""
        if self._clean_at != self.position and self.position is not None:
            offset = self.position.offset
            while block := os.pread(self._handle, _SKIP_READ, offset):
                if block.count(0) != len(block):
                    return False
                offset += len(block)
            self._clean_at = self.position
        return self._clean_at is not None

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)

    def _begin(self) -> wal.Position | None:
        return wal.begin(self.name, self.first, os.pread(self._handle, wal.HEADER_SIZE, 0))

    def _scan(self, position: wal.Position, size: int, stop: int | None = None) -> tuple[bytes, wal.Scanned]:
        """Entries in the next ``size`` bytes; in more, where the first one is larger and the file has it."""
        left = os.fstat(self._handle).st_size - position.offset
        while True:
            data = os.pread(self._handle, size, position.offset)
            scanned = wal.scan_from(self.name, position, data, stop)
            if scanned.entries.ends or not len(data) < scanned.wanted <= left:
                return data, scanned
            size = scanned.wanted


@dataclass(frozen=True)
class Listing:
    """The files of a WAL: the first indexes of the closed ones and the names of the open ones, in order."""

    closed: tuple[int, ...]
    opens: tuple[str, ...]


class WalDirectory:
    """A WAL directory. Raises OSError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.fstat(self._handle)
        # Held open, so its inode number goes to no other directory.
        self._identity = (status.st_dev, status.st_ino)
        self._changed_at = -1
        self._seen_at = 0.0
        self._settled = False
        self._listing: Listing | None = None

    def is_at_its_path(self) -> bool:
        """Whether the path still leads to this directory. Raises FileNotFoundError where it leads to none."""
        status = os.stat(self._path)
        return (status.st_dev, status.st_ino) == self._identity

    def has_changed(self) -> bool:
        """Whether a file may have come, gone or been renamed since this was last asked."""
        changed_at = os.fstat(self._handle).st_mtime_ns
        if changed_at != self._changed_at:
            self._changed_at, self._seen_at, self._settled = changed_at, time.monotonic(), False
        elif self._settled:
            return False
        else:
            self._settled = time.monotonic() - self._seen_at > _TICK
        self._listing = None
        return True

    def listing(self) -> Listing | None:
        """The files, as they were together at one moment; None where they change all the time."""
        self.has_changed()
        if self._listing is None:
            self._listing = self.fresh_listing()
        return self._listing

    def fresh_listing(self) -> Listing | None:
        """``listing``, read again. A file that is renamed meanwhile can be missing from one reading, not from two."""
        before: Listing | None = None
        for _reading in range(_LISTINGS):
            names = wal.in_order(os.listdir(self._handle))
            opens = tuple(name for name in names if name.startswith("open-"))
            found = Listing(tuple(wal.first_index(name, 0) for name in names[: len(names) - len(opens)]), opens)
            if found == before:
                return found
            before = found
        return None

    def open_closed(self, first: int) -> WalFile | None:
        """The closed file that begins with this index, None where it is gone."""
        return self._open(f"closed-{first}", first, final=True)

    def open_open(self, name: str, first: int) -> WalFile | None:
        """An open file, whose first entry has or would have this index; None where it is gone or renamed."""
        return self._open(name, first, final=False)

    def is_closed(self, file: WalFile) -> bool:
        """Whether this very file is a closed one of this directory."""
        try:
            status = os.stat(f"closed-{file.first}", dir_fd=self._handle)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == file.identity

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._handle)

    def _open(self, name: str, first: int, *, final: bool) -> WalFile | None:
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._handle)
        except FileNotFoundError:
            return None
        try:
            return WalFile(handle, name, first, final=final)
        except BaseException:
            os.close(handle)
            raise
