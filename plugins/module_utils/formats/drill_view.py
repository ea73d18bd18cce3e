# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill as sections of facts and tables, the same for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .drill_kind import kind_of
from .drill_record import UNCOUNTED, digest, open_findings
from .drill_words import NONE, duration, moment, number, size, value, words

Json = dict[str, Any]
GOOD, BAD, OPEN = "good", "bad", "open"


@dataclass(frozen=True)
class Cell:
    """A text; ``tone`` says how it turned out, ``code`` that it is for machines, ``figure`` that it is a number."""

    text: str
    tone: str = ""
    code: bool = False
    figure: bool = False


@dataclass(frozen=True)
class Table:
    """``heads`` name the columns; the first cell of a row names the row. Without rows, ``empty`` says why."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str = "None."


@dataclass(frozen=True)
class Section:
    """``anchor`` is its id in the page."""

    anchor: str
    title: str
    text: str = ""
    facts: Sequence[tuple[str, Cell]] = ()
    tables: Sequence[Table] = ()
    commands: Sequence[str] = field(default_factory=tuple)


def summary(record: Json) -> list[tuple[str, str, str, str]]:
    """RTO and RPO as (name, measured, demanded, tone)."""
    rows = []
    for name, measured, demanded in (
        ("RTO", record["rto_seconds"], record["sla"]["rto_seconds"]),
        ("RPO", record["rpo_seconds"], record["sla"]["rpo_seconds"]),
    ):
        tone = BAD if measured is None or measured > demanded else GOOD
        told = "not reached" if measured is None else duration(measured)
        bound = "at most " if name == "RPO" and record["rpo_bound"] == "at most" and measured is not None else ""
        rows.append((name, bound + told, duration(demanded), tone))
    return rows


def sections(record: Json) -> list[Section]:
    """All sections, in their order."""
    drilled = kind_of(record).is_drill
    return [
        _timeline(record),
        _history(record),
        _declared(record),
        _findings(record),
        _integrity(record),
        *([_controls(record)] if drilled else []),
        _backup(record),
        _target(record),
        _throughput(record),
        _cost(record),
        *([_coverage(record)] if drilled else []),
        _versions(record),
        _supported(record),
    ]


def stage_counts(stage: Json) -> str:
    """Whether a stage is part of the RTO."""
    return "no" if stage["name"] in UNCOUNTED else "yes"


def _code(text: str | None) -> Cell:
    return Cell(NONE if text is None else text, code=text is not None)


def _figure(text: str) -> Cell:
    return Cell(text, figure=True)


def _judged(passed: bool | None, good: str = "passed", bad: str = "failed", unknown: str = "not measured") -> Cell:
    return Cell(unknown, OPEN) if passed is None else Cell(good, GOOD) if passed else Cell(bad, BAD)


def _timeline(record: Json) -> Section:
    tones = {"done": GOOD, "failed": BAD, "skipped": OPEN}
    rows = [
        [
            Cell(words(stage["name"])),
            Cell(stage["outcome"], tones[stage["outcome"]]),
            _figure(duration(stage["seconds"])),
            Cell(stage_counts(stage)),
            _figure(moment(stage["begun"])),
            _figure(moment(stage["ended"])),
            Cell(stage["detail"]),
        ]
        for stage in record["stages"]
    ]
    heads = ("Stage", "Outcome", "Time", "Counts", "Begun", "Ended", "Detail")
    kind = kind_of(record)
    table = Table(f"Stages of the {kind.name}", heads, rows, "No stage began.")
    return Section("timeline", "Timeline", kind.rto, tables=[table])


def _history(record: Json) -> Section:
    kind, this = kind_of(record), {**record, "declared_at": record["declared"]["at"]}
    tones = {"PASS": GOOD, "FAIL": BAD}
    rows = [
        [
            _code(drill["drill_id"]),
            _figure(moment(drill["declared_at"])),
            Cell(drill["verdict"], tones.get(drill["verdict"], OPEN)),
            _figure(duration(drill["rto_seconds"])),
            _figure(duration(drill["rpo_seconds"])),
        ]
        for drill in [*record["previous"], this]
    ]
    caption = "Drills of this collection, oldest first" + ("" if kind.is_drill else f", and this {kind.name}")
    table = Table(caption, ("Drill", "Declared", "Verdict", "RTO", "RPO"), rows)
    return Section("history", "The last drills", tables=[table])


def _declared(record: Json) -> Section:
    declared, sla, kind = record["declared"], record["sla"], kind_of(record)
    facts = [
        (kind.name.capitalize(), _code(record["drill_id"])),
        ("Run", _code(record["run_id"])),
        ("Cluster", Cell(record["cluster"])),
        ("Collection", Cell(record["collection"])),
        ("Scenario", Cell(words(declared["scenario"]))),
        ("Declared", _figure(moment(declared["at"]))),
        (kind.failure, _figure(moment(declared["failure_at"]))),
        ("Operator", Cell(declared["operator"])),
        ("Approver", Cell(declared["approver"] or NONE)),
        ("Trigger", Cell(words(declared["trigger"]))),
        ("Reason", Cell(declared["reason"])),
        ("Scope", Cell(declared["scope"])),
        ("SLA", Cell(f"{sla['tier'] or 'own numbers'}: RTO {_sla(sla, 'rto')}, RPO {_sla(sla, 'rpo')}")),
    ]
    return Section("declared", "What was declared", facts=facts)


def _sla(sla: Json, name: str) -> str:
    return duration(sla[f"{name}_seconds"])


def _findings(record: Json) -> Section:
    rows = [
        [
            _code(finding["id"]),
            Cell(finding["text"]),
            Cell(finding["severity"], BAD if finding["severity"] == "major" else OPEN),
            Cell(finding["owner"] or "no owner"),
            _figure(finding["due"] or "no date"),
            _code(finding["opened"]),
            Cell("open", OPEN) if finding["closed"] is None else Cell(f"closed in {finding['closed']}", GOOD),
        ]
        for finding in record["findings"]
    ]
    heads = ("Finding", "What", "Severity", "Owner", "Due", "Opened in", "State")
    text = f"{len(open_findings(record))} open. A finding is carried from report to report until it is closed."
    return Section("findings", "Deviations and findings", text, tables=[Table("Findings", heads, rows)])


def _integrity(record: Json) -> Section:
    rows = [
        [
            Cell(words(each["check"])),
            _judged(each["passed"]),
            Cell(value(each["expected"])),
            Cell(value(each["found"])),
            Cell(each["tolerance"] or "none"),
            Cell(each["detail"]),
        ]
        for each in record["integrity"]
    ]
    heads = ("Check", "Result", "Expected", "Found", "Tolerance", "Detail")
    return Section("integrity", "Integrity", tables=[Table("Checks of what was restored", heads, rows)])


def _controls(record: Json) -> Section:
    rows = [
        [
            Cell(words(each["control"])),
            _judged(each["refused"], "refused", "accepted", "not tried"),
            _code(each["code"]),
            Cell(each["detail"]),
        ]
        for each in record["controls"]
    ]
    text = "Each of these must be refused: a drill that cannot fail proves nothing."
    heads = ("Control", "Result", "Code", "Detail")
    return Section("controls", "Negative controls", text, tables=[Table("Negative controls", heads, rows)])


def _backup(record: Json) -> Section:
    backup = record["backup"]
    if backup is None:
        return Section("backup", "Backup chain", "No backup was found.", tables=[_regions(record, {})])
    facts = [
        ("Backup", _code(backup["backup_id"])),
        ("Created", _figure(moment(backup["created"]))),
        ("Size", _figure(size(backup["size"]))),
        ("Points", _figure(number(backup["points"]))),
        ("Qdrant", Cell(backup["qdrant_version"])),
        ("Manifest SHA-256", _code(backup["manifest_sha256"])),
        ("Encryption at rest", Cell(backup["encryption"])),
        ("Encrypted before sending", Cell("yes" if backup["client_encryption"] else "no")),
        ("Restored from", Cell(", ".join(backup["restored_from"]) or NONE)),
        ("Log entries replayed", _figure(number(backup["entries_replayed"]))),
        ("Entries that may be inexact", Cell(_counts(backup["inexact"]))),
    ]
    tables = [_regions(record, backup["served"]), _objects(backup), _damaged(backup)]
    if backup["moment"] is not None:
        tables.append(_moment(backup["moment"]))
    return Section("backup", "Backup chain", facts=facts, tables=tables)


def _counts(counts: Json | None) -> str:
    return ", ".join(f"{name}: {number(count)}" for name, count in sorted((counts or {}).items())) or "none"


def _regions(record: Json, served: Json) -> Table:
    rows = []
    known = [region["name"] for region in record["regions"]]
    unknown = [{"name": name, "url": NONE, "reachable": True, "has_backup": True, "detail": ""} for name in served]
    for region in [*record["regions"], *(each for each in unknown if each["name"] not in known)]:
        gave = served.get(region["name"], {"parts": 0, "bytes": 0})
        rows.append(
            [
                Cell(region["name"]),
                _code(region["url"]),
                _judged(region["reachable"], "reachable", "unreachable"),
                _judged(region["has_backup"], "has it", "has it not"),
                _figure(number(gave["parts"])),
                _figure(size(gave["bytes"])),
                Cell(region["detail"]),
            ]
        )
    heads = ("Region", "Address", "State", "Backup", "Parts served", "Bytes served", "Detail")
    return Table("Regions, in the order of preference", heads, rows)


def _objects(backup: Json) -> Table:
    rows = [[_code(each["key"]), _figure(size(each["size"])), _code(each["sha256"])] for each in backup["objects"]]
    return Table("Objects", ("Object", "Size", "SHA-256"), rows)


def _damaged(backup: Json) -> Table:
    rows = [
        [
            _code(each["object"]),
            _figure(NONE if each["part"] is None else number(each["part"])),
            Cell(each["source"]),
            Cell(each["reason"]),
            Cell(each["served_by"] or "nobody", GOOD if each["served_by"] else BAD),
        ]
        for each in backup["damaged"]
    ]
    return Table("Damaged parts", ("Object", "Part", "In", "What was wrong", "Taken from"), rows)


def _moment(shards: list[Json]) -> Table:
    rows = [
        [
            _figure(number(each["shard"])),
            _figure(number(each["base_index"])),
            _figure(number(each["index"])),
            _figure(moment(each["written_after"])),
            _figure(moment(each["written_before"])),
        ]
        for each in shards
    ]
    heads = ("Shard", "Last entry of the backup", "Last entry restored", "Written after", "Written before")
    return Table("How far each shard's log was replayed", heads, rows)


def _target(record: Json) -> Section:
    target, kind = record["target"], kind_of(record)
    facts = (
        []
        if target is None
        else [
            ("Kind", Cell(words(target["kind"]))),
            ("Nodes", _code(", ".join(target["nodes"]))),
            ("Qdrant", Cell(target["qdrant_version"])),
            (kind.target, _code(target["collection"])),
        ]
    )
    isolation = [
        [Cell(words(each["check"])), _judged(each["passed"]), Cell(each["detail"])] for each in record["isolation"]
    ]
    cleanup = [
        [Cell(each["what"]), _judged(each["removed"], "removed", "still there"), Cell(each["detail"])]
        for each in record["cleanup"]
    ]
    tables = [Table(kind.isolation, ("Check", "Result", "Detail"), isolation)]
    if kind.is_drill:
        tables.append(Table("What was cleaned up", ("What", "State", "Detail"), cleanup))
    text = "" if target else "No target was reached."
    return Section("target", "Target and isolation", text, facts=facts, tables=tables)


def _throughput(record: Json) -> Section:
    rows = [
        [
            Cell(words(each["stage"])),
            _figure(size(each["bytes"])),
            _figure(duration(each["seconds"])),
            _figure(f"{each['mib_per_second']:,.1f}"),
        ]
        for each in record["throughput"]
    ]
    table = Table("Bytes per stage", ("Stage", "Bytes", "Time", "MiB/s"), rows, "Nothing was measured.")
    return Section("throughput", "Throughput", tables=[table])


def _cost(record: Json) -> Section:
    cost = record["cost"]
    if cost is None:
        return Section("cost", "Cost", "Not estimated.")
    facts = [
        (f"This {kind_of(record).name}", _figure(_money(cost["amount"], cost))),
        ("Transferred", _figure(size(cost["transfer_bytes"]))),
        ("Requests that read", _figure(number(cost["reads"]))),
        ("Requests that write or list", _figure(number(cost["writes"]))),
        ("This backup, in all regions", _figure(size(cost["storage_bytes_month"]))),
        ("It for a month", _figure(_money(cost["storage_amount_month"], cost))),
        ("Prices", Cell(f"{cost['prices']}, {cost['prices_dated']}")),
    ]
    text = (
        "An estimate from these prices, not a bill: as if all that was read was sent to another region, and without the"
        " requests that store this report."
    )
    return Section("cost", "Cost", text, facts=facts)


def _money(amount: float, cost: Json) -> str:
    return f"{amount:,.{2 if amount >= 0.1 or not amount else 4}f} {cost['currency']}"


def _coverage(record: Json) -> Section:
    coverage = record["coverage"]
    if coverage is None:
        return Section("coverage", "Coverage", "Not looked at.")
    rows = []
    for name in coverage["protected"]:
        last = coverage["drilled_within"].get(name)
        rows.append([Cell(name), Cell(f"drilled on {last}", GOOD) if last else Cell("not drilled", BAD)])
    drilled = sum(1 for name in coverage["protected"] if coverage["drilled_within"].get(name))
    text = (
        f"{drilled} of {len(coverage['protected'])} protected collections were drilled within {coverage['days']} days."
    )
    table = Table("Protected collections", ("Collection", "Last drill"), rows)
    return Section("coverage", "Coverage", text, tables=[table])


def _versions(record: Json) -> Section:
    versions = record["versions"]
    facts = [
        ("vectorops.qdrant_dr", Cell(versions["tool"])),
        ("ansible-core", Cell(versions["ansible"] or NONE)),
        ("Python", Cell(versions["python"])),
        ("Qdrant, source", Cell(versions["qdrant_source"] or NONE)),
        ("Qdrant, target", Cell(versions["qdrant_target"] or NONE)),
        ("Configuration SHA-256", _code(record["configuration_sha256"])),
        ("Record", Cell(f"{record['kind']}, schema version {record['schema_version']}", code=True)),
        ("Record SHA-256", _code(digest(record))),
    ]
    return Section("repeat", "Versions, and how to repeat it", facts=facts, commands=record["commands"])


def _supported(record: Json) -> Section:
    text = (
        f"This report supports evidence for {', '.join(record['controls_supported']) or 'no control'}."
        " Whether a control is met is for an auditor to say."
    )
    return Section("supports", "Controls that this supports", text)
