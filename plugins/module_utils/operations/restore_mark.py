# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark on a collection that is being restored: it names the process at work, and since when.

It stands in two places, which every node keeps, also through a restart. The collection's metadata has it from the very
creation on, so that no kill and no lost answer can leave a collection of which nobody knows whose it is (Qdrant 1.16 or
newer; an older one ignores metadata). The alias goes away in the same atomic change in which the real aliases are set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..errors import Busy
from ..stores.qdrant import Qdrant
from .liveness import has_ended, this_process

METADATA_KEY = "qdrant_dr:restoring"
_PREFIX = f"{METADATA_KEY}:"
# How long a mark counts whose process cannot be seen from here. Each one is renewed long before.
_GRACE = timedelta(hours=24)
_RENEWED_AFTER = timedelta(hours=1)


class Mark:
    """The mark of this process on ``target``. ``clock``: seconds since the epoch."""

    def __init__(self, target: str, clock: Callable[[], float] = time.time) -> None:
        self._target, self._clock = target, clock
        self._at = int(clock())
        self.text = urlencode({**this_process(), "at": self._at})
        self.alias = f"{_PREFIX}{target}:{self.text}"

    def is_old(self) -> bool:
        """Whether it is time for ``renewed``."""
        return self._clock() - self._at > _RENEWED_AFTER.total_seconds()

    def renewed(self) -> Mark:
        """The same mark of now."""
        return Mark(self._target, self._clock)


def marks_on(qdrant: Qdrant, target: str) -> list[str]:
    """The aliases that mark ``target``."""
    start = f"{_PREFIX}{target}:"
    return sorted(name for name, to in qdrant.aliases().items() if to == target and name.startswith(start))


def mark_in_metadata(qdrant: Qdrant, target: str) -> str | None:
    """The text of the mark in the metadata of ``target``, which exists."""
    metadata = qdrant.collection(target)["config"].get("metadata") or {}
    return metadata.get(METADATA_KEY)


def half_restored(qdrant: Qdrant, target: str, clock: Callable[[], float] = time.time) -> bool:
    """Whether ``target`` is what an interrupted restore left; raises ``Busy`` while that restore may still run.

    A restore whose process cannot be seen from here, as on another host, counts as over 24 h after its last mark.
    """
    if target not in qdrant.collections():
        return False
    texts = [alias[len(_PREFIX) + len(target) + 1 :] for alias in marks_on(qdrant, target)]
    if not texts and (created_with := mark_in_metadata(qdrant, target)):
        texts = [created_with]
    for text in texts:
        _refuse_at_work(target, _process(text), clock())
    return bool(texts)


def _refuse_at_work(target: str, process: dict[str, Any], now: float) -> None:
    ended = has_ended(process)
    over = process["at"] + _GRACE.total_seconds()
    if ended or (ended is None and now > over):
        return
    hint = "Wait for it."
    if ended is None:
        until = datetime.fromtimestamp(over, timezone.utc).isoformat().replace("+00:00", "Z")
        hint = (
            f"Wait for it. Whether it still runs cannot be seen from here: from {until} on it counts as interrupted, "
            f"unless it renews its mark. If you know that it is gone, delete the collection {target} and run again."
        )
    raise Busy(f"{target} is being restored by process {process.get('pid')} on {process.get('host')}.", hint)


def _process(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = dict(parse_qsl(text))
    return {**fields, **{name: int(fields.get(name, 0)) for name in ("pid", "start", "at")}}
