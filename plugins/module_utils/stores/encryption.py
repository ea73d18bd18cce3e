# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption at rest: what is asked of the store, and whether it shows what was asked."""

from __future__ import annotations

from ..errors import EncryptionRefused
from .location import ObjectInfo, StoreLocation


def request(location: StoreLocation) -> dict[str, str]:
    """The arguments of boto3's writing calls that ask for the location's encryption."""
    if location.encryption == "none":
        return {}
    arguments = {"ServerSideEncryption": location.encryption}
    if location.kms_key_id:
        arguments["SSEKMSKeyId"] = location.kms_key_id
    return arguments


def verify(location: StoreLocation, info: ObjectInfo, url: str) -> None:
    """Raises EncryptionRefused if ``info`` does not show the encryption that ``location`` asks for.

    Some stores answer 200 to a request for encryption and store plaintext, so only what is read back counts.
    KMS where AES256 was asked for is a bucket's own stricter default, and is enough.
    """
    asked, shown = location.encryption, info.encryption or "none"
    if asked == "none":
        return
    if shown == "none" or (asked == "aws:kms" and not shown.startswith("aws:kms")):
        raise EncryptionRefused(
            f"{url} was to be encrypted with {asked}; {location.endpoint} shows {shown}.",
            "Use a store that encrypts, or set encryption to none and encrypt its disks.",
        )
    if asked == "aws:kms" and not _same_kms_key(location.kms_key_id, info.kms_key_id):
        raise EncryptionRefused(
            f"{url} was to be encrypted with the KMS key {location.kms_key_id}; the store used {info.kms_key_id}.",
            "Check kms_key_id and the bucket's default encryption.",
        )


def _same_kms_key(asked: str | None, shown: str | None) -> bool:
    """The store shows the key's ARN, whatever form it was asked for in; an alias cannot be compared."""
    if not asked or asked.startswith("alias/") or ":alias/" in asked:
        return True
    return (shown or "").split("/")[-1] == asked.split("/")[-1]
