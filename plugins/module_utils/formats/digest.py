# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An order-independent digest over points: equal for equal ids, vectors and payloads, whatever their order and shards.

The format ``qdr1``, so that another implementation can be written (all integers little-endian)::

    record  = id payload vectors
    id      = "i" u64                       an integer id
            | "u" 16 bytes                  a UUID
    payload = u64 length, JSON              keys sorted, no spaces, ASCII with \\u escapes; none is {}
    vectors = u32 count, then for each, sorted by the name's UTF-8 bytes:
              u32 length, name in UTF-8     the unnamed vector has the name ""
              "d" u32 n, n x f32            dense
            | "m" u32 rows, rows x (u32 n, n x f32)
            | "s" u32 n, n x (u32 index, f32 value), sorted by index
    digest  = "qdr1-" + 64 hex digits of the sum of SHA-256(record), each read as a big-endian number, modulo 2^256

The sum tells a point that is there twice from one that is there once. It finds damage and divergence; it is no proof
against someone who crafts points to collide.
"""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from typing import Any

PREFIX = "qdr1-"
MODULUS = 1 << 256
_encode_payload = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


class PointDigest:
    """The digest of the points added so far."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, point: dict[str, Any]) -> None:
        """Add one point as Qdrant's REST API writes it: ``id``, ``payload`` and ``vector``."""
        self._sum = (self._sum + int.from_bytes(point_digest(point), "big")) % MODULUS
        self.count += 1

    def hexdigest(self) -> str:
        """Return ``qdr1-`` and 64 hex digits."""
        return f"{PREFIX}{self._sum:064x}"


def point_digest(point: dict[str, Any]) -> bytes:
    """The SHA-256 of one point as Qdrant's REST API writes it."""
    return hashlib.sha256(_encode(point)).digest()


def _encode(point: dict[str, Any]) -> bytes:
    identity = point["id"]
    pieces = [b"i", struct.pack("<Q", identity)] if isinstance(identity, int) else [b"u", uuid.UUID(identity).bytes]
    payload = _encode_payload(point.get("payload") or {}).encode("ascii")
    pieces += [struct.pack("<Q", len(payload)), payload]
    vector = point.get("vector")
    if vector is None:
        vector = {}
    elif not isinstance(vector, dict):
        vector = {"": vector}
    pieces.append(struct.pack("<I", len(vector)))
    for name, values in sorted((name.encode(), values) for name, values in vector.items()):
        pieces += [struct.pack("<I", len(name)), name, _encode_vector(values)]
    return b"".join(pieces)


def _encode_vector(values: Any) -> bytes:
    if isinstance(values, dict):
        pairs = sorted(zip(values["indices"], values["values"], strict=True))
        return b"s" + struct.pack("<I", len(pairs)) + b"".join(struct.pack("<If", *pair) for pair in pairs)
    if values and isinstance(values[0], list):
        return b"m" + struct.pack("<I", len(values)) + b"".join(_encode_floats(row) for row in values)
    return b"d" + _encode_floats(values)


def _encode_floats(values: list[float]) -> bytes:
    return struct.pack(f"<I{len(values)}f", len(values), *values)
