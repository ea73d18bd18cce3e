# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ephemeral Qdrant on this host: `start BINARY`, and `stop PID STARTED FOLDER` with what start has printed.

It listens on free ports of 127.0.0.1, keeps all that it has in a temporary directory, and asks for a random key.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PREFIX = "qdrant-drill-"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES = 5


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _port in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def started(pid: int) -> str | None:
    """When a process began, in clock ticks since boot (proc(5)); None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def start(binary: str) -> dict[str, object]:
    """Start it and wait until it is ready; SystemExit with a sentence and the end of its log otherwise."""
    if not os.access(binary, os.X_OK):
        raise SystemExit(f"qdrant_drill_binary is {binary!r}, which is no program that this user may run.")
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    http, grpc = free_ports(2)
    key, url = secrets.token_urlsafe(24), f"http://127.0.0.1:{http}"
    settings = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__SERVICE__API_KEY": key,
        "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QDRANT")}
    log = folder / "qdrant.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [binary, "--disable-telemetry"],
            cwd=folder,
            env={**environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready(url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            said = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
            shutil.rmtree(folder)
            raise SystemExit(f"{binary} did not become ready within {READY_SECONDS:g} s. Its log ends with:\n{said}")
        time.sleep(0.1)
    return {
        "url": url,
        "api_key": key,
        "pid": process.pid,
        "started": started(process.pid),
        "folder": str(folder),
        "storage_path": str(folder / "storage"),
    }


def stop(pid: int, began: str, folder: Path) -> dict[str, object]:
    """End that very process, and remove its directory."""
    if not folder.name.startswith(PREFIX):
        raise SystemExit(f"{folder} is not the directory of an ephemeral Qdrant. Nothing was removed.")
    deadline = time.monotonic() + STOP_SECONDS
    number = signal.SIGTERM
    while started(pid) == began:
        os.kill(pid, number)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)
    return {"stopped": pid, "removed": str(folder)}


def main() -> None:
    action, *arguments = sys.argv[1:]
    if action == "start":
        print(json.dumps(start(*arguments)))
    else:
        pid, began, folder = arguments
        print(json.dumps(stop(int(pid), began, Path(folder))))


if __name__ == "__main__":
    main()
