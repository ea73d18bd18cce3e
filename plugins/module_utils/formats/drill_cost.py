# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill cost, and what it costs to keep what it restored: an estimate by a list of prices."""

from __future__ import annotations

from typing import Any

from .prices import Prices

Json = dict[str, Any]


def cost_of(record: Json, reads: int, writes: int, prices: Prices) -> Json | None:
    """The ``cost`` of a record: as if the target was in another region than all that it read; None without a backup.

    ``reads`` and ``writes``: requests of the drill, as stores tell them apart.
    """
    backup = record["backup"]
    if backup is None:
        return None
    transfer = sum(count["bytes"] for count in backup["served"].values())
    copies = sum(region["has_backup"] for region in record["regions"])
    amount = prices.sending(transfer) + prices.writing(writes) + prices.reading(reads)
    return {
        "transfer_bytes": transfer,
        "reads": reads,
        "writes": writes,
        "amount": round(amount, 6),
        "storage_bytes_month": backup["size"] * copies,
        "storage_amount_month": round(prices.storing(backup["size"]) * copies, 6),
        "currency": prices.currency,
        "prices": prices.name,
        "prices_dated": prices.dated,
    }
