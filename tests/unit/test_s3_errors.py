# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that boto3 can raise becomes one of our errors, with words that help and without credentials."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.s3_errors import translated

PLACE = StoreLocation(
    "primary",
    "backups",
    "production",
    endpoint_url="http://s3.example.com:9000",
    access_key="the-access-key",
    secret_key="the-secret-key",
    session_token="the-session-token",
)


def answered(status: int, code: str, message: str = "Some words.") -> boto.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 4},
    }
    return boto.ClientError(response, "GetObject")


ANSWERS = [
    (403, "InvalidAccessKeyId", errors.StoreDenied, "access_key"),
    (403, "SignatureDoesNotMatch", errors.StoreDenied, "secret_key"),
    (403, "RequestTimeTooSkewed", errors.StoreDenied, "clock"),
    (400, "ExpiredToken", errors.StoreDenied, "expired"),
    (403, "AccessDenied", errors.StoreDenied, "rights"),
    (403, "403", errors.StoreDenied, "rights"),
    (401, "Unauthorized", errors.StoreDenied, "rights"),
    (404, "NoSuchBucket", errors.BucketNotFound, "Create the bucket"),
    (404, "NoSuchKey", errors.ObjectNotFound, ""),
    (404, "404", errors.ObjectNotFound, ""),
    (404, "NoSuchUpload", errors.StoreError, "Run again"),
    (412, "PreconditionFailed", errors.ObjectExists, "Nothing was overwritten"),
    (409, "ConditionalRequestConflict", errors.ObjectExists, "Nothing was overwritten"),
    (400, "BadDigest", errors.ChecksumRefused, "Nothing was stored"),
    (400, "XAmzContentChecksumMismatch", errors.ChecksumRefused, "Nothing was stored"),
    (503, "SlowDown", errors.StoreUnreachable, "overloaded"),
    (429, "TooManyRequests", errors.StoreUnreachable, "overloaded"),
    (500, "InternalError", errors.StoreUnreachable, "health"),
    (507, "XMinioStorageFull", errors.StoreError, "no room"),
    (301, "PermanentRedirect", errors.StoreError, "set region"),
    (400, "AuthorizationHeaderMalformed", errors.StoreError, "set region"),
    (411, "MissingContentLength", errors.StoreError, "when_required"),
    (400, "KMS.NotFoundException", errors.StoreError, "kms_key_id"),
    (416, "InvalidRange", errors.StoreError, "cut short"),
    (400, "Whatever", errors.StoreError, ""),
]


@pytest.mark.parametrize(("status", "code", "expected", "hint"), ANSWERS)
def test_answers_of_a_store(status: int, code: str, expected: type[errors.DrError], hint: str) -> None:
    with pytest.raises(errors.StoreError) as caught, translated(PLACE, "read", "docs/x"):
        raise answered(status, code)
    assert caught.type is expected
    assert hint in caught.value.hint
    assert "s3://backups/production/docs/x at http://s3.example.com:9000" in caught.value.detail


ENDPOINT = "http://s3.example.com:9000"
UNANSWERED = [
    (boto.NoCredentialsError(), errors.StoreDenied, "credentials"),
    (boto.PartialCredentialsError(provider="env", cred_var="x"), errors.StoreDenied, "credentials"),
    (boto.EndpointConnectionError(endpoint_url=ENDPOINT), errors.StoreUnreachable, "no connection"),
    (boto.ConnectTimeoutError(endpoint_url=ENDPOINT), errors.StoreUnreachable, "no connection"),
    (boto.ReadTimeoutError(endpoint_url=ENDPOINT), errors.StoreUnreachable, "60 s"),
    (boto.ConnectionClosedError(endpoint_url=ENDPOINT), errors.StoreUnreachable, "connection broke"),
    (boto.ResponseStreamingError(error="x"), errors.StoreUnreachable, "connection broke"),
    (boto.SSLError(endpoint_url=ENDPOINT, error="self-signed"), errors.StoreUnreachable, "TLS"),
    (boto.ProfileNotFound(profile="x"), errors.InvalidInput, "profile"),
    (boto.NoRegionError(), errors.InvalidInput, "region"),
    (boto.ParamValidationError(report="bad"), errors.InvalidInput, "bad"),
    (ValueError("Invalid endpoint: x"), errors.InvalidInput, "endpoint"),
]


@pytest.mark.parametrize(("error", "expected", "words"), UNANSWERED, ids=lambda value: type(value).__name__)
def test_faults_without_an_answer(error: Exception, expected: type[errors.DrError], words: str) -> None:
    with pytest.raises(errors.DrError) as caught, translated(PLACE, "list"):
        raise error
    assert caught.type is expected
    assert words in caught.value.detail


def test_what_is_not_boto3s_passes_unchanged() -> None:
    for error in (ZeroDivisionError(), errors.BackupNotFound("x"), ValueError("else")):
        with pytest.raises(type(error)) as caught, translated(PLACE, "list"):
            raise error
        assert caught.value is error


def test_credentials_are_in_no_message_and_no_repr() -> None:
    texts = [repr(PLACE), str(PLACE)]
    for status, code, _expected, _hint in ANSWERS:
        with pytest.raises(errors.StoreError) as caught, translated(PLACE, "read", "x"):
            raise answered(status, code)
        texts.append(caught.value.detail + caught.value.hint)
    for text in texts:
        assert not any(secret in text for secret in ("the-access-key", "the-secret-key", "the-session-token"))
