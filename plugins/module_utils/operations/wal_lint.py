# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients write that a restore to a moment need not bring back exactly, as the logs of a node show it now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ..errors import DrError
from ..formats.collection_config import vector_names
from ..formats.wal_glance import glance
from ..formats.wal_operations import (
    CONDITIONAL,
    PARTIAL_VECTORS,
    TRANSFER,
    UNKNOWN,
    WITHOUT_PAYLOAD,
    replays_exactly,
)
from ..stores.node_files import closed_segments, collection_config, local_replicas
from ..stores.wal_files import Absent, NewEntries, Place, WalFiles
from .wal_progress import named

# What such an entry does, and what to do instead.
_BEFORE = {
    CONDITIONAL: ("change points under a condition", "write without one while a backup is made"),
    PARTIAL_VECTORS: ("upsert points with only some of their vectors", "send all of them, or update vectors"),
    WITHOUT_PAYLOAD: ("upsert points without a payload", "send the whole payload, {} for none"),
}
_ALWAYS = {
    TRANSFER: ("come from a transfer of the shard", "Make a backup when the transfer is over."),
    UNKNOWN: ("are not known here", "Use a newer version of vectorops.qdrant_dr: no restore goes past them."),
}

Json = dict[str, Any]


def lint_logs(storage_path: str, collections: Collection[str] | None, max_bytes: int, version: str | None) -> Json:
    """Count what may be inexact in the newest ``max_bytes`` of each replica's log, whole files of it.

    ``collections``: None for all. ``version``: of the node; None, where it is not known, counts as an old one.
    Returns ``collections`` and ``warnings``. Raises ``FileError`` where the directory cannot be read.
    """
    exact = version is not None and replays_exactly(version)
    warnings: list[str] = []
    entries: Counter[str] = Counter()
    found: dict[str, Counter[str]] = {}
    for name, shard in local_replicas(storage_path):
        if collections is not None and name not in collections:
            continue
        try:
            vectors = vector_names(collection_config(storage_path, name))
            for entry in _newest(storage_path, name, shard, max_bytes):
                entries[name] += 1
                found.setdefault(name, Counter()).update(glance(entry).inexact(vectors))
        except DrError as error:
            warnings.append(f"What is written to {named((name, shard))}, cannot be told: {error.detail} {error.hint}")
    for name, counts in found.items():
        warnings += _advice(name, entries[name], {key: n for key, n in counts.items() if key in _ALWAYS or not exact})
    return {
        "collections": [
            {"collection": name, "entries": entries[name], "inexact": dict(counts)} for name, counts in found.items()
        ],
        "qdrant_version": version,
        "warnings": warnings,
    }


def _newest(storage_path: str, name: str, shard: int, max_bytes: int) -> Iterator[bytes]:
    """The entries of the newest files of a log: those that are open, and closed ones of at least ``max_bytes``."""
    closed = closed_segments(storage_path, name, shard)
    place, left = None, max_bytes
    for segment in reversed(closed):
        if left <= 0:
            break
        place, left = Place(segment.first, None), left - segment.size
    with WalFiles(Path(storage_path) / "collections" / name / str(shard) / "wal", place) as files:
        while (found := files.poll()) is not None and not isinstance(found, Absent):
            if isinstance(found, NewEntries):
                for _index, entry in found.entries.items(found.entries.first, found.entries.stop):
                    yield entry


def _advice(name: str, entries: int, counts: dict[str, int]) -> Iterator[str]:
    """A sentence or two for each class."""
    for each, count in sorted(counts.items()):
        does, instead = (_BEFORE | _ALWAYS)[each]
        seen = f"{name}: {count} of the newest {entries} entries of its log {does}"
        if each in _BEFORE:
            yield f"{seen}, which a restore to a moment need not bring back exactly before Qdrant 1.19: {instead}."
        else:
            yield f"{seen}. {instead}"
