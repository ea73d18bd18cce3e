# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What raises an alarm between drills, and how loud."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import TIERS, parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch import (
    RegionSeen,
    Seen,
    Verdict,
    findings,
    limits_of,
    redundancy,
)

HOUR, DAY = 3600.0, 86400.0
DRILL = {"drill_id": "20261101T100000Z-aaaaaa", "age_seconds": DAY, "verdict": "PASS"}
NEAR = RegionSeen("near", age=20.0, lag=0.0, verified_age=DAY)
FAR = RegionSeen("far", age=300.0, lag=280.0, verified_age=DAY)
GOOD = Seen(
    "docs",
    backup_age=2 * HOUR,
    regions=(NEAR, FAR),
    archived=True,
    wal_age=20.0,
    wal_continued=True,
    verify_age=DAY,
    verify_result="good",
    drill=DRILL,
)
LIMITS = limits_of(parse_level("high_availability"))


def judged(seen: Seen, limits: dict[str, Any] | None = None) -> list[tuple[int, str]]:
    return [(each.level, each.text) for each in findings(seen, limits or LIMITS)]


def test_what_is_as_it_should_be_is_not_named() -> None:
    assert judged(GOOD) == []
    verdict = Verdict({"docs": []}, {"docs": GOOD.backup_age})
    assert (verdict.status, verdict.line) == (0, "OK: 1 collection, the oldest backup is 2h 0m old (docs)")


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"backup_age": 10 * HOUR}, 1, "newest backup 10h 0m old, warning from 9h 0m on"),
        ({"backup_age": 13 * HOUR}, 2, "newest backup 13h 0m old, critical from 12h 0m on"),
        ({"wal_age": 40.0}, 1, "archived log ends 40s old, warning from 30s on"),
        ({"wal_age": 61.0}, 2, "archived log ends 1m 1s old, critical from 1m 0s on"),
        ({"wal_age": None}, 2, "no log is archived that goes on from a backup"),
        ({"wal_continued": False}, 1, "the archived log goes on from no backup"),
        ({"regions": (NEAR, replace(FAR, age=700.0))}, 1, "what far has is 11m 40s old, warning from 10m 0s on"),
        ({"regions": (NEAR, replace(FAR, age=901.0))}, 2, "what far has is 15m 1s old, critical from 15m 0s on"),
        ({"verify_age": 11 * DAY}, 1, "last verification 11d 0h ago"),
        ({"verify_age": None, "verify_result": None}, 1, "no backup was ever verified"),
        ({"verify_result": "damaged"}, 2, "the last verification found a backup damaged"),
        ({"drill": None}, 1, "it was never drilled"),
        ({"drill": DRILL | {"age_seconds": 36 * DAY}}, 1, "last drill 36d 0h ago"),
        ({"drill": DRILL | {"verdict": "FAIL"}}, 2, "the last drill (20261101T100000Z-aaaaaa) failed"),
        (
            {"regions": (NEAR, replace(FAR, verified_age=None))},
            1,
            "1 of 2 regions have a recent backup that was verified",
        ),
    ],
)
def test_each_fault_is_named_by_itself(changes: dict[str, Any], level: int, text: str) -> None:
    assert judged(replace(GOOD, **changes)) == [(level, text)]


def test_a_region_that_is_gone_is_a_warning_and_counts_for_nothing() -> None:
    gone = replace(GOOD, regions=(NEAR, RegionSeen("far", reason="no answer.")))
    assert judged(gone) == [
        (1, "far could not be read: no answer"),
        (1, "1 of 2 regions have a recent backup that was verified"),
    ]


def test_nothing_at_all_is_critical_once() -> None:
    empty = Seen("docs", None, (RegionSeen("near"),))
    assert judged(empty, limits_of(None)) == [(2, "it has no backup")]


def test_without_a_level_only_what_was_set_is_judged() -> None:
    old = replace(GOOD, backup_age=30 * HOUR, verify_age=None, verify_result=None, drill=None, wal_age=301.0)
    assert judged(old, limits_of(None)) == [(1, "archived log ends 5m 1s old, warning from 5m 0s on")]
    assert judged(old, limits_of(None, rpo=26 * HOUR))[0] == (2, "newest backup 1d 6h old, critical from 1d 2h on")


def test_what_was_set_by_hand_takes_the_place_of_the_level() -> None:
    limits = limits_of(parse_level("high_availability"), rpo=HOUR, warning=1.0)
    assert judged(GOOD, limits) == [(2, "newest backup 2h 0m old, critical from 1h 0m on")]


AGES = st.none() | st.floats(0, 1e8)
REGIONS = st.lists(st.builds(RegionSeen, st.text(), AGES, AGES, AGES, st.none() | st.text()), min_size=1, max_size=3)
RESULTS = st.sampled_from([None, "good", "repaired", "damaged"])
DRILLS = st.none() | st.builds(
    lambda age, verdict: {"drill_id": "d", "age_seconds": age, "verdict": verdict},
    st.floats(0, 1e8),
    st.sampled_from(["PASS", "PASS WITH FINDINGS", "FAIL"]),
)
SEEN = st.builds(Seen, st.text(), AGES, REGIONS, st.booleans(), AGES, st.booleans(), AGES, RESULTS, DRILLS)
LEVELS = st.none() | st.sampled_from([parse_level(name) for name in TIERS])


@given(SEEN, LEVELS)
def test_good_means_that_every_age_is_within_its_limit(seen: Seen, sla: Any) -> None:
    limits = limits_of(sla)
    found = findings(seen, limits)
    verdict = Verdict({"a|b": found}, {"a|b": seen.backup_age})
    assert verdict.status == max((each.level for each in found), default=0)
    assert [each.level for each in found] == sorted((each.level for each in found), reverse=True)
    assert re.fullmatch(r"(OK|WARNING|CRITICAL): [^|\n]+", verdict.line)
    if sla is not None and not found:
        assert seen.backup_age is not None
        assert seen.backup_age <= limits["backup_warning"]
        assert not limits["wal_archive"] or (seen.wal_age is not None and seen.wal_age <= sla.rpo_seconds)
        assert redundancy(seen, limits) == len(seen.regions)
        assert seen.drill is not None
        assert seen.drill["verdict"] != "FAIL"


@given(SEEN, st.sampled_from([parse_level(name) for name in TIERS]), st.floats(0, 1e8))
def test_what_is_older_is_never_judged_better(seen: Seen, sla: Any, more: float) -> None:
    older = replace(seen, backup_age=None if seen.backup_age is None else seen.backup_age + more)
    limits = limits_of(sla)
    assert Verdict({"a": findings(seen, limits)}, {}).status <= Verdict(
        {"a": findings(older, limits)}, {}
    ).status or not findings(seen, limits)


def test_doubts_and_nothing_to_look_at_are_warnings() -> None:
    assert Verdict({}, {}).line == "WARNING: there is no collection to look at"
    assert Verdict({"docs": []}, {"docs": 1.0}, ["the node is silent"]).line == "WARNING: the node is silent"
