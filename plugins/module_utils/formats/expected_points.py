# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many points a collection must have after a replay: what its base had, and what the entries may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .manifest import Manifest
from .point_changes import NONE, PointChanges

Bounds = tuple[int, int]
Json = dict[str, Any]


@dataclass(frozen=True)
class ExpectedPoints:
    """Between which numbers (inclusive) all points are, and those of each shard where that is known.

    ``proven``: whether a number outside is wrong. Otherwise the count of the base is not certain: ``doubt`` says why.
    """

    all: Bounds
    by_shard: Mapping[str, Bounds]
    changes: PointChanges
    doubt: str = ""

    @property
    def proven(self) -> bool:
        """See the class."""
        return not self.doubt

    @property
    def tolerance(self) -> str:
        """What the bounds leave open, and why."""
        changes = self.changes
        if changes == NONE:
            told = "none: no entry changes the number of points"
        else:
            fewer = f"at most {changes.removed} less (deletes by id)"
            if changes.unbounded:
                fewer = f"any number less, since {changes.unbounded} entries delete by a filter or transfer a shard"
            told = f"at most {changes.added} more than in the base (upserts), and {fewer}"
        return f"{told}; {self.doubt}" if self.doubt else told

    def describe(self) -> Json:
        """For records and results."""
        return {"all": list(self.all), "by_shard": {shard: list(each) for shard, each in self.by_shard.items()}}

    def faults(self, points: int, by_shard: Mapping[str, int]) -> list[str]:
        """A sentence for each number that cannot be; ``by_shard``: of those shards that were counted."""
        return [
            f"{where} has {found} points, and must have {_words(bounds)}"
            for where, found, bounds in self._pairs(points, by_shard)
            if not bounds[0] <= found <= bounds[1]
        ]

    def _pairs(self, points: int, by_shard: Mapping[str, int]) -> Iterator[tuple[str, int, Bounds]]:
        yield "the collection", points, self.all
        for shard, bounds in self.by_shard.items():
            if shard in by_shard:
                yield f"shard {shard}", by_shard[shard], bounds


def recorded_by_shard(manifest: Manifest) -> dict[str, int]:
    """How many points each shard of an idle base has, by its number, which a restore keeps.

    Empty where that is not certain: shards are counted a while before the collection is, and with shard keys a restore
    gives them other numbers.
    """
    found = {str(shard["shard"]): shard.get("points") for shard in manifest.shards}
    counts = [count for count in found.values() if count is not None]
    keyed = any(shard.get("shard_key") is not None for shard in manifest.shards)
    if keyed or len(counts) < len(found) or sum(counts) != manifest.exact_points:
        return {}
    return {number: count for number, count in found.items() if count is not None}


def after_replay(
    manifest: Manifest, replayed: Mapping[int, PointChanges], in_base: Mapping[int, PointChanges]
) -> ExpectedPoints:
    """What must be there after ``replayed``, by shard; ``in_base``: what the base's own log (S to L) does.

    An idle base has just the points that were counted. One that was written to was counted after S was read, so that
    what came between that count and L is in its log; but with several nodes, one may have read S after another counted.
    """
    changes = sum(replayed.values(), NONE)
    exact = manifest.exact_points
    if exact is not None:
        shards = recorded_by_shard(manifest)
        by_shard = {number: replayed.get(int(number), NONE).bounds(of, of) for number, of in shards.items()}
        return ExpectedPoints(changes.bounds(exact, exact), by_shard, changes)
    changes += sum(in_base.values(), NONE)
    low, high = sorted((manifest.points["before"], manifest.points["after"]))
    doubt = ""
    if any(shard["wal"].get("first_found_by") != "ack_index" for shard in manifest.shards):
        doubt = "the base was counted at a moment that its log need not reach back to"
    elif len({shard.get("node") for shard in manifest.shards}) > 1:
        doubt = "the nodes of the base counted at different moments, while it was written to"
    else:
        low = high = manifest.points["before"]
    return ExpectedPoints(changes.bounds(low, high), {}, changes, doubt)


def _words(bounds: Bounds) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"
