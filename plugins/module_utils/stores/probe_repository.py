# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to S3 for a check of the store: a folder of probes, and requests that only a check makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..errors import StoreError
from ..formats.probe_layout import PROBES_FOLDER
from . import encryption, s3_errors
from .location import StoreLocation
from .repository import Repository
from .versions import Version, list_versions

_TRIES = 3
_CREATING = ("PutObject", "CreateMultipartUpload", "CopyObject")


class ProbeRepository(Repository):
    """Probes below ``.probe/`` in a repository, written and read as the repository's own objects are."""

    def __init__(self, location: StoreLocation, folder: str = PROBES_FOLDER) -> None:
        """``folder``: ``.probe`` or one in it. The location's root is where it stands."""
        self._around = location
        super().__init__(replace(location, prefix=location.root.rstrip("/"), cluster=folder), _TRIES)
        self._locked_until: Callable[[], datetime] | None = None
        for operation in _CREATING:
            self.client.meta.events.register(f"provide-client-params.s3.{operation}", self._add_lock)

    def __enter__(self) -> ProbeRepository:
        return self

    def folder(self, token: str) -> ProbeRepository:
        """The probes of one check."""
        return ProbeRepository(self._around, f"{PROBES_FOLDER}/{token}")

    def unsigned(self) -> Repository:
        """The same folder for somebody without credentials."""
        from botocore.handlers import disable_signing

        stranger = Repository(self.location, _TRIES)
        stranger.client.meta.events.register("choose-signer.s3.*", disable_signing)
        return stranger

    def with_other_encryption(self, **settings: Any) -> ProbeRepository:
        """The same folder for a repository with these settings, by default one that asks for no encryption."""
        location = replace(self._around, **{**encryption.NOTHING, **settings})
        other = ProbeRepository(location, self.location.cluster)
        other._locked_until = self._locked_until
        return other

    def over_plain_http(self) -> Repository | None:
        """The same folder over plain HTTP; None where the endpoint is plain HTTP itself."""
        address = str(self.client.meta.endpoint_url)
        if address.startswith("http:"):
            return None
        plain = replace(self.location, endpoint_url=address.replace("https:", "http:", 1), **encryption.NOTHING)
        return Repository(plain, 1)

    def put_as(self, key: str, data: bytes, **request: Any) -> None:
        """Store a probe by exactly this request of boto3, without the encryption and checksum of ``put``."""
        with s3_errors.translated(self.location, "store", key):
            self.client.put_object(Bucket=self.location.bucket, Key=self._full(key), Body=data, **request)

    def put_part_as(self, key: str, data: bytes, started: dict[str, Any], **request: Any) -> None:
        """Send one part by exactly this request, of an upload that is begun with ``started`` and stays open."""
        with s3_errors.translated(self.location, "store a part of", key):
            upload = {"Bucket": self.location.bucket, "Key": self._full(key)}
            upload["UploadId"] = self.client.create_multipart_upload(**upload, **started)["UploadId"]
            self.client.upload_part(**upload, PartNumber=1, Body=data, **request)

    def paged_keys(self, page_size: int) -> list[str]:
        """The keys of all probes, listed in pages of ``page_size``."""
        pages = self._pages("list_objects_v2", Prefix=self._full(""), PaginationConfig={"PageSize": page_size})
        return [self._relative(item["Key"]) for page in pages for item in page.get("Contents", [])]

    # -- versions and locks

    @contextmanager
    def locking(self, until: Callable[[], datetime]) -> Iterator[None]:
        """Within it, new objects are locked in governance mode until the time that ``until`` tells when one is put."""
        before, self._locked_until = self._locked_until, until
        try:
            yield
        finally:
            self._locked_until = before

    def _add_lock(self, params: dict[str, Any], **_context: Any) -> dict[str, Any]:
        if self._locked_until is None:
            return params
        return {**params, "ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": self._locked_until()}

    def default_retention(self) -> str | None:
        """How the bucket locks new objects by itself, such as ``GOVERNANCE for 30 days``.

        Empty where it locks none; None where it has no object lock.
        """
        try:
            with s3_errors.translated(self.location, "see the object lock of"):
                answer = self.client.get_object_lock_configuration(Bucket=self.location.bucket)
        except StoreError as error:
            if s3_errors.status(error.__cause__) == 404:
                return None
            raise
        settings = answer.get("ObjectLockConfiguration", {})
        rule = settings.get("Rule", {}).get("DefaultRetention")
        if settings.get("ObjectLockEnabled") != "Enabled":
            return None
        return f"{rule['Mode']} for {rule.get('Days') or rule.get('Years')} {_unit(rule)}" if rule else ""

    def get_version(self, key: str, version_id: str) -> bytes:
        """The bytes of one version of a small object."""
        return self._read(key, lambda answer: int(answer["ContentLength"]), VersionId=version_id)

    def locked_until(self, version: Version) -> datetime | None:
        """Until when this version shows that it is locked; None where it shows no lock."""
        with s3_errors.translated(self.location, "look at", version.key):
            answer = self.client.head_object(**self._named(version))
        until: datetime | None = answer.get("ObjectLockRetainUntilDate")
        return until

    def versions(self) -> Iterator[Version]:
        """All versions and delete markers of all probes; the objects themselves where a store lists no versions."""
        try:
            yield from list(list_versions(self))
        except StoreError:
            for item in self.list():
                if item.last_modified is not None:
                    yield Version(item.key, None, item.last_modified)

    def delete_version(self, version: Version) -> None:
        """Delete one version, without asking to bypass its lock."""
        with s3_errors.translated(self.location, "delete", version.key):
            self.client.delete_object(**self._named(version))

    def _named(self, version: Version) -> dict[str, str]:
        named = {"Bucket": self.location.bucket, "Key": self._full(version.key)}
        return {**named, "VersionId": version.version_id} if version.version_id else named


def _unit(rule: dict[str, Any]) -> str:
    return "days" if rule.get("Days") else "years"
