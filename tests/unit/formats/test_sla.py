# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service level counts for which collection, and what it asks for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import (
    TIERS,
    Sla,
    SlaPolicy,
    parse_level,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla_targets import (
    Targets,
    on_calendar,
    settle,
    targets,
)

DAY = 86400.0
SECONDS = st.floats(0.1, 1e7)
LEVELS = st.sampled_from([Sla(*numbers, tier=name) for name, numbers in TIERS.items()]) | st.builds(
    Sla, SECONDS, SECONDS
)


def test_the_tiers_are_those_that_are_promised() -> None:
    assert {name: parse_level(name).as_result() for name in TIERS} == {
        name: {"tier": name, "rpo_seconds": rpo, "rto_seconds": rto}
        for name, rpo, rto in (
            ("prototype", 86400, 86400),
            ("standard", 3600, 14400),
            ("customer_facing", 900, 3600),
            ("high_availability", 60, 900),
            ("mission_critical", 60, 600),
        )
    }


@pytest.mark.parametrize("rpo", [900, 900.0, "900", "15m"])
def test_own_numbers_are_seconds_or_durations(rpo: Any) -> None:
    assert parse_level({"rpo_seconds": rpo, "rto_seconds": "2h"}) == Sla(900, 7200)


def test_the_first_entry_that_fits_counts_and_one_without_collections_is_for_all_others() -> None:
    policy = SlaPolicy.parse(
        [
            {"collections": ["products_old"], "sla": "prototype"},
            {"collections": ["products_*", "users"], "sla": "mission_critical"},
            {"sla": {"rpo_seconds": 7200, "rto_seconds": 7200}},
        ]
    )
    found = [policy.of(name) for name in ("products_old", "products_new", "users", "Users")]
    assert [level and level.tier for level in found] == ["prototype", "mission_critical", "mission_critical", None]
    assert found[-1] == Sla(7200, 7200)


def test_a_collection_that_no_entry_is_for_has_no_level() -> None:
    policy = SlaPolicy.parse([{"collections": "users", "sla": "standard"}])
    assert policy.of("products") is None
    assert policy.strictest(["products"]) is None
    assert policy.strictest() == parse_level("standard")


def test_one_schedule_for_several_levels_meets_each_of_them() -> None:
    policy = SlaPolicy.parse(
        [
            {"collections": ["a"], "sla": {"rpo_seconds": 60, "rto_seconds": 7200}},
            {"collections": ["b"], "sla": "standard"},
            {"sla": {"rpo_seconds": 3600, "rto_seconds": 300}},
        ]
    )
    assert policy.strictest(["a", "b"]) == Sla(60, 7200)
    assert policy.strictest() == Sla(60, 300)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gold", "qdrant_sla is 'gold', which is no tier."),
        (None, "qdrant_sla is neither a tier nor a mapping"),
        (3600, "qdrant_sla is neither a tier nor a mapping"),
        ({"rpo_seconds": 1}, "neither a tier nor a mapping"),
        ({"rpo_seconds": 1, "rto_seconds": 1, "tier": "standard"}, "neither a tier nor a mapping"),
        ({"rpo_seconds": 0, "rto_seconds": 1}, "rpo_seconds of qdrant_sla is 0."),
        ({"rpo_seconds": "soon", "rto_seconds": 1}, "rpo_seconds of qdrant_sla is 'soon', which is no duration."),
        ({"rpo_seconds": True, "rto_seconds": 1}, "rpo_seconds of qdrant_sla is True, which is no duration."),
        ({"rpo_seconds": 1, "rto_seconds": "nan"}, "rto_seconds of qdrant_sla is 'nan', which is no duration."),
        ([], "qdrant_sla is an empty list."),
        (["standard"], "Entry 1 of qdrant_sla is no mapping of collections and sla."),
        ([{"collections": ["a"]}], "Entry 1 of qdrant_sla is no mapping of collections and sla."),
        ([{"collections": [], "sla": "standard"}], "collections of entry 1 of qdrant_sla are no list of names"),
        ([{"collections": [1], "sla": "standard"}], "collections of entry 1 of qdrant_sla are no list of names"),
        ([{"sla": "standard"}, {"collections": ["a"], "sla": "standard"}], "those after it never count"),
        ([{"collections": ["*"], "sla": "standard"}, {"sla": "standard"}], "those after it never count"),
        ([{"collections": ["a"], "sla": "gold"}], "sla of entry 1 of qdrant_sla is 'gold', which is no tier."),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(given: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        SlaPolicy.parse(given)
    assert words in refused.value.detail
    assert refused.value.hint


@pytest.mark.parametrize(
    ("tier", "wal_archive", "backup", "copies", "seal"),
    [
        ("prototype", False, "*-*-* 00/12:00:00 UTC", "*-*-* 00/6:00:00 UTC", None),
        ("standard", True, "*-*-* 02:00:00 UTC", "*-*-* *:00/15:00 UTC", 60),
        ("customer_facing", True, "*-*-* 02:00:00 UTC", "*-*-* *:00/5:00 UTC", 60),
        ("high_availability", True, "*-*-* 00/6:00:00 UTC", "*-*-* *:00/5:00 UTC", 5),
        ("mission_critical", True, "*-*-* 00/4:00:00 UTC", "*-*-* *:00/5:00 UTC", 5),
    ],
)
def test_what_a_tier_asks_for(tier: str, wal_archive: bool, backup: str, copies: str, seal: float | None) -> None:
    asked = targets(parse_level(tier)).as_result()
    assert (asked["wal_archive"], asked["seal_interval"]) == (wal_archive, seal)
    assert (asked["backup_on_calendar"], asked["copy_on_calendar"]) == (backup, copies)


@given(LEVELS)
def test_every_number_says_where_it_comes_from(sla: Sla) -> None:
    asked = targets(sla)
    numbers = [each.name for each in fields(Targets) if each.name not in ("sla", "reasons")]
    assert set(asked.reasons) == {name for name in numbers if getattr(asked, name) is not None}
    assert all(reason.endswith(".") for reason in asked.reasons.values())


@given(LEVELS)
def test_warnings_come_before_what_is_critical_and_after_what_the_schedule_gives(sla: Sla) -> None:
    asked = targets(sla)
    assert asked.max_age < asked.backup_interval <= DAY
    assert asked.backup_interval < asked.backup_warning < asked.backup_critical
    assert asked.copy_interval <= asked.backup_interval
    assert asked.copy_interval < asked.region_warning < asked.region_critical
    if asked.wal_archive:
        assert asked.wal_warning < asked.wal_critical == sla.rpo_seconds  # type: ignore[operator]
    else:
        assert asked.backup_critical == sla.rpo_seconds
        assert asked.backup_interval + asked.copy_interval <= sla.rpo_seconds


@given(LEVELS, SECONDS)
def test_who_may_lose_less_never_gets_longer_intervals(sla: Sla, rpo: float) -> None:
    small, large = sorted((sla.rpo_seconds, rpo))
    strict, lax = targets(Sla(small, sla.rto_seconds)), targets(Sla(large, sla.rto_seconds))
    assert strict.copy_interval <= lax.copy_interval
    assert strict.wal_archive or not lax.wal_archive
    if strict.wal_archive == lax.wal_archive:
        assert strict.backup_interval <= lax.backup_interval
        assert (strict.seal_interval or 0) <= (lax.seal_interval or 0)


@given(LEVELS)
def test_schedules_are_the_same_every_day(sla: Sla) -> None:
    for interval in (targets(sla).backup_interval, targets(sla).copy_interval):
        assert DAY % interval == 0
        assert on_calendar(interval, "02:00").endswith(" UTC")


def test_what_is_set_by_hand_counts_and_says_so() -> None:
    settled = settle(targets(parse_level("prototype")), {"max_age": "20h", "copy_interval": "", "wal_archive": True})
    assert settled["max_age"] == 20 * 3600
    assert settled["copy_interval"] == 6 * 3600
    assert settled["wal_archive"] is True
    assert settled["reasons"]["max_age"] == "Set by hand."


@pytest.mark.parametrize(
    ("tier", "explicit", "words"),
    [
        ("prototype", {"max_age": "26h"}, ["max_age is 1d 2h", "prototype (RPO 86400 s", "at most 1d 0h"]),
        ("prototype", {"backup_critical": "25h"}, ["backup_critical is 1d 1h", "at most 1d 0h"]),
        ("mission_critical", {"seal_interval": 90}, ["seal_interval is 1m 30s", "RPO 60 s", "at most 1m 0s"]),
        ("standard", {"wal_archive": False}, ["The WAL archive is off", "RPO 3600 s", "below twice 1h 0m"]),
        ("standard", {"max_age": "tomorrow"}, ["max_age is 'tomorrow', which is no duration."]),
    ],
)
def test_what_contradicts_the_level_is_refused_with_both_numbers(
    tier: str, explicit: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        settle(targets(parse_level(tier)), explicit)
    assert [word for word in words if word not in refused.value.detail] == []
