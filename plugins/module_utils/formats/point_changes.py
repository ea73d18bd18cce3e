# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the entries of a log may change the number of points, without knowing which points there are.

An upsert may add every point that it names, or none, and a delete may remove every one, or none: whether a point was
there before, the entry does not tell. What changes payloads, vectors or indexes changes no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .wal_operations import Operation

_LIMIT = 1 << 64


@dataclass(frozen=True)
class PointChanges:
    """Of some entries: ``added`` and ``removed``: as many points at most. ``unbounded``: so many of the entries may
    remove any number, as those that choose by a filter, and a shard transfer."""

    added: int = 0
    removed: int = 0
    unbounded: int = 0

    def __add__(self, other: PointChanges) -> PointChanges:
        return PointChanges(self.added + other.added, self.removed + other.removed, self.unbounded + other.unbounded)

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        """How many points there may be after the entries, where there were ``low`` to ``high`` before."""
        return 0 if self.unbounded else max(0, low - self.removed), high + self.added

    def dump(self) -> dict[str, int]:
        """As it stands in a header."""
        return asdict(self)

    @classmethod
    def parse(cls, value: Any) -> PointChanges:
        """Raises ``ValueError`` for what is none."""
        if not isinstance(value, Mapping) or value.keys() != NONE.dump().keys():
            raise ValueError("its points have other fields")
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < _LIMIT for n in value.values()):
            raise ValueError("it has a number of points that is none")
        return cls(**value)


NONE = PointChanges()


class ChangeCounter:
    """Counts entry by entry, for logs with thousands of them a second."""

    def __init__(self) -> None:
        self._added = self._removed = self._unbounded = 0

    def add(self, operation: Operation) -> None:
        """Take one entry. One that is unknown counts as nothing: whoever asks has to look for these."""
        kind = operation.kind
        if kind == "upsert":
            self._added += operation.points or 0
        elif kind == "sync":
            self._added += operation.points or 0
            self._unbounded += 1
        elif kind == "delete":
            self._removed += operation.points or 0
            self._unbounded += operation.points is None

    def changes(self) -> PointChanges:
        """Of all that were added."""
        return PointChanges(self._added, self._removed, self._unbounded)
