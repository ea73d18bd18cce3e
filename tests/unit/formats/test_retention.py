# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy keeps: by examples, and against a reference that is slow and plain."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import (
    CLOCK_TOLERANCE,
    RetentionPolicy,
    reasons_to_keep,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
DAY = 86400.0
LABELS = {
    "keep_hourly": "%Y-%m-%dT%H",
    "keep_daily": "%Y-%m-%d",
    "keep_weekly": "%G-W%V",
    "keep_monthly": "%Y-%m",
    "keep_yearly": "%Y",
}


def kept(moments: list[datetime], now: datetime = NOW, **rules: float) -> list[datetime]:
    """The times of the backups that a policy keeps, newest first."""
    backups = {moment.isoformat(): moment for moment in moments}
    reasons = reasons_to_keep(backups, RetentionPolicy(**rules), now)  # type: ignore[arg-type]
    return sorted((backups[name] for name, why in reasons.items() if why), reverse=True)


def every(hours: float, count: int, end: datetime = NOW) -> list[datetime]:
    return [end - timedelta(hours=hours * number) for number in range(count)]


def kept_by_reference(backups: dict[str, datetime], policy: RetentionPolicy, now: datetime) -> set[str]:
    """Each rule by itself, from the words of its documentation."""
    past = {name: moment for name, moment in backups.items() if moment <= now + CLOCK_TOLERANCE}
    order = sorted(past, key=lambda name: (past[name], name))
    keep = set(backups) - set(past)
    keep |= set(order[len(order) - min(len(order), max(policy.keep_last, policy.min_redundancy)) :])
    if policy.keep_within:
        since = now - timedelta(seconds=policy.keep_within)
        older = [name for name in order if past[name] < since]
        keep |= set(order) - set(older[:-1])
    for rule, label in LABELS.items():
        newest_of = {past[name].astimezone(timezone.utc).strftime(label): name for name in order}
        chosen = sorted(newest_of.values(), key=order.index)
        count = getattr(policy, rule)
        keep |= set(chosen[-count:] if count else [])
    return keep


counts = st.integers(0, 5)
policies = st.builds(
    dict,
    keep_last=counts,
    keep_within=st.one_of(st.none(), st.floats(0, 400 * DAY)),
    keep_hourly=counts,
    keep_daily=counts,
    keep_weekly=counts,
    keep_monthly=counts,
    keep_yearly=counts,
    min_redundancy=st.integers(1, 4),
).filter(lambda rules: any(value for name, value in rules.items() if name != "min_redundancy"))
moments = st.datetimes(datetime(2023, 12, 1), datetime(2026, 11, 26)).map(lambda moment: moment.replace(microsecond=0))
zones = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
catalogues = st.dictionaries(
    st.uuids().map(str), st.builds(lambda moment, zone: moment.replace(tzinfo=zone), moments, zones), max_size=40
)


@given(backups=catalogues, rules=policies)
def test_the_decision_is_that_of_the_reference(backups: dict[str, datetime], rules: dict[str, float]) -> None:
    policy = RetentionPolicy(**rules)  # type: ignore[arg-type]
    reasons = reasons_to_keep(backups, policy, NOW)
    assert {name for name, why in reasons.items() if why} == kept_by_reference(backups, policy, NOW)


@given(backups=catalogues, rules=policies, data=st.data())
def test_a_catalogue_that_lacks_entries_never_gives_up_what_the_whole_one_keeps(
    backups: dict[str, datetime], rules: dict[str, float], data: st.DataObject
) -> None:
    policy = RetentionPolicy(**rules)  # type: ignore[arg-type]
    whole = reasons_to_keep(backups, policy, NOW)
    seen = data.draw(st.sets(st.sampled_from(sorted(backups))) if backups else st.just(set()))
    partly = reasons_to_keep({name: backups[name] for name in seen}, policy, NOW)
    assert all(partly[name] for name in seen if whole[name])


@given(backups=catalogues, rules=policies, data=st.data())
def test_to_prune_a_part_first_changes_nothing_in_the_end(
    backups: dict[str, datetime], rules: dict[str, float], data: st.DataObject
) -> None:
    policy = RetentionPolicy(**rules)  # type: ignore[arg-type]
    reasons = reasons_to_keep(backups, policy, NOW)
    may_go = sorted(name for name, why in reasons.items() if not why)
    gone = data.draw(st.sets(st.sampled_from(may_go)) if may_go else st.just(set()))
    later = reasons_to_keep({name: moment for name, moment in backups.items() if name not in gone}, policy, NOW)
    assert {name for name, why in later.items() if why} == {name for name, why in reasons.items() if why}


def test_a_year_of_daily_backups_by_grandfather_father_son() -> None:
    backups = every(24, 400)
    rest = kept(backups, keep_daily=7, keep_weekly=4, keep_monthly=12, keep_yearly=2)
    # The last 7 days; Sundays; the last day of each month; that of 2025.
    assert [moment.strftime("%Y-%m-%d") for moment in rest] == [
        *(f"2026-11-{day:02}" for day in range(24, 17, -1)),
        *("2026-11-15", "2026-11-08"),
        *("2026-10-31", "2026-09-30", "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31", "2026-04-30"),
        *("2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31"),
    ]


def test_weeks_and_years_are_those_of_iso_8601_in_utc() -> None:
    # 31 December 2024 is in the first week of 2025, and midnight in Auckland is noon of the day before.
    auckland = timezone(timedelta(hours=13))
    new_years_eve = datetime(2024, 12, 31, 6, tzinfo=timezone.utc)
    second_of_january = datetime(2025, 1, 2, 6, tzinfo=timezone.utc)
    local_third = datetime(2025, 1, 3, 0, 30, tzinfo=auckland)
    assert kept([new_years_eve, second_of_january], keep_weekly=5) == [second_of_january]
    assert kept([second_of_january, local_third], keep_daily=5) == [local_third]
    assert kept([new_years_eve, second_of_january], keep_yearly=5) == [second_of_january, new_years_eve]


def test_a_flood_pushes_out_nothing_within_the_span_nor_the_backup_before_it() -> None:
    good = every(24, 60)
    flood = [NOW - timedelta(seconds=number) for number in range(1, 1000)]
    rest = set(kept(good + flood, keep_last=7, keep_within=30 * DAY))
    assert set(every(24, 32)) <= rest
    assert not set(good[32:]) & rest


def test_backups_that_are_dated_in_the_future_take_nobodys_place() -> None:
    good = every(24, 10)
    ahead = every(24, 50, NOW + timedelta(days=60))
    rest = kept(good + ahead, keep_last=3, keep_daily=5)
    assert set(good[:5]) <= set(rest)
    assert set(rest) == set(good[:5]) | set(ahead)


def test_the_floor_stays_whatever_the_rules_say() -> None:
    old = every(24, 10, NOW - timedelta(days=900))
    assert kept(old, keep_within=DAY, min_redundancy=3) == old[:3]


def test_each_reason_is_told() -> None:
    backups = {"a": NOW, "b": NOW - timedelta(hours=1), "c": NOW - timedelta(days=40), "d": NOW - timedelta(days=41)}
    policy = RetentionPolicy(keep_last=1, keep_within=DAY, keep_monthly=2, min_redundancy=2)
    assert reasons_to_keep(backups, policy, NOW) == {
        "a": ["keep_last: 1 of 1", "keep_within", "keep_monthly: 1 of 2"],
        "b": ["min_redundancy: 2 of 2", "keep_within"],
        "c": ["keep_within: the newest before the span, for its beginning", "keep_monthly: 2 of 2"],
        "d": [],
    }


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, "No rule says what to keep."),
        ({"min_redundancy": 3}, "No rule says what to keep."),
        ({"keep_last": -1}, "keep_last is -1."),
        ({"keep_within": -0.5, "keep_last": 1}, "keep_within is -0.5."),
        ({"keep_last": 1, "min_redundancy": 0}, "min_redundancy is 0"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(rules: dict[str, float], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        RetentionPolicy(**rules)  # type: ignore[arg-type]
