# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find promtool, which evaluates rules for Prometheus, or bring the one of Debian's package into the cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tools.servers.process import ServerError

DOWNLOAD_SECONDS = 600
_ELSE = "install promtool, such as by Debian's package prometheus, or set PROMTOOL_BIN to the path of one."


def promtool_binary() -> Path:
    """Its path: ``PROMTOOL_BIN``, one on ``PATH``, or Debian's. Raises: ServerError saying what to do without one."""
    chosen = os.environ.get("PROMTOOL_BIN") or shutil.which("promtool")
    if chosen:
        if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
            raise ServerError(f"PROMTOOL_BIN is {chosen!r}, which is no program: {_ELSE}")
        return Path(chosen).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr"
    program = base / "promtool"
    base.mkdir(parents=True, exist_ok=True)
    with (base / "promtool.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(base / "promtool.unfinished", program)
    return program


def _fetch(folder: Path, program: Path) -> None:
    """Take the program out of the package, which is not installed: that would start a server."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        if not _done(["apt-get", "download", "prometheus"], folder):
            # Without lists of packages, as in a new container.
            _done(["apt-get", "update"], folder)
            if not _done(["apt-get", "download", "prometheus"], folder):
                raise ServerError(f"apt-get could not download the package prometheus: {_ELSE}")
        package = next(folder.glob("*.deb"))
        if not _done(["dpkg", "--extract", str(package), str(folder / "unpacked")], folder):
            raise ServerError(f"dpkg could not unpack {package.name}: {_ELSE}")
        (folder / "unpacked" / "usr" / "bin" / "promtool").replace(program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _done(command: list[str], folder: Path) -> bool:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
