# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken from a drill's record."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_glance import DrillGlance
from tests import made_drills
from tests.stored_drills import drill_record


def glance(**changes: Any) -> DrillGlance:
    return DrillGlance.of(drill_record(**changes))


def test_rates_and_fixed_times_are_taken() -> None:
    found = glance()
    assert (found.verdict, found.rto_seconds, found.rpo_seconds) == ("PASS", 95.0, 4.0)
    assert found.rates == {"restore": 5e7, "replay": 1e7}
    assert found.find_seconds == 2 + 3 + 10 + 0.5
    assert found.log_rate == 2e8 / 3600


def test_little_data_says_nothing_of_rates() -> None:
    found = glance(throughput=[{"stage": "restore", "bytes": 5000, "seconds": 1.0, "mib_per_second": 0.0}])
    assert found.rates == {}


def test_a_drill_that_broke_off_says_nothing_of_fixed_times() -> None:
    found = glance(verdict="FAIL", stages=drill_record()["stages"][:3], rto_seconds=None, throughput=[])
    assert (found.verdict, found.find_seconds, found.log_rate) == ("FAIL", None, None)
    assert glance(backup=None).log_rate is None


@pytest.mark.parametrize(
    "make", [made_drills.passed, made_drills.with_findings, made_drills.failed, made_drills.hostile]
)
def test_every_record_has_a_glance(make: Any) -> None:
    record = make()
    assert DrillGlance.of(record).verdict == record["verdict"]
