# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests a store was sent, by what stores ask for them."""

from __future__ import annotations

from threading import Lock
from typing import Any

_FREE = ("Delete", "Abort")
_READS = ("Get", "Head")


class RequestCount:
    """``reads``: those for one object; ``writes``: those that write or list. What removes costs nothing."""

    def __init__(self) -> None:
        self.reads = 0
        self.writes = 0
        self._lock = Lock()

    def watch(self, client: Any) -> None:
        """Count what this boto3 client sends from now on, each try of a request."""
        client.meta.events.register_first("before-send.s3", self._count)

    def _count(self, event_name: str, **_request: Any) -> None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            if operation.startswith(_READS):
                self.reads += 1
            elif not operation.startswith(_FREE):
                self.writes += 1
