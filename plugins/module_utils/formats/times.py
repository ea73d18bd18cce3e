# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations and points in time as people write them in options."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from ..errors import InvalidInput

_EXACT = "%Y-%m-%dT%H:%M:%S.%fZ"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*$")


def parse_duration(text: str | float, name: str) -> float:
    """Seconds of ``90``, ``15m``, ``24h``, ``7d`` or ``2w``.

    ``name`` is the option's, for the error. Raises InvalidInput for anything else.
    """
    match = _DURATION.match(str(text))
    if match is None:
        raise InvalidInput(
            f"{name} is {text!r}, which is no duration.", "Give seconds, or a number with s, m, h, d or w, such as 24h."
        )
    return float(match.group(1)) * _UNITS[match.group(2)]


def parse_moment(text: str, name: str, zone_required: bool = False) -> datetime:
    """The point in time that an ISO 8601 text names; without a zone it is UTC, or refused.

    ``name`` is the option's, for the error. Raises InvalidInput for anything else.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError as error:
        raise InvalidInput(
            f"{name} is {text!r}, which is no time in ISO 8601.", "Give one like 2026-11-22T02:00:00Z."
        ) from error
    if zone_required and moment.tzinfo is None:
        raise InvalidInput(f"{name} is {text!r}, which names no zone.", "Add Z for UTC, or an offset such as +02:00.")
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def exact(moment: datetime) -> str:
    """An aware time in UTC to the last digit, as records and errors name it, so that it can be asked for again."""
    return moment.astimezone(timezone.utc).strftime(_EXACT)


def parse_exact(text: str) -> datetime:
    """What ``exact`` wrote; ValueError for any other text."""
    return datetime.strptime(text, _EXACT).replace(tzinfo=timezone.utc)
