# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what a store does with objects: each writes probes, and judges by what the store then gives back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import EncryptionRefused, ObjectNotFound, StoreError
from ..formats.bucket_verdict import FAILED, NOT_CHECKED, PASSED, Observation, judge_checksum
from ..formats.sealed import KEY_SIZE
from ..stores import encryption, s3_errors
from ..stores.customer_key import SSE_C
from ..stores.probe_repository import ProbeRepository

# Nothing in it repeats, so that no other range of it is the same.
DATA = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(128))
_OTHER = DATA[::-1]
# AWS copies a range only of an object that is larger than the smallest part, 5 MiB.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
_SMALLEST_PART = 5 << 20
_LISTED, _PAGE = 5, 2

Probe = Callable[[ProbeRepository], Observation]


def refusal(request: Callable[[], object]) -> str | None:
    """Why the store refused a request or sent it elsewhere, None where it did what was asked.

    Raises StoreError where it could not handle the request.
    """
    try:
        request()
    except StoreError as error:
        if 300 <= s3_errors.status(error.__cause__) < 500:
            return error.detail
        raise
    return None


def put_in_parts(probes: ProbeRepository, key: str, data: bytes) -> None:
    """Store a probe as an object of one part."""
    upload_id = probes.start_upload(key)
    try:
        part = probes.put_part(key, upload_id, 1, data, hashlib.sha256(data).hexdigest())
        probes.complete_upload(key, upload_id, [part])
    except StoreError:
        with contextlib.suppress(StoreError):
            probes.abort_upload(key, upload_id)
        raise


def encryption_asked(probes: ProbeRepository) -> Observation:
    """Read back the encryption of what is put as the repository puts it."""
    asked = probes.location.encryption
    if asked == "none":
        return Observation(NOT_CHECKED, "nothing asked", "The repository is set to ask for no encryption.")
    probes.put("encrypted", DATA)
    put_in_parts(probes, "encrypted-in-parts", DATA)
    found, faults = [], []
    for way, key in (("at once", "encrypted"), ("in parts", "encrypted-in-parts")):
        info = probes.head(key)
        found.append(f"{way}: {info.encryption}")
        try:
            probes.verify_encryption(info)
        except EncryptionRefused as error:
            faults.append(error.detail)
        if asked == SSE_C:
            faults += _readable_without_the_key(probes, key)
    if faults:
        return Observation(FAILED, "; ".join(found), " ".join(faults))
    return Observation(PASSED, "; ".join(found), f"What was put with {asked} shows it.")


def _readable_without_the_key(probes: ProbeRepository, key: str) -> list[str]:
    """A sentence for each way to read a probe that only its customer's key should open."""
    another = base64.b64encode(secrets.token_bytes(KEY_SIZE)).decode("ascii")
    ways = {
        "without a key": probes.with_other_encryption(),
        "with another key": probes.with_other_encryption(encryption=SSE_C, sse_customer_key=another),
    }
    faults = []
    for way, reader in ways.items():
        with reader:
            if refusal(partial(reader.get, key)) is None:
                faults.append(f"{probes.url(key)} can be read {way}.")
    return faults


def encryption_default(probes: ProbeRepository) -> Observation:
    """Put without asking, and see what the bucket makes of it."""
    with probes.with_other_encryption() as bare:
        if refusal(lambda: bare.put_as("not-encrypted", DATA)) is not None:
            return Observation(PASSED, "refused", "A put that asks for no encryption is refused.")
        shown = bare.head("not-encrypted").encryption
    if shown == "none":
        return Observation(FAILED, "none", "An object that was put without asking for encryption is stored without.")
    return Observation(
        PASSED, str(shown), "An object that was put without asking is encrypted by the bucket's default."
    )


def checksum(algorithm: str, argument: str, digest: Callable[[bytes], bytes], parts: bool = False) -> Probe:
    """A check that sends bytes with the digest of others.

    ``argument``: that of boto3's writing calls for ``digest``, which goes out in base64. ``parts``: send a part.
    """

    def probe(probes: ProbeRepository) -> Observation:
        asked: dict[str, Any] = encryption.request(probes.location)
        started = asked | ({"ChecksumAlgorithm": "SHA256"} if argument == "ChecksumSHA256" else {})
        key = f"{algorithm}-part" if parts else algorithm

        def send(hashed: bytes) -> None:
            sent = {argument: base64.b64encode(digest(hashed)).decode("ascii")}
            if parts:
                probes.put_part_as(key, DATA, started, **sent)
            else:
                probes.put_as(key, DATA, **asked, **sent)

        wrong = refusal(lambda: send(_OTHER))
        return judge_checksum(algorithm, wrong is not None, refusal(lambda: send(DATA)))

    return probe


def sha256(data: bytes) -> bytes:
    """The SHA-256 of ``data``."""
    return hashlib.sha256(data).digest()


def md5(data: bytes) -> bytes:
    """The MD5 of ``data``."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def crc32(data: bytes) -> bytes:
    """The CRC-32 of ``data``, big-endian as S3 has it."""
    return zlib.crc32(data).to_bytes(4, "big")


def crc32c(data: bytes) -> bytes:
    """The CRC-32C (Castagnoli) of ``data``, big-endian as S3 has it."""
    import google_crc32c

    return int(google_crc32c.value(data)).to_bytes(4, "big")


def conditional_write(probes: ProbeRepository) -> Observation:
    """Put over an object that is there, on the condition that it is not."""
    probes.put("there", DATA)
    asked = encryption.request(probes.location)
    reason = refusal(lambda: probes.put_as("there", _OTHER, IfNoneMatch="*", **asked))
    if probes.get("there") != DATA:
        return Observation(FAILED, "overwritten", "A put with If-None-Match: * replaced an object that was there.")
    if reason is None:
        return Observation(FAILED, "answered 200", "A put with If-None-Match: * over an object was answered as done.")
    return Observation(PASSED, "refused", "A put with If-None-Match: * over an object was refused.")


def range_read(probes: ProbeRepository) -> Observation:
    """Read ranges from within an object, and of its end."""
    probes.put("ranges", DATA)
    for first, length in ((0, 1), (1000, 777), (len(DATA) - 10, 10)):
        try:
            data = probes.get_range("ranges", first, length)
        except StoreError as error:
            if s3_errors.status(error.__cause__):
                raise
            return Observation(FAILED, "another length", error.detail)
        if data != DATA[first : first + length]:
            detail = f"The store answered the range of {length} bytes from {first} on with other bytes."
            return Observation(FAILED, "other bytes", detail)
    return Observation(PASSED, "exact", "Ranges were answered with exactly their bytes.")


def multipart_copy(probes: ProbeRepository) -> Observation:
    """Let the store copy an object of two parts by itself."""
    data = DATA * (_SMALLEST_PART // len(DATA)) + _OTHER
    probes.put("copied-from", data)
    probes.copy_from(probes, "copied-from", "copied-to", len(data), _SMALLEST_PART)
    if probes.get("copied-to") != data:
        return Observation(FAILED, "other bytes", "A copy that the store made by itself has other bytes.")
    return Observation(
        PASSED, "right bytes", "A copy that the store made by itself, in two parts, has the right bytes."
    )


def listing_complete(probes: ProbeRepository) -> Observation:
    """List objects right after they were put, on one page and on several."""
    keys = [f"listed-{number}" for number in range(_LISTED)]
    for key in keys:
        probes.put(key, DATA)
    for how, listed in (("at once", probes.paged_keys(1000)), ("in pages", probes.paged_keys(_PAGE))):
        missing = [key for key in keys if key not in listed]
        if missing:
            detail = f"{len(missing)} of {_LISTED} objects are missing in a listing right after they were put ({how})."
            return Observation(FAILED, f"{len(missing)} of {_LISTED} missing", detail)
    return Observation(PASSED, "complete", "Objects were listed right after they were put, also on several pages.")


def delete_effective(probes: ProbeRepository) -> Observation:
    """Delete an object, and look for it."""
    probes.put("deleted", DATA)
    probes.delete(["deleted"])
    try:
        probes.head("deleted")
    except ObjectNotFound:
        if "deleted" not in probes.paged_keys(1000):
            return Observation(PASSED, "gone", "An object was gone right after it was deleted.")
        return Observation(FAILED, "still listed", "An object is still listed after it was deleted.")
    return Observation(FAILED, "still there", "An object can still be read after it was deleted.")


PROBES: dict[str, Probe] = {
    "encryption_asked": encryption_asked,
    "encryption_default": encryption_default,
    "checksum_sha256": checksum("SHA-256", "ChecksumSHA256", sha256),
    "checksum_sha256_part": checksum("SHA-256", "ChecksumSHA256", sha256, parts=True),
    "checksum_md5": checksum("MD5", "ContentMD5", md5),
    "checksum_md5_part": checksum("MD5", "ContentMD5", md5, parts=True),
    "checksum_crc32": checksum("CRC-32", "ChecksumCRC32", crc32),
    "checksum_crc32c": checksum("CRC-32C", "ChecksumCRC32C", crc32c),
    "conditional_write": conditional_write,
    "range_read": range_read,
    "multipart_copy": multipart_copy,
    "listing_complete": listing_complete,
    "delete_effective": delete_effective,
}
