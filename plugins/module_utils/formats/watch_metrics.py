# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watch has seen, as metrics: times of what there is, and the limits that each collection is judged by.

They are times and not ages, so that an alarm comes though nobody writes them any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from .drill_record import FAIL
from .exposition import GAUGE, family
from .verification import GOOD_RESULTS

Json = dict[str, Any]
Sample = tuple[Mapping[str, object], float]


def _drill(each: Json, name: str) -> float | None:
    return None if each["drill"] is None else each["drill"][name]


def _passed(each: Json) -> float | None:
    return None if each["drill"] is None else each["drill"]["verdict"] != FAIL


def _worst(each: Json) -> float:
    return max((finding["level"] for finding in each["findings"]), default=0)


# Names in ``limits`` -> the labels ``what`` and ``level`` of their metric.
_LIMITS = {
    **{f"{what}_{level}": (what, level) for what in ("backup", "wal", "region") for level in ("warning", "critical")},
    "verify_age": ("verification", "warning"),
    "drill_age": ("drill", "warning"),
}
# Metric -> what it is, and its value for a collection: None for no sample. Ages become times.
_TIMES: dict[str, tuple[str, Callable[[Json], float | None]]] = {
    "backup_timestamp_seconds": ("When the snapshot of the newest backup began.", lambda each: each["age_seconds"]),
    "wal_timestamp_seconds": (
        "Until when the collection can be restored with its archived log.",
        lambda each: each["wal_age_seconds"],
    ),
    "verification_timestamp_seconds": ("When a backup was last read.", lambda each: each["verified_age_seconds"]),
    "drill_timestamp_seconds": ("When the last drill began.", lambda each: _drill(each, "age_seconds")),
}
_VALUES: dict[str, tuple[str, Callable[[Json], float | None]]] = {
    "status": ("0 if all is well, 1 for a warning, 2 for what is critical.", _worst),
    "redundancy": ("In how many regions a recent backup was found good.", lambda each: each["redundancy"]),
    "wal_continued": (
        "1 if what is written now adds to what can be restored.",
        lambda each: None if each["wal_age_seconds"] is None else each["wal_continued"],
    ),
    "verification_good": (
        "1 if no backup was last found damaged.",
        lambda each: None if each["verification"] is None else each["verification"] in GOOD_RESULTS,
    ),
    "drill_passed": ("1 if the last drill did not fail.", _passed),
    "drill_rto_seconds": ("How long the recovery of the last drill took.", lambda each: _drill(each, "rto_seconds")),
    "drill_rpo_seconds": ("How much the last drill would have lost.", lambda each: _drill(each, "rpo_seconds")),
}


def watch_metrics(cluster: str, seen: Json, levels: Mapping[str, Json], now: datetime) -> bytes:
    """The text for Prometheus.

    Args:
        cluster: its name, a label of every sample but those of the file itself.
        seen: as ``operations.watch`` returns it.
        levels: collection -> ``Sla.as_result()``, of those that have a level.
        now: when it was looked (aware).
    """
    found, moment = seen["collections"], now.timestamp()
    lines: list[str] = []
    for name, (text, age) in _TIMES.items():
        ages = _samples(cluster, found, age)
        lines += family(name, GAUGE, text, [(labels, round(moment - seconds, 3)) for labels, seconds in ages])
    for name, (text, value) in _VALUES.items():
        lines += family(name, GAUGE, text, _samples(cluster, found, value))
    lines += _regions(cluster, found, moment)
    lines += _levels(cluster, found, levels)
    lines += family("watch_timestamp_seconds", GAUGE, "When this was looked at.", [({"cluster": cluster}, moment)])
    return ("\n".join(lines) + "\n").encode()


def _samples(cluster: str, found: Json, value: Callable[[Json], float | None]) -> Iterator[Sample]:
    for name, each in sorted(found.items()):
        number = value(each)
        if number is not None:
            yield {"cluster": cluster, "collection": name}, float(number)


def _regions(cluster: str, found: Json, now: float) -> list[str]:
    regions = [
        ({"cluster": cluster, "collection": name, "region": region["name"]}, region)
        for name, each in sorted(found.items())
        for region in each["regions"]
    ]
    gaps = [
        ({"cluster": cluster, "collection": name, "region": region}, float(len(listed)))
        for name, each in sorted(found.items())
        for region, listed in each["gaps"].items()
    ]
    return [
        *family(
            "region_timestamp_seconds",
            GAUGE,
            "Until when the collection can be restored from this region alone.",
            [(labels, round(now - each["age"], 3)) for labels, each in regions if each["age"] is not None],
        ),
        *family(
            "region_reachable",
            GAUGE,
            "1 if the region could be read.",
            [(labels, float(each["reachable"])) for labels, each in regions],
        ),
        *family("wal_gaps", GAUGE, "Timelines of the archived log that begin with a gap or anew.", gaps),
    ]


def _levels(cluster: str, found: Json, levels: Mapping[str, Json]) -> list[str]:
    limits = [
        ({"cluster": cluster, "collection": name, "what": what, "level": level}, float(each["limits"][limit]))
        for name, each in sorted(found.items())
        for limit, (what, level) in _LIMITS.items()
        if each["limits"][limit] is not None
    ]
    objectives = [
        ({"cluster": cluster, "collection": name, "objective": objective}, float(level[f"{objective}_seconds"]))
        for name, level in sorted(levels.items())
        for objective in ("rpo", "rto")
    ]
    return [
        *family("limit_seconds", GAUGE, "The age above which there is an alarm.", limits),
        *family("sla_seconds", GAUGE, "The service level.", objectives),
    ]
