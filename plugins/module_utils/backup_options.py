# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how much of a backup is stored, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidInput
from .formats.manifest import FULL
from .formats.times import parse_duration
from .operations.backup_type import AUTO, TYPES

TYPE_SPEC: dict[str, dict[str, Any]] = {
    "type": {"type": "str", "choices": list(TYPES), "default": FULL},
    "full_every": {"type": "str"},
}


def type_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """``type`` and ``full_every`` (seconds) of a request; the options may be left out. Raises InvalidInput."""
    kind, every = options.get("type") or FULL, options.get("full_every")
    if kind not in TYPES:
        raise InvalidInput(f"type is {kind!r}.", f"Give one of {', '.join(TYPES)}.")
    if every in (None, ""):
        return {"type": kind, "full_every": None}
    if kind != AUTO:
        raise InvalidInput(f"full_every is given, and type is {kind!r}.", f"It is for type {AUTO} only.")
    return {"type": kind, "full_every": parse_duration(every, "full_every")}
