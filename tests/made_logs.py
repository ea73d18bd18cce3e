# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write-ahead log on disk that does at once whatever a test says, as Qdrant 1.16.3 would do it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.made_snapshots import chained_crc, wal_segment

CAPACITY = 128


class MadeLog:
    """A WAL directory whose files are changed as Qdrant changes them."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self.path = path
        path.mkdir()
        self.entries: list[bytes] = []
        self.closed: list[int] = []
        self._seed, self._id = seed, 0
        self._start = 0
        self._rest: bytes = b""
        self._ahead = self._create()
        self._retire()

    def append(self, entry: bytes, written: int | None = None) -> None:
        """Write an entry; with ``written`` only its first bytes, the rest at the next call of ``complete``."""
        self.complete()
        frame = len(entry).to_bytes(8, "little") + entry + bytes((4 - len(entry)) & 7)
        if self._offset + len(frame) + 4 > max(CAPACITY, os.path.getsize(self._file)) and self._offset > 8:
            self.rotate()
        self._crc = chained_crc(self._crc, frame)
        frame += self._crc.to_bytes(4, "little")
        missing = self._offset + len(frame) - os.path.getsize(self._file)
        if missing > 0:
            os.truncate(self._file, os.path.getsize(self._file) + missing)
        written = len(frame) if written is None else min(written, len(frame) - 1)
        self._write(frame[:written], self._offset)
        self.entries.append(entry)
        self._offset += len(frame)
        self._rest = frame[written:]

    def rotate(self) -> None:
        """Close the file, and go on in the one that was made ahead."""
        self._file = self._file.rename(self.path / f"closed-{self._start}")
        self.closed.append(self._start)
        self._start = len(self.entries)
        self._retire()

    def complete(self) -> None:
        """Write what is missing of the last entry."""
        self._write(self._rest, self._offset - len(self._rest))
        self._rest = b""

    def prune(self, keep: int) -> None:
        """Remove the oldest closed files, all but the last ``keep`` of them."""
        while len(self.closed) > keep:
            (self.path / f"closed-{self.closed.pop(0)}").unlink()

    def cut(self, offset: int) -> None:
        """Let the entries of the open file end at this offset."""
        self._write(bytes(CAPACITY - offset), offset)

    @property
    def visible(self) -> int:
        """The index after the last entry that is written completely."""
        return len(self.entries) - bool(self._rest)

    def _create(self) -> Path:
        self._id += 1
        file = self.path / f"open-{self._id}"
        file.write_bytes(wal_segment([], self._seed + self._id, CAPACITY))
        return file

    def _retire(self) -> None:
        self._file, self._offset, self._crc = self._ahead, 8, self._seed + self._id
        self._ahead = self._create()

    def _write(self, data: bytes, offset: int) -> None:
        handle = os.open(self._file, os.O_WRONLY)
        os.pwrite(handle, data, offset)
        os.close(handle)
