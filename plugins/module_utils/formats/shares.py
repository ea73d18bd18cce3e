# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shares of the nodes put together as one manifest: pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import IncompleteBackup
from .manifest import FULL, INCREMENTAL, Manifest
from .probes import has_queries

Json = dict[str, Any]

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/share"
_SAME = ("backup_id", "cluster", "collection", "qdrant_version", "config", "tool")


def assemble(shares: list[Json], expected: Collection[int], started: str, finished: str) -> Manifest:
    """The manifest of a backup whose shards stand in ``shares``, one of each node, the leading one first.

    ``expected``: the shards that the collection has; ``started`` and ``finished``: UTC times of the whole run.
    Raises ``IncompleteBackup`` with all reasons, and ``missing`` (shard numbers), where they do not make one backup.
    """
    entries = sorted((entry for share in shares for entry in share["shards"]), key=lambda entry: entry["shard"])
    _refuse_parts(shares, [entry["shard"] for entry in entries], expected)
    first = shares[0]
    counts = [count for share in shares for count in (share["points"]["before"], share["points"]["after"])]
    snapshots = [share["snapshot"] for share in shares]
    return Manifest(
        {
            **{name: first[name] for name in _SAME},
            "type": INCREMENTAL if any("archive" in entry["object"] for entry in entries) else FULL,
            "payload_indexes": first["payload_indexes"],
            "aliases": first["aliases"],
            "sharding": {
                "method": first["config"]["params"].get("sharding_method") or "auto",
                "shard_keys": {str(e["shard"]): e["shard_key"] for e in entries if e["shard_key"] is not None},
            },
            "snapshots": snapshots,
            "shards": entries,
            "probes": _common_probes(shares, quiet=len(set(counts)) == 1),
            "points": {"before": min(counts), "after": max(counts)} if len(shares) > 1 else first["points"],
            "window": {
                "started": started,
                "snapshot_started": min(snapshot["started"] for snapshot in snapshots),
                "snapshot_finished": max(snapshot["finished"] for snapshot in snapshots),
                "finished": finished,
            },
            **_data_keys(shares),
        }
    )


def _refuse_parts(shares: list[Json], numbers: list[int], expected: Collection[int]) -> None:
    """Raise IncompleteBackup unless these shares, with the shards ``numbers``, make one whole backup."""
    missing = sorted(set(expected) - set(numbers))
    reasons = [f"shard {number} is missing" for number in missing]
    reasons += [f"shard {number} is there twice" for number in sorted({n for n in numbers if numbers.count(n) > 1})]
    reasons += [f"shard {number} was not asked for" for number in sorted(set(numbers) - set(expected))]
    reasons += [f"the nodes disagree on {name}" for name in _SAME if any(s[name] != shares[0][name] for s in shares)]
    if len({"data_keys" in share for share in shares}) > 1:
        plain = ", ".join(share["node"] for share in shares if "data_keys" not in share)
        reasons.append(f"{plain} did not encrypt its share, and others did")
    if reasons or not shares:
        raise IncompleteBackup(
            f"The shares of the nodes do not make a backup: {'; '.join(reasons) or 'there are none'}.",
            "Nothing was committed. Run the backup again.",
            missing=missing,
        )


def _data_keys(shares: list[Json]) -> Json:
    """The wraps of all shares; nothing where nothing is encrypted."""
    wraps = {key_id: wrap for share in shares for key_id, wrap in share.get("data_keys", {}).items()}
    return {"data_keys": wraps} if wraps else {}


def _common_probes(shares: list[Json], quiet: bool) -> Json:
    """The recall probes that hold for all shares.

    A node knows that its own probes lasted while it made its share. Where points came or went between the shares of
    several nodes, some of them have neighbours that others have not, and no probe can judge the whole.
    """
    recorded = next((share["probes"] for share in shares if has_queries(share["probes"])), shares[0]["probes"])
    return recorded if quiet or len(shares) == 1 else {"k": recorded["k"], "vectors": {}}
