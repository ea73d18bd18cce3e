# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of docs/sla.md are those that the code computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.agent_status import duration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.plan import (
    ASSUMED_CHANGE,
    ASSUMED_FIND,
    ASSUMED_RATES,
    MB,
    Facts,
    Rate,
    Schedule,
    volume,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.plan_result import plan_result
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.prices import Prices
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import TIERS, parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla_targets import DAY, targets

DOC = (Path(__file__).resolve().parent.parent.parent / "docs" / "sla.md").read_text(encoding="utf-8")
# Line wraps mean nothing there.
FLOWING = " ".join(DOC.split())
SIZE = 12e12
WIRES = {"one connection, 87.5 MB/s": 87.5 * MB, "10 Gb/s": 0.89 * 10e9 / 8, "25 Gb/s": 0.89 * 25e9 / 8}


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def billion(tier: str, wire: str, **schedule: Any) -> dict[str, Any]:
    """The plan of 12 TB at the rate of a wire; the replay is as assumed."""
    rates = {stage: Rate(rate, "") for stage, rate in ASSUMED_RATES.items()}
    rates |= dict.fromkeys(("backup", "restore"), Rate(WIRES[wire], ""))
    log = Rate(SIZE * ASSUMED_CHANGE / DAY, "", measured=False)
    facts = Facts("vectors", SIZE, 0.0, log, rates, (ASSUMED_FIND, ""))
    sla = parse_level(tier)
    return plan_result(facts, Schedule.of(targets(sla).as_result() | schedule), sla, Prices())


@pytest.mark.parametrize("tier", TIERS)
def test_what_follows_from_a_tier(tier: str) -> None:
    asked = targets(parse_level(tier))
    cells = [duration(asked.sla.rpo_seconds), duration(asked.sla.rto_seconds), "yes" if asked.wal_archive else "no"]
    cells += [duration(asked.backup_interval), duration(asked.copy_interval)]
    assert row(tier, *cells, duration(asked.seal_interval) if asked.seal_interval else "-") in DOC


def test_what_a_billion_vectors_cost() -> None:
    stored = billion("prototype", "10 Gb/s")["costs"]["storage"]
    for name, title in (
        ("daily_full", "a full backup of each day"),
        ("weekly_full", "a full one each week, and what changes each day"),
        ("incremental", "one full backup, and what changes each day"),
    ):
        assert row(title, f"{stored[name]['bytes'] / 1e12:.0f} TB", f"${stored[name]['cost']:,.0f}") in DOC


@pytest.mark.parametrize("wire", WIRES)
def test_how_long_a_billion_vectors_take(wire: str) -> None:
    restore = billion("prototype", wire)["rto"]["parts"][1]
    assert (restore["name"], row(wire, f"{restore['seconds'] / 3600:.1f} h") in DOC) == ("restore", True)


@pytest.mark.parametrize(("wire", "met"), [("one connection, 87.5 MB/s", False), ("10 Gb/s", True)])
def test_where_the_lowest_tier_holds(wire: str, met: bool) -> None:
    plan = billion("prototype", wire)
    times = [duration(plan[name]["seconds"]) for name in ("rpo", "rto")]
    assert plan["met"] is met
    assert row(wire, *times, volume(plan["largest_size"])) in DOC


def test_no_other_tier_holds_for_a_billion_vectors() -> None:
    assert not [tier for tier in TIERS if tier != "prototype" and billion(tier, "25 Gb/s")["met"]]
    rto = billion("standard", "25 Gb/s")["rto"]
    replay = next(part["seconds"] for part in rto["parts"] if part["name"] == "replay")
    assert f"standard takes {duration(rto['seconds'])}, of which replaying a day's log of 240 GB" in FLOWING
    assert f"at 20 MB/s takes {duration(replay)}." in FLOWING
    often = billion("standard", "25 Gb/s", backup_interval=6 * 3600.0)
    assert often["met"]
    assert f"every 6 hours, that is {duration(often['rto']['seconds'])}." in FLOWING


def test_what_is_assumed_is_said() -> None:
    rates = [f"{rate / MB:.0f}" for rate in ASSUMED_RATES.values()]
    assert f"{', '.join(rates[:-1])} and {rates[-1]} MB/s (backup, copy, restore, replay;" in DOC
    assert f"{ASSUMED_CHANGE * 100:.0f} % of the size written a day, {ASSUMED_FIND:.0f} s to find and check" in DOC
    assert f"as of {Prices().dated}" in DOC
