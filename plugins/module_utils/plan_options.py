# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a plan as an argument spec, and what they ask for: those of the module and of the agent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InvalidInput
from .formats.plan import ASSUMED_RATES, MB
from .formats.plan_result import MONTH_DAYS
from .formats.prices import PRICE_OPTIONS, Prices
from .formats.sla import SlaPolicy
from .formats.times import parse_duration
from .operations.clock import utc_now
from .operations.plan import PlanRequest
from .operations.write_rates import recorded_writes

RATES = (*ASSUMED_RATES, "log")
INTERVALS = ("backup_interval", "copy_interval", "seal_interval", "randomized_delay")
PLAN_OPTIONS: dict[str, dict[str, Any]] = {
    "schedule": {
        "type": "dict",
        "options": {"wal_archive": {"type": "bool"}, **{name: {"type": "str"} for name in INTERVALS}},
    },
    "rates": {"type": "dict", "options": {name: {"type": "float"} for name in RATES}},
    "size_gb": {"type": "float"},
    "prices": {"type": "dict", "options": PRICE_OPTIONS},
    "keep_days": {"type": "int", "default": MONTH_DAYS},
    "require_backups": {"type": "bool", "default": True},
}


def plan_request(
    options: Mapping[str, Any], policy: SlaPolicy, collections: Sequence[str] | None, state_path: str | None = None
) -> PlanRequest:
    """What ``PLAN_OPTIONS``, every one of them given, ask for. Raises InvalidInput.

    ``collections``: None for all. ``state_path``: of the archiver of this host, None where there is none.
    """
    rates = {name: rate for name, rate in (options["rates"] or {}).items() if rate is not None}
    for name, rate in {**rates, "size_gb": options["size_gb"]}.items():
        if rate is not None and not 0 < rate < math.inf:
            raise InvalidInput(f"{name} is {rate:g}.", "Give more than 0.")
    if options["keep_days"] < 1:
        raise InvalidInput(f"keep_days is {options['keep_days']}.", "Give 1 or more.")
    return PlanRequest(
        policy,
        collections,
        {name: _value(name, each) for name, each in (options["schedule"] or {}).items() if each is not None},
        {name: rate * MB for name, rate in rates.items()},
        None if options["size_gb"] is None else options["size_gb"] * 1e9,
        Prices.of(options["prices"] or {}),
        options["keep_days"],
        {} if state_path is None else recorded_writes(state_path, utc_now().date()),
        options["require_backups"],
    )


def _value(name: str, given: Any) -> Any:
    return parse_duration(given, name) if name in INTERVALS else given
