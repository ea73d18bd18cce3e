# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot stored while it streams by: checked, split, and each shard's archive uploaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from ..errors import FileError, IntegrityError, InvalidInput
from ..formats.shard_archive import ShardArchive, ShardSplitter
from ..stores.repository import Repository
from .chunked_upload import ChunkedObjects, ChunkedUpload
from .data_keys import DataKey
from .part_upload import ObjectUpload, PartPipeline, part_size_for
from .snapshot_stream import CheckedStream

# The log of a shard goes last into its archive and comes in the middle of the snapshot, with any number of files of
# wal_capacity_mb (32) each: what is beyond this waits in temporary files, which have no name and go with the process.
_SPOOL_IN_MEMORY = 4 * 1024 * 1024


def store_snapshot(
    pieces: Iterator[memoryview],
    snapshot: dict[str, Any],
    repository: Repository,
    object_key: Callable[[int], str],
    shards: list[int],
    acks: dict[int, int | None] | None,
    data_key: DataKey | None = None,
    chunked: ChunkedObjects | None = None,
) -> tuple[list[ShardArchive], dict[int, dict[str, Any]]]:
    """Stream a snapshot once: check it, split it, upload a shard archive for each of ``shards``.

    ``snapshot``: ``{name, size, sha256}`` as Qdrant recorded it; ``acks``: see ``ShardSplitter``; ``data_key``:
    what to encrypt the archives with, None to store them as they are; ``chunked``: to store them as chunks. An object
    is completed only after the whole snapshot has matched. Returns the archives and each object's manifest entry.
    """
    with PartPipeline(repository, part_size_for(snapshot["size"]), data_key) as pipeline:
        uploads: dict[int, ObjectUpload | ChunkedUpload] = {}

        def open_object(shard: int) -> ObjectUpload | ChunkedUpload:
            key = object_key(shard)
            uploads[shard] = chunked.open(pipeline, key, shard) if chunked is not None else pipeline.open(key)
            return uploads[shard]

        splitter = ShardSplitter(shards, open_object, _spool, acks)
        stream = CheckedStream(pieces)
        structure_fault: IntegrityError | InvalidInput | None = None
        for piece in stream:
            if structure_fault is None:
                try:
                    with _spooling():
                        splitter.feed(piece)
                except (IntegrityError, InvalidInput) as error:
                    # Read on: whether the bytes differ from those that Qdrant wrote is the better answer.
                    structure_fault = error
        stream.verify(snapshot["name"], snapshot["size"], snapshot["sha256"])
        if structure_fault is not None:
            raise structure_fault
        with _spooling():
            archives = splitter.finish()
        pipeline.free_memory()
        return archives, {shard: upload.complete() for shard, upload in uploads.items()}


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            "The log of a shard, or what is known of its chunks, cannot be kept in a temporary file: "
            f"{error.strerror}.",
            "Nothing was committed. Make room in the temporary directory of this host, or set TMPDIR to another one.",
        ) from error
