# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entries of a WAL mean: for people who look for the moment before a mistake, and for what a replay needs.

An entry is a CBOR map with one key that names the operation and, where a client wrote it, ``clock_tag``. The names and
shapes are those that Qdrant 1.16.3 writes (tests/integration/test_wal_operations.py). Everything else is an unknown
operation, never one that is passed over.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..errors import InvalidInput, MissingDependency, UnknownWalOperation

UNKNOWN = "unknown"
CONDITIONAL = "conditional"
PARTIAL_VECTORS = "partial_vectors"
WITHOUT_PAYLOAD = "without_payload"
TRANSFER = "transfer"
# From this version on Qdrant replays all upserts exactly: with conditions, of some named vectors, without a payload.
_EXACT_SINCE = (1, 19)
_BY_KIND = {"unknown": UNKNOWN, "sync": TRANSFER}


@dataclass(frozen=True)
class Operation:
    """One entry. Failed operations stand in the log like any other.

    ``name``: Qdrant's; ``kind``: "upsert", "delete", "payload", "vectors", "index", "sync" (a shard transfer fills this
    replica: these points, and no others between two ids) or "unknown". ``ids``: of the
    points that it names (UUIDs as text), None where only a ``filter`` chooses them. ``condition``: a filter that
    existing points must match to be changed. ``vectors``: the names of the vectors that every upserted point has (""
    for the unnamed one). ``bare``: whether an upserted point has no payload, not even an empty one. ``field`` and
    ``schema``: of an index; without a ``schema`` it is deleted. ``unread_ids``: how many points it names, where ``ids``
    was left out.
    """

    name: str
    kind: str
    ids: tuple[int | str, ...] | None = None
    filter: dict[str, Any] | None = None
    condition: dict[str, Any] | None = None
    vectors: frozenset[str] | None = None
    bare: bool = False
    field: str | None = None
    schema: str | dict[str, Any] | None = None
    unread_ids: int | None = None

    @property
    def points(self) -> int | None:
        """How many points it names, None where it does not say."""
        return self.unread_ids if self.ids is None else len(self.ids)

    def inexact(self, vector_names: Collection[str]) -> frozenset[str]:
        """Why a replay need not be exact, nothing where it is; ``vector_names``: all those of the collection.

        ``PARTIAL_VECTORS``, ``WITHOUT_PAYLOAD``: before Qdrant 1.19 a point keeps its other vectors, or its payload, if
        it lies in an indexed segment then, and loses them otherwise. ``CONDITIONAL``: before 1.19, for entries that the
        base's segments may hold in part (S to L). ``TRANSFER``: nothing has proved it exact there. ``UNKNOWN``: always.
        """
        partial = self.vectors is not None and not self.vectors.issuperset(vector_names)
        found = {
            _BY_KIND.get(self.kind, ""): self.kind in _BY_KIND,
            CONDITIONAL: self.condition is not None,
            PARTIAL_VECTORS: partial and self.kind == "upsert",
            WITHOUT_PAYLOAD: self.bare,
        }
        return frozenset(name for name, holds in found.items() if holds)


def describe(entry: bytes) -> Operation:
    """What an entry's bytes say; of an unknown operation only the ``name`` ("" where not even that can be told).

    No entry is an error: the archiver looks at all of them, and has to archive those, too, that nobody can read.
    """
    cbor2 = _cbor2()
    try:
        content = cbor2.loads(entry)
        names = [name for name in content if name != "clock_tag"]
    except Exception:
        # Decoders of tags may raise anything.
        names = []
    if len(names) != 1 or not isinstance(content, dict) or not isinstance(names[0], str):
        return Operation("", UNKNOWN)
    name = names[0]
    reader = _READERS.get(name)
    try:
        return reader(name, _with_text_ids(content[name])) if reader is not None else Operation(name, UNKNOWN)
    except Exception:
        return Operation(name, UNKNOWN)


def replays_exactly(version: str) -> bool:
    """Whether a Qdrant of this version replays exactly what older ones need not. Raises ``InvalidInput``."""
    numbers = version.split("-")[0].split(".")[:2]
    if not all(number.isdecimal() for number in numbers):
        raise InvalidInput(f"{version!r} is no version of Qdrant.", "Give one such as 1.16.3.")
    return tuple(map(int, numbers)) >= _EXACT_SINCE


def counted(inexact: Mapping[str, int]) -> str:
    """In words, how many entries of each class need not be replayed exactly."""
    return ", ".join(f"{count} {name}" for name, count in sorted(inexact.items()))


def apply_index_operations(payload_indexes: dict[str, Any], entries: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    """A manifest's ``payload_indexes`` as they are after these entries (index in the log, bytes).

    Raises ``UnknownWalOperation`` at the first unknown one: it might be about indexes.
    """
    found = dict(payload_indexes)
    for index, entry in entries:
        apply_index_operation(found, index, describe(entry))
    return found


def apply_index_operation(payload_indexes: dict[str, Any], index: int, operation: Operation) -> None:
    """Change ``payload_indexes`` as the operation of entry ``index`` does, if it is about an index.

    Raises ``UnknownWalOperation``.
    """
    if operation.kind == UNKNOWN:
        raise UnknownWalOperation(
            f"Entry {index} of the log is an operation not known here: {operation.name or 'unreadable'}.",
            f"Restore to a moment before it (index {index - 1}), or use a newer version of vectorops.qdrant_dr.",
        )
    if operation.field is None:
        return
    if operation.schema is None:
        payload_indexes.pop(operation.field, None)
    elif isinstance(operation.schema, dict):
        payload_indexes[operation.field] = {"data_type": operation.schema["type"], "params": operation.schema}
    else:
        payload_indexes[operation.field] = {"data_type": operation.schema}


def _cbor2() -> ModuleType:
    try:
        import cbor2
    except ImportError as error:
        raise MissingDependency(
            "The Python package cbor2 is not installed on this host.", "Run: pip install cbor2"
        ) from error
    return cbor2


def _with_text_ids(value: Any) -> Any:
    """The same value with UUIDs as text: Qdrant writes some as text, most as 16 bytes, and no other bytes."""
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    if isinstance(value, dict):
        return {key: _with_text_ids(item) for key, item in value.items()}
    if isinstance(value, list) and not (value and isinstance(value[0], float)):
        return [_with_text_ids(item) for item in value]
    return value


def _upsert(name: str, body: dict[str, Any], condition: dict[str, Any] | None = None) -> Operation:
    (form,) = body
    if form == "batch":
        ids, names = _ids(body[form]["ids"]), [_vector_names(body[form]["vectors"])]
        payloads = body[form].get("payloads") or [None] * len(ids)
    elif form == "points":
        ids = _ids(point["id"] for point in body[form])
        names = [_vector_names(point["vector"]) for point in body[form]]
        payloads = [point.get("payload") for point in body[form]]
    else:
        return Operation(name, UNKNOWN)
    vectors = frozenset.intersection(*names) if names else None
    return Operation(name, "upsert", ids, condition=condition, vectors=vectors, bare=None in payloads)


def _conditional(name: str, body: dict[str, Any]) -> Operation:
    return _upsert(name, body["points_op"], _filter(body["condition"]))


def _sync(name: str, body: dict[str, Any]) -> Operation:
    found = _upsert(name, {"points": body["points"]})
    return Operation(name, "sync", found.ids, vectors=found.vectors)


def _delete(name: str, body: dict[str, Any]) -> Operation:
    return Operation(name, "delete", _ids(body["ids"]))


def _payload(name: str, body: dict[str, Any]) -> Operation:
    points, chosen = body.get("points"), body.get("filter")
    if points is None and chosen is None:
        return Operation(name, UNKNOWN)
    ids = None if points is None else _ids(points)
    return Operation(name, "payload", ids, None if chosen is None else _filter(chosen))


def _update_vectors(name: str, body: dict[str, Any]) -> Operation:
    condition = body.get("update_filter")
    ids = _ids(point["id"] for point in body["points"])
    return Operation(name, "vectors", ids, condition=None if condition is None else _filter(condition))


def _delete_vectors(name: str, body: list[Any]) -> Operation:
    chosen, _names = body
    return Operation(name, "vectors", _ids(chosen["points"]))


def _delete_vectors_by_filter(name: str, body: list[Any]) -> Operation:
    chosen, _names = body
    return Operation(name, "vectors", filter=_filter(chosen))


def _create_index(name: str, body: dict[str, Any]) -> Operation:
    schema = body["field_schema"]
    if not isinstance(schema["type"] if isinstance(schema, dict) else schema, str):
        return Operation(name, UNKNOWN)
    return Operation(name, "index", field=_text(body["field_name"]), schema=schema)


def _delete_index(name: str, body: str) -> Operation:
    return Operation(name, "index", field=_text(body))


_READERS: dict[str, Callable[[str, Any], Operation]] = {
    "upsert_points": _upsert,
    "upsert_points_conditional": _conditional,
    "sync_points": _sync,
    "delete_points": _delete,
    "delete_points_by_filter": lambda name, body: Operation(name, "delete", filter=_filter(body)),
    "set_payload": _payload,
    "overwrite_payload": _payload,
    "delete_payload": _payload,
    "clear_payload": _payload,
    "clear_payload_by_filter": lambda name, body: Operation(name, "payload", filter=_filter(body)),
    "update_vectors": _update_vectors,
    "delete_vectors": _delete_vectors,
    "delete_vectors_by_filter": _delete_vectors_by_filter,
    "create_index": _create_index,
    "delete_index": _delete_index,
}


def _ids(values: Iterable[Any]) -> tuple[int | str, ...]:
    ids = tuple(values)
    if any(isinstance(value, bool) or not isinstance(value, int | str) for value in ids):
        raise ValueError("not the id of a point")
    return ids


def _vector_names(vectors: Any) -> frozenset[str]:
    """The names in a map of vectors; "" for a vector, or a list of them, without a name."""
    if isinstance(vectors, list):
        return frozenset({""})
    return frozenset(vectors.keys())


def _filter(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not a filter")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
