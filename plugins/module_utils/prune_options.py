# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a prune as an argument spec, and what they ask for: those of the module and of the agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import InvalidInput
from .formats.retention import PERIODS, RetentionPolicy
from .formats.times import parse_duration
from .operations.prune import PolicyOverride, PruneRequest
from .operations.prune_collection import PruneLimits

_COUNTS = ("keep_last", *(f"keep_{period}" for period in PERIODS))
_RULES: dict[str, dict[str, Any]] = {
    **{name: {"type": "int", "default": 0} for name in _COUNTS},
    "keep_within": {"type": "str"},
    "keep_wal_within": {"type": "str"},
    "min_redundancy": {"type": "int", "default": 1},
}
_OVERRIDE: dict[str, dict[str, Any]] = {
    "collections": {"type": "list", "elements": "str"},
    "regions": {"type": "list", "elements": "str"},
    **_RULES,
}
PRUNE_OPTIONS: dict[str, dict[str, Any]] = {
    **_RULES,
    "overrides": {"type": "list", "elements": "dict", "default": [], "options": _OVERRIDE},
    "grace": {"type": "str", "default": "24h"},
    "require_verified": {"type": "bool", "default": True},
    "max_delete_percent": {"type": "float", "default": 50.0},
    "price_per_gb_month": {"type": "float"},
}


def prune_request(options: Mapping[str, Any], collections: Sequence[str] | None) -> PruneRequest:
    """What ``PRUNE_OPTIONS``, every one of them given, ask for; ``collections``: None for all. Raises InvalidInput."""
    if not 0 < options["max_delete_percent"] <= 100:
        raise InvalidInput(
            f"max_delete_percent is {options['max_delete_percent']:g}.", "Give more than 0 and at most 100."
        )
    has_rules = any(options[name] for name in (*_COUNTS, "keep_within"))
    return PruneRequest(
        collections=collections,
        policy=_policy(options) if has_rules or not options["overrides"] else None,
        limits=PruneLimits(
            parse_duration(options["grace"], "grace"), options["require_verified"], options["max_delete_percent"]
        ),
        overrides=[
            PolicyOverride(_policy(each), each["collections"], each["regions"]) for each in options["overrides"]
        ],
        price=options["price_per_gb_month"],
    )


def _policy(options: Mapping[str, Any]) -> RetentionPolicy:
    return RetentionPolicy(
        keep_within=_span(options, "keep_within"),
        keep_wal_within=_span(options, "keep_wal_within"),
        min_redundancy=options["min_redundancy"],
        **{name: options[name] for name in _COUNTS},
    )


def _span(options: Mapping[str, Any], name: str) -> float | None:
    return parse_duration(options[name], name) if options[name] else None
