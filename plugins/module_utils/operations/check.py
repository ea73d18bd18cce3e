# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a collection: replicas on every node, exact count, digest, and recall against recorded probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import InvalidInput, StrictModeRefused
from ..formats.digest import PointDigest
from ..stores.qdrant import Qdrant
from .probe import measure_recall, record_probes
from .readiness import findings as readiness_findings
from .readiness import replica_states, wait_until_ready

__all__ = ["check_collection", "collection_digest", "wait_until_ready"]

Json = dict[str, Any]
Found = TypeVar("Found")

# A replica that was indexed anew may miss a few neighbours that the old index found, and the other way round.
BASELINE_TOLERANCE = 0.02


def collection_digest(qdrant: Qdrant, collection: str) -> tuple[int, str]:
    """Return the number of points and their digest, by scrolling over all of them once."""
    digest = PointDigest()
    for point in qdrant.scroll(collection):
        digest.add(point)
    return digest.count, digest.hexdigest()


def check_collection(
    qdrants: list[Qdrant],
    collection: str,
    *,
    expect_points: int | None = None,
    expect_digest: str | None = None,
    digest: bool = True,
    probes: Json | None = None,
    min_recall: float = 0.99,
    compare_with: tuple[Qdrant, str] | None = None,
) -> Json:
    """Return all that can be said about a collection, and whether it is healthy.

    Args:
        qdrants: every node that serves the collection.
        expect_points: exact number of points that each node must count.
        expect_digest: digest that each node must give.
        digest: whether to scroll over every point of every node.
        probes: recorded probes, in the shape of ``formats.probes``.
        min_recall: lowest recall of an exact search; the served search may stay below it as far as it did when the
            probes were recorded.
        compare_with: another collection that must have the same points, and whose neighbours serve as probes when
            there are none.

    Returns: ``points`` and ``digest`` (None where nodes disagree), ``points_by_node``, ``digest_by_node``,
    ``replicas``, ``recall_at_10``, ``exact_recall_at_10``, ``baseline_recall_at_10``, ``ann_vs_exact``,
    ``recall_by_vector``, ``unmeasured`` (what strict mode did not let this find out), ``findings`` and ``healthy``.
    Raises: InvalidInput without nodes, DamagedManifest for probes of another shape, those of Qdrant.
    """
    if not qdrants:
        raise InvalidInput("There is no node to check.")
    found = readiness_findings(qdrants, collection)
    unmeasured: list[str] = []
    if compare_with is not None:
        expected = _expected_by(compare_with, expect_points, expect_digest, digest, probes, unmeasured)
        expect_points, expect_digest, probes = expected
    result, differences = _ask_nodes(qdrants, collection, expect_points, expect_digest, digest)
    judged = _unless_refused(unmeasured, lambda: _judge_recall(qdrants, collection, probes, min_recall))
    recall, lines = judged or _judge_recall([], collection, None, min_recall)
    found += differences + lines
    return {**result, **recall, "unmeasured": unmeasured, "findings": found, "healthy": not found}


def _expected_by(
    other: tuple[Qdrant, str],
    points: int | None,
    wanted: str | None,
    digest: bool,
    probes: Json | None,
    unmeasured: list[str],
) -> tuple[int | None, str | None, Json | None]:
    """The points, the digest and the probes to expect: where they are not given, those of another collection."""
    qdrant, name = other
    points = qdrant.count(name) if points is None else points
    if not probes:
        probes = _unless_refused(unmeasured, lambda: record_probes(qdrant, name))
    if digest and wanted is None:
        wanted = collection_digest(qdrant, name)[1]
    return points, wanted, probes


def _ask_nodes(
    qdrants: list[Qdrant], collection: str, expect_points: int | None, expect_digest: str | None, digest: bool
) -> tuple[Json, list[str]]:
    """What the nodes say of replicas, points and digest, and in what that is not as expected."""
    replicas = replica_states(qdrants[0], collection)
    points = {qdrant.connection.address: qdrant.count(collection) for qdrant in qdrants}
    wants_digest = digest or expect_digest is not None
    digests = {q.connection.address: collection_digest(q, collection)[1] for q in qdrants} if wants_digest else {}
    result = {"replicas": replicas, "points": _agreed(points), "points_by_node": points}
    found = _judge("points", points, expect_points) + _judge("digest", digests, expect_digest)
    return {**result, "digest": _agreed(digests), "digest_by_node": digests}, found


def points_by_shard(qdrants: list[Qdrant], collection: str) -> dict[str, int]:
    """How many points each shard has, by its number; of one with several replicas, those of the last node."""
    found: dict[str, int] = {}
    for qdrant in qdrants:
        for shard in qdrant.collection_cluster(collection)["local_shards"]:
            found[str(shard["shard_id"])] = shard["points_count"]
    return found


def _unless_refused(unmeasured: list[str], measure: Callable[[], Found]) -> Found | None:
    """What ``measure`` returns; None where strict mode forbids it, which is then one of ``unmeasured``."""
    try:
        return measure()
    except StrictModeRefused as error:
        unmeasured.append(f"recall could not be measured: {error.detail}")
        return None


def _agreed(by_node: Json) -> Any:
    values = set(by_node.values())
    return values.pop() if len(values) == 1 else None


def _judge(what: str, by_node: Json, expected: Any) -> list[str]:
    if expected is not None:
        return [f"{node}: {what} is {value}, not {expected}" for node, value in by_node.items() if value != expected]
    if len(set(by_node.values())) > 1:
        return [f"nodes disagree on {what}: " + ", ".join(f"{node} has {value}" for node, value in by_node.items())]
    return []


def _judge_recall(
    qdrants: list[Qdrant], collection: str, probes: Json | None, min_recall: float
) -> tuple[Json, list[str]]:
    """Return the recall of the worst node, and what is wrong with it on any node."""
    worst: Json = {}
    lines = []
    for qdrant in qdrants if probes else []:
        measured = measure_recall(qdrant, collection, probes or {})
        for name, recall in measured["by_vector"].items():
            where = f"{qdrant.connection.address}: " + (f"vector {name!r}" if name else "the vector")
            if recall["exact_recall_at_10"] < min_recall:
                lines.append(f"{where} has an exact recall of {recall['exact_recall_at_10']:.4f}, below {min_recall:g}")
            allowed = min(min_recall, (1.0 if recall["baseline"] is None else recall["baseline"]) - BASELINE_TOLERANCE)
            if recall["recall_at_10"] < allowed:
                lines.append(f"{where} has a served recall of {recall['recall_at_10']:.4f}, below {allowed:.4f}")
        if not worst or (measured["recall_at_10"] or 0) < (worst["recall_at_10"] or 0):
            worst = measured
    return {
        "recall_at_10": worst.get("recall_at_10"),
        "exact_recall_at_10": worst.get("exact_recall_at_10"),
        "baseline_recall_at_10": worst.get("baseline"),
        "ann_vs_exact": worst.get("ann_vs_exact"),
        "recall_by_vector": worst.get("by_vector", {}),
    }, lines
