# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Qdrant of this process alone: on free ports of 127.0.0.1, with a random key, and all its data in one directory.

It cannot outlive this process: the kernel kills it when this one ends, whatever ended it. The directory of a process
that was killed stays, and says whose it was, so that the next one can remove it.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError, QdrantUnreachable
from ..stores.agent_files import write_file
from .liveness import has_ended, identity_of

PREFIX = "qdrant-drill-"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES = 5
_POLL_SECONDS = 0.1
_OWNER = "owner.json"
# How old a directory is that nobody owns: its process was killed before it had written who it is.
_NOBODYS_AFTER_SECONDS = 3600.0
# prctl(2): PR_SET_PDEATHSIG is 1. The process that starts it may have ended before the kernel was told.
_BOUND_TO_ITS_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class EphemeralQdrant:
    """How to reach it, and the directory of its storage on this host."""

    url: str
    api_key: str
    storage_path: Path


@contextmanager
def ephemeral_qdrant(binary: str, parent: Path | None = None) -> Iterator[EphemeralQdrant]:
    """Start ``binary`` with a directory below ``parent`` (by default where temporary files go), stop and remove it.

    What killed processes have left there is removed first. Call it in the main thread: the kernel ends the server with
    the thread that started it. Raises FileError and QdrantUnreachable.
    """
    if not os.access(binary, os.X_OK):
        raise FileError(
            f"The binary is {binary!r}, which is no program that this user may run.", "Name one of this host."
        )
    parent = parent or Path(tempfile.gettempdir())
    remove_stale(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise FileError(f"No directory can be made in {parent}: {error.strerror}.", "Name another one.") from error
    try:
        _claim(folder, None)
        with _running(binary, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale(parent: Path) -> list[Path]:
    """End what is left of the servers of killed processes of this user below ``parent``; the removed directories."""
    removed = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        with suppress(OSError):
            status = folder.lstat()
            # A directory of somebody else could name any process.
            if status.st_uid != os.geteuid() or folder.is_symlink() or not folder.is_dir():
                continue
            owner, server = _owner_of(folder)
            if not (has_ended(owner) if owner else time.time() - status.st_mtime > _NOBODYS_AFTER_SECONDS):
                continue
            if server:
                _end(server)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def _claim(folder: Path, server: int | None) -> None:
    claim = {"owner": identity_of(os.getpid()), "server": server and identity_of(server)}
    write_file(folder / _OWNER, json.dumps(claim).encode("ascii"), 0o600)


def _owner_of(folder: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The processes that own and that serve, each None where that is not known."""
    try:
        claim = json.loads((folder / _OWNER).read_bytes())
    except (OSError, ValueError):
        return None, None
    return claim["owner"], claim["server"]


@contextmanager
def _running(binary: str, folder: Path) -> Iterator[EphemeralQdrant]:
    http, grpc = _free_ports(2)
    server = EphemeralQdrant(f"http://127.0.0.1:{http}", secrets.token_urlsafe(24), folder / "storage")
    log = folder / "qdrant.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", _BOUND_TO_ITS_PARENT, str(os.getpid()), binary, "--disable-telemetry"],
            cwd=folder,
            env=_environment(server, folder, http, grpc),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops it in order.
        )
    try:
        _claim(folder, process.pid)
        _wait_until_ready(process, server.url, binary, log)
        yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def _environment(server: EphemeralQdrant, folder: Path, http: int, grpc: int) -> dict[str, str]:
    """This process's, without any setting of another Qdrant."""
    return {name: value for name, value in os.environ.items() if not name.startswith("QDRANT")} | {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__SERVICE__API_KEY": server.api_key,
        "QDRANT__STORAGE__STORAGE_PATH": str(server.storage_path),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, binary: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(url):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            raise QdrantUnreachable(
                f"{binary} did not become ready within {READY_SECONDS:g} s. Its log ends with: {' | '.join(said)}",
                "Mend what its log tells of.",
            )
        time.sleep(_POLL_SECONDS)


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    sockets = [socket.socket() for _port in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end(process: dict[str, Any]) -> None:
    """Kill that very process, which belongs to nobody any more."""
    deadline = time.monotonic() + STOP_SECONDS
    while has_ended(process) is False and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
