# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums in transit: what is sent with a body, and whether the answer shows that the store checked it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ..errors import ChecksumRefused
from .location import StoreLocation


def sends_sha256(location: StoreLocation) -> bool:
    """Whether bodies go with their SHA-256; otherwise with their MD5, for stores that know nothing else."""
    return location.checksum_mode == "when_supported"


def request(location: StoreLocation, data: bytes | bytearray, sha256_hex: str | None = None) -> dict[str, str]:
    """The argument of boto3's writing calls with the checksum of ``data`` (``sha256_hex``: if the caller has it)."""
    if not sends_sha256(location):
        return {"ContentMD5": _base64(hashlib.md5(data, usedforsecurity=False).digest())}
    return {"ChecksumSHA256": _base64(bytes.fromhex(sha256_hex) if sha256_hex else hashlib.sha256(data).digest())}


def shown(answer: dict[str, Any], sent: dict[str, str], subject: str) -> bool:
    """Whether a store's answer shows the checksum of the bytes that were sent: as SHA-256, or an ETag that is the MD5.

    Where it does not, the store may have ignored the checksum, and what it holds is unproved.

    Args:
        answer: of boto3's writing call.
        sent: what ``request`` gave for it.
        subject: what was stored, for the message.

    Raises:
        ChecksumRefused: the answer has another SHA-256.
    """
    if "ContentMD5" in sent:
        return bool(answer.get("ETag", "").strip('"') == base64.b64decode(sent["ContentMD5"]).hex())
    echoed = answer.get("ChecksumSHA256")
    if echoed is None:
        return False
    if echoed != sent["ChecksumSHA256"]:
        raise ChecksumRefused(f"{subject}: the store computed another SHA-256.", "Run again.")
    return True


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
