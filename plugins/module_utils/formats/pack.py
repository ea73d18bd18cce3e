# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs: objects with many chunks, each of which is read and proved by itself.

The magic ``QDRPACK\\x01``, the length of a JSON object (4 bytes, little-endian), that object, then the chunks, each as
it is or as one zstd frame, whichever is shorter. Where each one stands, the lists of chunks say (``chunk_list``).

The object has the ``salt`` of this pack (32 random bytes in hex), so that no two packs are one object, and names what
the chunks are encrypted with, if they are: ``data_key`` (id), its ``wrap`` (``key_wrap``), and the ``cluster`` and
``collection`` that it was made for. Each chunk is then followed by its tag: AES-256-GCM, a key of the pack's own
(HKDF-SHA256 of the data key with the salt), and the chunk's offset in the pack (12 bytes, little-endian) as nonce. So
a chunk opens at its own place only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DamagedBackup
from .canonical import canonical
from .chunk_list import Chunk
from .key_wrap import check_wrap, is_key_id, log_key_context
from .sealed import PACK, SALT_SIZE, TAG_SIZE, object_key
from .zstd import zstandard

MAGIC = b"QDRPACK\x01"
# What stands for the node in the contexts of data keys (``key_wrap.log_key_context``): packs are of all nodes.
KEY_OWNER = "packs"
_LENGTH_SIZE = 4
# Of the JSON object: a wrap of a key service has some hundred bytes.
_LONGEST_HEADER = 1 << 16
HEADER_AT_MOST = len(MAGIC) + _LENGTH_SIZE + _LONGEST_HEADER
_SALT = re.compile(rf"[0-9a-f]{{{2 * SALT_SIZE}}}")
_LEVEL = 1
# A frame that saves less is not worth unpacking.
_WORTH = 15 / 16
# After chunks that were not worth it, so many at most are not tried.
_MOST_UNTRIED = 15
_HINT = "Use another backup, or a copy of this one in another region."

Json = dict[str, Any]


@dataclass(frozen=True)
class PackKey:
    """What the chunks of packs are encrypted with. ``secret``: the data key; ``wrap``: what opens it again."""

    id: str
    secret: bytes
    wrap: Json
    cluster: str
    collection: str

    def header(self, salt: bytes) -> Json:
        """What a pack says of it."""
        return {
            "cluster": self.cluster,
            "collection": self.collection,
            "data_key": self.id,
            "salt": salt.hex(),
            "wrap": self.wrap,
        }


class PackBuilder:
    """Fills one pack: ``add`` chunks, then ``finish``. ``size``: bytes so far."""

    def __init__(self, salt: bytes, key: PackKey | None = None) -> None:
        """``salt``: 32 random bytes; ``key``: None to store chunks as they are."""
        self.overhead = TAG_SIZE if key is not None else 0
        header = canonical(key.header(salt) if key is not None else {"salt": salt.hex()})
        self._data = bytearray(MAGIC + len(header).to_bytes(_LENGTH_SIZE, "little") + header)
        self._cipher = _Cipher(key.secret, salt) if key is not None else None
        self._compressor = zstandard().ZstdCompressor(level=_LEVEL, write_content_size=True)
        self._misses = self._untried = 0

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self._data)

    def add(self, chunk: bytes | memoryview) -> tuple[int, int]:
        """Take a chunk; its offset, and how many bytes it takes from there."""
        offset = len(self._data)
        data = self._shorter(chunk)
        self._data += self._cipher.seal(offset, data) if self._cipher is not None else data
        return offset, len(self._data) - offset

    def finish(self) -> tuple[bytearray, str]:
        """The object to store, and its SHA-256 (hex)."""
        return self._data, hashlib.sha256(self._data).hexdigest()

    def _shorter(self, chunk: bytes | memoryview) -> bytes | memoryview:
        """As a frame, where that is worth it; vectors rarely are, so that after some chunks only a few are tried."""
        if self._untried:
            self._untried -= 1
            return chunk
        frame: bytes = self._compressor.compress(chunk)
        if len(frame) <= len(chunk) * _WORTH:
            self._misses = 0
            return frame
        self._misses += 1
        self._untried = min(self._misses, _MOST_UNTRIED)
        return chunk


class PackReader:
    """Opens the chunks of one pack. ``what``: the object in messages."""

    def __init__(self, header: Json, secret: bytes, what: str) -> None:
        """``header``: as ``read_header`` gave it; ``secret``: its data key, nothing where it is not encrypted."""
        self._what = what
        self._cipher = _Cipher(secret, bytes.fromhex(header["salt"])) if "data_key" in header else None

    def open(self, chunk: Chunk, data: bytes | memoryview) -> bytes | memoryview:
        """The bytes of a chunk from the stored ones, proved. Raises ``DamagedBackup``."""
        if self._cipher is not None:
            data = self._cipher.open(chunk.offset, data, self._what)
        if len(data) != chunk.size:
            data = _unpacked(data, chunk.size, self._what)
        if hashlib.sha256(data).digest() != chunk.sha256:
            raise DamagedBackup(f"A chunk at {chunk.offset} in {self._what} has other bytes than its list says.", _HINT)
        return data


def read_header(data: bytes, what: str) -> Json:
    """The JSON object that a pack begins with; ``data``: at least ``HEADER_AT_MOST`` bytes, or all. Raises
    ``DamagedBackup``."""
    start = len(MAGIC) + _LENGTH_SIZE
    size = int.from_bytes(data[len(MAGIC) : start], "little")
    if not data.startswith(MAGIC) or size > _LONGEST_HEADER or len(data) < start + size:
        raise DamagedBackup(f"{what} is no pack that this version can read.", _HINT)
    try:
        header = json.loads(data[start : start + size])
    except (ValueError, RecursionError) as error:
        raise DamagedBackup(f"The header of {what} is not JSON.", _HINT) from error
    if not isinstance(header, dict) or "data_key" in header:
        _check(header, what)
    return dict(header)


def key_context_of(header: Mapping[str, Any]) -> dict[str, str] | None:
    """What the data key of a pack was made for, None where it is not encrypted."""
    if "data_key" not in header:
        return None
    return log_key_context(header["cluster"], header["collection"], KEY_OWNER, header["data_key"])


def _check(header: Any, what: str) -> None:
    texts = isinstance(header, dict) and all(
        isinstance(header.get(name), str) for name in ("cluster", "collection", "data_key", "salt")
    )
    if not texts or not is_key_id(header["data_key"]) or not _SALT.fullmatch(header["salt"]):
        raise DamagedBackup(f"The header of {what} does not name its data key.", _HINT)
    check_wrap(header.get("wrap"), f"the data key of {what}")


def _unpacked(data: bytes | memoryview, size: int, what: str) -> bytes:
    zstd = zstandard()
    try:
        plain: bytes = zstd.ZstdDecompressor().stream_reader(data).read(size + 1)
    except zstd.ZstdError as error:
        raise DamagedBackup(f"A chunk in {what} cannot be decompressed: {error}.", _HINT) from error
    return plain


class _Cipher:
    """Encrypts the chunks of one pack."""

    def __init__(self, secret: bytes, salt: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aes = AESGCM(object_key(secret, salt, PACK))

    def seal(self, offset: int, data: bytes | memoryview) -> bytes:
        return self._aes.encrypt(offset.to_bytes(12, "little"), data, None)

    def open(self, offset: int, data: bytes | memoryview, what: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._aes.decrypt(offset.to_bytes(12, "little"), data, None)
        except InvalidTag as error:
            raise DamagedBackup(f"A chunk at {offset} in {what} does not open with its data key.", _HINT) from error
