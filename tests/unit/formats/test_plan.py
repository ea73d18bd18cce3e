# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of a plan: by examples that can be checked by hand, and what must hold of every plan."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput, SlaNotMet
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.plan import (
    ASSUMED_RATES,
    Facts,
    Rate,
    Schedule,
    days_left,
    expected_region_rpo,
    expected_rpo,
    expected_rto,
    largest_size,
    shortfalls,
    total,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.plan_result import (
    backup_puts,
    costs,
    lines,
    plan_result,
    refuse_unmet,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.prices import Prices
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import TIERS, Sla, parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla_targets import targets

MB, GB, TB, DAY, HOUR = 1e6, 1e9, 1e12, 86400.0, 3600.0
SIZES = st.floats(0, 100 * TB)
LEVELS = st.sampled_from([parse_level(name) for name in TIERS])
SCHEDULES = LEVELS.map(lambda sla: Schedule.of(targets(sla).as_result()))


def facts(size: float = 700 * MB, change: float = 0.02, measured: bool = True, **more: Any) -> Facts:
    rates = {stage: Rate(rate, "a drill") for stage, rate in ASSUMED_RATES.items()}
    log = Rate(size * change / DAY, "a drill", measured)
    return Facts(
        **{"collection": "docs", "size": size, "growth": 0.0, "log": log, "rates": rates}
        | {"find": (60.0, "as in a drill"), **more}
    )


def by_name(parts: Any) -> dict[str, float]:
    return {part.name: round(part.seconds, 3) for part in parts}


def test_without_an_archive_all_since_the_last_backup_is_lost() -> None:
    schedule = Schedule(False, 12 * HOUR, 6 * HOUR, 0, delay=600)
    assert by_name(expected_rpo(facts(), schedule)) == {"interval": 43200, "delay": 600, "backup": 5}
    assert by_name(expected_rto(facts(), schedule)) == {"find": 60, "restore": 10}
    assert by_name(expected_region_rpo(facts(), schedule)) == {
        "interval": 43200, "delay": 600, "backup": 5, "copy_interval": 22200, "copy": 3.5,
    }  # fmt: skip


def test_with_an_archive_the_log_since_the_last_backup_is_replayed() -> None:
    written = facts(log=Rate(1 * MB, "a drill"))
    schedule = Schedule(True, 2 * HOUR, 300, 5, delay=60)
    assert by_name(expected_rpo(written, schedule)) == {"poll": 1, "seal": 5, "upload": 1}
    assert by_name(expected_rto(written, schedule)) == {"find": 60, "restore": 10, "replay": (7200 + 60 + 5) / 20}
    assert by_name(expected_region_rpo(written, schedule))["copy"] == 1.5


def test_a_peak_of_writes_makes_the_last_chunk_wait() -> None:
    schedule = Schedule(True, 2 * HOUR, 300, 5, poll=1)
    calm = facts(peak=Rate(14 * MB, "the archiver"))
    assert by_name(expected_rpo(calm, schedule))["upload"] == 1 + 6 * 14 / 140
    # What is more than can be stored in the five minutes of the peak is stored after them.
    busy = facts(peak=Rate(154 * MB, "the archiver"))
    upload = expected_rpo(busy, schedule)[-1]
    assert round(upload.seconds, 3) == 1 + 6 * 1.1 + 300 * 0.1
    assert upload.reason == "5.12 GB at 140 MB/s, written at a peak of 154 MB/s, and a request"
    level = parse_level({"rpo_seconds": 30, "rto_seconds": HOUR})
    assert shortfalls(calm, schedule, level) == []
    assert "The RPO would be 43s, and may be 30s" in shortfalls(busy, schedule, level)[0]


def test_what_cannot_be_met_is_refused_with_its_arithmetic() -> None:
    level = parse_level("mission_critical")
    large = facts(700 * GB, 0.0, measured=False, rates={stage: Rate(70 * MB, "", False) for stage in ASSUMED_RATES})
    result = plan_result(large, Schedule.of(targets(level).as_result()), level, Prices())
    with pytest.raises(SlaNotMet) as refused:
        refuse_unmet({"plans": [result]}, {"docs": level.title})
    assert refused.value.code == "sla_not_met"
    assert refused.value.detail == (
        "docs cannot meet mission_critical (RPO 60 s, RTO 600 s). The RTO would be 2h 47m, and may be 10m 0s:"
        " find 1m 0s (as in a drill) + restore 2h 46m (700 GB at 70 MB/s, which is assumed)"
        " + replay 0s (0 MB at 70 MB/s, which is assumed). It holds up to 37.8 GB."
    )
    assert refused.value.result["plans"] == [result]


def test_a_backup_that_takes_longer_than_its_interval_is_a_shortfall() -> None:
    schedule = Schedule(True, HOUR, 300, 5)
    assert shortfalls(facts(140 * MB * HOUR * 2, 0), schedule, Sla(60, DAY * 9)) == [
        "A backup takes 2h 0m (1.01 TB at 140 MB/s), longer than the 1h 0m between two of them."
    ]


@given(SIZES, SIZES, SCHEDULES, LEVELS, st.booleans())
def test_what_is_larger_never_fares_better(
    first: float, second: float, schedule: Schedule, sla: Sla, measured: bool
) -> None:
    small, large = sorted((first, second))
    base = facts(measured=measured)
    for expected in (expected_rpo, expected_rto, expected_region_rpo):
        assert total(expected(base.at(small), schedule)) <= total(expected(base.at(large), schedule))
    if not shortfalls(base.at(large), schedule, sla):
        assert shortfalls(base.at(small), schedule, sla) == []


@given(SCHEDULES, LEVELS, st.booleans())
def test_the_level_holds_up_to_the_largest_size_and_not_beyond(schedule: Schedule, sla: Sla, measured: bool) -> None:
    base = facts(measured=measured)
    largest = largest_size(base, schedule, sla)
    if largest is None:
        assert shortfalls(base.at(0), schedule, sla)
    else:
        assert shortfalls(base.at(largest * 0.999), schedule, sla) == []
        assert shortfalls(base.at(largest * 1.001 + 1), schedule, sla)


@given(SIZES, SCHEDULES, LEVELS)
def test_sums_are_those_of_their_parts_and_lines_name_them(size: float, schedule: Schedule, sla: Sla) -> None:
    result = plan_result(facts(size, regions=2), schedule, sla, Prices())
    for name in ("rpo", "rto", "region_rpo"):
        assert math.isclose(result[name]["seconds"], sum(part["seconds"] for part in result[name]["parts"]))
    assert result["met"] == (not result["shortfalls"])
    said = "\n".join(lines(result))
    assert all(f"{part['name']} " in said for name in ("rpo", "rto") for part in result[name]["parts"])


def test_days_are_left_until_the_collection_has_grown_beyond_the_level() -> None:
    growing = facts(10 * GB, growth=2 * GB)
    assert days_left(growing, 30 * GB) == 10
    assert days_left(growing, 5 * GB) is None
    assert days_left(growing, None) is None
    assert days_left(replace(growing, growth=-1.0), 30 * GB) is None


# The figures of docs/sla.md.
BILLION = facts(12 * TB, shards=12)


@pytest.mark.parametrize(("kept", "dollars"), [("daily_full", 7970), ("weekly_full", 1502), ("incremental", 436)])
def test_a_billion_vectors_cost_what_the_docs_say(kept: str, dollars: int) -> None:
    found = costs(BILLION, Schedule(False, DAY, DAY, 0), Prices(), 30)
    assert round(found["storage"][kept]["cost"]) == dollars


@pytest.mark.parametrize(("rate", "hours"), [(87.5 * MB, 38.1), (0.89 * 10 * GB / 8, 3.0), (0.89 * 25 * GB / 8, 1.2)])
def test_a_billion_vectors_take_as_long_as_the_docs_say(rate: float, hours: float) -> None:
    moved = replace(BILLION, rates={**BILLION.rates, "restore": Rate(rate, "given")})
    restore = by_name(expected_rto(moved, Schedule(False, DAY, DAY, 0)))["restore"]
    assert round(restore / HOUR, 1) == hours


def test_costs_count_every_region_and_the_log_of_every_replica() -> None:
    one = facts(100 * GB, log=Rate(GB / DAY, "given"), shards=2, replicas=3)
    two = replace(one, regions=2)
    schedule = Schedule(True, DAY, 300, 59)
    alone, copied = (costs(each, schedule, Prices(), 30) for each in (one, two))
    assert alone["storage"]["daily_full"] == {"bytes": 3000 * GB, "cost": pytest.approx(69)}
    assert copied["storage"]["daily_full"] == {"bytes": 6000 * GB, "cost": pytest.approx(138)}
    assert alone["storage"]["log"]["bytes"] == pytest.approx(90 * GB)
    assert alone["transfer"]["bytes"] == 0
    assert copied["transfer"] == {"bytes": pytest.approx(3090 * GB), "cost": pytest.approx(61.8)}
    assert alone["requests"]["count"] == 30 * backup_puts(100 * GB, 2) + 30 * DAY / 60 * 6


@given(st.floats(0, 1e16), st.floats(0, 1e16))
def test_who_stores_more_pays_more_and_less_for_each_byte(first: float, second: float) -> None:
    small, large = sorted((first, second))
    prices = Prices()
    assert prices.storing(small) <= prices.storing(large) <= large / GB * 0.023 * (1 + 1e-9)


def test_prices_given_take_the_place_of_the_list() -> None:
    own = Prices.of({"storage_per_gb_month": 0.01, "currency": "EUR", "transfer_per_gb": None})
    assert (own.storing(1000 * GB), own.transfer, own.currency, own.dated) == (10, 0.02, "EUR", "as given")
    assert Prices.of({}).dated == "2026-11"
    with pytest.raises(InvalidInput, match="puts_per_1000 is -1"):
        Prices.of({"puts_per_1000": -1.0})
