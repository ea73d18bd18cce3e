# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's report, made from the modules' return values, and its summary for people."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MIB = 2**20
UNREAD = "not read: the region asked first had this part right"


def report_of(results: Json, seconds: float) -> Json:
    """Return what build/demo/report.json holds.

    Args:
        results: what playbooks/demo.yml writes: `before` and `after` (returns of collection_check, in the order of
            `restores`), `backup`, `copy`, `damage` (places), `restores`.
        seconds: how long all of it took.
    """
    triples = zip(results["restores"], results["before"], results["after"], strict=True)
    detected = [fault for restored in results["restores"] for fault in restored["damaged"]]
    return {
        "seconds": round(seconds, 1),
        "collections": [_collection(results, *triple) for triple in triples],
        "damaged_parts_detected": len(detected),
        "damage": [_fate(place, detected) for place in results["damage"]],
    }


def _collection(results: Json, restored: Json, before: Json, after: Json) -> Json:
    name = restored["collection"]
    made = next(entry for entry in results["backup"]["backups"] if entry["collection"] == name)
    copied = next(entry for entry in results["copy"]["copied"] if entry["collection"] == name)
    return {
        "name": name,
        "restored_as": restored["target"],
        "aliases": restored["aliases"],
        "backup_id": restored["backup_id"],
        "points_before": before["points"],
        "points_after": after["points"],
        "digest_before": before["digest"],
        "digest_after": after["digest"],
        "recall_at_10": after["recall_at_10"],
        "replicas": [replica["state"] for replica in after["replicas"]],
        "payload_indexes": sorted(restored["check"]["payload_indexes"]),
        "encryption": made["encryption"],
        "backup_bytes": made["size"],
        "backup_seconds": made["seconds"],
        "copy_bytes": copied["bytes"],
        "copy_seconds": copied["seconds"],
        "restore_bytes": restored["size"],
        "restore_seconds": restored["seconds"],
        "restored_from": restored["restored_from"],
        "served": restored["served"],
        "damaged": restored["damaged"],
    }


def _fate(place: Json, detected: list[Json]) -> Json:
    """What became of one damaged place: refused with a reason, or never read."""
    for fault in detected:
        if (fault["source"], fault["object"], fault["part"]) == (place["region"], place["object"], place["part"]):
            return {**place, "detected": True, "reason": fault["reason"], "served_by": fault["served_by"]}
    return {**place, "detected": False, "reason": UNREAD, "served_by": None}


def summary_of(report: Json) -> str:
    """Return the report as tables of plain text."""
    parts = [
        f"Everything is back. All of it took {report['seconds']:.0f} s.",
        _table(["what", "bytes", "seconds", "MiB/s"], _work(report)),
        _table(
            ["collection", "points", "digest", "recall@10", "replicas", "payload indexes", "aliases"], _proof(report)
        ),
        _table(["collection", "parts from", "parts", "bytes"], _sources(report)),
        _table(["damaged", "part", "in", "taken from", "why"], _damage(report)),
    ]
    return "\n\n".join(parts)


def _work(report: Json) -> list[list[str]]:
    verbs = [
        ("backup", "back up {name} to primary"),
        ("copy", "copy {name} to standby"),
        ("restore", "restore {name} as {restored_as}"),
    ]
    return [
        [
            text.format(**entry),
            f"{entry[verb + '_bytes']:,}",
            f"{entry[verb + '_seconds']:.1f}",
            f"{entry[verb + '_bytes'] / MIB / max(entry[verb + '_seconds'], 1e-3):.1f}",
        ]
        for verb, text in verbs
        for entry in report["collections"]
    ]


def _proof(report: Json) -> list[list[str]]:
    return [
        [
            entry["restored_as"],
            f"{entry['points_after']:,} of {entry['points_before']:,}",
            "equal" if entry["digest_after"] == entry["digest_before"] else "DIFFERENT",
            f"{entry['recall_at_10']:.3f}",
            f"{entry['replicas'].count('Active')} of {len(entry['replicas'])} Active",
            ", ".join(entry["payload_indexes"]),
            ", ".join(entry["aliases"]),
        ]
        for entry in report["collections"]
    ]


def _sources(report: Json) -> list[list[str]]:
    return [
        [entry["name"], region, str(count["parts"]), f"{count['bytes']:,}"]
        for entry in report["collections"]
        for region, count in sorted(entry["served"].items())
    ]


def _damage(report: Json) -> list[list[str]]:
    return [
        [
            f"{place['collection']}, shard {place['shard']}",
            str(place["part"]),
            place["region"],
            place["served_by"] or "",
            place["reason"],
        ]
        for place in report["damage"]
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell; those of numbers are aligned to the right."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    numeric = [
        all(row[column].replace(",", "").replace(".", "").isdigit() for row in rows) for column in range(len(head))
    ]

    def line(cells: list[str]) -> str:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return "  " + "  ".join(aligned).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *(line(row) for row in rows)])
