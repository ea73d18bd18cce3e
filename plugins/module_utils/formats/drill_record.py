# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a drill, a failover or a failback: what was done, measured and found (docs/drill_report.md).

Its text is one document of canonical JSON, so that the SHA-256 beside it is one of its content. Fields that ``FIELDS``
does not name are kept, and not shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..errors import IntegrityError, InvalidInput
from .canonical import canonical
from .drill_kind import KINDS
from .layout import check_collection_name, is_backup_id
from .times import parse_moment

SCHEMA_VERSION = 1
PASS, WITH_FINDINGS, FAIL = VERDICTS = ("PASS", "PASS WITH FINDINGS", "FAIL")
STAGES = ("isolate", "locate", "restore", "replay", "verify", "first_query", "controls", "cleanup")
# What the caller of a drill has to do before its stages, such as provision the target.
PREPARE = "prepare"
# What only the real thing has. The caller fences, stops writes and backs up; then aliases and users are switched.
FENCE, STOP_WRITES, BACKUP, PUBLISH = "fence", "stop_writes", "backup", "publish"
CALLERS = (PREPARE, FENCE, STOP_WRITES, BACKUP)
REAL_STAGES = ("isolate", "locate", "restore", "replay", "verify", "first_query", PUBLISH)
# What follows the first correct answer does not count into the RTO.
UNCOUNTED = ("controls", "cleanup")
# How many drills a report looks back on, itself included.
REMEMBERED = 12

Json = dict[str, Any]


@dataclass(frozen=True)
class OneOf:
    """One of these texts."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Maybe:
    """What ``spec`` says, or null."""

    spec: Any


@dataclass(frozen=True)
class Each:
    """An object with any names, whose values are what ``spec`` says."""

    spec: Any


# A text names a kind of value, a list has elements of its one entry, a dict is an object with these fields.
FIELDS: Json = {
    "schema_version": "whole",
    "kind": "text",
    "drill_id": "id",
    "run_id": "id",
    "cluster": "text",
    "collection": "name",
    "declared": {
        "at": "time",
        "operator": "text",
        "reason": "text",
        "trigger": OneOf(("manual", "scheduled")),
        "scenario": OneOf(
            ("collection_lost", "node_lost", "cluster_lost", "region_lost", "bad_deploy", "first_copy_corrupted")
        ),
        "failure_at": "time",
        "approver": Maybe("text"),
        "scope": "text",
    },
    "sla": {"tier": Maybe("text"), "rpo_seconds": "number", "rto_seconds": "number"},
    "verdict": OneOf(VERDICTS),
    "failed_stage": Maybe(OneOf((*CALLERS, *STAGES, PUBLISH))),
    "failure": Maybe({"code": "text", "detail": "text", "hint": "text"}),
    "rto_seconds": Maybe("number"),
    "rpo_seconds": Maybe("number"),
    "rpo_bound": Maybe(OneOf(("exact", "at most"))),
    "stages": [
        {
            "name": OneOf((*CALLERS, *STAGES, PUBLISH)),
            "begun": Maybe("time"),
            "ended": Maybe("time"),
            "seconds": "number",
            "outcome": OneOf(("done", "failed", "skipped")),
            "detail": "text",
        }
    ],
    "backup": Maybe(
        {
            "backup_id": "id",
            "created": "time",
            "size": "whole",
            "points": "whole",
            "qdrant_version": "text",
            "manifest_sha256": "digest",
            "objects": [{"key": "text", "size": "whole", "sha256": "digest"}],
            "encryption": "text",
            "client_encryption": "flag",
            "restored_from": ["text"],
            "served": Each({"parts": "whole", "bytes": "whole"}),
            "damaged": [
                {
                    "object": "text",
                    "part": Maybe("whole"),
                    "source": "text",
                    "reason": "text",
                    "served_by": Maybe("text"),
                }
            ],
            "moment": Maybe(
                [
                    {
                        "shard": "whole",
                        "base_index": "whole",
                        "index": "whole",
                        "written_after": Maybe("time"),
                        "written_before": Maybe("time"),
                    }
                ]
            ),
            "entries_replayed": Maybe("whole"),
            "inexact": Maybe(Each("whole")),
        }
    ),
    "regions": [{"name": "text", "url": "text", "reachable": "flag", "has_backup": "flag", "detail": "text"}],
    "target": Maybe(
        {
            "nodes": ["text"],
            "qdrant_version": "text",
            "kind": OneOf(("standby", "fresh", "ephemeral", "home")),
            "collection": "text",
        }
    ),
    "isolation": [{"check": "text", "passed": Maybe("flag"), "detail": "text"}],
    "integrity": [
        {
            "check": OneOf(
                (
                    "points",
                    "digest",
                    "schema",
                    "payload_indexes",
                    "aliases",
                    "samples",
                    "recall",
                    "ann_vs_exact",
                    "first_query_latency",
                    "replicas",
                )
            ),
            "expected": "any",
            "found": "any",
            "tolerance": Maybe("text"),
            "passed": Maybe("flag"),
            "detail": "text",
        }
    ],
    "controls": [
        {
            "control": OneOf(("flipped_byte", "missing_object", "wrong_key")),
            "refused": Maybe("flag"),
            "code": Maybe("text"),
            "detail": "text",
        }
    ],
    "cleanup": [{"what": "text", "removed": "flag", "detail": "text"}],
    "throughput": [{"stage": "text", "bytes": "whole", "seconds": "number", "mib_per_second": "number"}],
    "cost": Maybe(
        {
            "transfer_bytes": "whole",
            "reads": "whole",
            "writes": "whole",
            "amount": "number",
            "storage_bytes_month": "whole",
            "storage_amount_month": "number",
            "currency": "text",
            "prices": "text",
            "prices_dated": "text",
        }
    ),
    "findings": [
        {
            "id": "text",
            "text": "text",
            "severity": OneOf(("minor", "major")),
            "owner": Maybe("text"),
            "due": Maybe("date"),
            "opened": "id",
            "closed": Maybe("id"),
        }
    ],
    "coverage": Maybe({"protected": ["text"], "drilled_within": Each(Maybe("date")), "days": "whole"}),
    "previous": [
        {
            "drill_id": "id",
            "declared_at": "time",
            "verdict": OneOf(VERDICTS),
            "rto_seconds": Maybe("number"),
            "rpo_seconds": Maybe("number"),
        }
    ],
    "versions": {
        "tool": "text",
        "ansible": Maybe("text"),
        "python": "text",
        "qdrant_source": Maybe("text"),
        "qdrant_target": Maybe("text"),
    },
    "configuration_sha256": "digest",
    "commands": ["text"],
    "controls_supported": ["text"],
}

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WORDS = {
    "text": "a text",
    "name": "the name of a collection",
    "id": "an id such as 20261122T020000Z-a1b2c3",
    "time": "a time with its zone, such as 2026-11-22T02:00:00.000000Z",
    "date": "a date such as 2026-11-22",
    "digest": "a SHA-256 in hex",
    "number": "a number that is not negative",
    "whole": "a whole number that is not negative",
    "flag": "true or false",
}
_HINT = "docs/drill_report.md describes each field of a record."


def check(record: Any) -> Json:
    """The record itself. Raises InvalidInput that names the first field that is missing or of another type."""
    for fault in _faults(record):
        raise InvalidInput(fault, _HINT)
    checked: Json = record
    return checked


def parse(data: bytes) -> Json:
    """Read a stored record. Raises IntegrityError for what is cut short, of a newer schema, or not a record."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"The record of the drill is not complete JSON: {error}.", _COPY) from error
    for fault in _faults(record):
        raise IntegrityError(fault, _COPY)
    parsed: Json = record
    return parsed


_COPY = "Use the copy of another region, or the version of vectorops.qdrant_dr that wrote it, or a newer one."


def dump(record: Json) -> bytes:
    """The text to store: canonical JSON, the same bytes for the same fields."""
    return canonical(record)


def digest(record: Json) -> str:
    """SHA-256 of the stored text, in hex."""
    return hashlib.sha256(dump(record)).hexdigest()


def skipped_stage(name: str, why: str) -> Json:
    """A stage that never began."""
    return {"name": name, "begun": None, "ended": None, "seconds": 0.0, "outcome": "skipped", "detail": why}


def open_findings(record: Json) -> list[Json]:
    """The findings that nobody has closed yet."""
    return [finding for finding in record["findings"] if finding["closed"] is None]


def _faults(record: Any) -> Iterator[str]:
    if not isinstance(record, dict) or record.get("kind") not in list(KINDS):
        yield f"This is not the record of a drill: its kind is none of {', '.join(KINDS)}."
        return
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        yield f"The record of the drill has schema version {version!r}, this version reads {SCHEMA_VERSION}."
        return
    yield from _faults_in("", record, FIELDS)


def _faults_in(path: str, value: Any, spec: Any) -> Iterator[str]:
    """One sentence for each place below ``path`` that is not as ``spec`` says."""
    if isinstance(spec, Maybe):
        if value is not None:
            yield from _faults_in(path, value, spec.spec)
    elif isinstance(spec, (dict, Each)):
        yield from _faults_in_object(path, value, spec)
    elif isinstance(spec, list):
        if not isinstance(value, list):
            yield f"In the record of the drill {path} is not a list."
            return
        for number, element in enumerate(value):
            yield from _faults_in(f"{path}[{number}]", element, spec[0])
    elif isinstance(spec, OneOf):
        if value not in spec.values:
            yield f"In the record of the drill {path} is {value!r}, and none of {', '.join(spec.values)}."
    elif not _is(spec, value):
        yield f"In the record of the drill {path} is {value!r}, which is not {_WORDS[spec]}."


def _faults_in_object(path: str, value: Any, spec: Json | Each) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"In the record of the drill {path} is not an object."
        return
    for name in value if isinstance(spec, Each) else spec:
        place = f"{path}.{name}" if path else name
        if name not in value:
            yield f"The record of the drill lacks {place}."
        else:
            yield from _faults_in(place, value[name], spec.spec if isinstance(spec, Each) else spec[name])


def _is(kind: str, value: Any) -> bool:
    if kind == "any":
        return True
    if kind == "flag":
        return isinstance(value, bool)
    if kind in ("number", "whole"):
        wanted = int if kind == "whole" else (int, float)
        return isinstance(value, wanted) and not isinstance(value, bool) and 0 <= value < float("inf")
    return isinstance(value, str) and _is_text(kind, value)


def _is_text(kind: str, value: str) -> bool:
    try:
        if kind == "name":
            check_collection_name(value)
        elif kind == "time":
            parse_moment(value, kind, zone_required=True)
        elif kind == "date":
            return bool(_DATE.fullmatch(value) and date.fromisoformat(value))
    except (InvalidInput, ValueError):
        return False
    return (kind != "id" or is_backup_id(value)) and (kind != "digest" or bool(_DIGEST.fullmatch(value)))
