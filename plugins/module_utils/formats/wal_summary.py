# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entries of a WAL chunk do, as far as a restore must know it before it changes anything.

It stands in the chunk's header, so that a restore need not read the chunk twice. How long it gets is bounded, whatever
clients write: an entry for which there is no room counts as unknown, and an unknown entry makes a restore look at all
of its chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .canonical import canonical
from .point_changes import NONE, ChangeCounter, PointChanges
from .wal_glance import glance
from .wal_join import Entries
from .wal_operations import CONDITIONAL, PARTIAL_VECTORS, TRANSFER, UNKNOWN, WITHOUT_PAYLOAD

_INDEX = "index"
_CLASSES = (CONDITIONAL, TRANSFER, UNKNOWN, WITHOUT_PAYLOAD)
_COUNTS = (*_CLASSES, _INDEX)
# An entry is at most one of these, or an upsert.
_KINDS = (_INDEX, TRANSFER, UNKNOWN)
# Of the sets of vectors in a header, and of the bytes that their names take in it: 4 KiB with the counts, at most.
_MAX_SETS = 64
_MAX_NAMES = 2048


@dataclass(frozen=True)
class Summary:
    """Of the entries of one chunk: how many are of each class of ``Operation.inexact``, and how many about an index.

    ``vectors``, for that of partial vectors: how many upserts there are with each set of names of vectors (sorted).
    ``points``: how far they may change the number of points.
    """

    conditional: int = 0
    index: int = 0
    transfer: int = 0
    unknown: int = 0
    without_payload: int = 0
    vectors: tuple[tuple[tuple[str, ...], int], ...] = ()
    points: PointChanges = NONE

    @property
    def is_enough(self) -> bool:
        """Whether a restore need not look at the entries: they change no index, and all of them are known."""
        return not self.index and not self.unknown

    def contradicts(self, other: Summary) -> bool:
        """Whether two summaries of the same entries cannot both be right.

        Where one of them has unknown entries, it may be of a version that knows fewer operations.
        """
        return self != other and not self.unknown and not other.unknown

    def inexact(self, vector_names: Collection[str]) -> Counter[str]:
        """How many entries are of each class, where the summary is enough; as ``Operation.inexact``."""
        found = Counter({name: getattr(self, name) for name in _CLASSES})
        found[PARTIAL_VECTORS] = sum(count for names, count in self.vectors if not set(names).issuperset(vector_names))
        return +found

    def dump(self) -> dict[str, Any]:
        """As it stands in a header."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {**counts, "vectors": self.vectors, "points": self.points.dump()}

    @classmethod
    def parse(cls, value: Any, entries: int) -> Summary:
        """Of a chunk with so many entries. Raises ``TypeError`` or ``ValueError`` where that cannot be."""
        if not isinstance(value, dict) or value.keys() != {*_COUNTS, "vectors", "points"}:
            raise ValueError("it has other fields")
        counts = {name: value[name] for name in _COUNTS}
        vectors = tuple((tuple(names), count) for names, count in value["vectors"])
        upserts = [count for _names, count in vectors]
        told = (*counts.values(), *upserts)
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= entries for n in told):
            raise ValueError("it has a count that is none")
        if sum(counts[name] for name in _KINDS) + sum(upserts) > entries:
            raise ValueError("it tells of more entries than there are")
        if not all(isinstance(name, str) for names, _count in vectors for name in names):
            raise ValueError("it has a name that is none")
        return cls(**counts, vectors=vectors, points=PointChanges.parse(value["points"]))


class Summarizer:
    """Makes the summary of a chunk, entry by entry."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._vectors: Counter[frozenset[str]] = Counter()
        self._room = _MAX_NAMES
        self._points = ChangeCounter()

    def add_all(self, entries: Entries) -> None:
        """Take entries. Nothing in them is an error: what cannot be read is unknown."""
        for _index, entry in entries.items(entries.first, entries.stop):
            self.add(entry)

    def add(self, entry: bytes) -> None:
        """Take one of them."""
        operation = glance(entry)
        # Without names of vectors nothing is partial.
        self._counts.update(operation.inexact(()))
        self._points.add(operation)
        if operation.kind == "index":
            self._counts[_INDEX] += 1
        elif operation.kind == "upsert" and operation.vectors is not None:
            self._add_upsert(operation.vectors)

    def _add_upsert(self, vectors: frozenset[str]) -> None:
        if vectors not in self._vectors:
            size = len(canonical(sorted(vectors)))
            if size > self._room or len(self._vectors) == _MAX_SETS:
                self._counts[UNKNOWN] += 1
                return
            self._room -= size
        self._vectors[vectors] += 1

    def summary(self) -> Summary:
        """Of all that were added."""
        vectors = sorted((tuple(sorted(names)), count) for names, count in self._vectors.items())
        return Summary(
            **{name: self._counts[name] for name in _COUNTS}, vectors=tuple(vectors), points=self._points.changes()
        )
