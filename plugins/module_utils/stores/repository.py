# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to S3: one repository of backups, by boto3.

Keys are relative to the repository's root ``<prefix>/<cluster>/``. All methods may be called from several
threads at once. They raise errors of the StoreError branch and nothing of boto3's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Lock
from typing import Any

from ..errors import ObjectExists, ObjectNotFound, StoreError
from . import checksums, encryption, s3_errors
from .location import ObjectInfo, StoredPart, StoreLocation
from .pace import PIECE, Pace, paced, parse_rate
from .reach import require_connection
from .request_count import RequestCount
from .s3_client import build_client

__all__ = ["ObjectInfo", "Repository", "StoreLocation", "StoredPart"]

READ_TRIES = 3
DELETE_BATCH = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
COPY_THREADS = 4


class Repository:
    """Objects of one repository."""

    def __init__(self, location: StoreLocation, max_attempts: int = 5, requests: RequestCount | None = None) -> None:
        """``max_attempts``: tries of one request, with the first; ``requests``: to count in. Contacts nothing yet."""
        self.location = location
        self.name = location.name
        self._pace = Pace(parse_rate(location.bandwidth_limit)) if location.bandwidth_limit else None
        self._max_attempts = max_attempts
        self.requests = requests or RequestCount()
        self._client: Any = None
        self._lock = Lock()

    @property
    def client(self) -> Any:
        """The boto3 client, made when first needed (importing boto3 takes half a second)."""
        with self._lock:
            if self._client is None:
                self._client = build_client(self.location, self._max_attempts)
                self.requests.watch(self._client)
            return self._client

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Repository({self.name!r}, {self.url('')!r})"

    def url(self, key: str) -> str:
        """``s3://bucket/key`` of ``key``, for messages and reports."""
        return f"s3://{self.location.bucket}/{self._full(key)}"

    def check_access(self) -> None:
        """One cheap request that tells a missing bucket, denied access and an unreachable store apart."""
        with s3_errors.translated(self.location, "list"):
            self.client.list_objects_v2(Bucket=self.location.bucket, Prefix=self.location.root, MaxKeys=1)

    def require_connection(self) -> None:
        """Raise StoreUnreachable if one try brings no connection: of several regions, one may be gone."""
        require_connection(self.location, self.requests)

    # -- reading

    def get(self, key: str, max_bytes: int = 64 << 20) -> bytes:
        """The whole object.

        Raises:
            ObjectNotFound: there is none.
            StoreError: it is larger than ``max_bytes``, or could not be read to its end.
        """

        def length_of(answer: dict[str, Any]) -> int:
            length = int(answer["ContentLength"])
            if length > max_bytes:
                raise StoreError(f"{self.url(key)} has {length} bytes; at most {max_bytes} were expected.")
            return length

        return self._read(key, length_of)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset`` on.

        Raises:
            ObjectNotFound: there is no such object.
            StoreError: the object ends earlier, or could not be read.
        """
        if length == 0:
            return b""

        def length_of(answer: dict[str, Any]) -> int:
            got = int(answer["ContentLength"])
            if got != length:
                raise StoreError(
                    f"{self.url(key)}: {length} bytes were asked for from {offset} on, the store gave {got}.",
                    "The stored object is cut short, or the store does not understand ranges.",
                )
            return length

        return self._read(key, length_of, Range=f"bytes={offset}-{offset + length - 1}")

    def _read(self, key: str, length_of: Any, **request: Any) -> bytes:
        """boto3 repeats requests, and not the reading of a body: that is done here."""
        for attempt in range(1, READ_TRIES + 1):
            with s3_errors.translated(self.location, "read", key):
                answer = self.client.get_object(Bucket=self.location.bucket, Key=self._full(key), **request)
                body = answer["Body"]
                try:
                    length = length_of(answer)
                    data = self._read_body(body)
                    if len(data) == length:
                        return data
                except s3_errors.broken_body() as error:
                    if attempt == READ_TRIES:
                        raise error
                finally:
                    body.close()
        raise StoreError(f"{self.url(key)}: the store gave {len(data)} of {length} bytes, {READ_TRIES} times.")

    def _read_body(self, body: Any) -> bytes:
        if self._pace is None:
            return bytes(body.read())
        pieces = []
        while piece := body.read(PIECE):
            self._pace.wait(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def head(self, key: str) -> ObjectInfo:
        """What the store says about the object. Raises ObjectNotFound if there is none."""
        answer = self._head_answer(key)
        return _info(key, answer, int(answer["ContentLength"]))

    def list(self, prefix: str = "", after: str = "", until: str | None = None) -> Iterator[ObjectInfo]:
        """All objects below ``prefix``, from behind the key ``after`` to ``until``, in the order of their keys.

        Their encryption is not told.
        """
        request = {"StartAfter": self._full(after)} if after else {}
        for page in self._pages("list_objects_v2", Prefix=self._full(prefix), **request):
            for item in page.get("Contents", []):
                key = self._relative(item["Key"])
                if until is not None and key > until:
                    return
                yield ObjectInfo(key, item["Size"], item["ETag"], last_modified=item["LastModified"])

    def folders(self, prefix: str = "") -> Iterator[str]:
        """The bare names of the folders directly below ``prefix`` (which ends with a slash, or is empty)."""
        full = self._full(prefix)
        for page in self._pages("list_objects_v2", Prefix=full, Delimiter="/"):
            for item in page.get("CommonPrefixes", []):
                yield item["Prefix"][len(full) :].rstrip("/")

    # -- writing

    def put(
        self,
        key: str,
        data: bytes | bytearray,
        if_none_match: bool = False,
        content_type: str = "application/octet-stream",
        sha256_hex: str | None = None,
    ) -> ObjectInfo:
        """Store a small object in one request, with the location's encryption and a checksum.

        Args:
            key: relative to the root.
            data: the whole content.
            if_none_match: only if there is no such object yet.
            content_type: its media type.
            sha256_hex: SHA-256 of ``data``, if the caller has it.

        Returns:
            The object as the store's answer describes it: with its encryption, and whether the bytes were checked.

        Raises:
            ObjectExists: with ``if_none_match``, there is one with other content.
            ChecksumRefused: the store received other bytes.
        """
        checksum = checksums.request(self.location, data, sha256_hex)
        request = {"Body": paced(data, self._pace), "ContentType": content_type, **checksum}
        request |= encryption.request(self.location)
        answer = self._put_new(key, request, data) if if_none_match else self._put(key, request)
        return _info(key, answer, len(data), checked=checksums.shown(answer, checksum, self.url(key)))

    def _put(self, key: str, request: dict[str, Any]) -> dict[str, Any]:
        with s3_errors.translated(self.location, "store", key):
            answer: dict[str, Any] = self.client.put_object(Bucket=self.location.bucket, Key=self._full(key), **request)
        return answer

    def _put_new(self, key: str, request: dict[str, Any], data: bytes | bytearray) -> dict[str, Any]:
        try:
            return self._put(key, {**request, "IfNoneMatch": "*"})
        except ObjectExists as exists:
            # The store may have done the work of a first try whose answer was lost.
            if s3_errors.retry_attempts(exists.__cause__) and self.get(key) == data:
                return self._head_answer(key)
            raise
        except StoreError as error:
            if s3_errors.status(error.__cause__) != 501:
                raise
        # The store knows no conditional writes: look first. Names of backups are random, so a race is unlikely.
        try:
            self.head(key)
        except ObjectNotFound:
            return self._put(key, request)
        raise ObjectExists(f"{self.url(key)} is there already.", "Nothing was overwritten.")

    def _head_answer(self, key: str) -> dict[str, Any]:
        with s3_errors.translated(self.location, "look at", key):
            answer: dict[str, Any] = self.client.head_object(Bucket=self.location.bucket, Key=self._full(key))
        return answer

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is not there is no error. Raises StoreError naming what could not be deleted."""
        for start in range(0, len(keys), DELETE_BATCH):
            batch = [{"Key": self._full(key)} for key in keys[start : start + DELETE_BATCH]]
            with s3_errors.translated(self.location, "delete from"):
                answer = self.client.delete_objects(
                    Bucket=self.location.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            failed = [f"{item.get('Key')} ({item.get('Code')})" for item in answer.get("Errors", [])]
            if failed:
                raise StoreError(f"{self.url('')}: {len(failed)} objects were not deleted: {', '.join(failed[:5])}.")

    # -- multipart uploads

    def start_upload(self, key: str) -> str:
        """Begin a multipart upload with the location's encryption; returns its id."""
        request: dict[str, Any] = encryption.request(self.location)
        if checksums.sends_sha256(self.location):
            request["ChecksumAlgorithm"] = "SHA256"
        with s3_errors.translated(self.location, "begin the upload of", key):
            answer = self.client.create_multipart_upload(
                Bucket=self.location.bucket, Key=self._full(key), ContentType="application/octet-stream", **request
            )
        return str(answer["UploadId"])

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray, sha256_hex: str) -> StoredPart:
        """Upload one part; ``data`` is neither copied nor hashed here.

        Args:
            key: relative to the root.
            upload_id: from ``start_upload``.
            number: from 1 on.
            data: its bytes. They must not change before this returns.
            sha256_hex: their SHA-256, which the store checks against what it received.

        Returns:
            What ``complete_upload`` needs to know of it.

        Raises:
            ChecksumRefused: the store received other bytes.
        """
        action = f"store part {number} of"
        checksum = checksums.request(self.location, data, sha256_hex)
        with s3_errors.translated(self.location, action, key):
            answer = self.client.upload_part(
                Bucket=self.location.bucket,
                Key=self._full(key),
                UploadId=upload_id,
                PartNumber=number,
                Body=paced(data, self._pace),
                **checksum,
            )
        checked = checksums.shown(answer, checksum, f"Part {number} of {self.url(key)}")
        return StoredPart(number, answer["ETag"], answer.get("ChecksumSHA256"), checked)

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make the object of its parts. What the store made of them, ``head`` tells."""
        request = {"Parts": [self._completed(part) for part in sorted(parts, key=lambda part: part.number)]}
        try:
            with s3_errors.translated(self.location, "complete the upload of", key):
                self.client.complete_multipart_upload(
                    Bucket=self.location.bucket, Key=self._full(key), UploadId=upload_id, MultipartUpload=request
                )
        except StoreError as error:
            # The answer of a first try may have been lost after the store did the work.
            if not s3_errors.retry_attempts(error.__cause__) or s3_errors.status(error.__cause__) != 404:
                raise
            self.head(key)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is gone already is no error."""
        try:
            with s3_errors.translated(self.location, "abort the upload of", key):
                self.client.abort_multipart_upload(Bucket=self.location.bucket, Key=self._full(key), UploadId=upload_id)
        except StoreError as error:
            if s3_errors.status(error.__cause__) != 404:
                raise

    def uploads(self, prefix: str = "") -> Iterator[tuple[str, str, datetime]]:
        """Unfinished multipart uploads below ``prefix``: (key, upload id, time of their begin)."""
        full = self._full(prefix)
        for page in self._pages("list_multipart_uploads", Prefix=full):
            for item in page.get("Uploads", []):
                if item["Key"].startswith(full):
                    yield self._relative(item["Key"]), item["UploadId"], item["Initiated"]

    # -- copying within one endpoint

    def same_endpoint(self, other: Repository) -> bool:
        """Whether the store can copy from ``other`` to here by itself, and learns no other customer's key by that."""
        here, there = self.location, other.location
        return here.endpoint_identity == there.endpoint_identity and here.customer_key == there.customer_key

    def copy_from(self, other: Repository, source_key: str, key: str, size: int, part_size: int) -> None:
        """Let the store copy an object of ``other`` to ``key``, in parts of ``part_size`` bytes, with the
        encryption of this location. The copy is unproved: read it back."""
        source = {"Bucket": other.location.bucket, "Key": other._full(source_key)}
        if size <= part_size:
            with s3_errors.translated(self.location, "copy to", key):
                self.client.copy_object(
                    Bucket=self.location.bucket,
                    Key=self._full(key),
                    CopySource=source,
                    **encryption.request(self.location),
                )
            return
        upload_id = self.start_upload(key)
        try:
            with ThreadPoolExecutor(COPY_THREADS) as threads:
                copies = [
                    threads.submit(self._copy_part, source, key, upload_id, number, first, min(first + part_size, size))
                    for number, first in enumerate(range(0, size, part_size), start=1)
                ]
                parts = [copy.result() for copy in copies]
            self.complete_upload(key, upload_id, parts)
        except BaseException:
            self.abort_upload(key, upload_id)
            raise

    def _copy_part(
        self, source: dict[str, str], key: str, upload_id: str, number: int, first: int, end: int
    ) -> StoredPart:
        with s3_errors.translated(self.location, f"copy part {number} of", key):
            answer = self.client.upload_part_copy(
                Bucket=self.location.bucket,
                Key=self._full(key),
                UploadId=upload_id,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={first}-{end - 1}",
            )
        return StoredPart(number, answer["CopyPartResult"]["ETag"], answer["CopyPartResult"].get("ChecksumSHA256"))

    def verify_encryption(self, info: ObjectInfo) -> None:
        """Raises EncryptionRefused if encryption was asked for and ``info`` (of ``head``) does not show it."""
        encryption.verify(self.location, info, self.url(info.key))

    def _completed(self, part: StoredPart) -> dict[str, Any]:
        """Only what the store echoed goes into the completion: one that knows no checksums refuses them there."""
        echoed = part.sha256 if checksums.sends_sha256(self.location) else None
        return {"PartNumber": part.number, "ETag": part.etag, **({"ChecksumSHA256": echoed} if echoed else {})}

    def _pages(self, operation: str, **request: Any) -> Iterator[dict[str, Any]]:
        with s3_errors.translated(self.location, "list"):
            yield from self.client.get_paginator(operation).paginate(Bucket=self.location.bucket, **request)

    def _full(self, key: str) -> str:
        return self.location.root + key

    def _relative(self, full: str) -> str:
        return full[len(self.location.root) :]


def _info(key: str, answer: dict[str, Any], size: int, checked: bool = False) -> ObjectInfo:
    return ObjectInfo(
        key,
        size,
        str(answer.get("ETag", "")),
        encryption=encryption.shown(answer),
        kms_key_id=answer.get("SSEKMSKeyId"),
        customer_key_md5=answer.get("SSECustomerKeyMD5"),
        last_modified=answer.get("LastModified"),
        version_id=answer.get("VersionId"),
        checked=checked,
    )
