# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chunks the repository has: looked up on disk, so that the memory does not grow with the collection.

The chunks of a TiB, some 24 million, take 1 to 2 GiB of a temporary file, which has no name and goes with the process.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..formats.chunk_list import Chunk

# Of pages that are kept in memory, in KiB.
_CACHE_KIB = 16 * 1024
_AT_ONCE = 1000
_SCRIPT = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE chunks (sha256 BLOB PRIMARY KEY, pack INTEGER, at INTEGER, stored INTEGER) WITHOUT ROWID;
"""
_FIND = "SELECT pack, at, stored FROM chunks WHERE sha256 = ?"
_INSERT = "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?)"


class Stored(NamedTuple):
    """Where a chunk is: the number of its pack, its ``offset`` there, and how many bytes it takes."""

    pack: int
    offset: int
    stored: int


class KnownChunks:
    """Chunks by their SHA-256. Use it as a context manager, by one thread. Raises OSError where the disk is full."""

    def __init__(self) -> None:
        # An empty name is a temporary file.
        self._database = sqlite3.connect("", isolation_level=None)
        self._do(lambda: self._database.executescript(_SCRIPT))

    def __enter__(self) -> KnownChunks:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def learn(self, pieces: Iterable[bytes | Chunk]) -> None:
        """Take all chunks of a list, by the numbers of its own packs; what is known already stays."""
        rows: list[tuple[bytes, int, int, int]] = []
        for piece in pieces:
            if isinstance(piece, Chunk):
                rows.append((piece.sha256, piece.pack, piece.offset, piece.stored))
                if len(rows) == _AT_ONCE:
                    self._insert(rows)
        self._insert(rows)

    def add(self, sha256: bytes, place: Stored) -> None:
        """Remember a chunk."""
        self._insert([(sha256, *place)])

    def find(self, sha256: bytes) -> Stored | None:
        """Where a chunk is, None for one that is not known."""
        rows = self._do(lambda: self._database.execute(_FIND, (sha256,)).fetchall())
        return Stored(*rows[0]) if rows else None

    def _insert(self, rows: list[tuple[bytes, int, int, int]]) -> None:
        self._do(lambda: self._database.executemany(_INSERT, rows))
        rows.clear()

    @staticmethod
    def _do(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except sqlite3.Error as error:
            raise OSError(errno.ENOSPC, str(error)) from error
