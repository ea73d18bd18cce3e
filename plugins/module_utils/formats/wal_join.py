# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One log out of many pieces: runs of entries, from chunks and archives, become segments for a restore."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import IntegrityError, WalGap
from . import wal


@dataclass(frozen=True)
class Entries:
    """Contiguous framed entries in ``data``.

    ``runs``: one for each chain of CRCs (Qdrant begins one with each file), in order. ``previous_crc``: the CRC that
    the entry before the first one has in the replica's own log, ``last_crc`` that of the last one; None where it is
    not known, or where the entries have been re-framed since.
    """

    data: bytes
    runs: tuple[wal.Segment, ...]
    previous_crc: int | None = None
    last_crc: int | None = None

    @property
    def first(self) -> int:
        """The index of the first entry."""
        return self.runs[0].first

    @property
    def stop(self) -> int:
        """The index after the last entry."""
        return self.runs[-1].stop

    def framed_size(self, first: int, stop: int) -> int:
        """The bytes that the entries ``first`` (inclusive) to ``stop`` (exclusive) take in a segment."""
        return sum(run.framed_size(*part) for run in self.runs if (part := _part(run, first, stop)))

    def entry(self, index: int) -> bytes:
        """The bytes (CBOR) that Qdrant wrote as the operation with this index."""
        run = next(run for run in self.runs if run.first <= index < run.stop)
        return wal.entry_data(self.data, run, index)

    def items(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of the entries ``first`` (inclusive) to ``stop`` (exclusive)."""
        for run in self.runs:
            for index in range(*(_part(run, first, stop) or (0, 0))):
                yield index, wal.entry_data(self.data, run, index)


class Joiner:
    """Makes segments with the entries ``first`` to ``last`` of pieces of one replica's log, added in order.

    Pieces may overlap; where they do, an entry that both have must be the same in both. Only one piece is held. Entries
    are framed anew only where their chain of CRCs does not go on from those before, in the same segment.
    """

    def __init__(self, first: int, last: int) -> None:
        self._next = first
        self._stop = last + 1
        self._writer: wal.Writer | None = None
        self._last_crc: int | None = None
        self._last_entry: bytes | None = None

    def begin_segment(self) -> None:
        """The next piece begins another segment, whose header goes before it."""
        self._writer = None

    def add(self, entries: Entries) -> Iterator[bytes | memoryview]:
        """The next blocks of the segment.

        Raises ``WalGap`` where entries before these are missing, ``IntegrityError`` where they continue another log.
        """
        if self._next == self._stop:
            return
        if entries.first > self._next:
            raise missing_entries(self._next, entries.first - 1)
        self._compare(entries)
        stop = min(entries.stop, self._stop)
        if stop <= self._next:
            return
        for run in entries.runs:
            part = _part(run, self._next, stop)
            if part:
                yield from self._framed(entries.data, run, *part)
        self._next = stop
        self._last_crc = entries.last_crc
        self._last_entry = hashlib.sha256(entries.entry(stop - 1)).digest()

    def _framed(self, data: bytes, run: wal.Segment, first: int, stop: int) -> Iterator[bytes | memoryview]:
        if self._writer is None:
            self._writer = wal.Writer(wal.entry_crc(data, run, first - 1))
            yield self._writer.header
        yield from self._writer.reframe(data, run, first, stop)

    def finish(self) -> None:
        """No more pieces will come; raises ``WalGap`` where the last entries are missing."""
        if self._next < self._stop:
            raise missing_entries(self._next, self._stop - 1)

    def _compare(self, entries: Entries) -> None:
        """Refuse entries of another log, as far as that can be seen where they join."""
        if self._last_entry is None:
            return
        before = self._next - 1
        if entries.first == self._next:
            known = self._last_crc is not None and entries.previous_crc is not None
            same = not known or self._last_crc == entries.previous_crc
        else:
            same = entries.stop <= before or hashlib.sha256(entries.entry(before)).digest() == self._last_entry
        if not same:
            raise IntegrityError(
                f"The archived entries from {entries.first} on do not continue the log that ends with entry {before}.",
                "They are of another timeline; restore to a moment before, or take another backup.",
            )


def _part(run: wal.Segment, first: int, stop: int) -> tuple[int, int] | None:
    """What of the entries ``first`` (inclusive) to ``stop`` (exclusive) is in this run, None for nothing."""
    low, high = max(first, run.first), min(stop, run.stop)
    return (low, high) if low < high else None


def missing_entries(first: int, last: int) -> WalGap:
    """The error for archived entries that are not there, ``first`` to ``last`` (inclusive)."""
    return WalGap(
        f"The archived log lacks the entries {first} to {last}.", "Restore to a moment before, or from a newer base."
    )
