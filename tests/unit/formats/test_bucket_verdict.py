# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store is checked for, and the verdicts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.bucket_verdict import (
    ALL,
    CHECKS,
    FAILED,
    GROUPS,
    NAMES,
    NOT_CHECKED,
    PASSED,
    UNSUPPORTED,
    Observation,
    default_required,
    expand,
    judge_checksum,
    judge_clock,
    judge_lock,
    overall,
    table,
    unmet,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.probe_layout import GRACE, is_to_remove
from ansible_collections.vectorops.qdrant_dr.plugins.modules import bucket_check

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=timezone.utc)
VERDICTS = st.sampled_from([PASSED, FAILED, UNSUPPORTED, NOT_CHECKED])


def test_names_are_unambiguous_and_documented() -> None:
    assert len({*NAMES, *GROUPS, ALL}) == len(NAMES) + len(GROUPS) + 1
    option = yaml.safe_load(bucket_check.DOCUMENTATION)["options"]["required"]
    assert option["choices"] == [*NAMES, *GROUPS, ALL]


def test_groups_stand_for_their_checks() -> None:
    assert expand(["immutability", "range_read"]) == {"versioning", "object_lock", "range_read"}
    assert expand([ALL]) == set(NAMES)
    assert expand([]) == set()


def test_what_a_backup_requires_depends_on_its_repository() -> None:
    usual = set(default_required("AES256", "when_supported"))
    assert {"encryption_asked", "checksum_sha256", "checksum_sha256_part"} < usual < set(NAMES)
    assert usual - set(default_required("none", "when_supported")) == {"encryption_asked"}
    md5 = set(default_required("aws:kms", "when_required"))
    assert md5 - usual == {"checksum_md5", "checksum_md5_part"}
    assert usual - md5 == {"checksum_sha256", "checksum_sha256_part"}


@pytest.mark.parametrize(
    ("wrong_refused", "right_refused", "verdict"),
    [
        (True, None, PASSED),
        (False, None, FAILED),
        (True, "501 NotImplemented.", UNSUPPORTED),
        (False, "Denied.", FAILED),
    ],
)
def test_a_store_that_refuses_everything_has_checked_nothing(
    wrong_refused: bool, right_refused: str | None, verdict: str
) -> None:
    assert judge_checksum("SHA-256", wrong_refused, right_refused).verdict == verdict


@given(st.floats(-7200, 7200), st.floats(0, 5), st.floats(0, 600))
def test_a_clock_is_judged_by_the_least_skew_that_explains_it(skew: float, taken: float, limit: float) -> None:
    answered = NOW + timedelta(seconds=taken)
    told = (NOW + timedelta(seconds=skew)).replace(microsecond=0)
    seen = judge_clock(NOW, told, answered, limit)
    if abs(skew) <= limit:
        assert seen.verdict == PASSED
    if abs(skew) > limit + taken + 1:
        assert seen.verdict == FAILED
        assert ("ahead" in seen.found) == (skew > 0)


def test_a_clock_that_is_not_told_is_no_pass() -> None:
    assert judge_clock(NOW, None, NOW, 60).verdict == UNSUPPORTED


def test_a_lock_counts_where_it_is_shown_and_holds() -> None:
    until = NOW + timedelta(minutes=1)
    held = judge_lock({"at once": until, "in parts": until}, [], "GOVERNANCE for 30 days")
    assert held.verdict == PASSED
    assert "2026-11-24T12:01:00Z" in held.found
    assert "GOVERNANCE for 30 days" in held.detail
    gone = judge_lock({"at once": until, "in parts": None}, ["in parts"], "")
    assert (gone.verdict, gone.found) == (FAILED, "at once: locked until 2026-11-24T12:01:00Z; in parts: deleted")
    assert judge_lock({"at once": until, "in parts": None}, [], "").verdict == FAILED


@given(st.lists(VERDICTS, min_size=len(NAMES), max_size=len(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_only_required_checks_decide(verdicts: list[str], required: set[str]) -> None:
    seen = {name: Observation(verdict, "found", "Detail.") for name, verdict in zip(NAMES, verdicts, strict=True)}
    rows = table(seen, required)
    assert [row["check"] for row in rows] == [check.name for check in CHECKS]
    wrong = {name for name in required if seen[name].verdict != PASSED}
    assert {row["check"] for row in unmet(rows, writing=True)} == wrong
    tried = {name for name in wrong if seen[name].verdict != NOT_CHECKED}
    assert {row["check"] for row in unmet(rows, writing=False)} == tried
    assert overall(rows) == (FAILED if tried else NOT_CHECKED if wrong else PASSED)


@pytest.mark.parametrize(
    ("key", "age", "removed"),
    [
        ("mine/x", timedelta(0), True),
        ("another/x", timedelta(minutes=59), False),
        ("another/x", GRACE + timedelta(seconds=1), True),
        ("mine-too/x", timedelta(0), False),
    ],
)
def test_probes_of_a_check_that_is_running_are_left(key: str, age: timedelta, removed: bool) -> None:
    assert is_to_remove(key, "mine", NOW - age, NOW) is removed
