# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 store in memory that fails by a schedule, under the collection's own `Repository`.

Why a fake: no real server answers 500 after it has done the work, leaves entries out of a listing, shows what was
deleted, or dies at one exact request, and none does so thousands of times in seconds. What a healthy store does, the
tests with a real one show. As boto3 does, a request is tried three times, so an answer that is lost means a request
that is made twice.

Whether a request fails depends on the seed, the operation, the key, and how often that was asked before: the same seed
is the same schedule, in whatever order threads come.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from random import Random
from threading import RLock
from typing import Any

from botocore.exceptions import ClientError

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation

TRIES = 3
# For so many requests a listing may still show what was deleted.
LAG = 25

Json = dict[str, Any]


class Killed(BaseException):
    """The process was killed at this request: whatever it still asks for does not reach the store."""


@dataclass
class Schedule:
    """What goes wrong. ``rate``: the share of requests that it happens to. ``kill_at``: the number of a request."""

    seed: int
    rate: float
    kill_at: int | None = None
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: int = 0

    def fault(self, operation: str, key: str) -> str:
        """What happens to this request."""
        self.requests += 1
        if self.kill_at is not None and self.requests >= self.kill_at:
            raise Killed
        self.asked[operation, key] += 1
        chance = Random(f"{self.seed}/{operation}/{key}/{self.asked[operation, key]}")
        if chance.random() >= self.rate:
            return ""
        return chance.choice(["refused", "lost", "odd"])


@dataclass
class Stored:
    """An object."""

    data: bytes
    modified: datetime


class FakeStore:
    """The buckets' content; ``clock`` is its time, ``ever`` all keys that it has ever held."""

    def __init__(self, now: datetime) -> None:
        self.clock = now
        self.schedule = Schedule(0, 0.0)
        self.objects: dict[str, Stored] = {}
        self.ever: set[str] = set()
        self._uploads: dict[str, tuple[str, datetime, dict[int, bytes]]] = {}
        self._deleted: dict[str, tuple[int, Stored]] = {}
        self._count = 0
        self._lock = RLock()

    def repository(self, name: str) -> Repository:
        """A repository in this store."""
        return _FakeRepository(self, StoreLocation(name, name, "production", endpoint_url=f"http://{name}.invalid"))

    def request(self, operation: str, key: str, request: Json) -> Json:
        """One call of a client: up to three tries."""
        for attempt in range(TRIES):
            with self._lock:
                fault = self.schedule.fault(operation, key)
                if fault == "refused":
                    continue
                try:
                    answer: Json = getattr(self, f"_{operation}")(**{**request, "odd": fault == "odd"})
                except ClientError as error:
                    error.response["ResponseMetadata"]["RetryAttempts"] = attempt
                    raise
                if fault != "lost":
                    return answer
        raise _error(500, "InternalError", operation, TRIES - 1)

    # -- what the operations do; ``odd`` is their own way to go wrong, where they have one

    def _put_object(self, Key: str, Body: bytes, odd: bool, IfNoneMatch: str = "", **_rest: Any) -> Json:  # noqa: N803
        if IfNoneMatch and Key in self.objects:
            raise _error(412, "PreconditionFailed", "PutObject")
        self._put(Key, bytes(Body))
        checksum = _sha256(bytes(Body))
        return {"ETag": _etag(bytes(Body)), "ChecksumSHA256": checksum, "ServerSideEncryption": "AES256"}

    def _get_object(self, Key: str, odd: bool, Range: str = "", **_rest: Any) -> Json:  # noqa: N803
        data = self._find(Key).data
        if Range:
            first, last = map(int, Range.removeprefix("bytes=").split("-"))
            if first >= len(data):
                raise _error(416, "InvalidRange", "GetObject")
            data = data[first : last + 1]
        sent = bytes([data[0] ^ 1]) + data[1:] if odd and data else data
        return {"ContentLength": len(data), "Body": io.BytesIO(sent)}

    def _head_object(self, Key: str, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        found = self._find(Key)
        return {
            "ContentLength": len(found.data),
            "ETag": _etag(found.data),
            "LastModified": found.modified,
            "ServerSideEncryption": "AES256",
        }

    def _list_objects_v2(self, odd: bool, Prefix: str = "", Delimiter: str = "", **_rest: Any) -> Json:  # noqa: N803
        shown = {key: stored for key, (until, stored) in self._deleted.items() if until > self._count} | self.objects
        self._count += 1
        keys = sorted(key for key in shown if key.startswith(Prefix))
        if odd:
            keys = [key for number, key in enumerate(keys, start=self._count) if number % 3]
        ends = {key: key.find(Delimiter, len(Prefix)) for key in keys} if Delimiter else {}
        folders = dict.fromkeys(key[: ends[key] + 1] for key in keys if ends.get(key, -1) >= 0)
        contents = [
            {
                "Key": key,
                "Size": len(shown[key].data),
                "ETag": _etag(shown[key].data),
                "LastModified": shown[key].modified,
            }
            for key in keys
            if ends.get(key, -1) < 0
        ]
        answer = {"Contents": contents, "CommonPrefixes": [{"Prefix": folder} for folder in folders]}
        return answer | {"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(self.clock, usegmt=True)}}}

    def _delete_objects(self, Delete: Json, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        for item in Delete["Objects"]:
            stored = self.objects.pop(item["Key"], None)
            if stored is not None and odd:
                self._deleted[item["Key"]] = (self._count + LAG, stored)
        return {}

    def _create_multipart_upload(self, Key: str, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        upload_id = f"upload-{len(self._uploads)}-{self._count}"
        self._count += 1
        self._uploads[upload_id] = (Key, self.clock, {})
        return {"UploadId": upload_id}

    def _upload_part(self, Key: str, UploadId: str, PartNumber: int, Body: bytes, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        self._upload(UploadId)[2][PartNumber] = bytes(Body)
        return {"ETag": _etag(bytes(Body)), "ChecksumSHA256": _sha256(bytes(Body))}

    def _complete_multipart_upload(self, Key: str, UploadId: str, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        parts = self._upload(UploadId)[2]
        self._put(Key, b"".join(parts[number] for number in sorted(parts)))
        del self._uploads[UploadId]
        return {}

    def _abort_multipart_upload(self, Key: str, UploadId: str, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        self._upload(UploadId)
        del self._uploads[UploadId]
        return {}

    def _list_multipart_uploads(self, odd: bool, Prefix: str = "", **_rest: Any) -> Json:  # noqa: N803
        found = [
            {"Key": key, "UploadId": upload_id, "Initiated": begun}
            for upload_id, (key, begun, _parts) in self._uploads.items()
            if key.startswith(Prefix)
        ]
        return {"Uploads": found[: len(found) // 2] if odd else found}

    def _list_parts(self, UploadId: str, odd: bool, **_rest: Any) -> Json:  # noqa: N803
        _key, begun, parts = self._upload(UploadId)
        return {"Parts": [{"PartNumber": number, "LastModified": begun} for number in sorted(parts)]}

    def _get_bucket_versioning(self, odd: bool, **_rest: Any) -> Json:
        return {}

    # -- the store itself

    def _put(self, key: str, data: bytes) -> None:
        self.objects[key] = Stored(data, self.clock)
        self.ever.add(key)

    def _find(self, key: str) -> Stored:
        if key not in self.objects:
            raise _error(404, "NoSuchKey", "GetObject")
        return self.objects[key]

    def _upload(self, upload_id: str) -> tuple[str, datetime, dict[int, bytes]]:
        if upload_id not in self._uploads:
            raise _error(404, "NoSuchUpload", "UploadPart")
        return self._uploads[upload_id]

    def pass_time(self, hours: float) -> None:
        """Let the store's clock go on, and its listings catch up."""
        self.clock += timedelta(hours=hours)
        self._deleted.clear()


class _FakeRepository(Repository):
    """A repository whose requests go to a `FakeStore`."""

    def __init__(self, store: FakeStore, location: StoreLocation) -> None:
        super().__init__(location)
        self._store = store

    @property
    def client(self) -> Any:
        return _Client(self._store)

    def require_connection(self) -> None:
        """There is nothing to connect to."""


class _Client:
    """What a `Repository` calls of a boto3 client."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: self._store.request(
            operation, str(request.get("Key", request.get("Prefix", ""))), request
        )

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(self, operation)


@dataclass
class _Paginator:
    client: _Client
    operation: str

    def paginate(self, **request: Any) -> Iterator[Json]:
        yield getattr(self.client, self.operation)(**request)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")


def _error(status: int, code: str, operation: str, retries: int = 0) -> ClientError:
    metadata = {"HTTPStatusCode": status, "RetryAttempts": retries}
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": metadata}, operation)
