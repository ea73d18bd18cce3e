# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of an archived WAL chunk: whose entries it holds, which, when they were written, and their digests.

It is the first line of the object: one JSON object in ASCII with sorted keys and without spaces. ``header_sha256`` is
the SHA-256 of the same text without itself, ``kind`` and ``schema_version``, so a header proves itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import IntegrityError
from .canonical import canonical
from .key_wrap import check_wrap, is_key_id, log_key_context
from .times import exact, parse_exact
from .wal_layout import ReplicaLog, chunk_key
from .wal_summary import Summary

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/wal"
CODEC = "zstd"
# A header is never longer, so the first 64 KiB of an object always hold it.
MAX_HEADER = 64 * 1024
# A poll takes at most 90 bytes, a run 34, names and the summary a few hundred each: that stays below MAX_HEADER.
MAX_POLLS = 400
MAX_RUNS = 400
_HINT = "Take this object from another copy of the repository, or restore to a moment before it."
_INDEX_LIMIT = 1 << 64
_CRC_LIMIT = 1 << 32
_NUMBERS = {
    "shard": _CRC_LIMIT,
    "first": _INDEX_LIMIT,
    "last": _INDEX_LIMIT,
    "last_crc": _CRC_LIMIT,
    "size": _INDEX_LIMIT,
    "stored_size": _INDEX_LIMIT,
}
_TEXTS = ("cluster", "collection", "replica", "timeline", "stored_sha256")
_PLAIN = ("cluster", "first", "last", "previous_crc", "last_crc", "size", "sha256", "stored_size", "stored_sha256")
_SEALED = "client_encryption"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Poll:
    """The entries up to ``last`` (from the one after the poll before) were written between two times (aware, UTC)."""

    last: int
    after: datetime
    before: datetime


@dataclass(frozen=True)
class ChunkHeader:
    """What a chunk says of itself.

    ``first`` to ``last`` (inclusive): the indexes of its entries. ``previous_crc``: the CRC of the entry before in the
    replica's log, None where that was not seen; ``last_crc``: that of the last entry. ``runs``: first index and seed
    of each chain of CRCs. ``summary``: what the entries do. ``size``, ``sha256``: of the framed entries;
    ``stored_size``, ``stored_sha256``: of the bytes that follow the header.

    ``client_encryption``: of one that was encrypted before it was sent, the id of its ``data_key``, and the ``wrap`` of
    that. Then ``sha256`` is None: a chunk may hold one small entry, whose digest would tell who guesses it.
    """

    cluster: str
    log: ReplicaLog
    first: int
    last: int
    previous_crc: int | None
    last_crc: int
    runs: tuple[tuple[int, int], ...]
    polls: tuple[Poll, ...]
    summary: Summary
    size: int
    sha256: str | None
    stored_size: int
    stored_sha256: str
    client_encryption: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """Where the chunk belongs in the repository."""
        return chunk_key(self.log, self.first, self.last)

    def bounds(self, index: int) -> tuple[datetime, datetime]:
        """Between which times (UTC) an entry of this chunk was written."""
        poll = next(poll for poll in self.polls if index <= poll.last)
        return poll.after, poll.before

    @property
    def key_context(self) -> dict[str, str] | None:
        """What the data key was made for; None of a chunk that has none."""
        if self.client_encryption is None:
            return None
        key_id = self.client_encryption["data_key"]
        return log_key_context(self.cluster, self.log.collection, self.log.replica, key_id)

    def digest(self) -> bytes:
        """The SHA-256 of all that is known before the entries are sealed, so that they open below this header only."""
        return hashlib.sha256(canonical(self._facts())).digest()

    def dump(self) -> bytes:
        """The first line of the object, with its line end."""
        fields = {**self._facts(), "stored_size": self.stored_size, "stored_sha256": self.stored_sha256}
        if self.client_encryption is not None:
            fields[_SEALED] = self.client_encryption
        digest = hashlib.sha256(canonical(fields)).hexdigest()
        whole = {"schema_version": SCHEMA_VERSION, "kind": KIND, **fields, "header_sha256": digest}
        return canonical(whole) + b"\n"

    def _facts(self) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "collection": self.log.collection,
            "shard": self.log.shard,
            "replica": self.log.replica,
            "timeline": self.log.timeline,
            "first": self.first,
            "last": self.last,
            "previous_crc": self.previous_crc,
            "last_crc": self.last_crc,
            "runs": self.runs,
            "polls": [[poll.last, exact(poll.after), exact(poll.before)] for poll in self.polls],
            "summary": self.summary.dump(),
            "size": self.size,
            "sha256": self.sha256,
            "codec": CODEC,
        }

    @classmethod
    def parse(cls, data: bytes | bytearray) -> ChunkHeader:
        """Read the header at the start of ``data``, an object or its first 64 KiB.

        Raises ``IntegrityError`` for one that is cut short, altered, of another schema, or that contradicts itself.
        """
        line, end, _rest = data[:MAX_HEADER].partition(b"\n")
        if not end:
            raise IntegrityError("The archived WAL chunk has no complete header.", _HINT)
        fields = _fields(line)
        header = _header(fields)
        # The same text again: so it is the one form there is, and its digest fits.
        if header.dump() != line + end:
            raise IntegrityError("The header of an archived WAL chunk was altered: its digest does not fit.", _HINT)
        _require_order(header)
        return header


def _fields(line: bytes | bytearray) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"The header of an archived WAL chunk is not JSON: {error}.", _HINT) from error
    if not isinstance(fields, dict) or fields.get("kind") != KIND:
        raise IntegrityError("The object is not a WAL chunk of this collection.", _HINT)
    if fields.get("schema_version") != SCHEMA_VERSION or fields.get("codec") != CODEC:
        raise IntegrityError(
            f"The archived WAL chunk has schema version {fields.get('schema_version')!r} and codec "
            f"{fields.get('codec')!r}; this version reads {SCHEMA_VERSION} and {CODEC}.",
            "Use the version of vectorops.qdrant_dr that wrote it, or a newer one.",
        )
    return fields


def _header(fields: dict[str, Any]) -> ChunkHeader:
    """The header that JSON fields describe; ``IntegrityError`` where a field is missing or of another type."""
    for name, limit in _NUMBERS.items():
        _require(_is_number(fields.get(name), limit), name)
    for name in _TEXTS:
        _require(isinstance(fields.get(name), str), name)
    _require(
        fields.get("previous_crc", "") is None or _is_number(fields.get("previous_crc"), _CRC_LIMIT), "previous_crc"
    )
    _require_sealing(fields)
    try:
        runs = tuple((index, seed) for index, seed in fields["runs"])
        polls = tuple(Poll(last, parse_exact(after), parse_exact(before)) for last, after, before in fields["polls"])
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"The header of an archived WAL chunk has no valid runs or polls: {error}.", _HINT
        ) from error
    try:
        summary = Summary.parse(fields.get("summary"), fields["last"] - fields["first"] + 1)
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"The header of an archived WAL chunk has no valid summary: {error}.", _HINT) from error
    _require(all(_is_number(index, _INDEX_LIMIT) and _is_number(seed, _CRC_LIMIT) for index, seed in runs), "runs")
    _require(all(_is_number(poll.last, _INDEX_LIMIT) for poll in polls), "polls")
    log = ReplicaLog(*(fields[name] for name in ("collection", "shard", "replica", "timeline")))
    return ChunkHeader(
        log=log,
        runs=runs,
        polls=polls,
        summary=summary,
        client_encryption=fields.get(_SEALED),
        **{name: fields[name] for name in _PLAIN},
    )


def _require_sealing(fields: dict[str, Any]) -> None:
    """Either the digest of the entries, or what their data key is."""
    if _SEALED not in fields:
        _require(_is_sha256(fields.get("sha256")), "sha256")
        return
    sealed = fields[_SEALED]
    shaped = isinstance(sealed, dict) and set(sealed) == {"data_key", "wrap"} and is_key_id(sealed["data_key"])
    _require(shaped and fields.get("sha256", "") is None, _SEALED)
    check_wrap(sealed["wrap"], f"the data key {sealed['data_key']}")


def _require_order(header: ChunkHeader) -> None:
    """Indexes that cannot be those of one chunk would lead a reader astray even where the digest fits."""
    runs = [index for index, _seed in header.runs]
    polls = [poll.last for poll in header.polls]
    _require(header.first <= header.last, "last")
    _require(bool(runs) and runs[0] == header.first and runs[-1] <= header.last and _rise(runs), "runs")
    _require(bool(polls) and polls[0] >= header.first and polls[-1] == header.last and _rise(polls), "polls")
    _require(_is_sha256(header.stored_sha256), "stored_sha256")


def _rise(numbers: list[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(numbers))


def _require(condition: bool, name: str) -> None:
    if not condition:
        raise IntegrityError(f"The header of an archived WAL chunk lacks a valid {name!r}.", _HINT)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_number(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit
