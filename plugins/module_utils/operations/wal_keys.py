# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data keys of archived logs: opened for who reads chunks, kept beside the archive for who rotates master keys.

Every chunk has the wrap of its data key in its header, so it opens by itself. The same wrap stands once more in a
record of each data key: a rotation finds them all there, and puts later wraps beside them, without reading any chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from ..errors import IntegrityError, ObjectExists, WrongKey
from ..formats.canonical import canonical
from ..formats.key_wrap import KeyRecord, log_key_context
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import parse_wraps_key, wraps_key, wraps_prefix
from ..stores.master_keys import MasterKey
from ..stores.repository import Repository
from .data_keys import from_all, keys_of, open_data_key
from .key_records import record_at

Context = dict[str, str]


class ChunkKeys:
    """Opens the data keys of chunks, each one once. Threads may share it.

    The master keys of all ``sources`` are tried, on the wrap in a header and on those that were made later in any
    source.
    """

    def __init__(self, sources: Sequence[Repository]) -> None:
        self._sources = sources
        self._masters: list[MasterKey] | None = None
        self._opened: dict[tuple[str, ...], bytes | WrongKey] = {}
        self._lock = Lock()

    def require(self, headers: Iterable[ChunkHeader]) -> None:
        """Open all that these chunks need. Raises ``WrongKey``, and what a key or a key service raises."""
        for header in headers:
            self.of(header)

    def of(self, header: ChunkHeader) -> bytes:
        """The data key of a chunk, nothing for one that is not encrypted; raises as ``require``."""
        if header.client_encryption is None or header.key_context is None:
            return b""
        return self.open(header.client_encryption["wrap"], header.key_context)

    def open(self, wrap: dict[str, Any], context: Context) -> bytes:
        """The data key in a wrap that was made for ``context``; raises as ``require``."""
        name = (*context.values(), canonical(wrap).decode())
        with self._lock:
            if name not in self._opened:
                self._opened[name] = self._open(wrap, context)
            opened = self._opened[name]
        if isinstance(opened, WrongKey):
            raise opened
        return opened

    def _open(self, wrap: dict[str, Any], context: Context) -> bytes | WrongKey:
        if self._masters is None:
            self._masters = keys_of(self._sources)
        try:
            later = wraps_in(self._sources, context)
            return open_data_key(self._masters, wrap, later, context, archive_of(context))
        except WrongKey as error:
            return error


def archive_of(context: Context) -> str:
    """What messages call what a data key encrypts."""
    return f"The archived log of {context['collection']!r}"


def key_of(context: Context) -> str:
    """Where the record of a data key stands."""
    return wraps_key(context["collection"], context["replica"], context["data_key"])


def context_at(region: Repository, key: str) -> Context | None:
    """What the data key was made for whose record is at ``key``; None where that is no such record."""
    named = parse_wraps_key(key)
    if named is None:
        return None
    return log_key_context(region.location.cluster, *named)


def contexts(region: Repository, collection: str) -> list[Context]:
    """What each data key was made for that has a record."""
    listed = (context_at(region, item.key) for item in region.list(wraps_prefix(collection)))
    return [context for context in listed if context is not None]


def read_wraps(region: Repository, context: Context) -> KeyRecord:
    """The wraps of one data key; an empty record where there are none."""
    return record_at(region, key_of(context), context)


def wraps_in(sources: Sequence[Repository], context: Context) -> Iterator[dict[str, Any]]:
    """The wraps of one data key in every source that answers; asked only where any is taken."""
    for record in from_all(sources, lambda source: read_wraps(source, context)):
        yield from record.of(context["data_key"])


def prove_wraps(region: Repository, key: str, data: bytes) -> KeyRecord:
    """The record of a data key in the object ``key``. Raises ``IntegrityError`` where it holds no wrap of that."""
    context = context_at(region, key)
    record = KeyRecord.parse(data, context or {})
    if context is None or not record.of(context["data_key"]):
        raise IntegrityError(
            f"{key} holds no wrap of its data key.", "Repair it with backup_verify from another region."
        )
    return record


def first_record(header: ChunkHeader) -> KeyRecord | None:
    """The record of a chunk's data key as it is in the beginning, None where the chunk is not encrypted."""
    if header.client_encryption is None or header.key_context is None:
        return None
    context = header.key_context
    return KeyRecord(context, {context["data_key"]: [header.client_encryption["wrap"]]})


def keep_record(region: Repository, header: ChunkHeader) -> None:
    """See to it that the data key of a chunk has a record before the chunk is stored."""
    record = first_record(header)
    if record is not None:
        with suppress(ObjectExists):
            region.put(key_of(record.owner), record.dump(), if_none_match=True, content_type="application/json")
