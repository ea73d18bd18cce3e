# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One archiver for each node, and none that waits for a store that does not answer."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future

from ..errors import Busy, StoreError
from ..stores.repository import Repository
from .liveness import this_process
from .repository_lock import RepositoryLock

_AGAIN = 10.0


class ArchiverLock:
    """The lock of the archiver of one replica, taken in one of ``threads`` and again where it was lost.

    ``life``: seconds, see ``RepositoryLock``. Two archivers do no harm but waste; so without an answer work goes on.
    """

    def __init__(self, repository: Repository, threads: Executor, life: float) -> None:
        self._repository, self._threads, self._life = repository, threads, life
        self._lock: RepositoryLock | None = None
        self._taking: Future[RepositoryLock] | None = None
        self._again_at = 0.0
        self._tried = False

    def try_hold(self, replica: str) -> bool:
        """Take it if it is not held; whether work may go on. Raises Busy where another process holds it."""
        if self._taking is None:
            held = self._lock is not None and self._lock.held
            if not held and time.monotonic() >= self._again_at:
                lock = RepositoryLock(self._repository, f"wal-archive-{replica}", self._life)
                self._taking = self._threads.submit(lock.__enter__)
        elif self._taking.done():
            taking, self._taking = self._taking, None
            self._tried, self._again_at = True, time.monotonic() + _AGAIN
            try:
                self._lock = taking.result()
            except Busy as busy:
                # What this process held and could not renew expires for others a little later.
                if self._lock is None or busy.result.get("owner") != this_process():
                    raise
            except StoreError:
                pass
        return self._tried

    def release(self) -> None:
        """Give it back, if it is held."""
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None
