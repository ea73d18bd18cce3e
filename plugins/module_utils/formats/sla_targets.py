# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service level asks of schedules and alarms: each number with the sentence that says where it comes from.

They come from the level alone, for any size and any rate of writes. Whether a collection meets its level with them is
for the plan to compute, which knows sizes and rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import InvalidInput
from .agent_status import duration
from .sla import Sla
from .times import parse_duration

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# More often than that, scheduled backups of everything are in each other's way.
SHORTEST_BACKUPS = HOUR
# A timer's run reads both repositories first.
SHORTEST_COPIES = 5 * MINUTE
# What divides an hour, or a day: so schedules are the same every day.
_STEPS = (*(MINUTE * each for each in (5, 10, 15, 20, 30)), *(HOUR * each for each in (1, 2, 3, 4, 6, 8, 12, 24)))
# MB/s that a replay takes, rounded down from docs/speed.md; and a mean rate of writes for where none is known.
REPLAY_RATE, LOG_RATE = 20.0, 0.2
_REPLAY_SHARE = 4
_SEAL_SHARE, _LONGEST_SEAL, _SHORTEST_SEAL = 12, 60.0, 1.0
_BEAT_SHARE, _LONGEST_BEAT = 4, 30.0
_LONGEST_DELAY = 10 * MINUTE
VERIFY_AGE, DRILL_AGE = 10 * DAY, 35 * DAY


@dataclass(frozen=True)
class Targets:
    """What to do for a level, and when to raise an alarm. All numbers are seconds.

    ``wal_archive``: whether scheduled backups alone cannot meet the RPO. ``seal_interval`` and ``heartbeat``: the
    archiver's, None without it. ``max_age``: a run finds a younger backup good enough. ``randomized_delay``: by
    which timers spread their starts. ``..._warning`` and
    ``..._critical``: ages of the newest backup, of the end of the archived log (None without it), and of what another
    region has; ``verify_age`` and ``drill_age``: of the last verification and of the last drill, for a warning.
    ``reasons``: a sentence for each of them.
    """

    sla: Sla
    wal_archive: bool
    backup_interval: float
    max_age: float
    copy_interval: float
    randomized_delay: float
    seal_interval: float | None
    heartbeat: float | None
    backup_warning: float
    backup_critical: float
    wal_warning: float | None
    wal_critical: float | None
    region_warning: float
    region_critical: float
    verify_age: float = VERIFY_AGE
    drill_age: float = DRILL_AGE
    reasons: Mapping[str, str] = field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        """As modules and filters return it, with the calendars of systemd for both intervals."""
        return {
            **asdict(self),
            "sla": self.sla.as_result(),
            "backup_on_calendar": on_calendar(self.backup_interval, "02:00"),
            "copy_on_calendar": on_calendar(self.copy_interval, "03:00"),
        }


def targets(sla: Sla) -> Targets:
    """What ``sla`` asks for."""
    rpo = sla.rpo_seconds
    archived = rpo < 2 * SHORTEST_BACKUPS
    interval = _backup_interval(sla, archived)
    copies = min(_step(rpo / 4, SHORTEST_COPIES), interval)
    aged = (1.5 * interval, 2 * interval) if archived else ((interval + rpo) / 2, rpo)
    numbers: dict[str, Any] = {
        "wal_archive": archived,
        "backup_interval": interval,
        "max_age": interval * 5 / 6,
        "copy_interval": copies,
        "randomized_delay": min(copies / 5, _LONGEST_DELAY),
        "seal_interval": max(_SHORTEST_SEAL, min(rpo / _SEAL_SHARE, _LONGEST_SEAL)) if archived else None,
        "heartbeat": min(rpo / _BEAT_SHARE, _LONGEST_BEAT) if archived else None,
        "backup_warning": aged[0],
        "backup_critical": aged[1],
        "wal_warning": rpo / 2 if archived else None,
        "wal_critical": rpo if archived else None,
        "region_warning": max(rpo * 3 / 4, 2 * copies),
        "region_critical": max(rpo, 3 * copies),
        "verify_age": VERIFY_AGE,
        "drill_age": DRILL_AGE,
    }
    return Targets(sla, **numbers, reasons=_reasons(sla, numbers))


def _backup_interval(sla: Sla, archived: bool) -> float:
    """With an archived log the RTO counts, since what was written after the backup is replayed; else the RPO."""
    wanted = sla.rto_seconds / _REPLAY_SHARE * REPLAY_RATE / LOG_RATE if archived else sla.rpo_seconds / 2
    return _step(wanted, SHORTEST_BACKUPS)


def _step(seconds: float, least: float) -> float:
    """The longest step of at most so many seconds, but not below ``least``."""
    return max((step for step in _STEPS if least <= step <= seconds), default=least)


def settle(wanted: Targets, explicit: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What ``wanted`` says, but for what was set by hand, which counts.

    Args:
        wanted: the targets.
        explicit: names of targets -> seconds or a duration, or true or false; None and "" for what was not set.
        names: what errors call them.

    Returns:
        ``Targets.as_result()``, with the values that were set, and a reason for each of these.

    Raises:
        InvalidInput: something was set with which the level cannot be met; names both numbers.
    """
    settled = wanted.as_result()
    limits = _limits(wanted)
    for name, given in explicit.items():
        if given is None or given == "":
            continue
        called = (names or {}).get(name, name)
        value = given if isinstance(given, bool) else parse_duration(given, called)
        if name == "wal_archive" and wanted.wal_archive and not value:
            raise InvalidInput(
                f"The WAL archive is off, but qdrant_sla is {wanted.sla.title}. {wanted.reasons[name]}",
                "Turn the archive on, or allow to lose more.",
            )
        if name in limits and value > limits[name]:
            raise InvalidInput(
                f"{called} is {duration(value)}, but qdrant_sla is {wanted.sla.title}, which allows at most"
                f" {duration(limits[name])}.",
                f"Set {called} to {duration(limits[name])} or less, leave it out, or choose another level.",
            )
        settled[name] = value
        settled["reasons"] = {**settled["reasons"], name: "Set by hand."}
    return settled


def _limits(wanted: Targets) -> dict[str, float]:
    """Above which a number breaks the RPO by itself."""
    rpo = wanted.sla.rpo_seconds
    if wanted.wal_archive:
        return {"seal_interval": rpo, "heartbeat": rpo, "wal_warning": rpo, "wal_critical": rpo}
    return dict.fromkeys(("backup_interval", "max_age", "backup_warning", "backup_critical"), rpo)


def on_calendar(interval: float, daily_at: str) -> str:
    """A calendar of systemd for one of the intervals that ``targets`` gives; ``daily_at``: UTC, for one a day."""
    if interval >= DAY:
        return f"*-*-* {daily_at}:00 UTC"
    if interval >= HOUR:
        return f"*-*-* 00/{interval / HOUR:.0f}:00:00 UTC"
    return f"*-*-* *:00/{interval / MINUTE:.0f}:00 UTC"


def _reasons(sla: Sla, numbers: Mapping[str, Any]) -> dict[str, str]:
    rpo, rto, archived = duration(sla.rpo_seconds), duration(sla.rto_seconds), numbers["wal_archive"]
    said = {name: duration(value) for name, value in numbers.items() if value is not None}
    reasons = {
        "wal_archive": f"An RPO of {rpo} is {'' if archived else 'not '}below twice {duration(SHORTEST_BACKUPS)}, the"
        f" least between two scheduled backups: the log {'has to' if archived else 'need not'} be archived.",
        "max_age": f"Five sixths of {said['backup_interval']}, so that no run finds the last backup young enough.",
        "copy_interval": f"A quarter of the RPO of {rpo}, but at least {duration(SHORTEST_COPIES)}.",
        "randomized_delay": f"A fifth of {said['copy_interval']}, but at most {duration(_LONGEST_DELAY)}.",
        "region_warning": f"Three quarters of the RPO of {rpo}, but at least two times {said['copy_interval']}.",
        "region_critical": f"The RPO of {rpo}, but at least three times {said['copy_interval']}.",
        "verify_age": f"Within {said['verify_age']} a daily verification of 10 % has read everything.",
        "drill_age": f"A drill every month, and {duration(DRILL_AGE - 30 * DAY)} to do it in.",
    }
    return reasons | (_archive_reasons(rpo, rto, said) if archived else _schedule_reasons(rpo, said))


def _archive_reasons(rpo: str, rto: str, said: Mapping[str, str]) -> dict[str, str]:
    interval = said["backup_interval"]
    return {
        "backup_interval": f"With {LOG_RATE:g} MB/s of writes, replayed at {REPLAY_RATE:g} MB/s, {interval} of them"
        f" take a quarter of the RTO of {rto} at most; but {duration(SHORTEST_BACKUPS)} to {duration(DAY)}.",
        "seal_interval": f"A twelfth of the RPO of {rpo}, but {duration(_SHORTEST_SEAL)} to {duration(_LONGEST_SEAL)}.",
        "heartbeat": f"A quarter of the RPO of {rpo}, but at most {duration(_LONGEST_BEAT)}.",
        "backup_warning": f"One and a half times {interval}: one run has failed.",
        "backup_critical": f"Twice {interval}: two runs have failed.",
        "wal_warning": f"Half of the RPO of {rpo}.",
        "wal_critical": f"The RPO of {rpo}.",
    }


def _schedule_reasons(rpo: str, said: Mapping[str, str]) -> dict[str, str]:
    return {
        "backup_interval": f"Half of the RPO of {rpo}, so that one run may fail, and at most {duration(DAY)}.",
        "backup_warning": f"Half way from {said['backup_interval']}, the backup interval, to the RPO of {rpo}.",
        "backup_critical": f"The RPO of {rpo}.",
    }
