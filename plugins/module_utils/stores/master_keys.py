# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to master keys of client-side encryption: files, the environment, and AWS KMS.

A master key wraps data keys and opens them again; it is never stored, and no message holds any of it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import DrError, InvalidInput, KeyServiceError, StoreDenied, StoreUnreachable
from ..formats.key_wrap import KMS, fingerprint, unwrap_key, wrap_key
from ..formats.sealed import KEY_SIZE, require_cryptography
from . import s3_errors
from .key_files import NEW_KEY, decode_key, read_key_file
from .location import MasterKeySource, StoreLocation
from .s3_client import build_kms_client

_KMS_TRIES = 5
# What KMS answers where another key wrapped it, or for something else.
_NOT_OURS = ("IncorrectKeyException", "InvalidCiphertextException")
_DENIED = ("AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException")

Json = dict[str, Any]
Context = Mapping[str, str]


class MasterKey(Protocol):
    """One master key. ``name`` is its fingerprint, or the id of a KMS key as it was given."""

    name: str

    def generate(self, context: Context) -> tuple[bytes, Json]:
        """A new data key, and its wrap."""

    def wrap(self, data_key: bytes, context: Context) -> Json:
        """Wrap a data key that there is."""

    def open(self, wrap: Json, context: Context) -> bytes | None:
        """The data key in ``wrap``; None where it needs another master key."""


class KeyRing:
    """The master keys of one repository: the ``current`` one, and old ones, which only open."""

    def __init__(self, location: StoreLocation) -> None:
        """Reads the keys. Raises InvalidInput where there is none, or one cannot be used; MissingDependency."""
        sources = location.client_encryption
        if sources is None:
            raise InvalidInput(f"The repository {location.name!r} has no client_encryption.", "Give it a key.")
        require_cryptography()
        self.current = _master_key(sources, location)
        self.keys: list[MasterKey] = [self.current, *(_master_key(source, location) for source in sources.old_keys)]

    def open(self, wraps: Sequence[Json], context: Context) -> bytes | None:
        """The data key in the first of ``wraps`` that any key opens; None where none does.

        Raises StoreDenied, StoreUnreachable or KeyServiceError where a key service could not say.
        """
        return open_with(self.keys, wraps, context)


def key_ring(location: StoreLocation) -> KeyRing | None:
    """The keys of a repository; None where its backups are not encrypted before they are sent."""
    return KeyRing(location) if location.client_encryption is not None else None


def open_with(keys: Sequence[MasterKey], wraps: Sequence[Json], context: Context) -> bytes | None:
    """As ``KeyRing.open``, with these keys. A key service that fails is told of only where no other key opens."""
    trouble: DrError | None = None
    for wrap in wraps:
        for key in keys:
            try:
                data_key = key.open(wrap, context)
            except (KeyServiceError, StoreDenied, StoreUnreachable) as error:
                trouble = trouble or error
                continue
            if data_key is not None:
                return data_key
    if trouble is not None:
        raise trouble
    return None


class LocalKey:
    """A master key of 32 bytes in this process."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.name = fingerprint(key)

    def generate(self, context: Context) -> tuple[bytes, Json]:
        data_key = os.urandom(KEY_SIZE)
        return data_key, self.wrap(data_key, context)

    def wrap(self, data_key: bytes, context: Context) -> Json:
        return wrap_key(data_key, self._key, os.urandom(12), context)

    def open(self, wrap: Json, context: Context) -> bytes | None:
        return unwrap_key(wrap, self._key, context)


class KmsKey:
    """A master key that never leaves AWS KMS."""

    def __init__(self, key_id: str, location: StoreLocation, source: MasterKeySource) -> None:
        self.name = key_id
        self._location, self._source = location, source
        self._client: Any = None

    def generate(self, context: Context) -> tuple[bytes, Json]:
        with self._translated("get a data key from"):
            answer = self._kms().generate_data_key(KeyId=self.name, KeySpec="AES_256", EncryptionContext=dict(context))
        return answer["Plaintext"], _kms_wrap(answer)

    def wrap(self, data_key: bytes, context: Context) -> Json:
        with self._translated("wrap a data key with"):
            answer = self._kms().encrypt(KeyId=self.name, Plaintext=data_key, EncryptionContext=dict(context))
        return _kms_wrap(answer)

    def open(self, wrap: Json, context: Context) -> bytes | None:
        if wrap["kind"] != KMS:
            return None
        blob = base64.b64decode(wrap["wrapped"])
        from botocore.exceptions import ClientError

        with self._translated("open a data key with"):
            try:
                answer = self._kms().decrypt(KeyId=self.name, CiphertextBlob=blob, EncryptionContext=dict(context))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NOT_OURS:
                    return None
                raise
        return bytes(answer["Plaintext"])

    def _kms(self) -> Any:
        if self._client is None:
            endpoint, region = self._source.kms_endpoint_url, self._source.kms_region
            self._client = build_kms_client(self._location, endpoint, region, _KMS_TRIES)
        return self._client

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        subject = f"Cannot {action} the KMS key {self.name}"
        try:
            yield
        except ClientError as error:
            raise _answered(error.response, subject) from error
        except BotoCoreError as error:
            raise s3_errors.unanswered(error, self._location, subject) from error


def _master_key(source: MasterKeySource, location: StoreLocation) -> MasterKey:
    if source.kms_key_id is not None:
        return KmsKey(source.kms_key_id, location, source)
    if source.key_file is not None:
        return LocalKey(read_key_file(source.key_file))
    if source.key_env is not None:
        text = os.environ.get(source.key_env)
        if text is None:
            raise InvalidInput(f"The environment variable {source.key_env} (key_env) is not set.", NEW_KEY)
        return LocalKey(decode_key(text.encode(), f"The environment variable {source.key_env}"))
    return LocalKey(decode_key((source.key or "").encode(), "The key of client_encryption"))


def _kms_wrap(answer: Mapping[str, Any]) -> Json:
    wrapped = base64.b64encode(answer["CiphertextBlob"]).decode("ascii")
    return {"kind": KMS, "key_id": str(answer["KeyId"]), "wrapped": wrapped}


def _answered(response: Mapping[str, Any], subject: str) -> DrError:
    code = str(response.get("Error", {}).get("Code", ""))
    message = str(response.get("Error", {}).get("Message", "")).strip().rstrip(".")
    detail = f"{subject}: the key service answered {code}{f' ({message})' if message else ''}."
    if code in _DENIED:
        rights = "kms:GenerateDataKey to back up, kms:Decrypt to restore, kms:Encrypt to rewrap"
        return StoreDenied(detail, f"Check the credentials, and their rights on that key: {rights}.")
    return KeyServiceError(detail, "The key must exist, be enabled, and be in kms_region: check kms_key_id.")
