# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and names as the report of a drill writes them."""

from __future__ import annotations

import json
import re
from datetime import timezone
from typing import Any

from .times import parse_moment

NONE = "\u2013"
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
# What turns the direction of a text, hides in it, or cannot be written: controls, marks of direction, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with what cannot be seen written out, such as ``\\u202e``; a line break or a tab becomes a space."""
    return _INVISIBLE.sub(lambda found: " " if found.group() in "\n\r\t" else f"\\u{ord(found.group()):04x}", text)


def duration(seconds: float | None) -> str:
    """``0.42 s``, ``41.3 s``, ``12 min 5 s``, ``4 h``: as many digits as tell something."""
    if seconds is None:
        return NONE
    if seconds < 60 and f"{seconds:.1f}" != "60.0":
        return f"{seconds:.2f} s" if 0 < seconds < 1 else f"{seconds:.1f}".removesuffix(".0") + " s"
    left, parts = round(seconds), []
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join([*parts, *([f"{left} s"] if left else [])][:2])


def size(count: int | None) -> str:
    """Bytes as ``171.2 MB (171,234,567 bytes)``, by thousands."""
    if count is None:
        return NONE
    if count < 1000:
        return f"{count} bytes"
    amount = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.95 or unit == "TB":
            break
    return f"{amount:.1f} {unit} ({count:,} bytes)"


def number(value: float | None) -> str:
    """With commas between thousands."""
    return NONE if value is None else f"{value:,}"


def moment(text: str | None) -> str:
    """A time in UTC to the millisecond: ``2026-11-22 02:00:00.105 UTC``."""
    if text is None:
        return NONE
    utc = parse_moment(text, "time").astimezone(timezone.utc)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"


def words(name: str) -> str:
    """A name of a record in words: ``first_query`` as ``First query``."""
    return _NAMES.get(name) or (name[:1].upper() + name[1:]).replace("_", " ")


_NAMES = {"ann_vs_exact": "ANN against exact search", "recall": "Recall@10", "first_query_latency": "First query"}


def value(found: Any) -> str:
    """Whatever was expected or found, in one line."""
    if found is None:
        return NONE
    if isinstance(found, str):
        return found
    if isinstance(found, int) and not isinstance(found, bool):
        return number(found)
    return json.dumps(found, sort_keys=True, ensure_ascii=False)
