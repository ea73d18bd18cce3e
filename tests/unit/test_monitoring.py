# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of the watch; and that the rules for Prometheus and the dashboard for Grafana ask for what is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.exposition import GAUGE, family
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch import limits_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch_metrics import watch_metrics
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_progress import (
    Progress,
    Totals,
    metrics,
)

FOLDER = Path(__file__).resolve().parents[2] / "extensions" / "monitoring"
NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# What Prometheus itself adds.
SCRAPED = {"instance", "job"}

LEVEL = parse_level("high_availability")
DRILL = {"drill_id": "d", "age_seconds": 86400.0, "verdict": "PASS", "rto_seconds": 95.0, "rpo_seconds": 4.0}
ENTRY: dict[str, Any] = {
    "age_seconds": 3600.0,
    "wal_age_seconds": 4.0,
    "wal_continued": True,
    "gaps": {"near": [{}, {}]},
    "regions": [
        {"name": "near", "age": 4.0, "reachable": True},
        {"name": "far", "age": None, "reachable": False},
    ],
    "redundancy": 1,
    "verified_age_seconds": 60.0,
    "verification": "good",
    "drill": DRILL,
    "limits": limits_of(LEVEL),
    "findings": [{"level": 1, "what": "region", "text": "far could not be read"}],
}
EMPTY = {
    **ENTRY,
    **dict.fromkeys(("age_seconds", "wal_age_seconds", "verified_age_seconds", "verification", "drill")),
    "limits": limits_of(None),
    "findings": [{"level": 2, "what": "backup", "text": "it has no backup"}],
    "gaps": {},
    "regions": [],
}

Samples = dict[str, list[tuple[dict[str, str], float]]]


def parsed(text: str) -> Samples:
    """The samples by metric; each has its HELP and TYPE before it."""
    found: Samples = {}
    declared: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            _sign, word, name, _rest = line.split(" ", 3)
            declared.setdefault(name, set()).add(word)
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        name, labels, value = match.groups()
        assert declared[name] == {"HELP", "TYPE"}
        found.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))
    return found


def written() -> Samples:
    """What the agent and the archiver write."""
    seen = {"collections": {"docs": ENTRY, "new": EMPTY}}
    watched = watch_metrics("production", seen, {"docs": LEVEL.as_result()}, NOW)
    log = ReplicaLog("docs", 0, "7", "20261124T100000Z-aaaaaa")
    archived = metrics({("docs", 0): Progress(log, 0.0, last=9)}, Totals(base_needed=["docs"]), 1.0, NOW)
    return parsed(watched.decode()) | parsed(archived.decode())


WRITTEN = written()


def only(name: str, **labels: str) -> float:
    values = [value for each, value in WRITTEN[f"qdrant_dr_{name}"] if labels.items() <= each.items()]
    assert len(values) == 1, values
    return values[0]


def test_ages_are_written_as_times() -> None:
    assert only("backup_timestamp_seconds", collection="docs") == NOW.timestamp() - 3600
    assert only("drill_timestamp_seconds", collection="docs") == NOW.timestamp() - 86400
    assert only("region_timestamp_seconds", region="near") == NOW.timestamp() - 4
    assert only("watch_timestamp_seconds", cluster="production") == NOW.timestamp()


def test_what_was_judged_is_written_with_its_limits() -> None:
    assert [only("status", collection=name) for name in ("docs", "new")] == [1, 2]
    assert only("limit_seconds", collection="docs", what="wal", level="critical") == 60
    assert only("sla_seconds", collection="docs", objective="rto") == 900
    assert only("region_reachable", region="far") == 0
    assert only("wal_gaps", region="near") == 2
    assert only("drill_passed", collection="docs") == 1


def test_what_is_not_there_has_no_sample() -> None:
    without = {
        name for name, samples in WRITTEN.items() if any(each.get("collection") == "new" for each, _v in samples)
    }
    assert without == {"qdrant_dr_status", "qdrant_dr_redundancy", "qdrant_dr_limit_seconds"}


@given(st.text(st.sampled_from('ab\u00e4 \\"\n,{}=n')))
def test_any_name_makes_one_line(name: str) -> None:
    sample = parsed("\n".join(family("x", GAUGE, "Text.", [({"collection": name}, 1.0)])))["qdrant_dr_x"][0]
    assert re.sub(r"\\(.)", lambda each: "\n" if each[1] == "n" else each[1], sample[0]["collection"]) == name


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def selectors(node: Any) -> Iterator[Any]:
    """The selectors of metrics in a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "args", "vector_selector"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner] if inner is not None else []:
            yield from selectors(each)


def check_expression(expression: str) -> None:
    found = list(selectors(promql_parser.parse(expression)))
    assert found, expression
    for selector in found:
        assert selector.name in WRITTEN, f"{selector.name} is never written"
        samples = WRITTEN[selector.name]
        for matcher in selector.matchers.matchers:
            values = {labels.get(matcher.name) for labels, _value in samples}
            assert None not in values or values != {None}, f"{selector.name} has no label {matcher.name}"
            if matcher.op == promql_parser.MatchOp.Equal:
                assert matcher.value in values, f"{selector.name} has no {matcher.name}={matcher.value}"


def grouped(expression: str) -> set[str]:
    return {name.strip() for each in re.findall(r"by \(([^)]*)\)", expression) for name in each.split(",")}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_rules_ask_for_what_is_written(rule: dict[str, Any]) -> None:
    check_expression(rule["expr"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert shown <= (grouped(rule["expr"]) or SCRAPED)


def test_there_is_a_rule_for_every_limit_and_their_names_differ() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    whole = " ".join(rule["expr"] for rule in rules())
    limits = {(labels["what"], labels["level"]) for labels, _value in WRITTEN["qdrant_dr_limit_seconds"]}
    # A copy that is late by less than the critical age is shown by the dashboard alone.
    for what, level in limits - {("region", "warning")}:
        assert re.search(rf'what="{what}"(, level="{level}")?\}}', whole), (what, level)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_the_dashboard_asks_for_what_is_written(panel: dict[str, Any]) -> None:
    assert panel["description"]
    for target in panel["targets"]:
        check_expression(target["expr"])
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert shown <= (grouped(target["expr"]) or SCRAPED)


def test_panels_do_not_overlap_and_their_ids_differ() -> None:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert all(x < 24 for x, _y in own)
        cells |= own
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for variable in dashboard["templating"]["list"][1:]:
        name = re.search(r"label_values\((\w+)[{,]", variable["query"])
        assert name is not None
        assert name[1] in WRITTEN
