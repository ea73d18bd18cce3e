# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repository options: what fits, what is refused, and where an object lies."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    REPOSITORY_SUBSPEC,
    store_location,
    store_locations,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import EncryptionRefused, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores import encryption
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ObjectInfo, StoreLocation


def params(**changes: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in REPOSITORY_SUBSPEC.items()}
    return {**defaults, "bucket": "backups", "cluster": "production", **changes}


def test_the_name_is_the_buckets_by_default() -> None:
    assert store_location(params()).name == "backups"
    assert store_location(params(name="eu")).name == "eu"


def test_the_spec_names_every_field_of_a_location() -> None:
    assert set(REPOSITORY_SUBSPEC) == set(StoreLocation.__dataclass_fields__)
    for name, field in StoreLocation.__dataclass_fields__.items():
        if name not in ("name", "bucket", "cluster"):
            assert REPOSITORY_SUBSPEC[name].get("default") == field.default


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bucket": "a/b"}, "no bucket name"),
        ({"bucket": ""}, "no bucket name"),
        ({"cluster": "a/b"}, "no cluster name"),
        ({"cluster": ""}, "no cluster name"),
        ({"kms_key_id": "k"}, "encryption is AES256"),
        ({"session_token": "t"}, "session_token"),
        ({"encryption": "SSE-C"}, "encryption SSE-C, and no customer key"),
        ({"encryption": "SSE-C", "sse_customer_key": "k", "sse_customer_key_file": "f"}, "and 2 customer keys"),
        ({"sse_customer_key_file": "f"}, "encryption AES256, and 1 customer key"),
        ({"connect_timeout": 0}, "connect_timeout is 0"),
        ({"client_encryption": {}}, "names no key"),
        ({"client_encryption": {"key_file": ""}}, "names no key"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        store_location(params(**changes))


@pytest.mark.parametrize("endpoint", ["https://me:hunter2@s3.example.com", "me:hunter2@s3", "http://me:hunt/er2@[::1"])
def test_secrets_in_an_endpoint_are_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(InvalidInput, match="endpoint_url of the repository 'backups' has a user") as refusal:
        store_location(params(endpoint_url=endpoint))
    assert "er2" not in str(refusal.value.failure())


def test_names_in_a_list_must_differ() -> None:
    assert [place.name for place in store_locations([params(name="a"), params(name="b")])] == ["a", "b"]
    with pytest.raises(InvalidInput, match="named backups"):
        store_locations([params(), params()])


@pytest.mark.parametrize(
    ("prefix", "root"),
    [("", "production/"), ("a", "a/production/"), ("/a/b/", "a/b/production/"), ("/", "production/")],
)
def test_the_root_of_all_keys(prefix: str, root: str) -> None:
    assert store_location(params(prefix=prefix)).root == root


def test_who_can_copy_from_whom() -> None:
    def identity(**changes: Any) -> str:
        return store_location(params(**changes)).endpoint_identity

    assert identity(endpoint_url="http://A:9000/") == identity(endpoint_url="http://a:9000")
    assert identity(endpoint_url="http://a:9000") != identity(endpoint_url="http://a:9001")
    assert identity(region="eu-central-1") == identity(region="us-east-1") == identity()
    assert identity(region="cn-north-1") != identity(region="us-east-1")


KMS = {"encryption": "aws:kms"}
SSE_C = {"encryption": "SSE-C", "sse_customer_key": "ab" * 32}
SSE_C_MD5 = base64.b64encode(hashlib.md5(b"\xab" * 32).digest()).decode()
ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"


@pytest.mark.parametrize(
    ("asked", "shown", "key", "good"),
    [
        ({"encryption": "none"}, "none", None, True),
        ({}, "AES256", None, True),
        ({}, "aws:kms", ARN, True),
        ({}, "none", None, False),
        ({}, None, None, False),
        (KMS, "AES256", None, False),
        (KMS, "aws:kms", ARN, True),
        ({**KMS, "kms_key_id": "1234abcd"}, "aws:kms", ARN, True),
        ({**KMS, "kms_key_id": ARN}, "aws:kms:dsse", ARN, True),
        ({**KMS, "kms_key_id": "alias/backups"}, "aws:kms", ARN, True),
        ({**KMS, "kms_key_id": "another"}, "aws:kms", ARN, False),
        ({**KMS, "kms_key_id": "another"}, "aws:kms", None, False),
        (SSE_C, "SSE-C", SSE_C_MD5, True),
        (SSE_C, "SSE-C", f"{SSE_C_MD5}, {SSE_C_MD5}", True),
        (SSE_C, "SSE-C", f"{SSE_C_MD5}, another", False),
        (SSE_C, "SSE-C", "another", False),
        (SSE_C, "SSE-C", None, False),
        (SSE_C, "AES256", SSE_C_MD5, False),
        (KMS, "SSE-C", SSE_C_MD5, False),
    ],
)
def test_what_counts_as_encrypted(asked: dict[str, Any], shown: str | None, key: str | None, good: bool) -> None:
    info = ObjectInfo("x", 1, "e", encryption=shown, kms_key_id=key, customer_key_md5=key)
    if good:
        encryption.verify(store_location(params(**asked)), info, "s3://b/x")
    else:
        with pytest.raises(EncryptionRefused, match="s3://b/x was to be encrypted"):
            encryption.verify(store_location(params(**asked)), info, "s3://b/x")
