# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service levels as data: how much work may be lost (RPO), how long a recovery may take (RTO), and for what.

``qdrant_sla`` is a tier's name, ``{rpo_seconds, rto_seconds}``, or a list of ``{collections, sla}`` of which the first
that fits counts: ``collections`` are names or patterns of fnmatch (``*``, ``?``, ``[ab]``), and without them an entry
is for all. What a level asks of schedules and alarms is in ``sla_targets``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..errors import InvalidInput
from .times import parse_duration

# Seconds of RPO and RTO.
TIERS: dict[str, tuple[float, float]] = {
    "prototype": (86400.0, 86400.0),
    "standard": (3600.0, 14400.0),
    "customer_facing": (900.0, 3600.0),
    "high_availability": (60.0, 900.0),
    "mission_critical": (60.0, 600.0),
}
NAME = "qdrant_sla"
_NUMBERS = ("rpo_seconds", "rto_seconds")
_ENTRY = {"collections", "sla"}
_FORMS = (
    f"Give one of {', '.join(TIERS)}, or rpo_seconds and rto_seconds, or a list of entries with sla and, but for the"
    " last, collections."
)


@dataclass(frozen=True)
class Sla:
    """One service level, in seconds; ``tier``: its name, None for numbers of the user's own."""

    rpo_seconds: float
    rto_seconds: float
    tier: str | None = None

    @property
    def title(self) -> str:
        """How sentences name it."""
        numbers = f"RPO {self.rpo_seconds:g} s, RTO {self.rto_seconds:g} s"
        return f"{self.tier} ({numbers})" if self.tier else numbers

    def as_result(self) -> dict[str, Any]:
        """As modules return it and drill records hold it."""
        return {"tier": self.tier, "rpo_seconds": self.rpo_seconds, "rto_seconds": self.rto_seconds}


@dataclass(frozen=True)
class SlaPolicy:
    """Which level counts for which collection: pairs of patterns (None: for all) and a level, the first that fits."""

    entries: tuple[tuple[tuple[str, ...] | None, Sla], ...]

    @classmethod
    def parse(cls, given: Any, name: str = NAME) -> SlaPolicy:
        """What ``given`` says, in any of the three forms; ``name`` is the option's, for errors.

        Raises InvalidInput for what is none of them, and for an entry that can never count.
        """
        if not isinstance(given, list):
            return cls(((None, parse_level(given, name)),))
        if not given:
            raise InvalidInput(f"{name} is an empty list.", _FORMS)
        entries = tuple(_entry(each, f"entry {number} of {name}") for number, each in enumerate(given, start=1))
        for number, (patterns, _level) in enumerate(entries[:-1], start=1):
            if patterns is None or "*" in patterns:
                raise InvalidInput(
                    f"Entry {number} of {name} is for all collections, so that those after it never count.",
                    "Put it last, or name its collections.",
                )
        return cls(entries)

    def of(self, collection: str) -> Sla | None:
        """The level of one collection; None where no entry is for it."""
        for patterns, level in self.entries:
            if patterns is None or any(fnmatchcase(collection, pattern) for pattern in patterns):
                return level
        return None

    def strictest(self, collections: Iterable[str] | None = None) -> Sla | None:
        """What meets the levels of all these collections, or with None of all that may come; None where there is none.

        It is what the one schedule of a host is made for.
        """
        levels = [level for _patterns, level in self.entries]
        if collections is not None:
            levels = [level for level in map(self.of, collections) if level is not None]
        return _both(levels)


def parse_level(given: Any, name: str = NAME) -> Sla:
    """One level: a tier's name or the two numbers, in seconds or as durations such as ``15m``. Raises InvalidInput."""
    if isinstance(given, str):
        if given not in TIERS:
            raise InvalidInput(f"{name} is {given!r}, which is no tier.", _FORMS)
        return Sla(*TIERS[given], tier=given)
    if not isinstance(given, Mapping) or set(given) != set(_NUMBERS):
        raise InvalidInput(f"{name} is neither a tier nor a mapping of rpo_seconds and rto_seconds alone.", _FORMS)
    rpo, rto = (_seconds(given[number], f"{number} of {name}") for number in _NUMBERS)
    return Sla(rpo, rto)


def _seconds(given: Any, name: str) -> float:
    if isinstance(given, bool):
        raise InvalidInput(f"{name} is {given}, which is no duration.", "Give seconds, or a duration such as 15m.")
    seconds = parse_duration(given, name)
    if not 0 < seconds < math.inf:
        raise InvalidInput(f"{name} is {seconds:g}.", "Give more than 0 seconds.")
    return seconds


def _entry(given: Any, name: str) -> tuple[tuple[str, ...] | None, Sla]:
    if not isinstance(given, Mapping) or not {"sla"} <= set(given) <= _ENTRY:
        raise InvalidInput(f"{name[0].upper()}{name[1:]} is no mapping of collections and sla.", _FORMS)
    patterns = given.get("collections")
    if isinstance(patterns, str):
        patterns = [patterns]
    if patterns is not None and (
        not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) and one for one in patterns)
    ):
        raise InvalidInput(
            f"collections of {name} are no list of names or patterns.", "Give names, or patterns such as products_*."
        )
    return None if patterns is None else tuple(patterns), parse_level(given["sla"], f"sla of {name}")


def _both(levels: list[Sla]) -> Sla | None:
    if not levels:
        return None
    rpo, rto = min(level.rpo_seconds for level in levels), min(level.rto_seconds for level in levels)
    return next(
        (level for level in levels if (level.rpo_seconds, level.rto_seconds) == (rpo, rto)),
        Sla(rpo, rto),
    )
