# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of objects: in a versioned bucket a delete only hides, and what is locked cannot be removed at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import StoreDenied, StoreError
from . import s3_errors
from .repository import DELETE_BATCH, Repository

# What stores without versions answer to questions about them: 501 NotImplemented, 405 MethodNotAllowed, 400.
_NOT_KNOWN = (400, 405, 501)


@dataclass(frozen=True)
class Version:
    """One version of an object, or a marker that hides the older ones.

    ``version_id`` is None in a bucket without versions. ``size``: bytes, 0 of a marker.
    """

    key: str
    version_id: str | None
    written: datetime
    size: int = 0
    is_marker: bool = False


@dataclass(frozen=True)
class ObjectLock:
    """Why a version cannot be removed: ``until`` a time, as long as a ``legal_hold`` lasts, or both."""

    until: datetime | None
    legal_hold: bool


def versioning(repository: Repository) -> str:
    """The bucket's versioning: ``Enabled``, ``Suspended``, or empty where it never had any."""
    with s3_errors.translated(repository.location, "ask for the versioning of"):
        answer = repository.client.get_bucket_versioning(Bucket=repository.location.bucket)
    return str(answer.get("Status") or "")


def is_versioned(repository: Repository) -> bool:
    """Whether the bucket keeps versions, or has kept some. False too where the store does not know or tell."""
    try:
        return bool(versioning(repository))
    except StoreError as error:
        if isinstance(error, StoreDenied) or s3_errors.status(error.__cause__) in _NOT_KNOWN:
            return False
        raise


def list_versions(repository: Repository, prefix: str = "") -> Iterator[Version]:
    """All versions and markers below ``prefix``."""
    location = repository.location
    with s3_errors.translated(location, "list the versions in"):
        pages = repository.client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=location.bucket, Prefix=location.root + prefix):
            for kind in ("Versions", "DeleteMarkers"):
                for item in page.get(kind) or []:
                    key = item["Key"][len(location.root) :]
                    size = int(item.get("Size", 0))
                    yield Version(key, item["VersionId"], item["LastModified"], size, kind == "DeleteMarkers")


def delete_versions(repository: Repository, versions: Sequence[Version]) -> list[Version]:
    """Remove versions for good; returns those that the store did not let go."""
    location = repository.location
    refused = []
    for start in range(0, len(versions), DELETE_BATCH):
        batch = versions[start : start + DELETE_BATCH]
        wanted = [{"Key": location.root + each.key, "VersionId": each.version_id} for each in batch]
        with s3_errors.translated(location, "delete versions from"):
            answer = repository.client.delete_objects(Bucket=location.bucket, Delete={"Objects": wanted, "Quiet": True})
        kept = {(item.get("Key"), item.get("VersionId")) for item in answer.get("Errors", [])}
        refused += [each for each in batch if (location.root + each.key, each.version_id) in kept]
    return refused


def lock_of(repository: Repository, key: str, now: datetime) -> ObjectLock | None:
    """The lock of the object's newest version; None where there is none, or it has passed by ``now`` (aware).

    Raises ObjectNotFound.
    """
    with s3_errors.translated(repository.location, "look at", key):
        answer = repository.client.head_object(Bucket=repository.location.bucket, Key=repository.location.root + key)
    until = answer.get("ObjectLockRetainUntilDate")
    until = until if until is not None and until > now else None
    legal_hold = answer.get("ObjectLockLegalHoldStatus") == "ON"
    return ObjectLock(until, legal_hold) if until or legal_hold else None
