# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put chosen points of one collection into another one of the same node, batch by batch, and read each batch back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import CheckFailed, TargetUnfit
from ..formats.collection_config import page_limit, rounded_anew, upsert_limit
from ..formats.digest import point_digest
from ..formats.same_point import same_point
from ..stores.qdrant import Qdrant

# Qdrant takes requests of up to 32 MiB.
_BATCH_BYTES = 8 << 20
_LISTED = 1000

Json = dict[str, Any]
Id: TypeAlias = "int | str"


@dataclass
class Listed:
    """How many points there are of a kind, and the ids of the first ones."""

    count: int = 0
    ids: list[Id] = field(default_factory=list)

    def add(self, identity: Id) -> None:
        """One more."""
        self.count += 1
        if len(self.ids) < _LISTED:
            self.ids.append(identity)


class PutBack:
    """Points of ``source`` on their way into ``live``.

    ``restored``: written, or to be written where nothing may be; ``unchanged``: there already, and equal; ``kept``:
    there, and left as they are although they differ.
    """

    def __init__(
        self,
        qdrant: Qdrant,
        source: str,
        live: str,
        *,
        asked: Iterable[Id],
        overwrite: bool,
        batch_points: int,
        only_look: bool,
    ) -> None:
        """``asked``: ids that are missing where ``source`` does not have them. ``only_look``: write nothing."""
        self._qdrant, self._source, self._live = qdrant, source, live
        self._overwrite, self._only_look = overwrite, only_look
        config = qdrant.collection(live)["config"]
        limits = (upsert_limit(config), page_limit(config))
        self._batch_points = min([batch_points, *(limit for limit in limits if limit is not None)])
        self._rounded = rounded_anew(config)
        self.restored, self.unchanged, self.kept = Listed(), Listed(), Listed()
        self._missing: dict[Id, None] = dict.fromkeys(asked)
        self._before: list[str] = []
        self._after: list[str] = []

    def put(self, filters: Iterable[Json]) -> None:
        """Put back what each filter chooses, shard key by shard key.

        Raises:
            TargetUnfit: a shard key is missing, before anything is written.
            CheckFailed: a point that was written does not read back as it was written.
            StrictModeRefused and others of Qdrant.
        """
        chosen = list(filters)
        scopes = _scopes(self._qdrant, self._source)
        missing = [scope for scope in scopes if scope not in _scopes(self._qdrant, self._live)]
        self._refuse_without_key([scope for scope in missing if self._has_any(scope, chosen)])
        for scope in (scope for scope in scopes if scope not in missing):
            for batch in self._batches(scope, chosen):
                self._put_batch(batch, scope)

    def describe(self) -> Json:
        """As the module ``restore_points`` documents it."""
        missing = Listed(len(self._missing), list(self._missing)[:_LISTED])
        kinds = {"restored": self.restored, "unchanged": self.unchanged, "kept": self.kept, "missing": missing}
        counts: Json = {name: kind.count for name, kind in kinds.items()}
        return {**counts, "points": {name: kind.ids for name, kind in kinds.items()}}

    def diff(self) -> dict[str, str]:
        """Id and digest of the points that were listed as restored; a payload may be nobody's business in a log."""
        return {"before": "".join(self._before), "after": "".join(self._after)}

    def _has_any(self, scope: Json, chosen: list[Json]) -> bool:
        pages = (self._scroll(scope, condition, bare=True) for condition in chosen)
        return any(next(page, None) is not None for page in pages)

    def _refuse_without_key(self, scopes: list[Json]) -> None:
        if scopes:
            names = ", ".join(repr(scope.get("shard_key")) for scope in scopes)
            raise TargetUnfit(
                f"{self._live} lacks the shard key {names}, where chosen points were.",
                "Nothing was changed. Create the shard key, or choose points of others.",
            )

    def _scroll(self, scope: Json, condition: Json, bare: bool = False) -> Iterator[Json]:
        chosen = {"filter": condition, **scope}
        return self._qdrant.scroll(self._source, vectors=not bare, payload=not bare, chosen=chosen)

    def _batches(self, scope: Json, chosen: list[Json]) -> Iterator[list[Json]]:
        batch: list[Json] = []
        size = 0
        for point in (point for condition in chosen for point in self._scroll(scope, condition)):
            length = len(json.dumps(point))
            if batch and (len(batch) == self._batch_points or size + length > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append({"id": point["id"], "vector": point.get("vector") or {}, "payload": point.get("payload")})
            size += length
        if batch:
            yield batch

    def _put_batch(self, batch: list[Json], scope: Json) -> None:
        there = {point["id"]: point for point in self._qdrant.retrieve(self._live, [p["id"] for p in batch], scope)}
        changes = []
        for point in batch:
            self._missing.pop(point["id"], None)
            found = there.get(point["id"])
            if found is not None and same_point(found, point, self._rounded):
                self.unchanged.add(point["id"])
            elif found is not None and not self._overwrite:
                self.kept.add(point["id"])
            else:
                changes.append(point)
        if changes and not self._only_look:
            self._write(changes, scope)
        for point in changes:
            self._tell(point, there.get(point["id"]))

    def _write(self, points: list[Json], scope: Json) -> None:
        ids = [point["id"] for point in points]
        # No existing point matches: what another client writes in this very moment is left alone, too.
        only_new = None if self._overwrite else {"must_not": [{"has_id": ids}]}
        self._qdrant.upsert(self._live, points, scope, only_new)
        there = {point["id"]: point for point in self._qdrant.retrieve(self._live, ids, scope, from_all=True)}
        wrong = [p["id"] for p in points if p["id"] not in there or not same_point(there[p["id"]], p, self._rounded)]
        if wrong:
            raise CheckFailed(
                f"{len(wrong)} of {len(points)} points that were put back into {self._live} are not as they were "
                f"written: {', '.join(map(str, wrong[:10]))}.",
                "Another client may have written to them meanwhile. Look at them, and run again for them.",
                differing=wrong,
            )

    def _tell(self, point: Json, before: Json | None) -> None:
        self.restored.add(point["id"])
        if len(self.restored.ids) == self.restored.count:
            self._after.append(_line(point))
            if before is not None:
                self._before.append(_line(before))


def _line(point: Json) -> str:
    return f"{point['id']} {point_digest(point).hex()[:16]}\n"


def _scopes(qdrant: Qdrant, collection: str) -> list[Json]:
    """Where a request has to look to see each point once: in every shard key, or in all of a collection without any."""
    cluster = qdrant.collection_cluster(collection)
    keys = {shard.get("shard_key") for shard in cluster["local_shards"] + cluster["remote_shards"]} - {None}
    return [{"shard_key": key} for key in sorted(keys, key=str)] or [{}]
