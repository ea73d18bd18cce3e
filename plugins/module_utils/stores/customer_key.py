# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption with a key of the customer (SSE-C): the key, and the requests that it goes with.

The store encrypts with it and forgets it, so each request that touches an object's bytes or metadata must bring it.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import InvalidInput
from .key_files import decode_key, read_key_file

SSE_C = "SSE-C"
# The requests that name an object; those of a copy name two.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
_OF_COPIES = ("CopyObject", "UploadPartCopy")
_OF_UPLOADS = ("CreateMultipartUpload", "UploadPart", "ListParts", "CompleteMultipartUpload")
_OF_OBJECTS = ("PutObject", "GetObject", "HeadObject", *_OF_UPLOADS, *_OF_COPIES)


@dataclass(frozen=True)
class CustomerKey:
    """A key of 32 bytes, in base64 as requests have it."""

    encoded: str = field(repr=False)

    @property
    def md5(self) -> str:
        """The MD5 of the key in base64, which a store shows with what it has encrypted."""
        digest = hashlib.md5(base64.b64decode(self.encoded), usedforsecurity=False).digest()
        return base64.b64encode(digest).decode("ascii")

    def arguments(self, prefix: str = "") -> dict[str, str]:
        """Those of boto3's calls; ``prefix``: ``CopySource`` for the object that is copied from."""
        return {
            f"{prefix}SSECustomerAlgorithm": "AES256",
            f"{prefix}SSECustomerKey": self.encoded,
            f"{prefix}SSECustomerKeyMD5": self.md5,
        }


def load(text: str | None, path: str | None) -> CustomerKey:
    """The key that settings give, as ``text`` or in the file at ``path``.

    Raises InvalidInput, which never holds the key, where there is none, or others can read the file.
    """
    key = decode_key(text.encode(), "sse_customer_key") if text else read_key_file(str(path))
    return CustomerKey(base64.b64encode(key).decode("ascii"))


def send_with(client: Any, key: CustomerKey) -> None:
    """Let each request of a boto3 client that is about an object bring ``key``; a copy brings it for both objects.

    Raises InvalidInput where it would travel in the clear.
    """
    address = urlsplit(client.meta.endpoint_url)
    if address.scheme != "https" and not _is_loopback(address.hostname or ""):
        raise InvalidInput(
            f"The endpoint {client.meta.endpoint_url} is plain HTTP: the key of SSE-C would travel in the clear.",
            "Use an endpoint with https, or another encryption.",
        )

    def bring(params: dict[str, Any], model: Any, **_more: Any) -> None:
        params.update(key.arguments())
        if model.name in _OF_COPIES:
            params.update(key.arguments("CopySource"))

    for operation in _OF_OBJECTS:
        client.meta.events.register(f"before-parameter-build.s3.{operation}", bring)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
