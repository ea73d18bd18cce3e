# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End requests that other threads wait for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from threading import Lock


class Cancellation:
    """Shared by requests that end together: ``cancel`` shuts their connections, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._cancelled = False

    @contextlib.contextmanager
    def covers(self, connection: socket.socket) -> Iterator[None]:
        """While it is open, ``cancel`` shuts this connection; at once, where that came before."""
        with self._lock:
            self._open.add(connection)
            if self._cancelled:
                _shut(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def cancel(self) -> None:
        """Whoever waits at one of the connections gets the error of a connection that broke."""
        with self._lock:
            self._cancelled = True
            for connection in self._open:
                _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
