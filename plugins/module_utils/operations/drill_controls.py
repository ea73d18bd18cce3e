# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negative controls: the same restore, of what it must refuse. A drill that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import DrError, IntegrityError, WrongKey
from ..formats.drill_verdict import NOT_APPLICABLE
from ..stores.qdrant import Qdrant
from ..stores.repository import Repository
from ..stores.simulated_region import DamagedRegion, EmptiedRegion, LostRegion, with_foreign_key
from .data_keys import open_data_keys
from .restore import RestoreRun
from .restore_plan import RestorePlan, RestoreRequest

Json = dict[str, Any]


def run_controls(
    nodes: list[Qdrant], sources: Sequence[Repository], plan: RestorePlan, request: RestoreRequest, target: str
) -> Iterator[Json]:
    """The controls of a record, one after the other: ``{control, refused, code, detail}``.

    ``plan``, ``request``: those of the restore that went well. ``target``: a free name on ``nodes``; it is free again
    afterwards. Each ends at the first part that does not match, so that it costs little. The flipped byte is restored
    for real, with a collection that has to be gone afterwards; what misses an object is read as a restore reads it.
    """
    asked = [source for source in sources if not isinstance(source, LostRegion)]
    damaged, emptied = [DamagedRegion(source) for source in asked], [EmptiedRegion(source) for source in asked]

    def run_of(regions: Sequence[Repository]) -> RestoreRun:
        other = replace(plan, target=target, leftover=False)
        return RestoreRun(nodes, [*regions], replace(request, target=target), other)

    yield _control("flipped_byte", IntegrityError, run_of(damaged).fill)
    yield _control("missing_object", IntegrityError, run_of(emptied).read_everything)
    if not plan.manifest.data_keys:
        yield _told("wrong_key", None, NOT_APPLICABLE, "The backup was not encrypted before it was sent.")
    else:
        foreign = [with_foreign_key(source) for source in asked]
        yield _control("wrong_key", WrongKey, lambda: open_data_keys(plan.manifest, foreign))
    for region in (*damaged, *emptied):
        region.close()


def _control(name: str, refusal: type[DrError], attempt: Callable[[], object]) -> Json:
    try:
        attempt()
    except refusal as error:
        return _told(name, True, error.code, error.detail)
    except DrError as error:
        return _told(name, None, error.code, error.detail)
    return _told(name, False, "accepted", "The restore went through.")


def _told(name: str, refused: bool | None, code: str, detail: str) -> Json:
    return {"control": name, "refused": refused, "code": code, "detail": detail}
