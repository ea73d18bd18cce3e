# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing at a time per Qdrant node, among all processes of one user on this host."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Busy, InvalidInput

POLL_SECONDS = 0.1


def default_lock_dir() -> Path:
    """Return the directory for locks of this user."""
    return Path(tempfile.gettempdir()) / f"qdrant-dr-{os.getuid()}"


@contextmanager
def node_lock(what: str, wait_seconds: float, lock_dir: str | Path | None = None) -> Iterator[None]:
    """Hold the lock named ``what``; wait up to ``wait_seconds`` for it.

    The lock goes when the process ends, however it ends.
    Raises: Busy when another process holds it for longer, InvalidInput when the directory is not this user's alone.
    """
    handle = _open(Path(lock_dir) if lock_dir else default_lock_dir(), what)
    try:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                raise Busy(
                    f"Another process held {what} for more than {wait_seconds:g} s.",
                    "Wait for its snapshot to end, or raise operation_timeout.",
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(folder: Path, what: str) -> int:
    """Open the lock file inside a directory that nobody else can write to, following no links."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(f"The lock directory {folder} cannot be used: {error.strerror}.", "Remove it.") from error
    try:
        facts = os.fstat(directory)
        if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
            raise InvalidInput(f"The lock directory {folder} is open to other users.", "Give it mode 0700.")
        name = hashlib.sha256(what.encode()).hexdigest()[:24] + ".lock"
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
