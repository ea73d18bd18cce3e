# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` from start to end, and its end by a signal or a failure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tools.servers import qdrant_binary

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "tools.demo", "--output"]
DEMO_SECONDS = 280

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report and the output of one whole run."""
    output = tmp_path_factory.mktemp("demo")
    began = time.monotonic()
    done = subprocess.run(
        ["make", "demo", f"ARGS=--output {output}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert processes_below(output) == []
    assert [path.name for path in output.iterdir()] == ["report.json"]
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return {"report": report, "output": done.stdout, "seconds": seconds}


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
def test_a_second_run_takes_under_two_minutes(demo: dict[str, Any]) -> None:
    """Everything was installed before: by the run of these tests."""
    assert demo["seconds"] < 120, f"on a machine with a load of {os.getloadavg()}"


@pytest.mark.slow
def test_summary_is_readable(demo: dict[str, Any]) -> None:
    assert "Everything is back" in demo["output"]
    assert "restore articles as articles" in demo["output"]
    assert max(len(line) for line in demo["output"].partition("Everything is back")[2].splitlines()[:-1]) <= 120


def listen() -> None:
    """Let a process be ended by what the process that runs the tests may ignore (nohup)."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Started:
    """`make demo` in a process group of its own, as a terminal runs it."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.output, self.log = folder / "demo", folder / "log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                ["make", "demo", f"ARGS=--output {self.output}"],
                cwd=ROOT,
                env={**os.environ, **env},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=listen,
            )

    def until(self, words: str) -> None:
        """Wait until the demo has said these words."""
        deadline = time.monotonic() + DEMO_SECONDS
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def end(self) -> str:
        """Wait for the end, which must not be a success, and return what was said."""
        assert self.process.wait(DEMO_SECONDS) != 0
        assert processes_below(self.output) == []
        assert not (self.output / "report.json").exists()
        said = self.log.read_text()
        assert "\nTraceback" not in said
        return said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Call it as ``start(**variables of the environment)``."""
    started: list[Started] = []

    def run(**env: str) -> Started:
        started.append(Started(tmp_path, **env))
        return started[-1]

    yield run
    for demo in started:
        if demo.process.poll() is None:
            os.killpg(demo.process.pid, signal.SIGKILL)
            demo.process.wait()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C goes to the whole group of processes."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "name", "step"),
    [
        (interrupt, "SIGINT", "vectorops.qdrant_dr.qdrant_backup : Make the backups"),
        (lambda make: make.terminate(), "SIGTERM", "Load"),
    ],
    ids=["Ctrl-C in the backup", "SIGTERM to make"],
)
def test_a_signal_stops_everything(
    start: Callable[..., Started], send: Callable[[subprocess.Popen[bytes]], None], name: str, step: str
) -> None:
    demo = start()
    demo.until(f"TASK [{step}")
    assert len(processes_below(demo.output)) > 3
    send(demo.process)
    assert f"stopped by {name} at the step '{step}" in demo.end()
    assert list(demo.output.iterdir()) == []


def test_a_second_run_at_once_is_refused_and_harms_nothing(start: Callable[..., Started]) -> None:
    demo = start()
    demo.until("Starting")
    servers = demo.output / "servers"
    begun = servers.stat().st_ino
    second = subprocess.run([*COMMAND, str(demo.output)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.startswith(f"make demo already runs in {demo.output}: ")
    assert len(second.stderr.splitlines()) == 1
    assert servers.stat().st_ino == begun, "the folder of the first"
    os.killpg(demo.process.pid, signal.SIGHUP)  # as a terminal that closes
    assert "stopped by SIGHUP at the step 'start the servers'" in demo.end()
    assert list(demo.output.iterdir()) == []


# A Qdrant that dies when it is given its second collection.
DYING = """#!/bin/sh
while sleep 0.05; do
    if [ -e "$QDRANT__STORAGE__STORAGE_PATH/collections/articles" ]; then kill -s KILL $$; exit; fi
done &
exec {qdrant} "$@"
"""


@pytest.mark.slow
def test_a_failure_names_its_step(start: Callable[..., Started], tmp_path: Path) -> None:
    program = tmp_path / "qdrant-that-dies"
    program.write_text(DYING.format(qdrant=qdrant_binary()))
    program.chmod(0o755)
    demo = start(QDRANT_BIN=str(program))
    assert "failed at the step 'Load 1797 handwritten digits" in demo.end()
    assert (demo.output / "servers" / "qdrant" / "qdrant.log").exists(), "the logs stay"
    assert not (demo.output / "servers" / "settings.json").exists(), "the keys do not"


def test_a_server_that_cannot_start_is_a_sentence(start: Callable[..., Started]) -> None:
    said = start(QDRANT_BIN="/nonexistent").end()
    assert "failed at the step 'start the servers'" in said
    assert "QDRANT_BIN is '/nonexistent', which is no program" in said
