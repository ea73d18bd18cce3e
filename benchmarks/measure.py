# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands measured from outside: wall time, CPU seconds and peak memory of a process and its children."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIB = 1 << 30
RESULTS = Path("build/bench")


@dataclass(frozen=True)
class Measured:
    """One run: ``seconds`` of wall time, ``cpu_seconds`` (user and system), ``peak_rss_mib`` of the largest process."""

    seconds: float
    cpu_seconds: float
    peak_rss_mib: float


def measure(command: list[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; raises CalledProcessError with its output where it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        output = process.stdout.read() if process.stdout else b""
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode:
        print(output.decode(errors="replace"))
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def alternate(
    contestants: Mapping[str, Callable[[], Measured]], runs: int, settle: Callable[[], None]
) -> dict[str, list[Measured]]:
    """Let the contestants run in turn, ``runs`` times each and once to warm up, with ``settle`` before each run."""
    results: dict[str, list[Measured]] = {name: [] for name in contestants}
    for number in range(runs + 1):
        for name, run in contestants.items():
            settle()
            measured = run()
            print(
                f"  {name}: {measured.seconds:.2f} s, {measured.cpu_seconds:.2f} s CPU, {measured.peak_rss_mib:.0f} MiB"
            )
            if number:
                results[name].append(measured)
    return results


def compare(results: dict[str, list[Measured]], size: int) -> dict[str, Any]:
    """The figures of ``ours`` against ``peer``: medians, their ratio, CPU seconds per GiB."""
    medians = {name: statistics.median(run.seconds for run in runs) for name, runs in results.items()}
    cpu = {name: statistics.median(run.cpu_seconds for run in runs) * GIB / size for name, runs in results.items()}
    return {
        "ours_seconds": round(medians["ours"], 3),
        "peer_seconds": round(medians["peer"], 3),
        "ratio": round(medians["ours"] / medians["peer"], 3),
        "ours_cpu_seconds_per_gib": round(cpu["ours"], 2),
        "peer_cpu_seconds_per_gib": round(cpu["peer"], 2),
        "bytes": size,
        "runs": len(results["ours"]),
    }


def write(name: str, result: dict[str, Any]) -> None:
    """Store a benchmark's result as ``build/bench/<name>.json`` and print it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text)
    print(text)
