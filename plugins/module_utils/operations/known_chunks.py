# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chunks the repository has: looked up on disk, so that the memory does not grow with the collection.

The chunks of a TiB, some 24 million, take 1 to 2 GiB of a temporary file, which has no name and goes with the process.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from ..formats.chunk_list import Chunk

# Of pages that are kept in memory, in KiB.
_CACHE_KIB = 16 * 1024
_AT_ONCE = 1000


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
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute(
            "CREATE TABLE chunks (sha256 BLOB PRIMARY KEY, pack INTEGER, at INTEGER, stored INTEGER) WITHOUT ROWID"
        )

    def __enter__(self) -> KnownChunks:
        return self

    def __exit__(self, *_exc: object) -> None:
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
        row = self._database.execute("SELECT pack, at, stored FROM chunks WHERE sha256 = ?", (sha256,)).fetchone()
        return Stored(*row) if row else None

    def _insert(self, rows: list[tuple[bytes, int, int, int]]) -> None:
        try:
            self._database.executemany("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise OSError(errno.ENOSPC, str(error)) from error
        rows.clear()
