# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record is of, and how its report calls that: a drill, or the real thing, which proves no drill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DrillKind:
    """``text``: the ``kind`` of a record. ``name``: in a sentence, ``title`` at its begin. ``failure``: what the
    declaration names. ``target``: what was restored to. ``isolation``: what its checks prove. ``rto``: what
    it counts."""

    text: str
    name: str
    title: str
    failure: str
    target: str
    isolation: str
    rto: str

    @property
    def is_drill(self) -> bool:
        """Whether it counts as a drill, with negative controls, and with nothing left."""
        return self.name == "drill"


_REAL_RTO = (
    "The RTO runs from the declaration, through the confirmation and the fencing, until users are directed to a target"
    " that has answered correctly."
)
DRILL = DrillKind(
    "vectorops.qdrant_dr/drill",
    "drill",
    "Recovery drill",
    "Simulated failure",
    "Scratch collection",
    "Proof that production was out of reach",
    "The RTO runs from the declaration to the first correct answer of a healthy target."
    " Negative controls and cleanup come after it and do not count.",
)
FAILOVER = DrillKind(
    "vectorops.qdrant_dr/failover",
    "failover",
    "Failover",
    "Failure",
    "Collection",
    "Proof that the old cluster was out of the way",
    _REAL_RTO,
)
FAILBACK = DrillKind(
    "vectorops.qdrant_dr/failback",
    "failback",
    "Failback",
    "Writes stopped",
    "Collection",
    "Proof that the home cluster was fenced or empty",
    _REAL_RTO,
)
KINDS = {kind.text: kind for kind in (DRILL, FAILOVER, FAILBACK)}


def kind_of(record: Mapping[str, Any]) -> DrillKind:
    """That of a checked record."""
    return KINDS[record["kind"]]
