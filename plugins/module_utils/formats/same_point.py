# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two points are the same in their id, their payload and each of their vectors."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from .digest import point_digest

# More than the last bit of a number up to 1 in half precision.
_LAST_BIT = 2.0**-10

Json = dict[str, Any]


def same_point(one: Json, other: Json, rounded: Collection[str] = ()) -> bool:
    """Compare points as Qdrant's REST API writes them.

    ``rounded``: the names of vectors ("" for the unnamed one) whose numbers may differ in their last bit of half
    precision (``collection_config.rounded_anew``).
    """
    if point_digest(one) == point_digest(other):
        return True
    mine, theirs = _vectors(one), _vectors(other)
    shared = [name for name in rounded if name in mine and name in theirs]
    rest = [
        {**point, "vector": {name: vector for name, vector in vectors.items() if name not in shared}}
        for point, vectors in ((one, mine), (other, theirs))
    ]
    return point_digest(rest[0]) == point_digest(rest[1]) and all(_near(mine[name], theirs[name]) for name in shared)


def _vectors(point: Json) -> Json:
    vector = point.get("vector")
    if vector is None:
        return {}
    return vector if isinstance(vector, dict) else {"": vector}


def _near(one: Any, other: Any) -> bool:
    """Numbers, or lists of them, or lists of those."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    return not isinstance(one, list) and not isinstance(other, list) and math.isclose(one, other, abs_tol=_LAST_BIT)
