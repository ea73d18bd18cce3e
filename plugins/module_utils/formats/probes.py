# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recall probes: queries with their exact nearest neighbours, recorded to be asked again after a restore.

Shape in the manifest::

    {"k": 10,
     "vectors": {"<vector name, "" for the unnamed one>":
       {"baseline": mean recall of the served (approximate) search when the probes were recorded,
        "queries": [{"query": vector as Qdrant takes it, "expected": [{"id": ..., "score": ...}, best first]}]}}}

The query vectors stand in it whole, so that probes need nothing but the restored collection. An empty collection has
no queries, and ``vectors`` is empty.

Of a backup that is encrypted before it is sent, ``vectors`` is empty and ``sealed`` holds the whole: ``{"data_key": its
id, "text": base64 of the JSON text, encrypted as an object of one part (``sealed``)}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import DamagedManifest, InvalidInput
from .canonical import canonical
from .sealed import PROBES, open_text, seal_text

Scored = dict[str, Any]

SCORE_TOLERANCE = 1e-5


def recall(expected: list[Scored], found: list[Scored], k: int) -> float:
    """Return the share of the ``k`` best that ``found`` has, from 0 to 1.

    A tie is no miss: a found point counts when it is one of the expected, or when its score is that of the last
    expected one. A better score does not count: nothing is nearer than the exact neighbours, unless the data differ.
    """
    wanted = expected[:k]
    if not wanted:
        return 1.0
    ids = {item["id"] for item in wanted}
    last = wanted[-1]["score"]
    tolerance = SCORE_TOLERANCE * max(1.0, abs(last))
    hits = {item["id"] for item in found[:k] if item["id"] in ids or abs(item["score"] - last) <= tolerance}
    return min(len(hits), len(wanted)) / len(wanted)


def mean(values: list[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def has_queries(probes: dict[str, Any]) -> bool:
    """Whether there is anything to ask, encrypted or not."""
    return bool(probes["vectors"] or "sealed" in probes)


def seal_probes(probes: dict[str, Any], data_key: bytes, key_id: str, salt: bytes) -> dict[str, Any]:
    """The same probes, to be read with their data key only; ``salt``: 32 random bytes."""
    if not has_queries(probes):
        return probes
    text = seal_text(canonical(probes), data_key, key_id, salt, PROBES)
    return {"k": probes["k"], "vectors": {}, "sealed": {"data_key": key_id, "text": text}}


def open_probes(probes: dict[str, Any], data_keys: Mapping[str, bytes]) -> dict[str, Any]:
    """The probes, opened if they are sealed. Raises ``DamagedBackup`` where that fails."""
    if "sealed" not in probes:
        return probes
    key_id, text = probes["sealed"]["data_key"], probes["sealed"]["text"]
    opened: dict[str, Any] = json.loads(open_text(text, data_keys[key_id], key_id, "the recall probes", PROBES))
    return opened


def check_probes(probes: dict[str, Any]) -> None:
    """Raise DamagedManifest when ``probes`` does not have the shape above, InvalidInput when they are sealed."""
    if "sealed" in probes:
        raise InvalidInput(
            "The recall probes are encrypted.", "Let backup_info open them, with the key of their backup."
        )
    try:
        right = isinstance(probes["k"], int) and probes["k"] > 0
        for vector in probes["vectors"].values():
            for query in vector["queries"]:
                right = right and bool(query["query"]) and all("score" in e and "id" in e for e in query["expected"])
    except (KeyError, TypeError, AttributeError):
        right = False
    if not right:
        raise DamagedManifest("The recall probes do not have their shape.", "Take them from a manifest as they are.")
