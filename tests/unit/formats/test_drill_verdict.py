# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a drill fail, and what is a finding only."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_verdict import judge

Json = dict[str, Any]
DRILL_ID = "20261124T020000Z-a1b2c3"
GOOD: Json = {
    "drill_id": DRILL_ID,
    "sla": {"tier": "standard", "rpo_seconds": 3600.0, "rto_seconds": 14400.0},
    "rpo_seconds": 3600.0,
    "rto_seconds": 14400.0,
    "failed_stage": None,
    "failure": None,
    "backup": {"damaged": [], "inexact": {}, "log_refused": None},
    "regions": [
        {"name": "eu", "reachable": True, "has_backup": True, "simulated": None, "detail": ""},
        {"name": "us", "reachable": True, "has_backup": True, "simulated": None, "detail": ""},
    ],
    "isolation": [{"check": "processes", "passed": True, "detail": "no node is one of the source's"}],
    "integrity": [
        {"check": "points", "passed": True, "detail": "all there"},
        {"check": "recall", "passed": True, "detail": "1.0"},
    ],
    "controls": [
        {"control": "flipped_byte", "refused": True, "code": "damaged_backup", "detail": ""},
        {"control": "wrong_key", "refused": None, "code": "not_applicable", "detail": "not encrypted"},
    ],
    "cleanup": [{"what": "collection", "removed": True, "detail": ""}],
    "coverage": {"protected": ["docs"], "drilled_within": {"docs": "2026-11-24T02:00:00.000000Z"}, "days": 30},
}


def judged(*changes: tuple[str, Any], min_copies: int = 2) -> tuple[str, list[tuple[str, str]]]:
    """Verdict, and id and severity of each finding, of the good record with these changes (``a.0.b`` names a place)."""
    record = deepcopy(GOOD)
    for path, value in changes:
        *way, last = path.split(".")
        place: Any = record
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value
    result = judge(record, min_copies)
    for each in result["findings"]:
        assert (each["opened"], each["closed"], each["owner"], each["due"]) == (DRILL_ID, None, None, None)
    return result["verdict"], [(each["id"], each["severity"]) for each in result["findings"]]


def test_what_is_all_right_passes_also_at_the_very_limit() -> None:
    assert judged() == ("PASS", [])


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("rto_seconds", 14400.1, "rto"),
        ("rpo_seconds", 3600.1, "rpo"),
        ("integrity.0.passed", False, "integrity:points"),
        ("integrity.1.passed", False, "integrity:recall"),
        ("isolation.0.passed", False, "isolation:processes"),
        ("controls.0.refused", False, "control:flipped_byte"),
        ("cleanup.0.removed", False, "cleanup:collection"),
        ("failed_stage", "restore", "stage:restore"),
    ],
)
def test_what_a_recovery_must_not_do_fails(path: str, value: Any, name: str) -> None:
    assert judged((path, value)) == ("FAIL", [(name, "major")])


@pytest.mark.parametrize(
    ("path", "value", "name", "severity"),
    [
        ("integrity.0.passed", None, "unmeasured:points", "minor"),
        ("integrity.1.passed", None, "unmeasured:recall", "major"),
        ("isolation.0.passed", None, "unproved:processes", "minor"),
        ("controls.0", {**GOOD["controls"][0], "refused": None}, "unmeasured:flipped_byte", "minor"),
        ("rpo_seconds", None, "unmeasured:rpo", "major"),
        ("backup.damaged", [{"source": "eu", "part": 1}, {"source": "eu", "part": 2}], "damaged_copy:eu", "major"),
        ("backup.inexact", {"partial_vectors": 3}, "inexact:partial_vectors", "minor"),
        ("backup.log_refused", "a gap.", "log_refused", "major"),
        ("regions.1.has_backup", False, "redundancy", "major"),
        ("coverage.drilled_within", {"docs": None}, "not_drilled", "minor"),
    ],
)
def test_what_else_is_not_as_it_should_be_is_a_finding(path: str, value: Any, name: str, severity: str) -> None:
    assert judged((path, value)) == ("PASS WITH FINDINGS", [(name, severity)])


def test_a_region_that_the_scenario_takes_away_is_not_missed() -> None:
    lost = {"name": "eu", "reachable": False, "has_backup": False, "simulated": "lost", "detail": "left out"}
    assert judged(("regions.0", lost)) == ("PASS", [])
    gone = {**lost, "simulated": None}
    assert judged(("regions.0", gone))[1] == [("unreachable:eu", "major"), ("redundancy", "major")]


def test_one_copy_is_enough_where_that_is_asked_for() -> None:
    assert judged(("regions.1.has_backup", False), min_copies=1) == ("PASS", [])


def test_a_drill_that_found_no_backup_is_judged_too() -> None:
    nothing = {"backup": None, "coverage": None, "rpo_seconds": None, "rto_seconds": None, "failed_stage": "locate"}
    assert judged(*nothing.items()) == ("FAIL", [("stage:locate", "major")])
