# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the logs of a node are kept as long as the archiver may be down, and how long those of new ones are to be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from ..errors import FileError
from ..formats.wal_rates import segment_rate
from ..formats.wal_sizing import Demand, KeptLog, raised
from ..stores.node_files import closed_segments, collection_config, free_bytes, local_replicas
from .wal_progress import Shard
from .wal_settings import MIB
from .write_rates import recorded_rates

Json = dict[str, Any]


@dataclass(frozen=True)
class RetentionRequest:
    """What to look at; ``collections``: None for all.

    ``outage_minutes``: how long the archiver may be down without a gap. ``rate``: bytes per second at which a shard is
    written to at most, None for what was observed. ``present``: what new collections would keep.
    """

    storage_path: str
    state_path: str
    collections: Collection[str] | None
    outage_minutes: float
    rate: float | None
    present: KeptLog


def look_at_retention(request: RetentionRequest, today: date) -> Json:
    """Judge the collections of the node, and plan for new ones; ``today`` (UTC): from when on to look back.

    Reads files of this host alone. Returns ``collections``, ``new_collections`` and ``warnings``, with MB of 1024^2
    bytes. Of a log that no rate was observed of nothing is said. Raises ``FileError`` where the directory cannot be
    read.
    """
    recorded = recorded_rates(request.state_path, today)
    chosen = request.collections
    replicas = [each for each in local_replicas(request.storage_path) if chosen is None or each[0] in chosen]
    warnings: list[str] = []
    judged: list[Json] = []
    for name, shards in groupby(replicas, key=lambda shard: shard[0]):
        # A collection may be gone by now.
        try:
            judged.append(_judge(request, name, list(shards), recorded))
        except FileError as error:
            warnings.append(f"{error.detail} {error.hint}")
    warnings += [_too_short(each, request.outage_minutes) for each in judged if each["suffices"] is False]
    new = _plan(request, judged)
    warnings += _shortcomings(new, request.outage_minutes)
    return {"collections": judged, "new_collections": new, "warnings": warnings}


def kept_log(config: Json) -> KeptLog:
    """What Qdrant keeps of the logs of a collection with this configuration."""
    wal = config["wal_config"]
    # Without a number it is 1.
    return KeptLog(wal["wal_capacity_mb"], wal.get("wal_retain_closed") or 1)


def _judge(request: RetentionRequest, name: str, shards: Iterable[Shard], recorded: dict[Shard, float]) -> Json:
    log = kept_log(collection_config(request.storage_path, name))
    rates = {str(number): _rate(request, (name, number), recorded) for _name, number in shards}
    known = [rate for rate in rates.values() if rate is not None]
    rate = max(known, default=None)
    demand = None if rate is None else Demand(request.outage_minutes, rate)
    return {
        "collection": name,
        "shards": {number: _mb(rate) for number, rate in rates.items()},
        "peak_mb_per_second": _mb(rate),
        "capacity_mb": log.capacity_mb,
        "retain_closed": log.retain_closed,
        "keeps_mb": log.capacity_mb * log.retain_closed,
        "needs_mb": None if demand is None else _mb(demand.size),
        "needs_retain_closed": None if demand is None else demand.segments(log.capacity_mb),
        "suffices": None if demand is None else demand.is_met(log),
    }


def _rate(request: RetentionRequest, shard: Shard, recorded: dict[Shard, float]) -> float | None:
    """The rate as given, else as the archiver has seen it, else as the files on the disk tell."""
    if request.rate is not None:
        return request.rate
    if shard in recorded:
        return recorded[shard]
    return segment_rate(closed_segments(request.storage_path, *shard))


def _plan(request: RetentionRequest, judged: list[Json]) -> Json:
    """For new collections, that may be written to like the busiest one and have as many shards as the largest."""
    rates = [each["peak_mb_per_second"] * MIB for each in judged if each["peak_mb_per_second"] is not None]
    rate = request.rate if request.rate is not None else max(rates, default=None)
    plan, demand = request.present, None
    if rate is not None:
        demand = Demand(request.outage_minutes, rate)
        shards = max((len(each["shards"]) for each in judged), default=1)
        plan = raised(request.present, demand, free_bytes(request.storage_path) or 0, shards)
    return {
        "peak_mb_per_second": _mb(rate),
        "capacity_mb": plan.capacity_mb,
        "retain_closed": plan.retain_closed,
        "keeps_mb": plan.capacity_mb * plan.retain_closed,
        "needs_mb": None if demand is None else _mb(demand.size),
        "suffices": None if demand is None else demand.is_met(plan),
    }


def _too_short(judged: Json, minutes: float) -> str:
    return (
        f"The log of {judged['collection']} keeps at least {judged['keeps_mb']} MB for each shard, and needs "
        f"{judged['needs_mb']:.0f} MB to bridge {_outage(judged, minutes)}: what an archiver misses that is down for "
        "longer is a gap. That was fixed when the collection was made, and a restore makes it the same: set "
        f"wal_retain_closed to {judged['needs_retain_closed']} or more in its config.json on each node while that is "
        "stopped, as the tag qdrant_server_wal_existing of the role qdrant_server does."
    )


def _shortcomings(new: Json, minutes: float) -> list[str]:
    if new["suffices"] is None:
        return ["No rate of writes was observed yet: look again when the archiver has run a while, or give the rate."]
    if new["suffices"]:
        return []
    return [
        f"The disk has no room for what bridges {_outage(new, minutes)}: the log of new collections keeps "
        f"{new['keeps_mb']} of {new['needs_mb']:.0f} MB for each shard. Give the disk more room, or fewer minutes to "
        "bridge."
    ]


def _outage(judged: Json, minutes: float) -> str:
    return f"{minutes:g} minutes at {judged['peak_mb_per_second']:.3g} MB/s"


def _mb(size: float | None) -> float | None:
    return None if size is None else round(size / MIB, 6)
