# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random writes of every kind that Qdrant's clients know, by several writers at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    OperationTimeout,
    QdrantError,
    QdrantUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant

Json = dict[str, Any]

SIZE = 64
# A few hundred points get an index, and new ones after each merge: so the optimizer never rests.
COLLECTION: Json = {
    "vectors": {
        "dense": {"size": SIZE, "distance": "Dot"},
        "multi": {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    },
    "sparse_vectors": {"sparse": {}},
    "optimizers_config": {"indexing_threshold": 10, "default_segment_number": 2, "flush_interval_sec": 1},
    "wal_config": {"wal_capacity_mb": 1},
}
IDS = 300
# From here on points are written in ways that a replay need not repeat exactly, and in no others but by filters.
DOUBTFUL = 10_000
CONDITIONAL = 20_000
_FIELDS = {"n": "integer", "group": "keyword", "nested.x": "float"}


def id_of(number: int) -> int | str:
    """Every fifth point has a UUID."""
    return number if number % 5 else str(uuid.UUID(int=number + (1 << 64)))


class RandomWriter(threading.Thread):
    """Writes ``operations`` times, one request after another, and ends early where the server is gone.

    ``done`` counts its requests. ``doubtful``: with upserts that lack vectors or a payload; ``sent`` counts those that
    were answered. ``indexes``: with creations and deletions of payload indexes, which only one writer may do.
    """

    def __init__(
        self, qdrant: Qdrant, name: str, seed: int, operations: int, *, indexes: bool = False, doubtful: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.qdrant, self.path, self.operations = qdrant, f"/collections/{name}", operations
        self.chance = Random(seed)
        self.done = self.sent = 0
        self.refused: list[str] = []
        self._kinds: list[Callable[[], None]] = [
            *[self.upsert] * 4,
            *[self.conditional] * 2,
            self.payload,
            self.payload_by_filter,
            self.clear,
            self.delete,
            self.delete_by_filter,
            self.update_vectors,
            self.delete_vectors,
            self.several,
            *([self.index] if indexes else []),
            *([self.upsert_in_part] * 3 if doubtful else []),
        ]

    def run(self) -> None:
        for _number in range(self.operations):
            try:
                self.chance.choice(self._kinds)()
            except (QdrantUnreachable, OperationTimeout):
                return
            except QdrantError as error:
                # A point that is not there: such a request stands in the log, too.
                self.refused.append(error.detail)
            self.done += 1

    def point(self, number: int) -> Json:
        return {"id": id_of(number), "vector": self.vectors(), "payload": self.content()}

    def vectors(self) -> Json:
        places = sorted(self.chance.sample(range(1000), 3))
        return {
            "dense": [self.chance.gauss(0, 1) for _axis in range(SIZE)],
            "multi": [[self.chance.random() for _axis in range(4)] for _row in range(self.chance.randint(1, 3))],
            "sparse": {"indices": places, "values": [self.chance.random() for _place in places]},
        }

    def content(self) -> Json:
        number = self.chance.randrange(50)
        return {"n": number, "group": f"g{number % 7}", "nested": {"x": self.chance.random(), "y": [1, None, "\u00e4"]}}

    def some(self, first: int = 0, most: int = 8) -> list[int]:
        return [first + number for number in self.chance.sample(range(IDS), self.chance.randint(1, most))]

    def some_ids(self) -> list[int | str]:
        return [id_of(number) for number in self.some()]

    def condition(self) -> Json:
        if self.chance.random() < 0.3:
            return {"must_not": [{"key": "group", "match": {"value": f"g{self.chance.randrange(7)}"}}]}
        return {"must": [{"key": "n", "match": {"value": self.chance.randrange(50)}}]}

    def narrow(self) -> Json:
        return {"must": [{"key": "n", "match": {"value": self.chance.randrange(50)}}]}

    def send(self, method: str, path: str, body: Json) -> None:
        self.qdrant.call(method, self.path + path, body, {"wait": True})

    def upsert(self) -> None:
        self.send("PUT", "/points", {"points": [self.point(number) for number in self.some()]})

    def conditional(self) -> None:
        points = [self.point(number) for number in self.some(CONDITIONAL, 3)]
        self.send("PUT", "/points", {"points": points, "update_filter": self.condition()})

    def upsert_in_part(self) -> None:
        point = self.point(DOUBTFUL + self.chance.randrange(IDS))
        kind = self.chance.randrange(3)
        if kind == 0:
            del point["vector"][self.chance.choice(["dense", "multi", "sparse"])]
        elif kind == 1:
            del point["payload"]
        self.send("PUT", "/points", {"points": [point]})
        self.sent += kind < 2

    def payload(self) -> None:
        method = self.chance.choice(["POST", "PUT"])
        how = {"key": "nested"} if method == "POST" and self.chance.random() < 0.3 else {}
        self.send(method, "/points/payload", {"payload": self.content(), "points": self.some_ids(), **how})

    def payload_by_filter(self) -> None:
        method = self.chance.choice(["POST", "PUT"])
        self.send(method, "/points/payload", {"payload": self.content(), "filter": self.narrow()})

    def clear(self) -> None:
        chosen = self.chance.choice([{"points": self.some_ids()}, {"filter": self.narrow()}])
        if self.chance.random() < 0.5:
            self.send("POST", "/points/payload/clear", chosen)
        else:
            self.send("POST", "/points/payload/delete", {"keys": ["group", "nested.x"], **chosen})

    def delete(self) -> None:
        self.send("POST", "/points/delete", {"points": self.some_ids()})

    def delete_by_filter(self) -> None:
        self.send("POST", "/points/delete", {"filter": self.narrow()})

    def update_vectors(self) -> None:
        def some_vectors() -> Json:
            return dict(self.chance.sample(sorted(self.vectors().items()), self.chance.randint(1, 3)))

        points = [{"id": each, "vector": some_vectors()} for each in self.some_ids()]
        how = {"update_filter": self.condition()} if self.chance.random() < 0.2 else {}
        self.send("PUT", "/points/vectors", {"points": points, **how})

    def delete_vectors(self) -> None:
        chosen = self.chance.choice([{"points": self.some_ids()}, {"filter": self.narrow()}])
        names = self.chance.sample(["dense", "multi", "sparse"], self.chance.randint(1, 2))
        self.send("POST", "/points/vectors/delete", {"vector": names, **chosen})

    def several(self) -> None:
        first = self.point(self.chance.randrange(IDS))
        operations = [
            {"upsert": {"points": [first]}},
            {"set_payload": {"payload": self.content(), "points": [first["id"]]}},
            {"delete": {"points": self.some_ids()}},
        ]
        self.send("POST", "/points/batch", {"operations": operations})

    def index(self) -> None:
        field = self.chance.choice(sorted(_FIELDS))
        if self.chance.random() < 0.6:
            self.send("PUT", "/index", {"field_name": field, "field_schema": _FIELDS[field]})
        else:
            self.send("DELETE", f"/index/{field}", {})
