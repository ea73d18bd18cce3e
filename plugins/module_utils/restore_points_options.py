# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a restore of single points ask for."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from .errors import InvalidInput
from .operations.restore_points import PointsRequest
from .restore_options import request_of

_HIGHEST = 2**64 - 1
# What does not matter for a collection that is deleted again.
_SCRATCH: dict[str, Any] = {
    "target": None,
    "aliases": ["none"],
    "overwrite": False,
    "safety_backup": False,
    "replication_factor": None,
    "digest": False,
    "expect_digest": None,
}


def points_request_of(params: dict[str, Any]) -> PointsRequest:
    """What the options ask for. Raises InvalidInput."""
    return PointsRequest(
        params["collection"],
        request_of({**_SCRATCH, **params}),
        ids=point_ids(params["ids"] or []),
        filter=params["filter"],
        recorded_as=params["recorded_as"],
        overwrite=params["mode"] == "overwrite",
        scratch=params["scratch"],
        keep_scratch=params["keep_scratch"],
        batch_points=params["batch_size"],
    )


def point_ids(values: Iterable[Any]) -> tuple[int | str, ...]:
    """Ids of points as Qdrant writes them, each once. A number may be given as text. Raises InvalidInput."""
    return tuple(dict.fromkeys(map(_point_id, values)))


def _point_id(value: Any) -> int | str:
    text = str(value)
    if not isinstance(value, bool) and text.isascii() and text.isdigit() and int(text) <= _HIGHEST:
        return int(text)
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no id of a point.", "Give numbers from 0 on, and UUIDs.") from error
