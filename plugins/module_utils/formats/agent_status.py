# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on the age of backups, in the form that monitoring plugins have."""

from __future__ import annotations

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def judge(
    ages: dict[str, float | None], rpo: float | None, warning: float | None, doubts: list[str]
) -> tuple[int, str]:
    """The status (0, 1 or 2) and its one line.

    Args:
        ages: seconds since the newest backup of each collection began, None where there is no backup.
        rpo: the oldest that the newest backup may be, in seconds; above it, the status is critical.
        warning: an age above which it is a warning.
        doubts: what could not be seen; each makes it a warning at least.

    Source of form and codes: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Return Codes".
    """
    missing = [f"{name} has no backup" for name, age in sorted(ages.items()) if age is None]
    aged = {name: age for name, age in ages.items() if age is not None}
    late = _older(aged, rpo, "RPO")
    aging = [text for text in _older(aged, warning, "warning age") if not late]
    if missing or late:
        return CRITICAL, _line(CRITICAL, missing + late + doubts)
    if aging or doubts:
        return WARNING, _line(WARNING, aging + doubts)
    if not aged:
        return WARNING, _line(WARNING, ["there is no collection to look at"])
    oldest = max(aged, key=lambda name: aged[name])
    number = f"{len(aged)} collection{'s' if len(aged) > 1 else ''}"
    return OK, _line(OK, [f"{number}, the oldest backup is {duration(aged[oldest])} old ({oldest})"])


def duration(seconds: float) -> str:
    """``2d 3h``, ``5h 12m``, ``7m 3s`` or ``12s``: the two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {whole % 60}s" if minutes else f"{whole}s"


def _older(ages: dict[str, float], limit: float | None, word: str) -> list[str]:
    if limit is None:
        return []
    return [
        f"{name}: newest backup {duration(age)} old, {word} {duration(limit)}"
        for name, age in sorted(ages.items())
        if age > limit
    ]


def _line(code: int, texts: list[str]) -> str:
    # A pipe would begin performance data, a line break a second line.
    text = " ".join("; ".join(texts).replace("|", "/").split())
    return f"{WORDS[code]}: {text}"
