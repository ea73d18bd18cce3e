# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much log a shard must keep, and how much new collections are made to keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_sizing import Demand, KeptLog, raised

MIB = 1024 * 1024
GIB = 1024 * MIB
LOGS = st.builds(KeptLog, st.integers(1, 64), st.integers(1, 500))
DEMANDS = st.builds(Demand, st.floats(0, 1000), st.floats(0, 100 * MIB))
PLENTY = 10**18


def test_an_hour_at_one_mib_per_second_takes_113_files_of_32_mib() -> None:
    demand = Demand(60, MIB)
    assert (demand.size, demand.segments(32)) == (3600 * MIB, 113)
    assert not demand.is_met(KeptLog(32, 112))
    assert demand.is_met(KeptLog(32, 113))
    assert raised(KeptLog(), demand, PLENTY, 1) == KeptLog(32, 142)


def test_a_log_that_is_hardly_written_to_needs_no_more_than_it_has() -> None:
    assert raised(KeptLog(), Demand(60, 100.0), PLENTY, 1) == KeptLog()
    assert Demand(60, 0.0).segments(32) == 1


def test_half_of_what_is_free_bounds_a_collection() -> None:
    demand = Demand(60, MIB)
    assert raised(KeptLog(), demand, 4 * GIB, 1) == KeptLog(32, 64)
    assert raised(KeptLog(), demand, 4 * GIB, 4) == KeptLog(32, 16)
    assert raised(KeptLog(32, 20), demand, 0, 4) == KeptLog(32, 20)


@given(LOGS, DEMANDS, st.integers(0, PLENTY), st.integers(0, 8))
def test_it_is_never_lowered_and_never_goes_beyond_the_disk(
    present: KeptLog, demand: Demand, free: int, shards: int
) -> None:
    plan = raised(present, demand, free, shards)
    assert plan.capacity_mb == present.capacity_mb
    assert plan.retain_closed >= present.retain_closed
    if plan != present:
        assert not demand.is_met(present)
        assert plan.size * max(1, shards) <= free / 2


@given(LOGS, DEMANDS)
def test_with_room_it_does_and_is_not_raised_again(present: KeptLog, demand: Demand) -> None:
    plan = raised(present, demand, PLENTY, 1)
    assert demand.is_met(plan)
    assert raised(plan, demand, PLENTY, 1) == plan
