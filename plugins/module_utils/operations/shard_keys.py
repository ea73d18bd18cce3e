# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the shard keys of a collection again, with the numbers that their shards had (``formats.shard_keys`` says why).

A new key's shards get the numbers after the highest that is in use, from 1 on. Where the source had lost earlier keys,
fillers use up their numbers, and go as soon as the next key stands above them.
"""

from __future__ import annotations

from ..errors import TargetUnfit
from ..formats.shard_keys import Keys, routes_by_number
from ..stores.qdrant import Qdrant

_FILLER = "qdrant_dr:filler:"
# Qdrant gives up on a key that it has not made in 10 s (measured on two busy cores: 0.1 to 0.25 s for each shard).
_FILLER_SHARDS = 8


def create_shard_keys(qdrant: Qdrant, collection: str, keys: Keys) -> dict[int, int]:
    """Create ``keys`` in a new collection; returns the number here of each shard of theirs.

    Raises ``TargetUnfit`` where a key did not get the shards that it needs.
    """
    here: dict[int, int] = {}
    for key, recorded in sorted(keys.items(), key=lambda item: item[1]):
        filler = _use_up(qdrant, collection, recorded[0]) if routes_by_number(recorded) else None
        qdrant.create_shard_key(collection, {"shard_key": key, "shards_number": len(recorded)})
        if filler is not None:
            qdrant.delete_shard_key(collection, filler)
        there = sorted(number for number, owner in _owners(qdrant, collection).items() if owner == key)
        _refuse_others(collection, key, recorded, there)
        here |= dict(zip(recorded, there, strict=True))
    return here


def _use_up(qdrant: Qdrant, collection: str, below: int) -> str | None:
    """Use up the numbers below ``below``; returns the key that holds the last of them. One before is gone by then."""
    filler = None
    for number in range(max(_owners(qdrant, collection), default=0) + 1, below, _FILLER_SHARDS):
        following = f"{_FILLER}{number}"
        body = {"shard_key": following, "shards_number": min(_FILLER_SHARDS, below - number)}
        place = {"replication_factor": 1, "placement": [qdrant.cluster()["peer_id"]]}
        qdrant.create_shard_key(collection, {**body, **place})
        if filler is not None:
            qdrant.delete_shard_key(collection, filler)
        filler = following
    return filler


def _owners(qdrant: Qdrant, collection: str) -> dict[int, str | int | None]:
    """Number of each shard -> its key."""
    cluster = qdrant.collection_cluster(collection)
    return {shard["shard_id"]: shard.get("shard_key") for shard in cluster["local_shards"] + cluster["remote_shards"]}


def _refuse_others(collection: str, key: str | int, recorded: list[int], there: list[int]) -> None:
    if len(there) != len(recorded):
        raise TargetUnfit(
            f"{collection} has {len(there)} shards with the key {key!r}, the backup has {len(recorded)}.",
            "Nobody else may change the collection while it is restored: run the restore again.",
        )
    if routes_by_number(recorded) and there != recorded:
        raise TargetUnfit(
            f"The shards of the key {key!r} got the numbers {', '.join(map(str, there))} in {collection}, the backup "
            f"has {', '.join(map(str, recorded))}: Qdrant would look for their points elsewhere.",
            "Nobody else may change the collection while it is restored: run the restore again.",
        )
