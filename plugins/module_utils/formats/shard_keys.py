# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shards belong to which shard key, and whether they can be made again with the same numbers.

Qdrant finds the shard of a point among those of its key by a hash ring over their **numbers**. In a key of several
shards that have other numbers than they had, the points stay where they were put, and every write, read or delete by
id looks for them elsewhere. A key of one shard has nothing to choose from.
"""

from __future__ import annotations

from typing import Any

# Shard key (a text or a number) -> the numbers of its shards.
Keys = dict[Any, list[int]]


def shards_by_key(shards: list[dict[str, Any]]) -> Keys:
    """Shard key -> the numbers of its shards, both in ascending order of the numbers.

    ``shards``: entries with ``shard`` and ``shard_key``, as manifests have them.
    """
    keys: Keys = {}
    for shard in sorted(shards, key=lambda entry: entry["shard"]):
        if shard.get("shard_key") is not None:
            keys.setdefault(shard["shard_key"], []).append(shard["shard"])
    return keys


def routes_by_number(numbers: list[int]) -> bool:
    """Whether it depends on these numbers of a key's shards where Qdrant looks for a point."""
    return len(numbers) > 1


def scattered(keys: Keys) -> list[str]:
    """The keys that cannot be made again, a clause each: Qdrant gives a new key numbers without a gap."""
    return [
        f"the shards of the key {key!r} have the numbers {', '.join(map(str, numbers))}, and a new key gets "
        "consecutive ones, by which Qdrant would look for its points elsewhere"
        for key, numbers in keys.items()
        if routes_by_number(numbers) and numbers[-1] - numbers[0] >= len(numbers)
    ]
