# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one server process: start, wait until ready, stop, kill, and never outlive this process."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

from tools.servers import ports

START_SECONDS = 90.0
POLL_SECONDS = 0.05
CLOSE_SECONDS = 1.0
LOG_TAIL_LINES = 20
# Reads the server's process id, waits until the pipe to the process that started it closes, kills the server's group.
WATCHDOG = 'read -r pid && { read -r _; kill -s KILL -- "-$pid"; }'

AnyServer = TypeVar("AnyServer", bound="Server")


class ServerError(RuntimeError):
    """A server could not be found, started or reached; the message says what to do next."""


class Server(ABC):
    """A server as a context manager, started on entering and stopped on leaving.

    Args:
        root: folder of this server alone: data and log live here and stay when it stops.
        port_names: what the server listens on; each gets a free port that it keeps over restarts.
        stop_seconds: seconds between SIGTERM and SIGKILL in `stop`.
    """

    name = "server"

    def __init__(self, root: Path, port_names: tuple[str, ...], *, stop_seconds: float = 10.0) -> None:
        self.root = Path(root).absolute()
        self.root.mkdir(parents=True, exist_ok=True)
        self.log_path = self.root / f"{self.name}.log"
        self._stop_seconds = stop_seconds
        self._reserved = {key: ports.reserve() for key in port_names}
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._proven = False

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command line."""

    @abstractmethod
    def _environment(self) -> dict[str, str]:
        """Return the variables that the server gets beside the basic ones."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Tell whether the server answers; OSError counts as no."""

    def _clean_up(self) -> None:  # noqa: B027 (most servers leave nothing behind)
        """Remove what the server leaves outside `root` when it ends."""

    @property
    def pid(self) -> int | None:
        """Process id, or None while the server is down."""
        return self._process.pid if self._process else None

    def port_of(self, key: str) -> int:
        """Return the port reserved under `key`."""
        return self._reserved[key].number

    def start(self: AnyServer) -> AnyServer:
        """Start the server and wait until it is ready.

        A port that a foreign program took between reservation and first start is replaced, twice at most.
        Raises: ServerError when the server ends or does not answer within 90 seconds.
        """
        if self._process and self._process.poll() is None:
            raise ServerError(f"{self.name} already runs as process {self.pid}: stop it before starting it again.")
        self.kill()  # tidies up after a server that ended by itself
        for attempt in range(3):
            log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
            try:
                self._spawn()
                self._wait_until_ready()
            except ServerError:
                self.kill()
                if self._proven or attempt == 2 or not self._port_was_taken(log_start):
                    raise
                self._change_ports()
            except BaseException:
                self.kill()
                raise
            else:
                self._proven = True
                break
        return self

    def stop(self) -> None:
        """End the server by SIGTERM, and by SIGKILL when it takes longer than `stop_seconds`."""
        self._end(signal.SIGTERM, self._stop_seconds)

    def kill(self) -> None:
        """End the server at once by SIGKILL, as a crash would."""
        self._end(signal.SIGKILL, self._stop_seconds)

    def close(self) -> None:
        """End the server within a second, whatever clients are still connected, and give its ports back."""
        self._end(signal.SIGTERM, CLOSE_SECONDS)
        for port in self._reserved.values():
            port.release()

    def __enter__(self: AnyServer) -> AnyServer:
        return self.start()

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        if not self.log_path.exists():
            return "(no log)"
        with self.log_path.open("rb") as stream:
            stream.seek(max(0, self.log_path.stat().st_size - 16384))
            lines = stream.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _spawn(self) -> None:
        # Both get a session of their own: Ctrl-C reaches only this process, which then stops them in order.
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.root,
                env=basic_environment() | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{self._process.pid}\n".encode())
        self._watchdog.stdin.flush()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise ServerError(
                    f"{self.name} ended with status {code} while starting; the end of {self.log_path} says why:\n"
                    + self.log_tail()
                )
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._is_ready():
                    return
            time.sleep(POLL_SECONDS)
        raise ServerError(
            f"{self.name} did not answer within {START_SECONDS:.0f} s; the end of {self.log_path} may say why:\n"
            + self.log_tail()
        )

    def _port_was_taken(self, log_start: int) -> bool:
        if not self.log_path.exists():
            return False
        with self.log_path.open("rb") as stream:
            stream.seek(log_start)
            return b"address already in use" in stream.read().lower()

    def _change_ports(self) -> None:
        fresh = {key: ports.reserve() for key in self._reserved}
        for port in self._reserved.values():
            port.release()
        self._reserved = fresh

    def _end(self, how: signal.Signals, grace: float) -> None:
        process, self._process = self._process, None
        watchdog, self._watchdog = self._watchdog, None
        try:
            if process and process.poll() is None:
                process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(grace)
        finally:
            if process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._clean_up()
            if watchdog:
                watchdog.kill()
                watchdog.communicate()


def basic_environment() -> dict[str, str]:
    """Return the few variables of this process that a server may see: no credentials, no proxies, no settings."""
    names = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in names if name in os.environ}


def http_status(port: int, path: str, address: str = "127.0.0.1") -> int:
    """Return the HTTP status of GET `path` on `address`:`port`; raises OSError when nobody answers."""
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def installed_program(name: str, group: str) -> str:
    """Return the path of a program that a wheel put beside this Python, or one on PATH.

    Args:
        name: file name of the program.
        group: the group of requirements that has it, for the message.
    Raises: ServerError when it is not installed.
    """
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise ServerError(
            f"the program '{name}' is not installed: run this with the Python that tools/setup {group} made."
        )
    return found
