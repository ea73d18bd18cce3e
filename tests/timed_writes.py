# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points 1, 2, 3, ... of which it is known when each was written, so that what there was at any moment is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from tests.proofs import wait_for


def now() -> datetime:
    return datetime.now(timezone.utc)


class TimedWrites:
    """``put`` writes the point of a number. ``written``: number -> when that was asked for, and when answered."""

    def __init__(self, put: Callable[[int], object]) -> None:
        self._put = put
        self.written: dict[int, tuple[datetime, datetime]] = {}

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """One point after another meanwhile, and some more of them afterwards."""
        ending = threading.Event()

        def write() -> None:
            while not ending.wait(0.01):
                number, asked = len(self.written) + 1, now()
                self._put(number)
                self.written[number] = (asked, now())

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
            self.wait_for_more()
        finally:
            ending.set()
            thread.join()

    def wait_for_more(self) -> None:
        """Until forty further points have been written."""
        enough = len(self.written) + 40
        wait_for(lambda: len(self.written) >= enough, "further writes")

    def allow(self, found: set[int], moment: datetime, resolution: float) -> bool:
        """Whether these may be the points of ``moment`` (aware): none is later, and all are there that had been written
        ``resolution`` seconds before."""
        known = moment - timedelta(seconds=resolution)
        least = {number for number, (_asked, answered) in self.written.items() if answered < known}
        most = {number for number, (asked, _answered) in self.written.items() if asked <= moment}
        return least <= found <= most
