# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record recall probes of a collection, and ask them again."""

from __future__ import annotations

from typing import Any

from ..formats.collection_config import vector_names
from ..formats.probes import check_probes, mean, recall
from ..stores.qdrant import Qdrant

Json = dict[str, Any]


def record_probes(qdrant: Qdrant, collection: str, per_vector: int = 10, k: int = 10) -> Json:
    """Return probes of every vector of a collection, in the shape of ``formats.probes``.

    Queries are the vectors of up to ``per_vector`` points that Qdrant samples over all shards (1.13 or newer).
    Raises: those of Qdrant.
    """
    vectors: Json = {}
    for name in vector_names(qdrant.collection(collection)["config"]):
        queries = _sample(qdrant, collection, name, per_vector)
        if not queries:
            continue
        exact = _search(qdrant, collection, name, queries, k, exact=True)
        served = _search(qdrant, collection, name, queries, k, exact=False)
        vectors[name] = {
            "baseline": mean([recall(best, found, k) for best, found in zip(exact, served, strict=True)]),
            "queries": [{"query": query, "expected": best} for query, best in zip(queries, exact, strict=True)],
        }
    return {"k": k, "vectors": vectors}


def still_true(qdrant: Qdrant, collection: str, probes: Json) -> Json:
    """Return those of ``probes`` whose exact neighbours are the same now as when they were recorded.

    Writes that went on in between may have changed neighbours. A copy of the data taken in between may have the
    neighbours from before such a write or from after it, so only the others can judge it.
    """
    vectors: Json = {}
    for name, vector in probes["vectors"].items():
        exact = _search(
            qdrant, collection, name, [item["query"] for item in vector["queries"]], probes["k"], exact=True
        )
        kept = [
            item
            for item, now in zip(vector["queries"], exact, strict=True)
            if recall(item["expected"], now, probes["k"]) == 1.0
        ]
        if kept:
            vectors[name] = {**vector, "queries": kept}
    return {**probes, "vectors": vectors}


def measure_recall(qdrant: Qdrant, collection: str, probes: Json) -> Json:
    """Ask ``probes`` again and return the recall, overall and ``by_vector``; None where there are no queries.

    ``recall_at_10`` is what the served (approximate) search finds of the recorded neighbours, ``exact_recall_at_10``
    what an exact search finds of them, ``baseline`` what the served search found of them when they were recorded,
    ``ann_vs_exact`` what the served search finds of an exact search now. (10 is the recorded ``k``.)
    Raises: DamagedManifest for probes of another shape; those of Qdrant.
    """
    check_probes(probes)
    k = probes["k"]
    by_vector: Json = {}
    weights: dict[str, int] = {}
    for name, vector in probes["vectors"].items():
        queries = [item["query"] for item in vector["queries"]]
        expected = [item["expected"] for item in vector["queries"]]
        exact = _search(qdrant, collection, name, queries, k, exact=True)
        served = _search(qdrant, collection, name, queries, k, exact=False)
        weights[name] = len(queries)
        by_vector[name] = {
            "recall_at_10": mean([recall(*pair, k) for pair in zip(expected, served, strict=True)]),
            "exact_recall_at_10": mean([recall(*pair, k) for pair in zip(expected, exact, strict=True)]),
            "ann_vs_exact": mean([recall(*pair, k) for pair in zip(exact, served, strict=True)]),
            "baseline": vector.get("baseline"),
        }
    keys = ("recall_at_10", "exact_recall_at_10", "ann_vs_exact", "baseline")
    overall: Json = {key: _overall(by_vector, weights, key) for key in keys}
    return {**overall, "by_vector": by_vector}


def _overall(by_vector: Json, weights: dict[str, int], key: str) -> float | None:
    known = {name: values[key] for name, values in by_vector.items() if values[key] is not None}
    total = sum(weights[name] for name in known)
    return sum(value * weights[name] for name, value in known.items()) / total if total else None


def _sample(qdrant: Qdrant, collection: str, name: str, number: int) -> list[Any]:
    if number < 1:
        return []
    body = {
        "query": {"sample": "random"},
        "filter": {"must": [{"has_vector": name}]},
        "limit": number,
        "with_vector": [name] if name else True,
    }
    vectors = [point["vector"] for point in qdrant.query(collection, body)]
    found = [vector.get(name) if isinstance(vector, dict) else vector for vector in vectors]
    return [vector for vector in found if vector and vector != {"indices": [], "values": []}]


def _search(qdrant: Qdrant, collection: str, name: str, queries: list[Any], k: int, exact: bool) -> list[list[Json]]:
    if not queries:
        return []
    common: Json = {"limit": k, "params": {"exact": exact}, "with_payload": False}
    if name:
        common["using"] = name
    bodies = [{"query": query, **common} for query in queries]
    answers = qdrant.query_batch(collection, bodies)
    return [[{"id": point["id"], "score": point["score"]} for point in answer] for answer in answers]
