# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role qdrant_bucket on a store that refuses one request: because it does not know it, or for another reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bucket_playbook import Aws, Json, set_up
from tests.faults.proxy import FaultProxy, Rule

pytestmark = pytest.mark.slow


@pytest.fixture
def aws(moto_s3: str, tmp_path: Path) -> Aws:
    """With buckets that do not exist yet."""
    return Aws(moto_s3, tmp_path)


def through(proxy: FaultProxy, aws: Aws) -> Json:
    """A repository behind a proxy."""
    bucket = {"bucket": aws.near, "cluster": "production", "addressing_style": "path", "region": "us-east-1"}
    return {"name": "near", **bucket, "endpoint_url": proxy.url, "access_key": "operator", "secret_key": aws.secret}


def error(code: str) -> bytes:
    """The body of an S3 error."""
    return f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()


def test_an_error_is_no_missing_feature(aws: Aws) -> None:
    with FaultProxy(aws.url) as proxy:
        tags = proxy.add(Rule(method="PUT", path="tagging", times=None, status=405, body=error("MethodNotAllowed")))
        ownership = proxy.add(
            Rule(method="PUT", path="ownershipControls", times=None, status=501, body=error("NotImplemented"))
        )
        policy = proxy.add(Rule(method="PUT", path="policy", times=None, status=403, body=error("AccessDenied")))
        wanted = {"deny_plain_http": False, "tags": {"a": "b"}, "required": []}
        failed = set_up(aws.folder, {"repositories": [through(proxy, aws)], **wanted})
        assert failed.status != 0
        assert "near: policy was not set. Failed to set bucket policy" in failed.said
        assert "AccessDenied" in failed.said
        assert all(rule.hits for rule in (tags, ownership, policy))
        proxy.clear()
        proxy.add(Rule(method="PUT", path="tagging", times=None, status=405, body=error("MethodNotAllowed")))
        done = set_up(aws.folder, {"repositories": [through(proxy, aws)], **wanted})
    assert done.status == 0, done.output
    assert done.states["near"]["tags"] == "unsupported"
    assert done.states["near"]["ownership"] in ("set", "unchanged")
    assert done.states["near"]["policy"] == "set"


def test_a_store_without_locks(aws: Aws) -> None:
    lock = {"lock_mode": "governance", "lock_days": 3, "deny_plain_http": False}
    with FaultProxy(aws.url) as proxy:
        first = Rule(method="PUT", path=f"/{aws.near}$", status=501, body=error("NotImplemented"))
        proxy.add(first)
        variables = {"repositories": [through(proxy, aws)], **lock}
        failed = set_up(aws.folder, variables | {"required": ["object_lock"]})
        assert failed.status != 0
        assert aws.near not in {bucket["Name"] for bucket in aws.client().list_buckets()["Buckets"]}
        first.hits = 0
        done = set_up(aws.folder, variables)
    assert done.status == 0, done.output
    assert done.states["near"]["object_lock"] == "unsupported"
    assert done.states["near"]["versioning"] == "set"
