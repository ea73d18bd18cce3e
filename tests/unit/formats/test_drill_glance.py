# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken from a drill's record, and that no record breaks those who read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_glance import DrillGlance
from tests.stored_drills import drill_record

DRILL = "20261120T100000Z-aaaaaa"


def glance(**changes: Any) -> DrillGlance | None:
    return DrillGlance.parse(json.dumps({**drill_record(drill_id=DRILL), **changes}).encode(), DRILL)


def test_rates_and_fixed_times_are_taken() -> None:
    found = glance()
    assert found is not None
    assert (found.verdict, found.rto_seconds, found.rpo_seconds) == ("PASS", 95.0, 4.0)
    assert found.rates == {"restore": 5e7, "replay": 1e7}
    assert found.find_seconds == 2 + 3 + 10 + 0.5
    assert found.log_rate == 2e8 / 3600


def test_little_data_says_nothing_of_rates() -> None:
    found = glance(throughput=[{"stage": "restore", "bytes": 5000, "seconds": 1.0, "mib_per_second": 0.0}])
    assert found is not None
    assert found.rates == {}


def test_a_drill_that_broke_off_says_nothing_of_fixed_times() -> None:
    found = glance(verdict="FAIL", stages=drill_record()["stages"][:3], rto_seconds=None, throughput=[])
    assert found is not None
    assert (found.verdict, found.find_seconds, found.log_rate) == ("FAIL", None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"kind": "other"},
        {"kind": "vectorops.qdrant_dr/failover"},
        {"drill_id": "20261120T100000Z-bbbbbb"},
        {"verdict": "MAYBE"},
        {"declared": None},
        {"declared": {"at": "then"}},
        {"throughput": [{}]},
        {"stages": 3},
        {"rto_seconds": "x"},
    ],
)
def test_what_is_no_record_of_this_drill_counts_as_none(changes: dict[str, Any]) -> None:
    assert glance(**changes) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(drill_record())), JSON)
def test_no_record_breaks_its_reader(field: str, value: Any) -> None:
    glance(**{field: value})


@given(st.binary())
def test_no_bytes_break_their_reader(data: bytes) -> None:
    assert DrillGlance.parse(data, DRILL) is None
