# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regions of a drill: which answer, and in which state the scenario puts the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import DamagedManifest, InvalidInput, StoreError
from ..stores.repository import Repository
from ..stores.simulated_region import DamagedRegion, LostRegion
from .catalogue import READERS, read_manifest
from .wal_listing import replicas

SCENARIOS = (
    "collection_lost",
    "node_lost",
    "cluster_lost",
    "region_lost",
    "bad_deploy",
    "first_copy_corrupted",
)
# What a scenario makes of the first region.
SIMULATED = {"region_lost": "lost", "first_copy_corrupted": "corrupted"}

Json = dict[str, Any]


@dataclass(frozen=True)
class DrillRegion:
    """One region as the drill meets it; ``trouble``: why it does not answer. ``simulated``: lost, corrupted or None."""

    repository: Repository
    simulated: str | None
    trouble: str

    def describe(self, collection: str, backup_id: str | None) -> Json:
        """As the record has it."""
        location = self.repository.location
        detail = self.trouble
        has_backup = False
        if not self.trouble and backup_id is not None:
            try:
                read_manifest(self.repository, collection, backup_id)
                has_backup = True
            except (StoreError, DamagedManifest) as error:
                detail = error.detail
        if self.simulated == "corrupted":
            detail = f"{detail} The scenario flips a byte of every part that is read from it.".strip()
        return {
            "name": location.name,
            "url": f"{location.endpoint} {self.repository.url('')}",
            "reachable": not self.trouble,
            "has_backup": has_backup,
            "simulated": self.simulated,
            "detail": detail,
        }


def drill_regions(regions: Sequence[Repository], scenario: str) -> list[DrillRegion]:
    """The regions in the order of preference. One that does not answer is asked once, and never again.

    Raises InvalidInput for a scenario that takes more regions than there are.
    """
    simulated = SIMULATED.get(scenario)
    if simulated and len(regions) < 2:
        raise InvalidInput(f"The scenario {scenario} needs a second region.", "Name another repository in sources.")

    def ask(region: Repository) -> str:
        try:
            region.require_connection()
        except StoreError as error:
            return error.detail
        return ""

    asked = list(regions[1:] if simulated == "lost" else regions)
    with ThreadPoolExecutor(READERS, thread_name_prefix="drill-region") as threads:
        troubles = list(threads.map(ask, asked))
    found = [
        DrillRegion(LostRegion(region, trouble) if trouble else region, None, trouble)
        for region, trouble in zip(asked, troubles, strict=True)
    ]
    if simulated == "lost":
        why = "The scenario region_lost makes it unreachable."
        return [DrillRegion(LostRegion(regions[0], why), simulated, why), *found]
    if simulated == "corrupted" and not found[0].trouble:
        found[0] = DrillRegion(DamagedRegion(regions[0]), simulated, "")
    return found


def is_archived(regions: Sequence[DrillRegion], collection: str) -> bool:
    """Whether a region that answers has something of the collection's log."""
    for region in regions:
        with suppress(StoreError):
            if not region.trouble and replicas(region.repository, collection):
                return True
    return False
