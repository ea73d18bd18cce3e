# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for Prometheus, evaluated by promtool over what the agent and the archiver write: what raises an alarm."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch import limits_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch_metrics import watch_metrics
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_progress import (
    Progress,
    Totals,
    metrics,
)
from tools.promtool import promtool_binary
from tools.servers import ServerError

RULES = Path(__file__).resolve().parents[2] / "extensions" / "monitoring" / "prometheus-rules.yml"
DAY = 86400.0
# Time begins at 0 in promtool, and what is looked at is more than a day later; samples are an hour apart.
HOURS = 30
LEVEL = parse_level("high_availability")
DRILL = {"drill_id": "d", "age_seconds": DAY, "verdict": "PASS", "rto_seconds": 95.0, "rpo_seconds": 4.0}
WELL: dict[str, Any] = {
    "age_seconds": 3600.0,
    "wal_age_seconds": 4.0,
    "wal_continued": True,
    "gaps": {},
    "regions": [{"name": name, "age": 4.0, "reachable": True} for name in ("near", "far")],
    "redundancy": 2,
    "verified_age_seconds": DAY,
    "verification": "good",
    "drill": DRILL,
    "limits": limits_of(LEVEL),
    "findings": [],
}
LATE = [WELL["regions"][0], {"name": "far", "age": 1000.0, "reachable": True}]
GONE = [WELL["regions"][0], {"name": "far", "age": None, "reachable": False}]
DOCS = "docs of production"
# What is seen -> the alerts that it raises, with what they say.
SEEN: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"age_seconds": None}, {"QdrantBackupMissing": f"{DOCS} has no backup"}),
    ({"age_seconds": 10 * 3600.0}, {"QdrantBackupAging": f"The newest backup of {DOCS} is 10h 0m 0s old"}),
    (
        {"age_seconds": 13 * 3600.0},
        {
            "QdrantBackupAging": f"The newest backup of {DOCS} is 13h 0m 0s old",
            "QdrantBackupTooOld": f"The newest backup of {DOCS} is 13h 0m 0s old",
        },
    ),
    ({"wal_age_seconds": 40.0}, {"QdrantWalLagging": f"The archived log of {DOCS} ends 40s ago"}),
    (
        {"wal_age_seconds": 90.0},
        {
            "QdrantWalLagging": f"The archived log of {DOCS} ends 1m 30s ago",
            "QdrantWalTooOld": f"More than the RPO of {DOCS} would be lost: 1m 30s",
        },
    ),
    (
        {"wal_age_seconds": None},
        {"QdrantWalMissing": f"The service level of {DOCS} needs an archived log, and there is none"},
    ),
    ({"wal_continued": False}, {"QdrantWalNotContinued": f"The archived log of {DOCS} goes on from no backup"}),
    ({"regions": GONE}, {"QdrantRegionUnreachable": "The region far of production cannot be read"}),
    ({"regions": LATE}, {"QdrantRegionBehind": f"What far has of {DOCS} is 16m 40s old"}),
    ({"redundancy": 1}, {"QdrantRedundancyLow": f"1 regions have a recent, verified backup of {DOCS}"}),
    ({"verification": "damaged"}, {"QdrantBackupDamaged": f"A backup of {DOCS} is damaged"}),
    (
        {"verified_age_seconds": 11 * DAY},
        {"QdrantVerificationTooOld": f"No backup of {DOCS} was read for 11d 0h 0m 0s"},
    ),
    ({"drill": {**DRILL, "verdict": "FAIL"}}, {"QdrantDrillFailed": f"The last drill of {DOCS} failed"}),
    (
        {"drill": {**DRILL, "age_seconds": 36 * DAY}},
        {"QdrantDrillTooOld": f"The last drill of {DOCS} was 36d 0h 0m 0s ago"},
    ),
    ({"drill": None}, {"QdrantNeverDrilled": f"{DOCS} was never drilled"}),
]
# A metric, its samples, and the alert that they raise.
TOLD = [
    (
        "qdrant_dr_wal_gaps_total",
        f"0+1x{HOURS}",
        {"QdrantWalGap": "Entries of a log on node-1 were lost to the archive"},
    ),
    (
        "qdrant_dr_wal_updated_timestamp_seconds",
        f"{HOURS * 3600 - 301}+0x{HOURS}",
        {"QdrantWalArchiverSilent": "The archiver on node-1 does not run"},
    ),
    (
        "qdrant_dr_watch_timestamp_seconds",
        f"{HOURS * 3600 - 1801}+0x{HOURS}",
        {"QdrantWatchSilent": "Nobody watches the backups of production"},
    ),
]


def series(entry: dict[str, Any]) -> dict[str, str]:
    """What is written of the collection docs -> its samples, as promtool wants them."""
    now = datetime.fromtimestamp(HOURS * 3600, timezone.utc)
    watched = watch_metrics("production", {"collections": {"docs": entry}}, {"docs": LEVEL.as_result()}, now)
    log = ReplicaLog("docs", 0, "7", "20261124T100000Z-aaaaaa")
    archived = metrics({("docs", 0): Progress(log, 0.0, last=9)}, Totals(), 1.0, now)
    found = {}
    for line in (watched + archived).decode().splitlines():
        if not line.startswith("#"):
            name, _space, value = line.rpartition(" ")
            metric, _brace, labels = name.partition("{")
            scraped = ['instance="node-1"', 'job="node"', *filter(None, [labels.removesuffix("}")])]
            # It is written again and again, and what was so long ago is so long ago each time.
            moved = f"{float(value) - HOURS * 3600:g}+3600" if "_timestamp_seconds" in metric else f"{value}+0"
            found[f"{metric}{{{','.join(scraped)}}}"] = f"{moved}x{HOURS}"
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def case(samples: dict[str, str], raised: dict[str, str], name: str) -> dict[str, Any]:
    """A test of promtool: these alerts are raised, with these summaries, and no others."""
    tests = []
    for rule in rules():
        expected = []
        if rule["alert"] in raised:
            summary = raised[rule["alert"]]
            labels = {"severity": rule["labels"]["severity"]} | labels_of(rule["expr"], summary)
            annotations = {"summary": summary, "description": rule["annotations"]["description"]}
            expected.append({"exp_labels": labels, "exp_annotations": annotations})
        tests.append({"eval_time": f"{HOURS}h", "alertname": rule["alert"], "exp_alerts": expected})
    inputs = [{"series": each, "values": values} for each, values in samples.items()]
    return {"name": name, "interval": "1h", "input_series": inputs, "alert_rule_test": tests}


def labels_of(expression: str, summary: str) -> dict[str, str]:
    """Those by which an alert is grouped; without a grouping all that a file of the archiver has."""
    known = {"cluster": "production", "collection": "docs", "region": "far"}
    if "by (" not in expression:
        return {"instance": "node-1", "job": "node"}
    names = (
        {"cluster"} | ({"region"} if " far " in summary else set()) | ({"collection"} if "docs" in summary else set())
    )
    return {name: known[name] for name in names}


def cases() -> Iterator[dict[str, Any]]:
    for changes, raised in SEEN:
        yield case(series({**WELL, **changes}), raised, ", ".join(raised) or "all is well")
    for metric, values, raised in TOLD:
        samples = series(WELL)
        changed = [each for each in samples if each.startswith(f"{metric}{{")]
        assert len(changed) == 1, metric
        yield case(samples | {changed[0]: values}, raised, metric)


def evaluated(folder: Path, rules_file: Path) -> subprocess.CompletedProcess[str]:
    made = {"rule_files": [str(rules_file)], "evaluation_interval": "1h", "tests": list(cases())}
    file = folder / "tests.yml"
    file.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
    try:
        command = [str(promtool_binary()), "test", "rules", str(file)]
    except ServerError as error:
        pytest.skip(f"promtool cannot be had here: {error}")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_each_alarm_is_raised_by_what_it_is_for_and_by_nothing_else(tmp_path: Path) -> None:
    done = evaluated(tmp_path, RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_is_raised_by_some_case() -> None:
    raised = {name for _what, alerts in SEEN for name in alerts} | {name for *_what, alerts in TOLD for name in alerts}
    assert {rule["alert"] for rule in rules()} == raised


@pytest.mark.parametrize(
    ("right", "wrong"),
    [('what="backup", level="critical"', 'what="backup", level="warning"'), ("== 0", "== 1")],
)
def test_a_wrong_rule_is_noticed(tmp_path: Path, right: str, wrong: str) -> None:
    broken = tmp_path / "rules.yml"
    broken.write_text(RULES.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    assert evaluated(tmp_path, broken).returncode == 1
