# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data keys that an archiver encrypts with: one for each collection and run, renewed once a day.

So its host needs the right to make data keys, and none to open any.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from ..errors import DrError
from ..stores.location import StoreLocation
from ..stores.master_keys import key_ring
from .data_keys import DataKey, new_log_key

RENEW_SECONDS = 24 * 3600.0
# A key service that refuses is not asked anew for each of many logs.
_HOLD_OFF_SECONDS = 15.0


@dataclass(frozen=True)
class _Made:
    key: DataKey
    replica: str
    at: float


class ArchiverKeys:
    """``ensure`` and ``renew`` ask a key service and are for threads that may wait; ``current`` never does."""

    def __init__(self, location: StoreLocation, clock: Callable[[], datetime]) -> None:
        """Raises InvalidInput or MissingDependency where the repository's keys cannot be used."""
        self._ring = key_ring(location)
        self._cluster, self._clock = location.cluster, clock
        self._made: dict[str, _Made] = {}
        self._failed: tuple[float, DrError] | None = None
        self._lock = Lock()

    def current(self, collection: str) -> DataKey | None:
        """What to encrypt with, after ``ensure``; None where the repository does not encrypt before it sends."""
        return self._made[collection].key if self._ring is not None else None

    def ensure(self, collection: str, replica: str) -> None:
        """Have a key for a collection. Raises what a key service raises."""
        if self._ring is None:
            return
        with self._lock:
            if collection not in self._made:
                self._make(collection, replica)

    def renew(self) -> None:
        """Make a new key for each collection whose key is a day old; one that cannot be renewed goes on.

        Raises as ``ensure``.
        """
        with self._lock:
            for collection, made in list(self._made.items()):
                if time.monotonic() - made.at >= RENEW_SECONDS:
                    self._make(collection, made.replica)

    def _make(self, collection: str, replica: str) -> None:
        if self._ring is None:
            return
        if self._failed is not None and time.monotonic() < self._failed[0]:
            raise self._failed[1]
        try:
            key = new_log_key(self._ring, self._cluster, collection, replica, self._clock())
        except DrError as error:
            self._failed = (time.monotonic() + _HOLD_OFF_SECONDS, error)
            raise
        self._made[collection] = _Made(key, replica, time.monotonic())
