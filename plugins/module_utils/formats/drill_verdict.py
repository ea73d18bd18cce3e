# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a drill: what its record shows, judged against the service level.

A drill fails for what a recovery must not do; everything else that is not as it should be is a finding. A finding is
named by an id that stays the same from drill to drill, so that whoever keeps the records can carry it over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .drill_record import FAIL, PASS, WITH_FINDINGS

MINOR, MAJOR = "minor", "major"
# The code of a control for which the backup gives no occasion.
NOT_APPLICABLE = "not_applicable"

Json = dict[str, Any]


def judge(record: Json, min_copies: int = 2) -> Json:
    """The ``verdict`` and the ``findings`` of a drill, in the shape of its record.

    ``record``: all other fields of it. ``min_copies``: in how many regions a backup has to be.
    """
    failures = list(_failures(record))
    findings = failures + list(_observations(record, min_copies))
    return {
        "verdict": FAIL if failures else WITH_FINDINGS if findings else PASS,
        "findings": [
            {**each, "owner": None, "due": None, "opened": record["drill_id"], "closed": None} for each in findings
        ],
    }


def finding(name: str, text: str, severity: str = MAJOR) -> Json:
    """One finding; ``name``: its id."""
    return {"id": name, "text": text, "severity": severity}


def _failures(record: Json) -> Iterator[Json]:
    if record["failed_stage"]:
        detail = (record["failure"] or {}).get("detail") or "It did not end."
        yield finding(f"stage:{record['failed_stage']}", f"The stage {record['failed_stage']} broke: {detail}")
    for name, what in (("rto", "The recovery took"), ("rpo", "The work lost is")):
        allowed, measured = record["sla"][f"{name}_seconds"], record[f"{name}_seconds"]
        if measured is not None and measured > allowed:
            yield finding(name, f"{what} {measured:.1f} s, and the {name.upper()} allows {allowed:g} s.")
    yield from _wrong(record)


def _wrong(record: Json) -> Iterator[Json]:
    """Checks, controls and cleaning up that came out wrong."""
    for check in record["isolation"]:
        if check["passed"] is False:
            yield finding(f"isolation:{check['check']}", f"The target is not isolated: {check['detail']}")
    for check in record["integrity"]:
        if check["passed"] is False:
            yield finding(f"integrity:{check['check']}", f"{check['check']} is not right: {check['detail']}")
    for control in record["controls"]:
        if control["refused"] is False:
            yield finding(f"control:{control['control']}", f"A restore accepted a {_words(control['control'])}.")
    for left in record["cleanup"]:
        if not left["removed"]:
            yield finding(f"cleanup:{left['what']}", f"Something is left: {left['detail']}")


def _observations(record: Json, min_copies: int) -> Iterator[Json]:
    yield from _unmeasured(record)
    yield from _copies(record, min_copies)
    backup = record["backup"] or {}
    for source in dict.fromkeys(each["source"] for each in backup.get("damaged", [])):
        yield finding(f"damaged_copy:{source}", f"The copy in {source} has damaged parts; they came from elsewhere.")
    for name, count in (backup.get("inexact") or {}).items():
        text = f"{count} operations of the class {name} may not have been replayed exactly."
        yield finding(f"inexact:{name}", text, MINOR)
    if backup.get("log_refused"):
        yield finding("log_refused", f"The archived log could not be replayed: {backup['log_refused']}")
    coverage = record["coverage"]
    if coverage:
        late = sorted(name for name, last in coverage["drilled_within"].items() if last is None)
        if late:
            text = f"Protected and not drilled within {coverage['days']} days: {', '.join(late)}."
            yield finding("not_drilled", text, MINOR)


def _unmeasured(record: Json) -> Iterator[Json]:
    if record["rpo_seconds"] is None and not record["failed_stage"]:
        yield finding("unmeasured:rpo", "The RPO was not measured.")
    for check in record["isolation"]:
        if check["passed"] is None:
            yield finding(f"unproved:{check['check']}", f"Not proved of the isolation: {check['detail']}", MINOR)
    for check in record["integrity"]:
        if check["passed"] is None:
            severity = MAJOR if check["check"] == "recall" else MINOR
            yield finding(
                f"unmeasured:{check['check']}", f"{check['check']} was not measured: {check['detail']}", severity
            )
    for control in record["controls"]:
        if control["refused"] is None and control["code"] != NOT_APPLICABLE:
            text = f"The control {_words(control['control'])} was not run: {control['detail']}"
            yield finding(f"unmeasured:{control['control']}", text, MINOR)


def _copies(record: Json, min_copies: int) -> Iterator[Json]:
    """What the regions lack; a region that the scenario has taken away is not asked and not missed."""
    real = [region for region in record["regions"] if not region["simulated"]]
    for region in real:
        if not region["reachable"]:
            yield finding(
                f"unreachable:{region['name']}", f"The region {region['name']} was not reached: {region['detail']}"
            )
    if record["backup"] is None:
        return
    taken = len(record["regions"]) - len(real)
    holders = sum(region["has_backup"] for region in real) + taken
    if holders < min_copies:
        text = f"{holders} of at least {min_copies} regions has the backup that was restored."
        yield finding("redundancy", text)


def _words(name: str) -> str:
    return name.replace("_", " ")
