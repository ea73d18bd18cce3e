# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption at rest: what is asked of the store, and whether it shows what was asked."""

from __future__ import annotations

from typing import Any

from ..errors import EncryptionRefused
from .customer_key import SSE_C
from .location import ObjectInfo, StoreLocation

# The settings of a location that asks for none.
NOTHING: dict[str, Any] = {"encryption": "none"} | dict.fromkeys(
    ("kms_key_id", "sse_customer_key", "sse_customer_key_file")
)


def request(location: StoreLocation) -> dict[str, str]:
    """The arguments of boto3's writing calls that ask for the location's encryption.

    None for SSE-C: the client brings the customer's key with each request.
    """
    if location.encryption in ("none", SSE_C):
        return {}
    arguments = {"ServerSideEncryption": location.encryption}
    if location.kms_key_id:
        arguments["SSEKMSKeyId"] = location.kms_key_id
    return arguments


def shown(answer: dict[str, Any]) -> str:
    """The encryption that a store's answer shows; ``none`` where it shows none."""
    return SSE_C if answer.get("SSECustomerAlgorithm") else str(answer.get("ServerSideEncryption") or "none")


def verify(location: StoreLocation, info: ObjectInfo, url: str) -> None:
    """Raises EncryptionRefused if ``info`` does not show the encryption that ``location`` asks for.

    Some stores answer 200 to a request for encryption and store plaintext, so only what is read back counts.
    KMS where AES256 was asked for is a bucket's own stricter default, and is enough.
    """
    asked, found = location.encryption, info.encryption or "none"
    if asked == "none":
        return
    fits = found == asked if asked == SSE_C else found.startswith(asked) or asked == "AES256"
    if found == "none" or not fits:
        raise EncryptionRefused(
            f"{url} was to be encrypted with {asked}; {location.endpoint} shows {found}.",
            "Use a store that encrypts, or set encryption to none and encrypt its disks.",
        )
    if asked == "aws:kms" and not _same_kms_key(location.kms_key_id, info.kms_key_id):
        raise EncryptionRefused(
            f"{url} was to be encrypted with the KMS key {location.kms_key_id}; the store used {info.kms_key_id}.",
            "Check kms_key_id and the bucket's default encryption.",
        )
    if location.customer_key is not None and not _same_customer_key(location.customer_key.md5, info.customer_key_md5):
        raise EncryptionRefused(
            f"{url} was to be encrypted with the customer's key of MD5 {location.customer_key.md5}; the store shows"
            f" {info.customer_key_md5}.",
            "Check sse_customer_key_file, and the store.",
        )


def _same_customer_key(asked: str, found: str | None) -> bool:
    """SeaweedFS sends the header twice, which then reads as a list."""
    return {part.strip() for part in (found or "").split(",")} == {asked}


def _same_kms_key(asked: str | None, shown: str | None) -> bool:
    """The store shows the key's ARN, whatever form it was asked for in; an alias cannot be compared."""
    if not asked or asked.startswith("alias/") or ":alias/" in asked:
        return True
    return (shown or "").split("/")[-1] == asked.split("/")[-1]
