# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loopback ports that no other server of these tools takes, also while its own server is down."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below Linux's default range for outgoing connections, so that none of those sits on a port between two starts.
PORTS = range(15000, 32000)
ATTEMPTS = 2000


class Port:
    """One reserved port; `number` stays this object's until `release`."""

    def __init__(self, number: int, lock: int) -> None:
        self.number = number
        self._lock = lock

    def release(self) -> None:
        """Let others have the port."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def reserve() -> Port:
    """Reserve one free port of 127.0.0.1.

    Returns: the port, locked against every process of this user that reserves ports here.
    Raises: OSError when none of 2000 random ports is free.
    """
    folder = Path(tempfile.gettempdir()) / f"qdrant-dr-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in random.sample(PORTS, ATTEMPTS):
        lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        if _is_free(number):
            return Port(number, lock)
        os.close(lock)
    raise OSError(f"no free port on 127.0.0.1 among {PORTS.start}-{PORTS.stop}: stop other servers and try again")


def _is_free(number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
