# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What storing, copying, writing and reading cost, at prices that carry their date."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput

GB = 1e9


@dataclass(frozen=True)
class Prices:
    """``storage``: up to so many bytes in all, the price of each further GB-month; ``transfer``: of a GB that is sent
    to another region; ``puts``: of 1,000 requests that write or list; ``gets``: of 1,000 that read; ``name``: whose.

    Source of the defaults: the list prices of Amazon S3 Standard in us-east-1, and of transfers between its regions,
    as of ``dated``.
    """

    storage: tuple[tuple[float, float], ...] = ((50e12, 0.023), (500e12, 0.022), (math.inf, 0.021))
    transfer: float = 0.02
    puts: float = 0.005
    gets: float = 0.0004
    currency: str = "USD"
    dated: str = "2026-11"
    name: str = "list prices of Amazon S3 Standard in us-east-1"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Prices:
        """The defaults, but for what is given: ``ALL_PRICES``. Raises InvalidInput for a negative price."""
        own = {name: value for name, value in given.items() if value is not None}
        for name, value in own.items():
            if ALL_PRICES[name]["type"] == "float" and not 0 <= value < math.inf:
                raise InvalidInput(f"{name} is {value:g}.", "Give a price of 0 or more.")
        if own and "dated" not in own:
            own["dated"] = "as given"
        renamed = {_FIELDS.get(name, name): value for name, value in own.items()}
        if set(own) & set(_FIELDS):
            renamed["name"] = f"given prices, and for the rest {cls.name}"
        if "storage" in renamed:
            renamed["storage"] = ((math.inf, renamed["storage"]),)
        return cls(**renamed)

    def storing(self, size: float) -> float:
        """What it costs to hold so many bytes for a month."""
        cost, below = 0.0, 0.0
        for until, price in self.storage:
            cost += max(0.0, min(size, until) - below) / GB * price
            below = until
        return cost

    def sending(self, size: float) -> float:
        """What it costs to send so many bytes to another region."""
        return size / GB * self.transfer

    def writing(self, requests: float) -> float:
        """What so many requests that write or list cost."""
        return requests / 1000 * self.puts

    def reading(self, requests: float) -> float:
        """What so many requests that read cost."""
        return requests / 1000 * self.gets


_PLANNED = {"storage_per_gb_month": "storage", "transfer_per_gb": "transfer", "puts_per_1000": "puts"}
_FIELDS = {**_PLANNED, "gets_per_1000": "gets"}
# Those of a plan, which counts no requests that read.
PRICE_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"type": "float"} for name in _PLANNED},
    "currency": {"type": "str"},
    "dated": {"type": "str"},
}
ALL_PRICES: dict[str, dict[str, Any]] = {"gets_per_1000": {"type": "float"}, **PRICE_OPTIONS}
