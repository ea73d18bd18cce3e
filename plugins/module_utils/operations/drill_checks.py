# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill measures of the collection that it has restored, each against what was recorded or is live.

Every check is ``{check, expected, found, tolerance, passed, detail}``; ``passed`` is None where it could not be
measured, and then ``detail`` says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import QdrantError
from ..formats.collection_config import payload_indexes, rounded_anew
from ..formats.expected_points import recorded_by_shard
from ..formats.probes import recall
from ..formats.same_point import same_point
from ..stores.qdrant import Qdrant
from .check import collection_digest, points_by_shard
from .probe import measure_recall, record_probes, still_true
from .readiness import findings as readiness_findings
from .restore_plan import RestorePlan, aliases_of

Json = dict[str, Any]
_SAMPLES = 100
# Sections of a collection's config that a restore has to bring back as they were.
_SECTIONS = ("hnsw_config", "optimizer_config", "wal_config", "quantization_config")
_PARAMS = (
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "on_disk_payload",
    "write_consistency_factor",
)


@dataclass(frozen=True)
class CheckRequest:
    """What a drill knows and allows.

    ``source``: a node of production, to take live facts from. ``quiet``: nothing was written there since the failure,
    so that everything must be equal. ``expect_digest``: of the points at the moment of the restore. ``tolerance``: how
    far recall may be below what was recorded (1 is all of it). ``latency``: seconds of the first query, None: any.
    ``compared``: a source that cannot be compared with is a fault, since nothing else proves what it has.
    """

    source: Qdrant | None = None
    quiet: bool = False
    expect_digest: str | None = None
    tolerance: float = 0.01
    latency: float | None = None
    compared: bool = False


class DrillChecks:
    """The checks of one restored collection, on all ``nodes`` of the target."""

    def __init__(self, nodes: list[Qdrant], target: str, plan: RestorePlan, request: CheckRequest) -> None:
        self.nodes, self.target, self.plan, self.request = nodes, target, plan, request
        self.qdrant = nodes[0]
        self.collection = plan.manifest.collection
        self._probes: Json = plan.probes if plan.probes.get("vectors") else {"k": 10, "vectors": {}}
        self._baseline: float | None = None
        self._no_recall = ""

    def run(self) -> Iterator[Json]:
        """One check after the other."""
        digest = self.digest()
        yield self.replicas()
        yield self._covered(self.points(), digest)
        yield digest
        yield self.schema()
        yield self.payload_indexes()
        yield self.aliases()
        yield self._covered(self.samples(), digest)
        yield from self.recall()

    def _covered(self, check: Json, digest: Json) -> Json:
        """A check that could not tell, as of a source that goes on, where the digest of all points can."""
        if check["passed"] is None and self.request.expect_digest is not None and digest["passed"]:
            return {**check, "passed": True, "detail": f"{check['detail']} All points have the digest that was given."}
        return check

    def replicas(self) -> Json:
        """All Active on every node, none missing, nothing in transfer, green."""
        found = readiness_findings(self.nodes, self.target, uniform_keys=True)
        right = "all Active, green"
        return _check("replicas", right, found or right, not found, "; ".join(found) or f"{right}.")

    def points(self) -> Json:
        """Exact counts of every node, and of every shard where the backup was of an idle collection."""
        counted = {node.connection.address: node.count(self.target) for node in self.nodes}
        found = {"by_node": counted, "by_shard": points_by_shard(self.nodes, self.target)}
        points = set(counted.values())
        if len(points) > 1:
            return _check("points", None, found, False, "the nodes disagree.")
        recorded = self.plan.manifest.points
        if self.plan.goes_on:
            return self._points_after_replay(points.pop(), found)
        exact = self.plan.manifest.exact_points
        if exact is not None:
            shards = recorded_by_shard(self.plan.manifest)
            right = points == {exact} and all(found["by_shard"].get(n) == of for n, of in shards.items())
            return _check("points", {"all": exact, "by_shard": shards}, found, right, "as the backup counted.")
        low, high = sorted((recorded["before"], recorded["after"]))
        within = low <= min(points) <= high
        why = "the backup counted before and after its snapshot, while it may have been written to."
        return _check("points", [low, high], found, True if within else None, why, "between the two counts")

    def digest(self) -> Json:
        """The digest of all points, where it is known what it has to be; the bytes have matched the manifest anyway."""
        expected = self.request.expect_digest
        if expected is None and self.request.source is not None and self.request.quiet:
            expected = self._live(lambda source: collection_digest(source, self.collection)[1])
            if expected is None and self.request.compared:
                return _check("digest", None, None, False, "the source did not say what its points are.")
        parts = sum(len(shard["object"]["parts"]) for shard in self.plan.manifest.shards)
        proved = f"all {parts} parts of the archives matched the SHA-256 that the manifest has of them"
        if expected is None:
            return _check(
                "digest", "SHA-256 of each part", proved, True, f"{proved}; no digest of the points was given."
            )
        found = {node.connection.address: collection_digest(node, self.target)[1] for node in self.nodes}
        return _check("digest", expected, found, set(found.values()) == {expected}, proved + ".")

    def schema(self) -> Json:
        """The configuration as it was recorded, but for what a restore changes on purpose."""
        recorded, config = self.plan.manifest.config, self.qdrant.collection(self.target)["config"]
        pairs = {name: (recorded["params"].get(name), config["params"].get(name)) for name in _PARAMS}
        pairs |= {name: (recorded.get(name), config.get(name)) for name in _SECTIONS}
        differing = sorted(name for name, (one, other) in pairs.items() if one != other)
        expected = {name: pairs[name][0] for name in differing} or "as recorded"
        found = {name: pairs[name][1] for name in differing} or "as recorded"
        return _check("schema", expected, found, not differing, ", ".join(differing) or "all settings are as recorded.")

    def payload_indexes(self) -> Json:
        """Every one, with its type and its parameters."""
        expected, found = self.plan.payload_indexes, payload_indexes(self.qdrant.collection(self.target))
        wrong = sorted(name for name in expected if found.get(name) != expected[name])
        detail = f"missing or different: {', '.join(wrong)}." if wrong else "all there."
        return _check("payload_indexes", sorted(expected), sorted(found), not wrong, detail)

    def aliases(self) -> Json:
        """Those that were recorded, against those of production; the drill sets none."""
        recorded = sorted(self.plan.manifest.aliases)
        live = self._live(lambda source: aliases_of(source, self.collection))
        detail = "recorded; a check sets none."
        if live is None:
            clash = sorted(set(recorded) & set(self.qdrant.collections()))
            return _check(
                "aliases", recorded, recorded, not clash, f"the names of collections: {clash}" if clash else detail
            )
        return _check("aliases", live, recorded, live == recorded, detail)

    def samples(self) -> Json:
        """Points that the target draws by lot, with their vectors and payloads, against those of production."""
        source = self.request.source
        if source is None:
            return _check("samples", None, None, None, "there was no source that points could be compared with.")
        try:
            body = {"query": {"sample": "random"}, "limit": _SAMPLES, "with_vector": True, "with_payload": True}
            drawn = self.qdrant.query(self.target, body)
            live = {point["id"]: point for point in source.retrieve(self.collection, [p["id"] for p in drawn], {})}
        except QdrantError as error:
            return _check("samples", None, None, None, f"points could not be compared: {error.detail}")
        rounded = rounded_anew(self.plan.manifest.config)
        same = sum(point["id"] in live and same_point(point, live[point["id"]], rounded) for point in drawn)
        passed = True if same == len(drawn) else False if self.request.quiet else None
        detail = f"{same} of {len(drawn)} points are those of the source" + ("." if passed else ", which may go on.")
        return _check("samples", len(drawn), same, passed, detail)

    def recall(self) -> Iterator[Json]:
        """Recall of the recorded neighbours against what it was then, and the served against the exact search."""
        self._choose_probes()
        measured = [measure_recall(node, self.target, self._probes) for node in self.nodes]
        worst = min(measured, key=lambda each: each["recall_at_10"] or 0.0)
        allowed, tolerance = self.request.tolerance, f"{self.request.tolerance:.2%}"
        baseline = self._baseline
        if self._no_recall:
            yield _check("recall", None, None, None, self._no_recall)
        else:
            found = {"served": worst["recall_at_10"], "exact": worst["exact_recall_at_10"]}
            right = found["exact"] >= 1.0 - allowed and found["served"] >= (baseline or 1.0) - allowed
            text = f"served {found['served']:.4f}, exact {found['exact']:.4f}."
            yield _check("recall", {"served": baseline, "exact": 1.0}, found, right, text, tolerance)
        served = min((each["ann_vs_exact"] for each in measured if each["ann_vs_exact"] is not None), default=None)
        if served is None or baseline is None:
            yield _check("ann_vs_exact", baseline, served, None, self._no_recall or "no baseline was recorded.")
        else:
            text = "what the served search finds of an exact one now."
            yield _check("ann_vs_exact", baseline, served, served >= baseline - allowed, text, tolerance)

    def first_query(self) -> Json:
        """The first right answer to a user's query, and how long it took; probes are asked until one is right."""
        limit, asked = self.request.latency, 0
        for name, vector in self._probes["vectors"].items():
            for probe in vector["queries"]:
                body = {"query": probe["query"], "limit": self._probes["k"], **({"using": name} if name else {})}
                started = time.monotonic()
                answer = self.qdrant.query(self.target, body)
                seconds = round(time.monotonic() - started, 4)
                asked += 1
                if recall(probe["expected"], answer, self._probes["k"]) == 1.0:
                    quick = limit is None or seconds <= limit
                    return _check("first_query_latency", limit, seconds, quick, f"seconds; answer {asked} was right.")
        if not asked:
            return _check("first_query_latency", limit, None, None, "the collection has no vectors to search for.")
        return _check("first_query_latency", limit, None, False, f"none of {asked} queries was answered right.")

    # -- what is compared with

    def _choose_probes(self) -> None:
        """Those of the backup. After a replay those of them that are still true, since what was written may have
        changed neighbours. Where there are none, new ones, which tell nothing of the recall."""
        weighed = [
            (vector["baseline"], len(vector["queries"]))
            for vector in self._probes["vectors"].values()
            if vector.get("baseline") is not None
        ]
        total = sum(number for _baseline, number in weighed)
        self._baseline = sum(baseline * number for baseline, number in weighed) / total if total else None
        if not self._probes["vectors"]:
            self._no_recall = "no probes were recorded with the backup."
        elif self.plan.goes_on:
            self._probes = still_true(self.qdrant, self.target, self._probes)
            if not self._probes["vectors"]:
                self._no_recall = "the replay has changed the neighbours of every recorded probe."
        if self._no_recall:
            self._probes = record_probes(self.qdrant, self.target)

    def _live(self, ask: Callable[[Qdrant], Any]) -> Any:
        """What the source says, None where there is none or it does not answer."""
        if self.request.source is None:
            return None
        try:
            return ask(self.request.source)
        except QdrantError:
            return None

    def _points_after_replay(self, points: int, found: Json) -> Json:
        """What the base had and the entries may have changed bounds it; a source that answers tells the very number."""
        bounds = self.plan.expected_points
        faults = bounds.faults(points, found["by_shard"]) if bounds else ["the base's log has an unknown entry"]
        if bounds and bounds.proven and faults:
            return _check("points", bounds.describe(), found, False, "; ".join(faults) + ".", bounds.tolerance)
        live = self._live(lambda source: source.count(self.collection))
        if live is not None and (points == live or self.request.quiet):
            return _check("points", {"all": live}, found, points == live, f"the source has {live} points.")
        if bounds is None:
            return _check("points", None, found, None, "; ".join(faults) + ".")
        right = "as the base was counted, and as many as the replayed entries may have made of it."
        return _check(
            "points", bounds.describe(), found, None if faults else True, "; ".join(faults) or right, bounds.tolerance
        )


def _check(
    name: str, expected: Any, found: Any, passed: bool | None, detail: str, tolerance: str | None = None
) -> Json:
    return {
        "check": name,
        "expected": expected,
        "found": found,
        "tolerance": tolerance,
        "passed": passed,
        "detail": detail,
    }
