# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who reads a collection all the time, through every node of its cluster."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from tests.hosts.controller import qdrant


@dataclass
class Reader:
    """Counts the `points` of a collection through every node, again and again, while in its `with` block.

    `hosts`: name -> address. `most_away`: how many did not answer at a time; `unreadable`: how often none did.
    """

    hosts: dict[str, str]
    collection: str
    points: int
    moments: int = 0
    unreadable: int = 0
    most_away: int = 0
    away: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Reader:
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.wait(0.05):
            away = {name for name in self.hosts if not self._answers(name)}
            self.moments += 1
            self.unreadable += len(away) == len(self.hosts)
            self.most_away = max(self.most_away, len(away))
            self.away |= away

    def _answers(self, name: str) -> bool:
        node, body = qdrant(self.hosts[name], timeout=2), {"exact": True}
        try:
            found = node.call("POST", f"/collections/{self.collection}/points/count", json=body)
        except DrError:
            return False
        return bool(found["count"] == self.points)
