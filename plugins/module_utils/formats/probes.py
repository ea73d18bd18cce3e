# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recall probes: queries with their exact nearest neighbours, recorded to be asked again after a restore.

Shape in the manifest::

    {"k": 10,
     "vectors": {"<vector name, "" for the unnamed one>":
       {"baseline": mean recall of the served (approximate) search when the probes were recorded,
        "queries": [{"query": vector as Qdrant takes it, "expected": [{"id": ..., "score": ...}, best first]}]}}}

The query vectors stand in it whole, so that probes need nothing but the restored collection. An empty collection has
no queries, and ``vectors`` is empty.
"""

from __future__ import annotations

from typing import Any

from ..errors import DamagedManifest

Scored = dict[str, Any]

SCORE_TOLERANCE = 1e-5


def recall(expected: list[Scored], found: list[Scored], k: int) -> float:
    """Return the share of the ``k`` best that ``found`` has, from 0 to 1.

    A tie is no miss: a found point counts when it is one of the expected, or when its score is that of the last
    expected one. A better score does not count: nothing is nearer than the exact neighbours, unless the data differ.
    """
    wanted = expected[:k]
    if not wanted:
        return 1.0
    ids = {item["id"] for item in wanted}
    last = wanted[-1]["score"]
    tolerance = SCORE_TOLERANCE * max(1.0, abs(last))
    hits = {item["id"] for item in found[:k] if item["id"] in ids or abs(item["score"] - last) <= tolerance}
    return min(len(hits), len(wanted)) / len(wanted)


def mean(values: list[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def check_probes(probes: dict[str, Any]) -> None:
    """Raise DamagedManifest when ``probes`` does not have the shape above."""
    try:
        right = isinstance(probes["k"], int) and probes["k"] > 0
        for vector in probes["vectors"].values():
            for query in vector["queries"]:
                right = right and bool(query["query"]) and all("score" in e and "id" in e for e in query["expected"])
    except (KeyError, TypeError, AttributeError):
        right = False
    if not right:
        raise DamagedManifest("The recall probes do not have their shape.", "Take them from a manifest as they are.")
