# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs filled with chunks and sent while the next one is filled, in constant memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from ..errors import DamagedBackup
from ..formats import layout
from ..formats.pack import PackBuilder, PackKey
from ..formats.pack_table import Pack
from ..formats.sealed import SALT_SIZE
from ..stores.repository import Repository
from .object_copy import CHECK_STORE

# Bytes; a pack ends with the chunk that reaches it.
PACK_SIZE = 16 * 1024 * 1024
_SENDERS = 3


class PackWriter:
    """Takes chunks, by one thread. Use it as a context manager: leaving it waits for what is being sent.

    A pack has the number that ``add`` tells; ``finish`` tells what each of them is.
    """

    def __init__(self, repository: Repository, collection: str, key: PackKey | None = None) -> None:
        """``key``: what to encrypt with, None to store chunks as they are."""
        self._repository, self._collection, self._key = repository, collection, key
        self._senders = ThreadPoolExecutor(_SENDERS, thread_name_prefix="pack")
        self._sending: deque[Future[Pack]] = deque()
        self._sent: list[Pack] = []
        self._builder: PackBuilder | None = None

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, kind: object, *_exc: object) -> None:
        self._senders.shutdown(wait=True, cancel_futures=kind is not None)

    @property
    def _number(self) -> int:
        return len(self._sent) + len(self._sending)

    def add(self, chunk: memoryview) -> tuple[int, int, int]:
        """Store a chunk; the number of its pack, its offset there, and how many bytes it takes.

        Raises what an earlier pack could not be sent for.
        """
        if self._builder is None:
            self._builder = PackBuilder(os.urandom(SALT_SIZE), self._key)
        number = self._number
        offset, stored = self._builder.add(chunk)
        if self._builder.size >= PACK_SIZE:
            self._send(self._builder)
        return number, offset, stored

    def finish(self) -> list[Pack]:
        """Send the last pack, wait for all, and say what they are, by their numbers."""
        if self._builder is not None:
            self._send(self._builder)
        while self._sending:
            self._sent.append(self._sending.popleft().result())
        return self._sent

    def _send(self, builder: PackBuilder) -> None:
        self._builder = None
        if len(self._sending) == _SENDERS:
            self._sent.append(self._sending[0].result())
            self._sending.popleft()
        self._sending.append(self._senders.submit(self._store, builder))

    def _store(self, builder: PackBuilder) -> Pack:
        data, sha256 = builder.finish()
        key = layout.pack_key(self._collection, sha256)
        stored = self._repository.put(key, data, sha256_hex=sha256)
        self._repository.verify_encryption(stored)
        if not stored.checked and hashlib.sha256(self._repository.get(key)).hexdigest() != sha256:
            url = self._repository.url(key)
            raise DamagedBackup(f"The store gave other bytes for {url} than were sent.", CHECK_STORE)
        return Pack(sha256, len(data), builder.overhead)
