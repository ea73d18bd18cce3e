# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make drill` as a newcomer runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 290

pytestmark = [pytest.mark.qdrant, pytest.mark.s3, pytest.mark.slow]


def test_it_opens_with_verdict_rto_rpo_and_the_path_of_the_report(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "drill", f"ARGS=--output {tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdict, rto, rpo, report = done.stdout.splitlines()[:4]
    assert verdict == "articles: PASS"
    assert rto.split()[0] == "RTO"
    assert rpo.split()[:3] == ["RPO", "at", "most"]
    page = Path(report.split()[1])
    assert "<svg" in page.read_text(encoding="utf-8")
    record = json.loads(page.with_name("record.json").read_text(encoding="utf-8"))
    assert record["declared"]["scenario"] == "region_lost"
    assert (record["verdict"], record["target"]["kind"]) == ("PASS", "ephemeral")
    assert record["backup"]["restored_from"] == ["standby"]
    assert [path.name for path in tmp_path.iterdir()] == ["reports"], "nothing else is left"
