# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One replica's write-ahead log on this host, followed while Qdrant writes it. Nothing is ever written there.

An idle poll is three calls of the system and reads 12 bytes. It does not go by the times of the log's files: Qdrant
writes them through a memory map, which need not change them at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..errors import FileError, IntegrityError
from ..formats import wal
from ..formats.wal_join import Entries
from .wal_directory import Listing, TailChanged, WalDirectory, WalFile

_MAX_BYTES = 4 * 1024 * 1024
_STEPS = 8
_REMOVED = "Qdrant has removed them"


@dataclass(frozen=True)
class Place:
    """Where a reader goes on: ``index`` of the next entry, ``crc`` of the one before (None: nothing to compare)."""

    index: int
    crc: int | None


class Found:
    """What a poll found: one of the following."""


@dataclass(frozen=True)
class NewEntries(Found):
    """Entries that follow those before (or a gap, or begin a timeline), all from one file."""

    entries: Entries


@dataclass(frozen=True)
class Gap(Found):
    """The entries ``first`` to ``last`` (inclusive) cannot be had any more; what follows them can."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True)
class NewTimeline(Found):
    """The log is not the one that was followed. The next poll begins with the first entry that it has."""

    reason: str


@dataclass(frozen=True)
class Absent(Found):
    """There is no such log here. One that appears after it was seen gone is a new timeline."""


class WalFiles:
    """Follows the log in ``directory`` (``collections/<c>/<shard>/wal``), from ``after`` on or from its first entry.

    Files and the directory are held open, so that entries of a file that Qdrant has closed and removed meanwhile, or
    of a directory that it has replaced, are still read to their end.
    """

    def __init__(self, directory: str | Path, after: Place | None = None) -> None:
        self._path = Path(directory)
        self._place = after
        self._directory: WalDirectory | None = None
        self._file: WalFile | None = None

    def __enter__(self) -> WalFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def place(self) -> Place | None:
        """Where the next poll goes on, None before the first entry of a log."""
        return self._place

    def close(self) -> None:
        """Let all files go; ``place`` stays, and a later poll goes on there."""
        self._leave_file()
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    def poll(self, max_bytes: int = _MAX_BYTES) -> Found | None:
        """What is new; call again until it is None, or ``Absent``. Raises ``FileError`` and ``IntegrityError``.

        ``max_bytes``: the most to return at once; an entry that is larger comes alone.
        """
        try:
            return self._poll(max_bytes)
        except OSError as error:
            raise FileError(
                f"The write-ahead log in {self._path} cannot be read: {error.strerror}.",
                "It must be readable for the user that this runs as.",
            ) from error

    def _poll(self, max_bytes: int) -> Found | None:
        if self._directory is None:
            try:
                self._directory = WalDirectory(self._path)
            except (FileNotFoundError, NotADirectoryError):
                return Absent()
        # Asked first: what a directory that has gone had until then is read before that is told.
        gone = self._gone(self._directory)
        try:
            found = self._next(self._directory, max_bytes)
        except IntegrityError:
            # Damage in a log that is gone for good must not keep from the one in its place.
            if gone is None:
                raise
            found = None
        if found is None and gone is not None:
            self.close()
            self._place = None
            return gone
        return found

    def _gone(self, directory: WalDirectory) -> Found | None:
        try:
            return None if directory.is_at_its_path() else NewTimeline("the directory was replaced")
        except (FileNotFoundError, NotADirectoryError):
            return Absent()

    def _next(self, directory: WalDirectory, max_bytes: int) -> Found | None:
        try:
            # Each step reads, finds nothing, or goes to another file. More than a few mean that all changes meanwhile.
            for _step in range(_STEPS):
                file = self._file
                if file is None:
                    found = self._resume(directory)
                elif (taken := file.read(max_bytes)) is not None:
                    return self._taken(*taken)
                elif file.final:
                    found = self._go_on(directory, file)
                else:
                    file.final = directory.has_changed() and (directory.is_closed(file) or file.is_removed)
                    if file.final:  # read once more: entries may have come before it was closed
                        file.name = f"closed-{file.first}"
                        continue
                    return None
                if found is not None or self._file is file:
                    return found
        except TailChanged:
            return self._start_over("the end of the log was cut or written anew")
        return None

    def _taken(self, data: bytes, run: wal.Segment) -> NewEntries:
        previous = self._place.crc if self._place is not None else None
        last = wal.entry_crc(data, run, run.stop - 1)
        self._place = Place(run.stop, last)
        return NewEntries(Entries(data, (run,), previous, last))

    def _go_on(self, directory: WalDirectory, file: WalFile) -> Gap | None:
        """After a file that was read to its end: on to the next one, if there is one, with the file left otherwise."""
        listing, place = directory.listing(), self._place
        if listing is None or place is None:
            return None
        later = [first for first in listing.closed if first >= place.index and first != file.first]
        stays = directory.is_closed(file)
        if later and later[0] > place.index:
            return self._gap(place.index, later[0] - 1, f"{file.name} is damaged" if stays else _REMOVED)
        if later:
            following = directory.open_closed(place.index)
        elif stays:
            following = _begun(directory, listing, file)
        else:
            # Not how Qdrant leaves it: look at everything anew.
            self._leave_file()
            return None
        if following is not None:
            self._enter(following, place)
        return None

    def _resume(self, directory: WalDirectory) -> Gap | NewTimeline | None:
        """Find the file with the next entry, knowing only its index and the CRC before; no file where there is none."""
        listing = directory.listing()
        if listing is None or not (listing.closed or listing.opens):
            return None
        place = self._place = self._place or Place(listing.closed[0] if listing.closed else 0, None)
        # The file with the entry before holds the proof that this is the same log.
        until = place.index if place.crc is None else place.index - 1
        before = [first for first in listing.closed if first <= until]
        later = listing.closed[len(before) :]
        if not before:
            return self._without(place, later[0], _REMOVED) if later else self._resume_open(directory, listing, place)
        file = directory.open_closed(before[-1])
        if file is None:
            return None
        file.skip_to(place.index)
        if file.stop == place.index:
            return self._prove(file, place, file.crc)
        if not later:
            return self._resume_open(directory, listing, place, file)
        file.close()
        return self._without(place, later[0], f"{file.name} is damaged")

    def _without(self, place: Place, first: int, reason: str) -> Gap | NewTimeline:
        """Neither the next entry is there nor, where a file begins with it (``first``), the one before it."""
        if first > place.index:
            return self._gap(place.index, first - 1, reason)
        return self._start_over(f"the entry before {place.index} is no longer there to compare with")

    def _resume_open(
        self, directory: WalDirectory, listing: Listing, place: Place, last: WalFile | None = None
    ) -> NewTimeline | None:
        """Go on in the open file, which begins where the ``last`` closed one ends, or with entry 0."""
        start, crc = (last.stop, last.crc) if last is not None else (0, None)
        file = _begun(directory, listing, last)
        if last is not None:
            last.close()
        if file is not None:
            file.skip_to(place.index)
            if file.stop == place.index:
                return self._prove(file, place, file.crc if place.index > start else crc)
            file.close()
        elif place.index == 0 or directory.fresh_listing() != listing:
            # Nothing is written yet, or a file is just being renamed.
            return None
        return self._start_over(f"the log ends before entry {place.index - 1}")

    def _prove(self, file: WalFile, place: Place, crc: int | None) -> NewTimeline | None:
        """Go on in this file, if the entry before has the CRC that it had."""
        if place.crc is not None and crc != place.crc:
            file.close()
            return self._start_over(f"entry {place.index - 1} is not the one that was read before")
        self._enter(file, Place(place.index, crc if place.index > file.first else place.crc))
        return None

    def _enter(self, file: WalFile, place: Place) -> None:
        self._leave_file()
        self._file, self._place = file, place

    def _leave_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _gap(self, first: int, last: int, reason: str) -> Gap:
        self._leave_file()
        self._place = Place(last + 1, None)
        return Gap(first, last, reason)

    def _start_over(self, reason: str) -> NewTimeline:
        self._leave_file()
        self._place = None
        return NewTimeline(reason)


def _begun(directory: WalDirectory, listing: Listing, last: WalFile | None) -> WalFile | None:
    """The open file that is in use, whose first entry follows the ``last`` closed file or is entry 0; None without one.

    Raises ``IntegrityError`` where the last closed file is damaged: then nobody knows which index follows.
    """
    first = last.stop if last is not None else 0
    for name in listing.opens:
        file = directory.open_open(name, first)
        if file is None:
            return None
        # What Qdrant has closed since the listing would shift the indexes: then the next poll looks anew.
        if file.has_entry() and directory.fresh_listing() == listing:
            if last is None or last.ends_cleanly():
                return file
            file.close()
            raise IntegrityError(
                f"The WAL file {last.name} is damaged after entry {last.stop - 1}: which entries follow is not known.",
                "It is known again once Qdrant has closed its present file. Check the disk, and make a new backup.",
            )
        file.close()
    return None
