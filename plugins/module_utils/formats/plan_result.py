# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of one collection: what is expected, what a month of it costs, and whether its service level holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SlaNotMet
from .agent_status import duration
from .plan import (
    Facts,
    Part,
    Rate,
    Schedule,
    change_per_day,
    days_left,
    expected_region_rpo,
    expected_rpo,
    expected_rto,
    largest_size,
    shortfalls,
    total,
    volume,
)
from .prices import Prices
from .sla import Sla
from .sla_targets import DAY

Json = dict[str, Any]

MONTH_DAYS = 30
_WEEK = 7
# A part of a multipart upload: so many bytes, and at most so many parts.
_PART, _PARTS = 16 * 1024 * 1024, 10_000
# Of a shard's archive: to begin and to end the upload, and its sidecar; of a backup: marker, share, manifest, record.
_SHARD_PUTS, _BACKUP_PUTS = 3, 4


def plan_result(facts: Facts, schedule: Schedule, sla: Sla, prices: Prices, days: int = MONTH_DAYS) -> Json:
    """As the module ``sla_plan`` returns it for a collection; ``days``: for which a backup of each day is kept."""
    largest, reasons = largest_size(facts, schedule, sla), shortfalls(facts, schedule, sla)
    region = expected_region_rpo(facts, schedule)
    return {
        "collection": facts.collection,
        "sla": sla.as_result(),
        "met": not reasons,
        "shortfalls": reasons,
        "rpo": _time(expected_rpo(facts, schedule)),
        "rto": _time(expected_rto(facts, schedule)),
        "region_rpo": _time(region) if facts.regions > 1 else None,
        "region_met": total(region) <= sla.rpo_seconds if facts.regions > 1 else None,
        "size": facts.size,
        "growth_per_day": facts.growth,
        "written_per_day": facts.log.bytes_per_second * DAY,
        "rates": {name: rate.as_result() for name, rate in _rates(facts).items()},
        "largest_size": largest,
        "days_left": days_left(facts, largest),
        "costs": costs(facts, schedule, prices, days),
    }


def _rates(facts: Facts) -> dict[str, Rate]:
    return {**facts.rates, "log": facts.log} | ({} if facts.peak is None else {"peak": facts.peak})


def _time(parts: Sequence[Part]) -> Json:
    return {"seconds": total(parts), "parts": [vars(part) for part in parts]}


def costs(facts: Facts, schedule: Schedule, prices: Prices, days: int) -> Json:
    """Bytes, requests and money of a month, in all regions; incremental backups are an estimate by what changes."""
    change, size = change_per_day(facts), facts.size
    full = days * size + facts.growth * days * (days - 1) / 2
    fulls = -(-days // _WEEK)
    log = facts.log.bytes_per_second * facts.replicas * DAY * days if schedule.wal_archive else 0.0
    stored = {
        "daily_full": full,
        "weekly_full": fulls * size + (days - fulls) * change,
        "incremental": size + (days - 1) * change,
        "log": log,
    }
    runs = MONTH_DAYS * DAY / schedule.backup_interval
    sent = (runs * size + log * MONTH_DAYS / days) * (facts.regions - 1)
    puts = (runs * backup_puts(size, facts.shards) + chunk_puts(facts, schedule)) * facts.regions
    return {
        "days": days,
        "storage": {
            name: {"bytes": held * facts.regions, "cost": prices.storing(held) * facts.regions}
            for name, held in stored.items()
        },
        "transfer": {"bytes": sent, "cost": prices.sending(sent)},
        "requests": {"count": puts, "cost": prices.writing(puts)},
        "currency": prices.currency,
        "prices_dated": prices.dated,
    }


def backup_puts(size: float, shards: int) -> float:
    """Requests that write one backup of so many bytes."""
    parts = max(1.0, min(-(-size / shards // _PART), _PARTS))
    return shards * (parts + _SHARD_PUTS) + _BACKUP_PUTS


def chunk_puts(facts: Facts, schedule: Schedule) -> float:
    """Requests that write the chunks of a month at most: when every replica is written to all the time."""
    if not schedule.wal_archive:
        return 0.0
    return MONTH_DAYS * DAY / (schedule.poll + schedule.seal) * facts.shards * facts.replicas


def refuse_unmet(result: Json, titles: Mapping[str, str]) -> None:
    """Raise SlaNotMet, with ``result``, where a plan in it falls short; ``titles``: of the levels, by collection."""
    sentences = []
    for plan in result["plans"]:
        if not plan["met"]:
            name, largest = plan["collection"], plan["largest_size"]
            until = "It holds at no size." if largest is None else f"It holds up to {volume(largest)}."
            sentences.append(f"{name} cannot meet {titles[name]}. {' '.join(plan['shortfalls'])} {until}")
    if sentences:
        raise SlaNotMet(
            " ".join(sentences),
            "Choose another level, back up more often or archive the log, or give the rates that your hosts reach.",
            **result,
        )


def lines(plan: Json) -> list[str]:
    """The plan for people."""
    sla, costing = plan["sla"], plan["costs"]
    found = [
        f"{plan['collection']}: {volume(plan['size'])}, grows {volume(plan['growth_per_day'])} a day;"
        f" {'meets' if plan['met'] else 'CANNOT MEET'} {sla['tier'] or 'its level'}"
    ]
    for word, name, limit in (
        ("RPO", "rpo", sla["rpo_seconds"]),
        ("RTO", "rto", sla["rto_seconds"]),
        ("RPO when the first region is lost", "region_rpo", sla["rpo_seconds"]),
    ):
        if plan[name] is not None:
            summands = " + ".join(
                f"{part['name']} {duration(part['seconds'])} ({part['reason']})" for part in plan[name]["parts"]
            )
            found.append(f"  {word}: {duration(plan[name]['seconds'])} of {duration(limit)} = {summands}")
    rates = "; ".join(
        f"{name} {rate['mb_per_second']:.3g} MB/s ({rate['source']})" for name, rate in plan["rates"].items()
    )
    found += [f"  by the rates: {rates}", _until(plan)]
    storage = " or ".join(
        f"{title} {volume(costing['storage'][name]['bytes'])}, {_money(costing['storage'][name], costing)}"
        for name, title in (
            ("daily_full", "daily full"),
            ("weekly_full", "weekly full"),
            ("incremental", "incremental (estimate)"),
        )
    )
    found.append(f"  storage of {costing['days']} days: {storage}; log {_money(costing['storage']['log'], costing)}")
    found.append(
        f"  a month: transfer {_money(costing['transfer'], costing)}, requests {_money(costing['requests'], costing)}"
        f" (prices of {costing['prices_dated']})"
    )
    return found


def _until(plan: Json) -> str:
    if plan["largest_size"] is None:
        return "  the level holds at no size"
    days = plan["days_left"]
    left = "" if days is None else f", which it reaches in {days:.0f} days"
    return f"  the level holds up to {volume(plan['largest_size'])}{left}"


def _money(entry: Json, costing: Json) -> str:
    return f"{entry['cost']:,.2f} {costing['currency']}"
