# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of drills made by hand: one of each verdict, and one whose texts try to break out of a page."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_kind, drill_record, layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import exact

Json = dict[str, Any]

DECLARED = datetime(2026, 11, 22, 2, 0, tzinfo=timezone.utc)
HOSTILE = (
    "<script>alert(1)</script> \"'&`|*_[x](http://evil.example/) \u202eevil\u2066 {{ 7*7 }} </style><!-- " + "long" * 60
)
_STAGES = (
    ("isolate", 0.8, "4 checks, the target is not the source"),
    ("locate", 0.4, "newest backup of 2 regions"),
    ("restore", 24.6, "4 shards from qdrant-backups-eu"),
    ("replay", 6.1, "1,117 entries"),
    ("verify", 9.3, "9 checks"),
    ("first_query", 0.02, "10 neighbours, as recorded"),
    ("controls", 7.9, "3 of 3 refused"),
    ("cleanup", 1.2, "nothing is left"),
)


def drill_id(days: int = 0) -> str:
    """The id of a drill so many days after the first of November's last ones."""
    return layout.new_backup_id(DECLARED + timedelta(days=days), f"{0xA1B2C3 + days:06x}")


def passed(days: int = 0, **changes: Any) -> Json:
    """A drill with the verdict PASS."""
    declared = DECLARED + timedelta(days=days)
    record = {
        "schema_version": drill_record.SCHEMA_VERSION,
        "kind": drill_kind.DRILL.text,
        "drill_id": drill_id(days),
        "run_id": drill_id(days),
        "cluster": "production",
        "collection": "products",
        "declared": {
            "at": exact(declared),
            "operator": "Ada Lovelace",
            "reason": "Monthly drill of customer-facing collections",
            "trigger": "scheduled",
            "scenario": "region_lost",
            "failure_at": exact(declared - timedelta(seconds=3)),
            "approver": "Grace Hopper",
            "scope": "1 of 3 collections due within 30 days",
        },
        "sla": {"tier": "high_availability", "rpo_seconds": 60, "rto_seconds": 900},
        "verdict": drill_record.PASS,
        "failed_stage": None,
        "failure": None,
        "rto_seconds": 41.22,
        "rpo_seconds": 1.4,
        "rpo_bound": "at most",
        "stages": _stages(declared),
        "backup": _backup(declared),
        "regions": _regions(),
        **_restored(days),
        **_afterwards(),
        **_remembered(),
    }
    return drill_record.check({**record, **changes})


def _restored(days: int) -> Json:
    """Where it was restored to, and what was found there."""
    return {
        "target": {
            "nodes": ["http://10.20.0.11:6333", "http://10.20.0.12:6333", "http://10.20.0.13:6333"],
            "qdrant_version": "1.16.3",
            "kind": "standby",
            "collection": f"drill-{drill_id(days)}-products",
        },
        "isolation": [
            {"check": "cluster_identity", "passed": True, "detail": "peers of source and target differ"},
            {"check": "addresses", "passed": True, "detail": "no address is in both"},
            {"check": "credentials", "passed": True, "detail": "the source answers 403 to a write"},
            {"check": "aliases", "passed": True, "detail": "no alias points to the scratch collection"},
        ],
        "integrity": _integrity(),
    }


def _afterwards() -> Json:
    """What was tried after the recovery, and what all of it took."""
    return {
        "controls": [
            {
                "control": "flipped_byte",
                "refused": True,
                "code": "damaged_backup",
                "detail": "byte 8,388,612 of shard 0 was flipped in a scratch copy",
            },
            {
                "control": "missing_object",
                "refused": True,
                "code": "damaged_backup",
                "detail": "shard 2 was left out of a scratch copy",
            },
            {"control": "wrong_key", "refused": None, "code": None, "detail": "the backup is not client-encrypted"},
        ],
        "cleanup": [
            {"what": "scratch collection", "removed": True, "detail": "404 on every node"},
            {"what": "scratch copy", "removed": True, "detail": "no object below products/.drill"},
        ],
        "throughput": [
            {"stage": "restore", "bytes": 1073741824, "seconds": 24.6, "mib_per_second": 41.6},
            {"stage": "replay", "bytes": 9123456, "seconds": 6.1, "mib_per_second": 1.4},
        ],
        "cost": {
            "transfer_bytes": 1082865280,
            "reads": 190,
            "writes": 24,
            "amount": 0.021853,
            "storage_bytes_month": 2147483648,
            "storage_amount_month": 0.049392,
            "currency": "USD",
            "prices": "list prices of Amazon S3 Standard in us-east-1",
            "prices_dated": "2026-11",
        },
    }


def _remembered() -> Json:
    """What goes beyond this drill, and what repeats it."""
    return {
        "findings": [],
        "coverage": {
            "protected": ["articles", "images", "products"],
            "drilled_within": {"articles": "2026-11-08", "images": "2026-11-15", "products": "2026-11-22"},
            "days": 30,
        },
        "previous": [],
        "versions": {
            "tool": "0.1.0",
            "ansible": "2.19.4",
            "python": "3.12.3",
            "qdrant_source": "1.16.3",
            "qdrant_target": "1.16.3",
        },
        "configuration_sha256": "4f" * 32,
        "commands": [
            "ansible-playbook vectorops.qdrant_dr.drill -e qdrant_drill_collections=products"
            " -e qdrant_drill_scenario=region_lost",
        ],
        "controls_supported": ["SOC 2 A1.3", "ISO/IEC 27001 A.8.13", "DORA Art. 12", "HIPAA 164.308(a)(7)"],
    }


def with_findings(days: int = 0, **changes: Any) -> Json:
    """A drill with the verdict PASS WITH FINDINGS, after eleven others, two of which were slower than the SLA."""
    rto = (38.0, 44.5, 39.2, 61.0, 43.0, 940.0, 52.1, 40.8, None, 47.7, 42.9)
    record = passed(days, previous=[previous(days - 30 * (11 - number), seconds) for number, seconds in enumerate(rto)])
    record["verdict"] = drill_record.WITH_FINDINGS
    record["findings"] = [
        finding("not-drilled-images", "images was not drilled within 30 days", days),
        {**finding("region-lag", "qdrant-backups-us lags by 9 h", days - 30), "closed": drill_id(days)},
    ]
    record["coverage"]["drilled_within"]["images"] = None
    record["backup"]["damaged"] = [
        {
            "object": "products/backups/20261122T010000Z-0c0ffe/shards/1.snapshot",
            "part": 7,
            "source": "qdrant-backups-eu",
            "reason": "its bytes do not have the SHA-256 of the manifest",
            "served_by": "qdrant-backups-us",
        }
    ]
    record["backup"]["served"]["qdrant-backups-us"] = {"parts": 1, "bytes": 16777216}
    return drill_record.check({**record, **changes})


def failed(days: int = 0, **changes: Any) -> Json:
    """A drill that failed in its restore, with nothing measured after that."""
    record = passed(days)
    record["declared"]["approver"] = None
    record |= {
        "verdict": drill_record.FAIL,
        "failed_stage": "restore",
        "failure": {
            "code": "damaged_backup",
            "detail": "products/backups/20261122T010000Z-0c0ffe/shards/1.snapshot, part 7, is good in no region.",
            "hint": "Restore an older backup, and find out with backup_verify when this one was damaged.",
        },
        "rto_seconds": None,
        "rpo_seconds": None,
        "rpo_bound": None,
        "throughput": [],
        "cost": None,
        "coverage": None,
        "controls": [],
    }
    record["integrity"] = [{**check, "found": None, "passed": None, "detail": "not reached"} for check in _integrity()]
    for stage in record["stages"][2:-1]:
        stage.update({"outcome": "skipped", "seconds": 0.0, "begun": None, "ended": None, "detail": "not reached"})
    record["stages"][2].update(passed(days)["stages"][2], outcome="failed", detail="part 7 of shard 1 is damaged")
    record["findings"] = [{**finding("damaged", "Shard 1 is damaged in all regions", days), "severity": "major"}]
    return drill_record.check({**record, **changes})


def failover(days: int = 0, **changes: Any) -> Json:
    """The real thing, which has passed."""
    record = passed(days)
    declared = DECLARED + timedelta(days=days)
    record["stages"] = [
        {**record["stages"][0], "name": "fence", "detail": "the hook fence was run"},
        *record["stages"][:6],
        {**record["stages"][5], "name": "publish", "detail": "1 alias was set"},
    ]
    record |= {"kind": drill_kind.FAILOVER.text, "controls": [], "cleanup": [], "coverage": None}
    record["declared"] |= {"trigger": "manual", "scenario": "cluster_lost", "at": exact(declared)}
    return drill_record.check({**record, **changes})


def hostile() -> Json:
    """A drill in which every text that a person or a server chooses tries to break out of the page."""
    record = failed(previous=[previous(-30, 41.0)])
    record["collection"] = "\u05d0\u05d1 'x' & {{ 7+7 }} \u202ecod.exe " + "x" * 120
    record["cluster"] = HOSTILE
    return drill_record.check(_spoil(record, drill_record.FIELDS))


def _spoil(value: Any, spec: Any) -> Any:
    if isinstance(spec, drill_record.Maybe):
        return value if value is None else _spoil(value, spec.spec)
    if isinstance(spec, drill_record.Each):
        return {f"{HOSTILE}{number}": _spoil(each, spec.spec) for number, each in enumerate(value.values())}
    if isinstance(spec, dict):
        return {
            name: each if each in list(drill_kind.KINDS) else _spoil(each, spec.get(name))
            for name, each in value.items()
        }
    if isinstance(spec, list):
        return [_spoil(each, spec[0]) for each in value]
    return HOSTILE if spec in ("text", "any") else value


def previous(days: int, rto: float | None) -> Json:
    """An entry about an earlier drill."""
    declared = exact(DECLARED + timedelta(days=days))
    verdict = drill_record.PASS if rto is not None and rto <= 900 else drill_record.FAIL
    rpo = None if rto is None else round(1.0 + rto / 100, 2)
    return {
        "drill_id": drill_id(days),
        "declared_at": declared,
        "verdict": verdict,
        "rto_seconds": rto,
        "rpo_seconds": rpo,
    }


def finding(name: str, text: str, days: int = 0) -> Json:
    """A finding that the drill of that day opened."""
    return {
        "id": name,
        "text": text,
        "severity": "minor",
        "owner": "search platform team",
        "due": "2026-12-15",
        "opened": drill_id(days),
        "closed": None,
    }


def _stages(declared: datetime) -> list[Json]:
    stages, begun = [], declared
    for name, seconds, detail in _STAGES:
        ended = begun + timedelta(seconds=seconds)
        stage = {"name": name, "begun": exact(begun), "ended": exact(ended), "seconds": seconds}
        stages.append({**stage, "outcome": "done", "detail": detail})
        begun = ended
    return stages


def _backup(declared: datetime) -> Json:
    backup_id = layout.new_backup_id(declared - timedelta(hours=1), "0c0ffe")
    return {
        "backup_id": backup_id,
        "created": exact(declared - timedelta(hours=1)),
        "size": 1073741824,
        "points": 1200345,
        "qdrant_version": "1.16.3",
        "manifest_sha256": "3e" * 32,
        "objects": [
            {
                "key": f"products/backups/{backup_id}/shards/{shard}.snapshot",
                "size": 268435456,
                "sha256": f"{shard}a" * 32,
            }
            for shard in range(4)
        ],
        "encryption": "AES256",
        "client_encryption": False,
        "restored_from": ["qdrant-backups-eu"],
        "served": {"qdrant-backups-eu": {"parts": 64, "bytes": 1073741824}},
        "damaged": [],
        "moment": [
            {
                "shard": 0,
                "base_index": 4100,
                "index": 5217,
                "timeline": backup_id,
                "written_after": exact(declared - timedelta(seconds=5)),
                "written_before": exact(declared - timedelta(seconds=4)),
            }
        ],
        "entries_replayed": 1117,
        "inexact": {},
    }


def _regions() -> list[Json]:
    return [
        {
            "name": "qdrant-backups-eu",
            "url": "s3://qdrant-backups-eu/qdrant/production/",
            "reachable": True,
            "has_backup": True,
            "detail": "eu-central-1",
        },
        {
            "name": "qdrant-backups-us",
            "url": "s3://qdrant-backups-us/qdrant/production/",
            "reachable": False,
            "has_backup": False,
            "detail": "made unreachable by the drill",
        },
    ]


def _integrity() -> list[Json]:
    digest = "qdr1-c4fe35b444669f519133f260586aa8e62634444151f6463893c9926b7f09c869"
    rows: list[tuple[str, Any, Any, str | None, bool | None, str]] = [
        ("points", 1200345, 1200345, None, True, "per shard"),
        ("digest", digest, digest, None, True, "all points, vectors and payloads"),
        ("schema", "as in the manifest", "as in the manifest", None, True, "vectors, shards and sharding"),
        ("payload_indexes", ["group", "number"], ["group", "number"], None, True, "types and parameters"),
        ("aliases", ["shop"], ["shop"], None, True, "not set in a drill, but they would be free"),
        ("samples", 100, 100, None, True, "points with vectors and payloads"),
        ("recall", 0.993, 0.991, "1% below the baseline", True, "64 recorded probes"),
        ("ann_vs_exact", 0.99, 0.991, "1%", True, "64 probes"),
        ("first_query_latency", None, 0.0123, None, None, "seconds; there is no limit"),
        ("replicas", 4, 4, None, True, "Active"),
    ]
    names = ("check", "expected", "found", "tolerance", "passed", "detail")
    return [dict(zip(names, row, strict=True)) for row in rows]


def copied(record: Json) -> Json:
    """A deep copy, to change."""
    return copy.deepcopy(record)


def _paths(spec: Any, path: str) -> Iterator[str]:
    """The paths of all fields below a part of the schema, such as ``stages[].name``."""
    while isinstance(spec, (drill_record.Maybe, list)):
        if isinstance(spec, list):
            spec, path = spec[0], f"{path}[]"
        else:
            spec = spec.spec
    for name, each in spec.items() if isinstance(spec, dict) else ():
        place = f"{path}.{name}" if path else name
        yield place
        yield from _paths(each, place)


FIELD_PATHS = [path for path in _paths(drill_record.FIELDS, "") if path not in ("schema_version", "kind")]


def places(record: Json, path: str) -> list[tuple[Json, str, str]]:
    """Where a record has the field with such a path: (the object that holds it, its name, its place in sentences)."""
    found: list[tuple[Any, str]] = [(record, "")]
    *way, name = path.split(".")
    for step in way:
        bare = step.removesuffix("[]")
        found = [
            (each, f"{place}.{bare}{number}" if place else f"{bare}{number}")
            for holder, place in found
            for each, number in _steps(holder[bare], step)
        ]
    bare = name.removesuffix("[]")
    return [(holder, bare, f"{place}.{bare}" if place else bare) for holder, place in found]


def _steps(value: Any, step: str) -> list[tuple[Any, str]]:
    if value is None:
        return []
    return [(each, f"[{number}]") for number, each in enumerate(value)] if step.endswith("[]") else [(value, "")]
