# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write objects of a backup, and prove what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import DamagedBackup
from ..stores.repository import ObjectInfo, Repository, StoredPart
from .verified_parts import SourceHealth, VerifiedParts

# Parts in memory at once, read, proved and sent by a thread each.
PARTS_AT_ONCE = 4
# Of an object that was just written, beside what its writer still holds.
_READ_AHEAD = 3
CHECK_STORE = "Run again; if it repeats, see with bucket_check what the store ignores."


def prove_object(repository: Repository, key: str, stored: dict[str, Any], ahead: int = _READ_AHEAD) -> None:
    """Read an object back, ``ahead`` parts at a time, and compare it with the manifest.

    Raises ObjectNotFound, DamagedBackup or EncryptionRefused.
    """
    info = repository.head(key)
    if info.size != stored["size"]:
        raise DamagedBackup(f"{repository.url(key)} has {info.size} bytes instead of {stored['size']}.")
    repository.verify_encryption(info)
    read_object([repository], key, stored, ahead=ahead)


def put_proved(repository: Repository, key: str, data: bytes, content_type: str) -> ObjectInfo:
    """Store a small object, and read it back where the store's answer does not show that it checked the bytes.

    Returns what the answer shows. Raises ``DamagedBackup`` where it holds other bytes; that object is removed again.
    """
    info = repository.put(key, data, content_type=content_type)
    if info.checked or repository.get(key) == data:
        return info
    repository.delete([key])
    raise DamagedBackup(f"The store gave other bytes for {repository.url(key)} than were written.", CHECK_STORE)


def read_object(
    sources: Sequence[Repository],
    key: str,
    stored: dict[str, Any],
    health: SourceHealth | None = None,
    ahead: int = _READ_AHEAD,
) -> None:
    """Read all parts of an object, each from the first source that has it right; raises what ``VerifiedParts`` does."""
    with VerifiedParts(sources, key, stored, prefetch=ahead, health=health) as parts:
        for _part in parts:
            pass


def write_object(
    sources: Sequence[Repository],
    destination: Repository,
    key: str,
    stored: dict[str, Any],
    health: SourceHealth | None = None,
    at_once: int = PARTS_AT_ONCE,
) -> None:
    """Get each part, prove it, and only then put it; ``at_once`` of them at a time.

    The destination may be one of the sources: its object stays as it is until the new one is complete.
    """
    parts = VerifiedParts(sources, key, stored, health=health)
    digests = stored["parts"]
    if len(digests) == 1:
        data = parts.fetch(1)
        destination.put(key, data, sha256_hex=digests[0])
        return
    upload_id = destination.start_upload(key)

    def move(number: int) -> StoredPart:
        return destination.put_part(key, upload_id, number, parts.fetch(number), digests[number - 1])

    threads = ThreadPoolExecutor(at_once, thread_name_prefix="copy-part")
    try:
        done = list(threads.map(move, range(1, len(digests) + 1)))
        destination.complete_upload(key, upload_id, done)
    except BaseException:
        threads.shutdown(wait=True, cancel_futures=True)
        destination.abort_upload(key, upload_id)
        raise
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
