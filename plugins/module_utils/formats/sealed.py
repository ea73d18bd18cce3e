# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects encrypted before they are sent: each stored part opens by itself, and only in its own place.

A part is a header of 64 bytes, the ciphertext, and a tag of 16 bytes::

    0  magic and version   8   QDRSEAL\\x01
    8  id of the data key  16
    24 salt                32  random, one an object
    56 number of the part  4   little-endian, from 1 on
    60 1 for the last part 1
    61 zeros               3

AES-256-GCM with the header as additional data, the part's number (12 bytes, little-endian) as nonce, and a key of the
object's own: HKDF-SHA256 of the data key with the salt, and with what the object is as ``info``. So no nonce is ever
used twice, and parts that were left out, moved, or taken from another object do not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import DamagedBackup, MissingDependency

MAGIC = b"QDRSEAL\x01"
HEADER_SIZE = 64
TAG_SIZE = 16
# What a stored part has beside its plain bytes.
OVERHEAD = HEADER_SIZE + TAG_SIZE
KEY_SIZE = 32
KEY_ID_SIZE = 16
SALT_SIZE = 32
# What is encrypted: a key for one never opens the other.
ARCHIVE = b"qdrant-dr object"
PROBES = b"qdrant-dr probes"
WAL_CHUNK = b"qdrant-dr wal chunk"
PACK = b"qdrant-dr pack"
_HEADER = struct.Struct("<8s16s32sIB3x")
_HINT = "Use another backup, or a copy of this one in another region."


def plain_facts(stored: Mapping[str, Any]) -> tuple[int, str]:
    """Size in bytes and SHA-256 of the archive itself, of a manifest's ``object``, encrypted or not, or in chunks."""
    if "archive" in stored:
        return stored["archive"]["size"], stored["archive"]["sha256"]
    return content_facts(stored)


def content_facts(stored: Mapping[str, Any]) -> tuple[int, str]:
    """Size in bytes and SHA-256 of what is in the object itself, encrypted or not."""
    sealed = stored.get("client_encryption")
    return (sealed["plain_size"], sealed["plain_sha256"]) if sealed else (stored["size"], stored["sha256"])


class PartSealer:
    """Encrypts the parts of one object where they are."""

    def __init__(self, data_key: bytes, key_id: str, salt: bytes, info: bytes = ARCHIVE) -> None:
        """``key_id``: 32 hex digits; ``salt``: 32 random bytes that no other object has."""
        self._key = object_key(data_key, salt, info)
        self._key_id, self._salt = bytes.fromhex(key_id), salt

    def seal(self, part: memoryview, number: int, last: bool) -> None:
        """Make ``part`` a stored one: its plain bytes stand between room for the header and for the tag."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        part[:HEADER_SIZE] = _HEADER.pack(MAGIC, self._key_id, self._salt, number, last)
        encryptor = Cipher(algorithms.AES(self._key), modes.GCM(_nonce(number))).encryptor()
        encryptor.authenticate_additional_data(bytes(part[:HEADER_SIZE]))
        # Over itself; the room of the tag is what the library wants to have beyond the last block.
        encryptor.update_into(part[HEADER_SIZE : len(part) - TAG_SIZE], part[HEADER_SIZE:])
        encryptor.finalize()
        part[len(part) - TAG_SIZE :] = encryptor.tag


class PartOpener:
    """Opens the parts of one object, in any order; ``what`` names it in messages."""

    def __init__(self, data_key: bytes, key_id: str, parts: int, what: str, info: bytes = ARCHIVE) -> None:
        self._data_key, self._key_id, self._info = data_key, bytes.fromhex(key_id), info
        self._parts, self._what = parts, what
        self._salt: bytes | None = None
        self._key = b""

    def open(self, part: bytes | memoryview, number: int) -> bytes:
        """The plain bytes of part ``number`` (from 1 on); raises ``DamagedBackup`` where it is not just this part."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        view = memoryview(part)
        header = bytes(view[:HEADER_SIZE])
        if len(view) < OVERHEAD:
            raise self._refusal(number, "is too short to be an encrypted one")
        salt = header[24:56]
        if self._salt is None:
            self._salt, self._key = salt, object_key(self._data_key, salt, self._info)
        last = number == self._parts
        if header != _HEADER.pack(MAGIC, self._key_id, self._salt, number, last):
            raise self._refusal(number, "has the header of another one")
        try:
            return AESGCM(self._key).decrypt(_nonce(number), view[HEADER_SIZE:], header)
        except InvalidTag as error:
            raise self._refusal(number, "does not open with its data key") from error

    def _refusal(self, number: int, reason: str) -> DamagedBackup:
        return DamagedBackup(f"Part {number} of {self._parts} of {self._what} {reason}.", _HINT)


def open_parts(
    parts: Iterable[bytes], stored: Mapping[str, Any], data_keys: Mapping[str, bytes], what: str
) -> Iterator[bytes]:
    """The archive in the ``parts`` of an object that ``stored`` describes, part by part.

    What is not encrypted passes. The last part is given only after the whole has the size and the SHA-256 of the
    manifest. ``data_keys``: by id, those of the backup. Raises ``DamagedBackup``.
    """
    sealed = stored.get("client_encryption")
    if sealed is None:
        yield from parts
        return
    count = len(stored["parts"])
    opener = PartOpener(data_keys[sealed["data_key"]], sealed["data_key"], count, what)
    sha256, size = hashlib.sha256(), 0
    for number, part in enumerate(parts, start=1):
        plain = opener.open(part, number)
        del part
        sha256.update(plain)
        size += len(plain)
        if number == count and (size, sha256.hexdigest()) != content_facts(stored):
            raise DamagedBackup(f"What {what} holds is not what the manifest describes.", _HINT)
        yield plain
        del plain


def seal_text(plain: bytes, data_key: bytes, key_id: str, salt: bytes, info: bytes) -> str:
    """A small document as an object of one part, in base64."""
    part = bytearray(len(plain) + OVERHEAD)
    part[HEADER_SIZE : HEADER_SIZE + len(plain)] = plain
    PartSealer(data_key, key_id, salt, info).seal(memoryview(part), 1, True)
    return base64.b64encode(part).decode("ascii")


def open_text(text: str, data_key: bytes, key_id: str, what: str, info: bytes) -> bytes:
    """What ``seal_text`` was given; raises ``DamagedBackup``."""
    try:
        part = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedBackup(f"{what} is not base64.", _HINT) from error
    return PartOpener(data_key, key_id, 1, what, info).open(part, 1)


def require_cryptography() -> None:
    """Raise ``MissingDependency`` unless the package is there, so that this is said before anything is begun."""
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"The Python package cryptography is missing: {error}.",
            "Install cryptography >= 42 for the Python that runs this module, or leave out the option that needs it.",
        ) from error


def object_key(data_key: bytes, salt: bytes, info: bytes) -> bytes:
    """The key of one object: ``salt`` is its own, and ``info`` what it is."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_SIZE, salt, info).derive(data_key)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "little")
