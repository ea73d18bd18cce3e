# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what boto3 raises into this collection's errors, with S3-compatible stores in mind.

Stores name the same fault differently (a code, a bare status, a code in a HEAD answer that has no body), so
both the code and the HTTP status are looked at. Messages name bucket, endpoint and key, and never a credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import (
    BucketNotFound,
    ChecksumRefused,
    DrError,
    InvalidInput,
    ObjectExists,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from .customer_key import SSE_C

if TYPE_CHECKING:
    from .location import StoreLocation

_BAD_CREDENTIALS = {
    "InvalidAccessKeyId": "The store does not know this access key: check access_key.",
    "SignatureDoesNotMatch": "The secret key does not belong to this access key: check secret_key (and region).",
    "ExpiredToken": "The session token has expired: get a new one.",
    "InvalidToken": "The session token is not valid: check session_token.",
    "TokenRefreshRequired": "The session token has expired: get a new one.",
    "RequestTimeTooSkewed": "The clock of this host differs too much from the store's: synchronize it.",
}
_RIGHTS = (
    "Check the credentials, and their rights on the bucket: list, read, write, delete and multipart uploads"
    " (and the KMS key, if one is used)."
)
_OTHER_KEY = "It may have been stored with another customer's key."
_GIVE_ITS_KEY = "Check sse_customer_key_file or sse_customer_key: only the key it was stored with opens an object."
_NOT_ITS_KEY = (
    "If it was stored with a customer's key, set encryption to SSE-C and give that key; if it was not, do not give one."
)
_BAD_CHECKSUM = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
_BUSY = {"SlowDown", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests"}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"}
_REACH = "Check endpoint_url, and that this host can reach it (network, firewall, proxy, TLS)."


@contextmanager
def translated(location: StoreLocation, action: str, key: str | None = None) -> Iterator[None]:
    """Within it, every error of boto3 becomes a StoreError.

    Args:
        location: the repository, for the messages.
        action: a verb for them: "read", "store part 3 of".
        key: relative to the repository's root; None where the request is about the bucket.
    """
    try:
        yield
    except DrError:
        raise
    except Exception as error:
        known = translate(error, location, action, key)
        if known is None:
            raise
        raise known from error


def translate(error: Exception, location: StoreLocation, action: str, key: str | None) -> DrError | None:
    """The error to raise instead of ``error``; None if it does not come from boto3."""
    from botocore.exceptions import BotoCoreError, ClientError

    subject = _subject(location, action, key)
    if isinstance(error, ClientError):
        return _answered(error.response, location, subject, key)
    if isinstance(error, BotoCoreError):
        return unanswered(error, location, subject)
    if isinstance(error, ValueError) and "endpoint" in str(error).lower():
        return InvalidInput(
            f"{location.endpoint_url!r} is no endpoint URL.", "Give one like https://s3.example.com:9000."
        )
    return None


def broken_body() -> tuple[type[Exception], ...]:
    """What the reading of an answer's body may raise, which boto3 does not translate."""
    from botocore import exceptions as boto
    from urllib3.exceptions import HTTPError

    return (boto.HTTPClientError, boto.IncompleteReadError, HTTPError, OSError)


def retry_attempts(error: BaseException | None) -> int:
    """How often the request behind a boto3 error was sent again; 0 if that is not known."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def status(error: BaseException | None) -> int:
    """The HTTP status behind a boto3 error; 0 if there was no answer."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _subject(location: StoreLocation, action: str, key: str | None) -> str:
    what = f"s3://{location.bucket}/{location.root}{key}" if key is not None else f"bucket {location.bucket!r}"
    return f"Cannot {action} {what} at {location.endpoint}"


def _answered(response: dict[str, Any], location: StoreLocation, subject: str, key: str | None) -> DrError:
    """For an error that the store itself answered."""
    code = str(response.get("Error", {}).get("Code", ""))
    number = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = str(response.get("Error", {}).get("Message", "")).strip().rstrip(".")
    told = (code if code == str(number) else f"{number} {code}".strip()) + (f" ({message})" if message else "")
    detail = f"{subject}: the store answered {told}."
    if code == "NoSuchBucket":
        return BucketNotFound(
            f"{subject}: the bucket {location.bucket!r} does not exist there.",
            "Create the bucket, or correct bucket, endpoint_url or region.",
        )
    if code == "NoSuchUpload":
        return StoreError(f"{subject}: the multipart upload no longer exists.", "Run again: it starts a new upload.")
    if code in _WRONG_REGION or 300 <= number < 400:
        elsewhere = " Or endpoint_url is not the store itself: redirects are refused." if number < 400 else ""
        return StoreError(detail, f"The bucket {location.bucket!r} is in another region: set region.{elsewhere}")
    if code in _BAD_CHECKSUM:
        return ChecksumRefused(
            f"{subject}: the bytes that arrived do not have the checksum sent with them, and the store refused them"
            f" ({told}).",
            "Nothing was stored. Run again; if it repeats, look at this host's memory and network, or a proxy between.",
        )
    if code in _BAD_CREDENTIALS:
        return StoreDenied(detail, _BAD_CREDENTIALS[code])
    if number in (401, 403) or code in ("AccessDenied", "AllAccessDisabled"):
        if key is not None and location.encryption == SSE_C:
            return StoreDenied(f"{detail} {_OTHER_KEY}", f"{_GIVE_ITS_KEY} {_RIGHTS}")
        return StoreDenied(detail, _RIGHTS)
    if number == 412 or (number == 409 and code == "ConditionalRequestConflict"):
        return ObjectExists(f"{subject}: it is there already.", "Nothing was overwritten.")
    return _by_status(code, number, location, subject, detail, key)


def _by_status(code: str, number: int, location: StoreLocation, subject: str, detail: str, key: str | None) -> DrError:
    if code.startswith("KMS."):
        return StoreError(detail, "Check kms_key_id: the key must exist, be enabled, and be in the bucket's region.")
    if code in _FULL or number == 507:
        return StoreError(detail, "The store has no room left: free some or raise the quota.")
    if code in _BUSY or number in (429, 503):
        return StoreUnreachable(detail, "The store stayed overloaded over all retries: run again later.")
    if number >= 500 and number != 501:
        return StoreUnreachable(detail, "The store failed over all retries: look at its health and log, and run again.")
    if number == 416 or code == "InvalidRange":
        return StoreError(f"{subject}: the object ends before the bytes asked for.", "The stored object is cut short.")
    if number == 411 or code == "MissingContentLength":
        return StoreError(detail, "This store may not know newer checksums: set checksum_mode to when_required.")
    if number == 404 and key is not None:
        return ObjectNotFound(f"{subject}: no such object.", "")
    if number == 404:
        return BucketNotFound(detail, "Check bucket, endpoint_url and region.")
    # What stores answer to a request without the key of SSE-C, or with one that the object was not stored with.
    if number == 400 and key is not None and code in ("400", "InvalidRequest", "InvalidArgument"):
        return StoreError(detail, _NOT_ITS_KEY)
    return StoreError(detail, "")


def unanswered(error: Exception, location: StoreLocation, subject: str) -> DrError:
    """The error to raise instead of one that boto3 raised without an answer; ``subject``: what could not be done."""
    from botocore import exceptions as boto

    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)):
        return StoreDenied(
            f"{subject}: no usable credentials were found.",
            "Give access_key and secret_key, or profile, or provide them by AWS_* variables or an instance role.",
        )
    if isinstance(error, boto.ProfileNotFound):
        return InvalidInput(f"The profile {location.profile!r} is in no AWS configuration file.", "Check profile.")
    if isinstance(error, boto.NoRegionError):
        return InvalidInput(f"{subject}: no region is known.", "Set region.")
    if isinstance(error, boto.SSLError):
        return StoreUnreachable(
            f"{subject}: TLS failed: {error}", "Set ca_path to the authority that signed the store's certificate."
        )
    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return StoreUnreachable(f"{subject}: no connection.", _REACH)
    if isinstance(error, boto.ReadTimeoutError):
        return StoreUnreachable(f"{subject}: no answer within {location.read_timeout:g} s.", _REACH)
    if isinstance(error, (boto.HTTPClientError, boto.IncompleteReadError, boto.ConnectionError)):
        return StoreUnreachable(
            f"{subject}: the connection broke, over all retries.", "Run again; if it repeats, look at the network."
        )
    if isinstance(error, boto.ParamValidationError):
        return InvalidInput(f"{subject}: {error}", "")
    return StoreError(f"{subject}: {error}", "")
