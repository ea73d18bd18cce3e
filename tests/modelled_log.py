# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the points of a shard are after the entries of its log, one after another: a model, without any Qdrant.

It knows the writes of ``random_writes`` alone. After a kill it is the better witness: Qdrant 1.16.3 can bring points
back then whose deletion it had acknowledged.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import cbor2

Json = dict[str, Any]
Id = int | str


class ModelledShard:
    """``points``: id -> a point as the REST API writes it. ``indexes``: the fields that have a payload index."""

    def __init__(self) -> None:
        self.points: dict[Id, Json] = {}
        self.indexes: set[str] = set()
        self._operations: dict[str, Callable[[Any], None]] = {
            "upsert_points": lambda body: self._upsert(body["points"]),
            "upsert_points_conditional": self._upsert_conditional,
            "delete_points": lambda body: self._delete(body["ids"]),
            "delete_points_by_filter": lambda body: self._delete(self._matching(body)),
            "set_payload": self._set_payload,
            "overwrite_payload": self._overwrite_payload,
            "delete_payload": self._delete_payload,
            "clear_payload": lambda body: self._clear(body["points"]),
            "clear_payload_by_filter": lambda body: self._clear(self._matching(body)),
            "update_vectors": self._update_vectors,
            "delete_vectors": lambda body: self._delete_vectors(body[0]["points"], body[1]),
            "delete_vectors_by_filter": lambda body: self._delete_vectors(self._matching(body[0]), body[1]),
            "create_index": lambda body: self.indexes.add(body["field_name"]),
            "delete_index": self.indexes.discard,
        }

    def apply(self, entry: bytes) -> None:
        """Do what an entry says; raises KeyError for an operation that is not modelled."""
        content = _plain(cbor2.loads(entry))
        (name,) = (key for key in content if key != "clock_tag")
        self._operations[name](content[name])

    def _existing(self, ids: Iterable[Id]) -> list[Json]:
        return [self.points[each] for each in ids if each in self.points]

    def _matching(self, chosen: Json) -> list[Id]:
        return [number for number, point in self.points.items() if _matches(point["payload"], chosen)]

    def _upsert(self, points: list[Json]) -> None:
        for point in points:
            given = {"id": point["id"], "vector": point["vector"], "payload": point["payload"] or {}}
            self.points[point["id"]] = copy.deepcopy(given)

    def _upsert_conditional(self, body: Json) -> None:
        points, condition = body["points_op"]["points"], body["condition"]
        kept = {point["id"] for point in points if point["id"] in self.points} - set(self._matching(condition))
        self._upsert([point for point in points if point["id"] not in kept])

    def _delete(self, ids: Iterable[Id]) -> None:
        for number in list(ids):
            self.points.pop(number, None)

    def _chosen(self, body: Json) -> list[Json]:
        return self._existing(self._matching(body["filter"]) if body["points"] is None else body["points"])

    def _set_payload(self, body: Json) -> None:
        for point in self._chosen(body):
            given = copy.deepcopy(body["payload"])
            if body.get("key") is None:
                point["payload"].update(given)
            else:
                point["payload"].setdefault(body["key"], {}).update(given)

    def _overwrite_payload(self, body: Json) -> None:
        for point in self._chosen(body):
            point["payload"] = copy.deepcopy(body["payload"])

    def _delete_payload(self, body: Json) -> None:
        for point in self._chosen(body):
            for key in body["keys"]:
                outer, _dot, inner = key.partition(".")
                if inner:
                    point["payload"].get(outer, {}).pop(inner, None)
                else:
                    point["payload"].pop(outer, None)

    def _clear(self, ids: Iterable[Id]) -> None:
        for point in self._existing(ids):
            point["payload"] = {}

    def _update_vectors(self, body: Json) -> None:
        condition = body.get("update_filter")
        allowed = set(self.points) if condition is None else set(self._matching(condition))
        for given in body["points"]:
            if given["id"] in allowed:
                self.points[given["id"]]["vector"].update(copy.deepcopy(given["vector"]))

    def _delete_vectors(self, ids: Iterable[Id], names: list[str]) -> None:
        for point in self._existing(ids):
            for name in names:
                point["vector"].pop(name, None)


def _matches(payload: Json, chosen: Json) -> bool:
    def meets(condition: Json) -> bool:
        return bool(payload.get(condition["key"]) == condition["match"]["value"])

    wanted, unwanted = chosen.get("must") or [], chosen.get("must_not") or []
    return all(map(meets, wanted)) and not any(map(meets, unwanted))


def _plain(value: Any) -> Any:
    """With UUIDs as text."""
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
