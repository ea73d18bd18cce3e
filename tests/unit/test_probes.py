# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recall is the share of the best that was found, and ties are no misses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedBackup,
    DamagedManifest,
    InvalidInput,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.probes import (
    check_probes,
    mean,
    open_probes,
    recall,
    seal_probes,
)


def scored(*pairs: tuple[int, float]) -> list[dict]:
    return [{"id": identity, "score": score} for identity, score in pairs]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=15), st.integers(1, 12), st.booleans())
def test_the_exact_answer_has_recall_one(scores: list[float], k: int, largest_first: bool) -> None:
    best = scored(*enumerate(sorted(scores, reverse=largest_first)))
    assert recall(best, best, k) == 1.0


@given(st.integers(0, 10))
def test_every_miss_counts(misses: int) -> None:
    expected = scored(*((number, 1 - number / 100) for number in range(10)))
    found = expected[: 10 - misses] + scored(*((100 + number, 0.1) for number in range(misses)))
    assert recall(expected, found, 10) == pytest.approx(1 - misses / 10)


def test_another_point_with_the_last_score_is_no_miss() -> None:
    expected = scored((1, 0.9), (2, 0.5))
    assert recall(expected, scored((1, 0.9), (3, 0.5)), 2) == 1.0
    assert recall(expected, scored((1, 0.9), (3, 0.4999999)), 2) == 1.0
    assert recall(expected, scored((1, 0.9), (3, 0.49)), 2) == 0.5


def test_a_better_score_than_the_best_comes_from_other_data() -> None:
    assert recall(scored((1, 0.9), (2, 0.5)), scored((3, 0.95), (1, 0.9)), 2) == 0.5
    assert recall(scored((1, 0.0), (2, 3.0)), scored((1, 0.0), (3, 2.0)), 2) == 0.5


def test_a_point_found_twice_counts_once() -> None:
    assert recall(scored((1, 0.9), (2, 0.5)), scored((1, 0.9), (1, 0.9)), 2) == 0.5


def test_fewer_points_than_k() -> None:
    assert recall(scored((1, 0.9)), scored((1, 0.9)), 10) == 1.0
    assert recall([], [], 10) == 1.0
    assert mean([]) is None


@pytest.mark.parametrize(
    "probes",
    [
        {},
        {"k": 0, "vectors": {}},
        {"k": 10, "vectors": []},
        {"k": 10, "vectors": {"a": {}}},
        {"k": 10, "vectors": {"a": {"queries": [{"query": [1.0]}]}}},
        {"k": 10, "vectors": {"a": {"queries": [{"query": [1.0], "expected": [{"id": 1}]}]}}},
        {"k": 10, "vectors": {"a": {"queries": [{"query": [], "expected": []}]}}},
    ],
)
def test_probes_of_another_shape_are_refused(probes: dict) -> None:
    with pytest.raises(DamagedManifest):
        check_probes(probes)


PROBES = {"k": 10, "vectors": {"a": {"baseline": 1.0, "queries": [{"query": [0.5], "expected": scored((1, 0.9))}]}}}


def test_sealed_probes_show_nothing_and_come_back() -> None:
    sealed = seal_probes(PROBES, b"d" * 32, "0" * 32, b"s" * 32)
    assert (sealed["k"], sealed["vectors"], set(sealed)) == (10, {}, {"k", "vectors", "sealed"})
    assert open_probes(sealed, {"0" * 32: b"d" * 32}) == PROBES
    with pytest.raises(DamagedBackup, match="the recall probes does not open"):
        open_probes(sealed, {"0" * 32: b"x" * 32})
    with pytest.raises(InvalidInput, match="recall probes are encrypted"):
        check_probes(sealed)


def test_where_nothing_was_recorded_nothing_is_sealed() -> None:
    nothing = {"k": 10, "vectors": {}}
    assert seal_probes(nothing, b"d" * 32, "0" * 32, b"s" * 32) == nothing
    assert open_probes(PROBES, {}) == PROBES
