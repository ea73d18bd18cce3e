# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a stored object, each from the first source whose bytes match the manifest.

The part is the unit of proof: nothing leaves here that has not matched its SHA-256. Restore, copy and
verification read through this one door.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

from ..errors import (
    BucketNotFound,
    DamagedBackup,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from ..stores.repository import Repository

FAILURES_UNTIL_DOWN = 2
# What tells of the way to a source, and nothing of an object in it.
NOT_REACHED = (StoreUnreachable, StoreDenied, BucketNotFound)


class SourceHealth:
    """Which sources are given up for the rest of a run; one of these is shared by all objects of it.

    ``down`` maps the name of a source to the reason; ``notes`` lists each failure as
    ``{"source", "object", "reason"}``.
    """

    def __init__(self) -> None:
        self.down: dict[str, str] = {}
        self.notes: list[dict[str, str]] = []
        self._failures: dict[str, int] = {}
        self._lock = Lock()

    def answered(self, source: Repository) -> None:
        """The source has answered: forget failures before."""
        with self._lock:
            self._failures.pop(source.name, None)

    def note(self, source: Repository, key: str, reason: str) -> None:
        """Remember what a source did not have right."""
        self.notes.append({"source": source.name, "object": key, "reason": reason})

    def failed(self, source: Repository, key: str, error: StoreError) -> None:
        """Count a failure to reach the source; wrong credentials or no bucket mean down at once."""
        with self._lock:
            count = self._failures.get(source.name, 0) + 1
            self._failures[source.name] = count
            if source.name in self.down:
                return
            self.note(source, key, error.detail)
            if count >= FAILURES_UNTIL_DOWN or not isinstance(error, StoreUnreachable):
                self.down[source.name] = error.detail


def add_served(total: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    """Add ``more``, of the shape of ``VerifiedParts.served``, to ``total``."""
    for name, count in more.items():
        sums = total.setdefault(name, {"parts": 0, "bytes": 0})
        sums["parts"] += count["parts"]
        sums["bytes"] += count["bytes"]


class VerifiedParts:
    """Iterates over the parts of one object in order, reading ahead in threads, in constant memory.

    At most ``prefetch`` parts are held beside the one that the caller has. Use it as a context manager: leaving
    it stops the threads.

    Attributes:
        served: per source name ``{"parts": n, "bytes": n}`` of what came from it.
        damaged: ``{"object", "part" (from 1 on), "source", "reason", "served_by"}`` of each bad or missing part;
            ``served_by`` is the source that had it right (the same one, if the second reading was good).
    """

    def __init__(
        self,
        sources: Sequence[Repository],
        key: str,
        stored: dict[str, Any],
        prefetch: int = 4,
        health: SourceHealth | None = None,
    ) -> None:
        """
        Args:
            sources: where to look, in this order.
            key: the object's key, relative to a repository's root.
            stored: the manifest's ``object``: ``size``, ``part_size`` and ``parts``.
            prefetch: parts read ahead, each by a thread of its own.
            health: shared by several objects of one run, so that a source that is down is given up once.
        """
        self.key = key
        self.health = health or SourceHealth()
        self.served: dict[str, dict[str, int]] = {}
        self.damaged: list[dict[str, Any]] = []
        self._sources = sources
        self._size: int = stored["size"]
        self._part_size: int = stored["part_size"]
        self._digests: list[str] = stored["parts"]
        self._prefetch = prefetch
        self._lock = Lock()
        self._closed = Event()
        self._threads: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._digests)

    def __enter__(self) -> VerifiedParts:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading ahead. Returns when no thread is left."""
        self._closed.set()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None

    def __iter__(self) -> Iterator[bytes]:
        """The parts' bytes in order. Raises what ``fetch`` raises, at the part concerned."""
        for outcome in self.outcomes():
            if isinstance(outcome, DamagedBackup):
                raise outcome
            yield outcome
            del outcome

    def outcomes(self) -> Iterator[bytes | DamagedBackup]:
        """For each part, in order, its bytes, or that no source has a good copy of it. Raises StoreUnreachable."""
        self._threads = ThreadPoolExecutor(self._prefetch, thread_name_prefix="verified-parts")
        numbers = iter(range(1, len(self) + 1))
        ahead: deque[Future[bytes | DamagedBackup]] = deque()
        try:
            for _slot in range(self._prefetch):
                self._submit(numbers, ahead)
            while ahead:
                outcome = ahead.popleft().result()
                self._submit(numbers, ahead)
                yield outcome
                del outcome
        finally:
            self.close()

    def _submit(self, numbers: Iterator[int], ahead: deque[Future[bytes | DamagedBackup]]) -> None:
        number = next(numbers, None)
        if number is not None and self._threads is not None:
            ahead.append(self._threads.submit(self._outcome, number))

    def _outcome(self, number: int) -> bytes | DamagedBackup:
        try:
            return self.fetch(number)
        except DamagedBackup as error:
            return error

    def fetch(self, number: int) -> bytes:
        """Part ``number`` (from 1 on), verified; may be called from several threads.

        A bad or missing part is fetched once more from the same source, then from the next.

        Raises:
            DamagedBackup: no source has a good copy; names object, part, and the reason of each source.
            StoreUnreachable: no source could be asked at all.
        """
        faults: list[dict[str, Any]] = []
        reached = False
        for source in self._sources:
            if source.name in self.health.down:
                faults.append(self._fault(number, source, f"not asked any more: {self.health.down[source.name]}"))
                continue
            for _attempt in range(2):
                try:
                    data, reason = self._read(source, number)
                except NOT_REACHED as error:
                    self.health.failed(source, self.key, error)
                    faults.append(self._fault(number, source, error.detail))
                    break
                reached = True
                if data is not None:
                    self._record(source, data, faults)
                    return data
                faults.append({**self._fault(number, source, reason), "damage": True})
        raise self._no_good_copy(number, faults, reached)

    def _read(self, source: Repository, number: int) -> tuple[bytes | None, str]:
        """One reading of a part: its bytes if they are right, else the reason."""
        if self._closed.is_set():
            raise StoreError(f"Reading of {self.key} was stopped.")
        offset = (number - 1) * self._part_size
        try:
            data = source.get_range(self.key, offset, min(self._part_size, self._size - offset))
        except ObjectNotFound:
            self.health.answered(source)
            return None, "the object is missing"
        except NOT_REACHED:
            raise
        except StoreError as error:
            self.health.answered(source)
            return None, error.detail
        self.health.answered(source)
        if hashlib.sha256(data).hexdigest() == self._digests[number - 1]:
            return data, ""
        return None, "its bytes do not have the SHA-256 of the manifest"

    def _fault(self, number: int, source: Repository, reason: str) -> dict[str, Any]:
        return {"object": self.key, "part": number, "source": source.name, "reason": reason}

    def _record(self, source: Repository, data: bytes, faults: list[dict[str, Any]]) -> None:
        with self._lock:
            add_served(self.served, {source.name: {"parts": 1, "bytes": len(data)}})
            self.damaged.extend(_once_per_source(faults, served_by=source.name))

    def _no_good_copy(self, number: int, faults: list[dict[str, Any]], reached: bool) -> StoreError | DamagedBackup:
        with self._lock:
            self.damaged.extend(_once_per_source(faults, served_by=None))
        reasons = "; ".join(f"{name}: {reason}" for name, reason in {f["source"]: f["reason"] for f in faults}.items())
        if not reached:
            return StoreUnreachable(
                f"No source could be asked for part {number} of {self.key}. {reasons}",
                "Make at least one of the sources reachable, and run again.",
            )
        return DamagedBackup(
            f"No source has a good copy of part {number} of {len(self)} of {self.key}. {reasons}",
            "Add a further source that holds this backup, or use another backup.",
            damaged=list(self.damaged),
        )


def _once_per_source(faults: list[dict[str, Any]], served_by: str | None) -> Iterator[dict[str, Any]]:
    """Damage as it is reported: one entry a source, whether it was seen once or twice."""
    seen = set()
    for fault in faults:
        if fault.get("damage") and fault["source"] not in seen:
            seen.add(fault["source"])
            yield {**{name: value for name, value in fault.items() if name != "damage"}, "served_by": served_by}
