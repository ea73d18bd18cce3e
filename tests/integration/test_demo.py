# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` from start to end, and its end by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "tools.demo", "--output"]
DEMO_SECONDS = 280

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report and the output of one whole run."""
    output = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*COMMAND, str(output)], cwd=ROOT, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert processes_below(output) == []
    assert [path.name for path in output.iterdir()] == ["report.json"]
    return {"report": json.loads((output / "report.json").read_text(encoding="utf-8")), "output": done.stdout}


def processes_below(folder: Path) -> list[str]:
    """Command lines of the processes that work in a folder or name it."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([process.cwd(), *process.cmdline()]):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_everything_comes_back(demo: dict[str, Any]) -> None:
    collections = {entry["name"]: entry for entry in demo["report"]["collections"]}
    assert {name: entry["points_after"] for name, entry in collections.items()} == {"digits": 1797, "articles": 20000}
    for entry in collections.values():
        assert entry["points_before"] == entry["points_after"]
        assert entry["digest_before"] == entry["digest_after"]
        assert entry["recall_at_10"] == 1.0
        assert set(entry["replicas"]) == {"Active"}
        assert entry["encryption"] == ["AES256"]
        assert entry["restore_seconds"] > 0
    assert collections["digits"]["restored_as"] != "digits"
    assert collections["digits"]["aliases"] == ["digits-live"]
    assert collections["digits"]["payload_indexes"] == ["label"]
    assert collections["articles"]["restored_as"] == "articles"
    assert collections["articles"]["payload_indexes"] == ["category", "year"]
    assert len(collections["articles"]["replicas"]) == 4


@pytest.mark.slow
def test_damaged_parts_come_from_the_other_region(demo: dict[str, Any]) -> None:
    report = demo["report"]
    met = [place for place in report["damage"] if place["detected"]]
    assert len(met) == report["damaged_parts_detected"] == 3
    assert {(place["region"], place["served_by"]) for place in met} == {("primary", "standby"), ("standby", "primary")}
    articles = next(entry for entry in report["collections"] if entry["name"] == "articles")
    assert articles["restored_from"] == ["primary", "standby"]
    assert {name: count["parts"] for name, count in articles["served"].items()} == {"primary": 2, "standby": 2}


@pytest.mark.slow
def test_summary_is_readable(demo: dict[str, Any]) -> None:
    assert "Everything is back" in demo["output"]
    assert "restore articles as articles" in demo["output"]
    assert max(len(line) for line in demo["output"].partition("Everything is back")[2].splitlines()[:-1]) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(tmp_path: Path, ending: signal.Signals) -> None:
    log = tmp_path / "log"
    output = tmp_path / "demo"
    with log.open("w") as stream:
        process = subprocess.Popen([*COMMAND, str(output)], cwd=ROOT, stdout=stream, stderr=stream)
        try:
            deadline = time.monotonic() + DEMO_SECONDS / 2
            while "TASK [Load" not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.2)
            assert len(processes_below(output)) > 3
            process.send_signal(ending)
            assert process.wait(60) != 0
        finally:
            process.kill()
            process.wait()
    assert f"stopped by {ending.name} at the step 'Load" in log.read_text()
    assert processes_below(output) == []
    assert not (output / "report.json").exists()
    assert list(output.iterdir()) == []


def test_a_failure_names_its_step(tmp_path: Path) -> None:
    (tmp_path / "qdrant").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "qdrant").chmod(0o755)
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "demo")],
        cwd=ROOT,
        env={**os.environ, "QDRANT_BIN": str(tmp_path / "qdrant")},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "failed at the step 'start the servers'" in done.stderr
    assert processes_below(tmp_path / "demo") == []
