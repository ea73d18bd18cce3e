# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects hashed and uploaded part by part while their bytes are still being produced.

A fixed number of part buffers bounds the memory. Each full part is hashed and sent by a worker; the hash of the whole
object goes on beside that in one thread of its own, so the producer only copies.

With a data key, a part is encrypted in its buffer before it is hashed as it will be stored. The thread of the hashes
does that, since the plain bytes and the stored ones both have a hash that goes on from part to part.

The store compares each part with its checksum. Where its answer does not show that it did, the whole object is read
back and compared before anything refers to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..errors import DamagedBackup, DrError
from ..formats.sealed import HEADER_SIZE, TAG_SIZE
from ..stores.repository import ObjectInfo, Repository, StoredPart
from .data_keys import DataKey
from .object_copy import CHECK_STORE, read_object

MIB = 1024 * 1024
SMALLEST_PART = 16 * MIB
# S3 takes 10,000 parts; the rest is left for what an archive adds to the bytes of the snapshot.
_PARTS_AIMED_AT = 9_500
# One fills while the others are sent; of the large parts of a snapshot of many TiB, so many as fit into the memory.
_MOST_BUFFERS, _FEWEST_BUFFERS = 4, 2
_BUFFER_MEMORY = 128 * MIB


def part_size_for(size: int) -> int:
    """The part size, in bytes, for an object of at most ``size`` bytes: 16 MiB, or whole MiB so that 10,000 suffice."""
    return max(SMALLEST_PART, -(-size // _PARTS_AIMED_AT // MIB) * MIB)


def buffers_for(part_size: int) -> int:
    """How many part buffers there are for parts of ``part_size`` bytes."""
    return max(_FEWEST_BUFFERS, min(_MOST_BUFFERS, _BUFFER_MEMORY // part_size))


class PartPipeline:
    """Buffers and workers that all objects of one backup share. Use it as a context manager.

    Leaving it with an error aborts the uploads that are open.
    """

    def __init__(self, repository: Repository, part_size: int, data_key: DataKey | None = None) -> None:
        """``data_key``: what to encrypt the objects with, None to store them as they are."""
        self.repository = repository
        self.part_size = part_size
        self.data_key = data_key
        self._free: queue.Queue[bytearray] = queue.Queue()
        self._buffers = buffers_for(part_size)
        for _number in range(self._buffers):
            self._free.put(bytearray())
        self._senders = ThreadPoolExecutor(self._buffers - 1, thread_name_prefix="part")
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="object-sha256")
        self._open: list[ObjectUpload] = []
        self._error: BaseException | None = None

    def open(self, key: str) -> ObjectUpload:
        """Begin the object ``key``."""
        upload = ObjectUpload(self, key)
        self._open.append(upload)
        return upload

    def __enter__(self) -> PartPipeline:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self._error = self._error or DrError("The backup was given up.")
        self._senders.shutdown(wait=True, cancel_futures=error is not None)
        self._hasher.shutdown(wait=True, cancel_futures=error is not None)
        for upload in self._open:
            # The error that ended the backup is the one to tell; an upload that stays is left to the next run.
            with contextlib.suppress(DrError):
                upload.abort()

    def take_buffer(self) -> bytearray:
        """Wait for a free part buffer; raises what a worker has failed with."""
        buffer = self._free.get()
        if self._error is not None:
            self._free.put(buffer)
        self.raise_error()
        if not buffer:
            buffer.extend(bytes(self.part_size))
        return buffer

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer to those that are free."""
        self._free.put(buffer)

    def free_memory(self) -> None:
        """Nothing more is written: wait for what is being sent, and let the buffers go before objects are read back."""
        for _number in range(self._buffers):
            self._free.get()

    def hash_later(self, work: Any, *args: Any) -> Future[None]:
        """Continue the hash of a whole object by ``work(*args)``; in order, since one thread does it."""
        return self._hasher.submit(work, *args)

    def send_later(self, send: Any, *args: Any) -> Future[Any]:
        """Run ``send(*args)`` in a worker; its failure stops the producer at the next buffer."""
        return self._senders.submit(self._noting_errors, send, *args)

    def forget(self, upload: ObjectUpload) -> None:
        """The upload is complete: there is nothing left to abort."""
        self._open.remove(upload)

    def raise_error(self) -> None:
        """Raise what a worker has failed with, if one has."""
        if self._error is not None:
            raise self._error

    def _noting_errors(self, send: Any, *args: Any) -> Any:
        try:
            return send(*args)
        except BaseException as error:
            self._error = self._error or error
            raise


class ObjectUpload:
    """One object: ``write`` its bytes, ``finish`` it, then read ``manifest_entry``."""

    def __init__(self, pipeline: PartPipeline, key: str) -> None:
        self.key = key
        self.size = 0
        self.parts: list[str] = []
        self._pipeline = pipeline
        self._repository = pipeline.repository
        self._sha256 = hashlib.sha256()
        self._plain_sha256 = hashlib.sha256()
        self._data_key = pipeline.data_key
        self._sealer = self._data_key.sealer() if self._data_key else None
        # Where the bytes that come begin and end in a buffer.
        self._first = HEADER_SIZE if self._sealer else 0
        self._end = pipeline.part_size - (TAG_SIZE if self._sealer else 0)
        self._upload_id: str | None = None
        self._sent: list[Future[StoredPart | ObjectInfo]] = []
        self._buffer: bytearray | None = None
        self._filled = self._first

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; they are copied before this returns."""
        view = memoryview(data)
        self.size += len(view)
        while view:
            if self._filled == self._end:
                # Only now: whether a part is the last one stands in what is encrypted.
                self._dispatch(last=False)
            if self._buffer is None:
                self._buffer = self._pipeline.take_buffer()
            taken = min(self._end - self._filled, len(view))
            self._buffer[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]

    def finish(self) -> None:
        """No more bytes will come; what was sent is completed by ``complete``."""
        self._dispatch(last=True)

    def complete(self) -> dict[str, Any]:
        """Wait for the parts, complete the object, check how it is stored, and describe it for the manifest.

        Raises ``DamagedBackup`` where the store holds other bytes than were sent, or ``EncryptionRefused``.
        """
        sent = [future.result() for future in self._sent]
        if self._upload_id is not None:
            parts = [part for part in sent if isinstance(part, StoredPart)]
            self._repository.complete_upload(self.key, self._upload_id, parts)
        self._pipeline.forget(self)
        stored = self._repository.head(self.key)
        self._repository.verify_encryption(stored)
        size = self.size + len(self.parts) * (self._pipeline.part_size - (self._end - self._first))
        if stored.size != size:
            raise DrError(f"The store holds {stored.size} bytes of {self.key}, {size} were sent.", "Run it again.")
        entry: dict[str, Any] = {
            "size": size,
            "sha256": self._sha256.hexdigest(),
            "part_size": self._pipeline.part_size,
            "parts": self.parts,
            "encryption": {"mode": stored.encryption, "kms_key_id": stored.kms_key_id},
        }
        if not all(part.checked for part in sent):
            self._prove(entry)
        if self._data_key is not None:
            entry["client_encryption"] = {
                "data_key": self._data_key.id,
                "plain_size": self.size,
                "plain_sha256": self._plain_sha256.hexdigest(),
            }
        return entry

    def _prove(self, entry: dict[str, Any]) -> None:
        try:
            read_object([self._repository], self.key, entry)
        except DamagedBackup as error:
            detail = f"{self._repository.url(self.key)} is not what was sent, and the store took it. {error.detail}"
            raise DamagedBackup(detail, CHECK_STORE) from error

    def abort(self) -> None:
        """Remove what an upload that was not completed has stored."""
        if self._upload_id is not None:
            self._repository.abort_upload(self.key, self._upload_id)

    def _dispatch(self, last: bool) -> None:
        buffer, filled = self._buffer, self._filled + self._pipeline.part_size - self._end
        if buffer is None:
            return
        self._buffer, self._filled = None, self._first
        number = len(self.parts) + 1
        self.parts.append("")
        if self._upload_id is None and not (last and number == 1):
            self._upload_id = self._repository.start_upload(self.key)
        part = memoryview(buffer)[:filled]
        sealed = self._pipeline.hash_later(self._seal, part, number, last) if self._sealer else None
        hashed = self._pipeline.hash_later(self._sha256.update, part)
        self._sent.append(self._pipeline.send_later(self._send, number, buffer, filled, sealed, hashed))

    def _seal(self, part: memoryview, number: int, last: bool) -> None:
        self._plain_sha256.update(part[HEADER_SIZE : len(part) - TAG_SIZE])
        if self._sealer is not None:
            self._sealer.seal(part, number, last)

    def _send(
        self, number: int, buffer: bytearray, filled: int, sealed: Future[None] | None, hashed: Future[None]
    ) -> StoredPart | ObjectInfo:
        try:
            self._pipeline.raise_error()
            if sealed is not None:
                sealed.result()
            body = buffer if filled == len(buffer) else bytes(memoryview(buffer)[:filled])
            digest = hashlib.sha256(body).hexdigest()
            self.parts[number - 1] = digest
            if self._upload_id is None:
                return self._repository.put(self.key, bytes(body), sha256_hex=digest)
            return self._repository.put_part(self.key, self._upload_id, number, body, digest)
        finally:
            hashed.result()
            self._pipeline.give_back(buffer)
