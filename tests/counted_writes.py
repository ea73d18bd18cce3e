# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that count, so that a gap in what came back can be seen."""

from __future__ import annotations

import threading

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant

SIZE, LOADED = 64, 4000


def make_loaded(qdrant: Qdrant, name: str, shards: int = 1) -> None:
    """A collection with several segments, which Qdrant copies one after another while writes go to all of them."""
    optimizers = {"default_segment_number": 4, "indexing_threshold": 0, "flush_interval_sec": 1}
    vectors = {"size": SIZE, "distance": "Dot"}
    qdrant.create_collection(name, {"vectors": vectors, "optimizers_config": optimizers, "shard_number": shards})
    for start in range(0, LOADED, 500):
        batch = [{"id": 10**9 + n, "vector": [1 + n % 8] * SIZE} for n in range(start, start + 500)]
        qdrant.call("PUT", f"/collections/{name}/points", {"points": batch}, {"wait": True})


def numbers(qdrant: Qdrant, name: str) -> set[int]:
    """Those of the writes that are there."""
    return {point["id"] for point in qdrant.scroll(name, vectors=False) if 0 < point["id"] < 10**9}


def counted(qdrant: Qdrant, name: str) -> tuple[int, set[int]]:
    """The number in point 0, and those of 1, 2, 3, ... up to it that are missing, or surplus, or not what they were.

    Raises AssertionError where a point that was there before the writes is not.
    """
    found = {point["id"]: point["payload"].get("n") for point in qdrant.scroll(name, vectors=False)}
    newest = found.pop(0, 0)
    assert {number for number in found if number >= 10**9} == set(range(10**9, 10**9 + LOADED))
    written = {number: n for number, n in found.items() if number < 10**9}
    expected = {n: n for n in range(1, newest + 1)}
    every = written.keys() | expected.keys()
    return newest, {number for number in every if written.get(number) != expected.get(number)}


class CountingWriter(threading.Thread):
    """Writes points 1, 2, 3, ... one by one, and each time the same number to point 0. ``acknowledged`` is the last."""

    def __init__(self, qdrant: Qdrant, name: str) -> None:
        super().__init__(daemon=True)
        self.qdrant, self.name, self.vector = qdrant, name, [9] * (SIZE - 1)
        self.acknowledged = 0
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.is_set():
            number = self.acknowledged + 1
            vector = [number, *self.vector]
            points = [{"id": place, "vector": vector, "payload": {"n": number}} for place in (number, 0)]
            self.qdrant.call("PUT", f"/collections/{self.name}/points", {"points": points}, {"wait": False})
            self.acknowledged = number
