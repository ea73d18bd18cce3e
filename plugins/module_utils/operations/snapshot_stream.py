# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a node's snapshot once, with its SHA-256 taken beside the reading."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import DamagedSnapshot, FileError, QdrantUnreachable
from ..stores.qdrant import Qdrant

_CHUNK = 1024 * 1024
_BUFFERS = 6
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
# Within this a node that was restarted has loaded its collections, or the cluster needs another one anyway.
_PATIENCE_SECONDS = 120.0


def read_file(path: Path) -> Iterator[memoryview]:
    """The file in pieces of up to 1 MiB; a piece stays as it is until ``_BUFFERS - 2`` more were taken.

    Raises ``FileError`` where the file is gone, or its disk fails.
    """
    buffers = [bytearray(_CHUNK) for _number in range(_BUFFERS)]
    try:
        with open(path, "rb", buffering=0) as file:
            for turn in itertools.count():
                view = memoryview(buffers[turn % _BUFFERS])
                length = file.readinto(view)
                if not length:
                    return
                yield view[:length]
    except OSError as error:
        raise FileError(
            f"The snapshot {path} cannot be read: {error.strerror}.",
            "Nothing was committed. See whether another client has deleted it, and look at the disk of this node.",
        ) from error


def read_http(qdrant: Qdrant, collection: str, snapshot: str) -> Iterator[memoryview]:
    """The snapshot over HTTP; a broken connection goes on where it broke, if the file is still the same one.

    A node that restarts is asked again and again; it is given up when no byte has come for ``_PATIENCE_SECONDS``.
    """
    offset, etag = 0, None
    broken_at: float | None = None
    pause = 0.0
    while True:
        try:
            with qdrant.open_snapshot(collection, snapshot, offset=offset, etag=etag) as body:
                etag = etag or body.etag
                for chunk in body.iter_bytes(_CHUNK):
                    offset += len(chunk)
                    broken_at = None
                    yield memoryview(chunk)
            return
        except QdrantUnreachable:
            now = time.monotonic()
            if broken_at is None:
                broken_at, pause = now, _FIRST_PAUSE_SECONDS
            if etag is None or now - broken_at + pause > _PATIENCE_SECONDS:
                raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


class CheckedStream:
    """Passes pieces on while one thread hashes them; ``verify`` compares with what Qdrant recorded.

    At most ``_BUFFERS - 2`` pieces wait for the hash, which is what ``read_file`` relies on.
    """

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._sha256: Any = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[memoryview]:
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="snapshot-sha256") as hasher:
            for piece in self._pieces:
                waiting.append(hasher.submit(self._sha256.update, piece))
                self.size += len(piece)
                yield piece
                while len(waiting) > _BUFFERS - 2:
                    waiting.popleft().result()

    def verify(self, name: str, size: int, sha256: str) -> None:
        """Raise ``DamagedSnapshot`` unless exactly the bytes that Qdrant recorded have passed."""
        if self.size != size:
            raise DamagedSnapshot(f"The snapshot {name} has {size} bytes, {self.size} could be read.", _HINT)
        if self._sha256.hexdigest() != sha256:
            raise DamagedSnapshot(
                f"The snapshot {name} was changed after its creation: Qdrant recorded SHA-256 {sha256}, "
                f"the bytes read have {self._sha256.hexdigest()}.",
                _HINT,
            )


_HINT = "Nothing was committed. Look at the disk of this node, then take another backup."
