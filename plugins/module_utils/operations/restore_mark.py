# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark on a collection that is being restored: an alias that names it and the process at work.

It is the one thing that Qdrant keeps with a collection, on every node and through a restart, and that goes away in the
same atomic change in which the real aliases are set.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..errors import Busy
from ..stores.qdrant import Qdrant
from .liveness import has_ended, this_process

_PREFIX = "qdrant_dr:restoring:"


def alias_for(target: str) -> str:
    """The name of the alias that marks ``target`` as being restored by this process."""
    return f"{_PREFIX}{target}:{urlencode(this_process())}"


def marks_on(qdrant: Qdrant, target: str) -> list[str]:
    """The marks that ``target`` bears."""
    start = f"{_PREFIX}{target}:"
    return sorted(name for name, to in qdrant.aliases().items() if to == target and name.startswith(start))


def half_restored(qdrant: Qdrant, target: str) -> bool:
    """Whether ``target`` is what an interrupted restore left; raises ``Busy`` while that restore may still run."""
    marks = marks_on(qdrant, target)
    for mark in marks:
        process = _process(mark, target)
        if has_ended(process) is not True:
            raise Busy(
                f"{target} is being restored by process {process.get('pid')} on {process.get('host')}.",
                f"Wait for it; if that host is gone, delete the collection {target} and run again.",
            )
    return bool(marks)


def _process(mark: str, target: str) -> dict[str, Any]:
    fields: dict[str, Any] = dict(parse_qsl(mark[len(_PREFIX) + len(target) + 1 :]))
    return {**fields, "pid": int(fields.get("pid", 0)), "start": int(fields.get("start", 0))}
