# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a repository is, and how to speak to its store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ..errors import InvalidInput
from .customer_key import SSE_C, CustomerKey, load

ENCRYPTIONS = ("AES256", "aws:kms", SSE_C, "none")
CHECKSUM_MODES = ("when_supported", "when_required")
MASTER_KEYS = ("key_file", "key_env", "key", "kms_key_id")
ADDRESSING_STYLES = ("auto", "path", "virtual")


@dataclass(frozen=True)
class MasterKeySource:
    """Where a master key of client-side encryption is: exactly one of these is set, but for the options of KMS.

    ``key_file``: a path; ``key_env``: the name of an environment variable; ``key``: the key itself, in hex or base64.
    """

    key_file: str | None = None
    key_env: str | None = None
    key: str | None = field(default=None, repr=False)
    kms_key_id: str | None = None
    kms_endpoint_url: str | None = None
    kms_region: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in MASTER_KEYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput(
                f"client_encryption names {' and '.join(given) or 'no key'}.",
                f"Give exactly one of {', '.join(MASTER_KEYS)}; further keys belong into old_keys.",
            )
        if given != ["kms_key_id"] and (self.kms_endpoint_url or self.kms_region):
            raise InvalidInput("client_encryption has options of KMS without kms_key_id.", "Set kms_key_id, too.")


@dataclass(frozen=True)
class ClientEncryption(MasterKeySource):
    """The master key that new backups are encrypted with, and ``old_keys`` that only open what is there."""

    old_keys: tuple[MasterKeySource, ...] = ()

    @classmethod
    def of(cls, option: Mapping[str, Any]) -> ClientEncryption:
        """What an option or a configuration says; ``old_keys`` is a list of such. None and empty count as not set."""
        old_keys = tuple(MasterKeySource(**_set(each)) for each in option.get("old_keys") or ())
        return cls(**{**_set(option), "old_keys": old_keys})


def _set(option: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in option.items() if value not in (None, "")}


@dataclass(frozen=True)
class StoreLocation:
    """One repository: a bucket, a prefix and a cluster name, with the way to its S3 endpoint.

    Without keys and profile, boto3's whole credential chain decides. Timeouts are seconds,
    ``bandwidth_limit`` is bytes per second as ``pace.parse_rate`` reads them.
    Raises: InvalidInput for an endpoint that messages could not name, or keys that do not fit ``encryption``.
    """

    name: str
    bucket: str
    cluster: str
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    addressing_style: str = "auto"
    checksum_mode: str = "when_supported"
    validate_certs: bool = True
    ca_path: str | None = None
    encryption: str = "AES256"
    kms_key_id: str | None = None
    sse_customer_key: str | None = field(default=None, repr=False)
    sse_customer_key_file: str | None = None
    connect_timeout: float = 10
    read_timeout: float = 60
    bandwidth_limit: str | None = None
    client_encryption: ClientEncryption | None = None

    def __post_init__(self) -> None:
        if "@" in (self.endpoint_url or ""):
            raise InvalidInput(
                f"endpoint_url of the repository {self.name!r} has a user or a password in it.",
                "Give the scheme, the host and the port only, and the keys as access_key and secret_key.",
            )
        keys = sum(bool(key) for key in (self.sse_customer_key, self.sse_customer_key_file))
        if keys != (self.encryption == SSE_C):
            raise InvalidInput(
                f"The repository {self.name!r} has encryption {self.encryption}, and {keys or 'no'} customer key"
                f"{'s' if keys > 1 else ''}.",
                "With encryption SSE-C give one of sse_customer_key_file and sse_customer_key, otherwise none.",
            )

    @cached_property
    def customer_key(self) -> CustomerKey | None:
        """The key of SSE-C, read when first needed; None with another encryption. Raises InvalidInput."""
        return load(self.sse_customer_key, self.sse_customer_key_file) if self.encryption == SSE_C else None

    @property
    def root(self) -> str:
        """The key prefix, with its final slash, that all keys of the repository stand below."""
        return "/".join(part for part in (self.prefix.strip("/"), self.cluster) if part) + "/"

    @property
    def endpoint(self) -> str:
        """The endpoint in words fit for messages."""
        return self.endpoint_url or f"AWS S3 ({self.region or 'default region'})"

    @property
    def endpoint_identity(self) -> str:
        """Equal for two locations between which the store can copy by itself.

        AWS copies between its regions, and not between its partitions (China, GovCloud).
        """
        if self.endpoint_url:
            return self.endpoint_url.rstrip("/").lower()
        region = self.region or ""
        return "aws:" + next((partition for partition in ("cn-", "us-gov-") if region.startswith(partition)), "")


@dataclass(frozen=True)
class ObjectInfo:
    """What the store says about an object.

    ``key`` is relative to the repository's root, ``size`` in bytes. ``encryption`` is ``none`` when the
    store shows no encryption, and None where it was not asked (listings). ``customer_key_md5``: in base64, of the key
    that it shows for SSE-C. ``checked``: of a put, whether the answer
    shows that the store checked the bytes.
    """

    key: str
    size: int
    etag: str
    encryption: str | None = None
    kms_key_id: str | None = None
    customer_key_md5: str | None = None
    last_modified: datetime | None = None
    version_id: str | None = None
    checked: bool = False


@dataclass(frozen=True)
class StoredPart:
    """One part of a multipart upload, as the store's answer describes it.

    ``sha256`` in base64 if the store told it. ``checked``: whether the answer shows that the store checked the bytes.
    """

    number: int
    etag: str
    sha256: str | None = None
    checked: bool = False
