# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bucket_check on a store that does what it is asked; those that lie: tests/faults/test_lying_store.py."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.bucket_verdict import ALL, NAMES
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import bucket_check as operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.bucket_check import check_bucket
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import collections_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, location_on
from tests.proofs import holdings
from tests.tls_front import TlsFront
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

Run = Callable[..., dict[str, Any]]
# What a plain bucket of a server without TLS does not have.
LACKING = {"encryption_default", "versioning", "object_lock", "plain_http_refused"}
NEED_WRITING = set(NAMES) - {"versioning", "object_lock", "plain_http_refused", "clock_skew"}


def by_verdict(result: dict[str, Any], *verdicts: str) -> set[str]:
    return {row["check"] for row in result["checks"] if row["verdict"] in verdicts}


def row_of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in result["checks"] if row["check"] == name)


def warned(result: dict[str, Any]) -> set[str]:
    """The checks that a module's warnings are about."""
    return {name for name in NAMES if f"{name}:" in str(result["warnings"])}


def everything_in(server: SeaweedServer, bucket: str) -> list[str]:
    """All versions, delete markers and open uploads of a bucket."""
    client = server.client()
    versions = client.list_object_versions(Bucket=bucket)
    found = [item["Key"] for kind in ("Versions", "DeleteMarkers") for item in versions.get(kind, [])]
    return found + [item["Key"] for item in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def allow_strangers(server: SeaweedServer, bucket: str, *actions: str) -> None:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": list(actions), "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.client().put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.mark.parametrize("checksum_mode", ["when_supported", "when_required"])
def test_a_plain_bucket_is_good_enough_and_is_left_as_it_was(
    s3_server: SeaweedServer, bucket: str, run_module: Run, checksum_mode: str
) -> None:
    location = location_on(s3_server, bucket, checksum_mode=checksum_mode)
    result = run_module("bucket_check", {"repository": as_option(location)})
    assert (result["changed"], result["verdict"], result["leftovers"]) == (False, "passed", [])
    assert by_verdict(result, "failed") == LACKING
    assert by_verdict(result, "passed") == set(NAMES) - LACKING
    assert warned(result) == LACKING
    assert row_of(result, "plain_http_refused")["found"] == "the endpoint itself is plain HTTP"
    assert everything_in(s3_server, bucket) == []
    assert s3_server.secret_key not in repr(result)


def test_what_is_required_and_does_not_pass_fails(s3_server: SeaweedServer, bucket: str, run_module: Run) -> None:
    params = {"repository": as_option(location_on(s3_server, bucket)), "required": ["immutability", "range_read"]}
    result = run_module("bucket_check", params)
    assert (result["failure"]["code"], result["verdict"]) == ("bucket_unfit", "failed")
    for words in ("versioning (failed, found: not enabled)", "object_lock (failed, found: not enabled)"):
        assert words in result["failure"]["detail"]
    assert "range_read" not in result["failure"]["detail"]
    assert {row["check"] for row in result["checks"] if row["required"]} == {"versioning", "object_lock", "range_read"}
    assert by_verdict(result, "failed") == LACKING
    assert everything_in(s3_server, bucket) == []


def test_encryption_by_default_and_versions_are_seen(s3_server: SeaweedServer, bucket: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client = s3_server.client()
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with Repository(location_on(s3_server, bucket, encryption="none")) as repository:
        result = check_bucket(repository, ["encryption_default", "versioning", "delete_effective"])
    assert row_of(result, "encryption_default")["found"] == "AES256"
    assert row_of(result, "encryption_asked")["verdict"] == "not_checked"
    assert everything_in(s3_server, bucket) == []


def test_a_policy_that_demands_encryption(s3_server: SeaweedServer, bucket: str) -> None:
    condition = {"Null": {"s3:x-amz-server-side-encryption": "true"}}
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}
    s3_server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with Repository(location_on(s3_server, bucket)) as repository:
        result = check_bucket(repository, ["encryption_default"])
    assert row_of(result, "encryption_default")["found"] == "refused"
    # This server takes the policy to be about parts as well, which name no encryption, and about aborting uploads.
    assert by_verdict(result, "not_checked") == {"encryption_asked", "multipart_copy"}
    assert {item["key"].split("/")[0] for item in result["leftovers"]} == {"multipart upload of .probe"}


@pytest.mark.parametrize("mode", [None, "GOVERNANCE", "COMPLIANCE"])
def test_locks_hold_and_end_in_a_minute(s3_server: SeaweedServer, mode: str | None) -> None:
    bucket = s3_server.create_bucket(f"b-{secrets.token_hex(6)}", ObjectLockEnabledForBucket=True)
    if mode:
        lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Days": 30}}}
        s3_server.client().put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
    with Repository(location_on(s3_server, bucket)) as repository:
        result = check_bucket(repository, ["immutability", "delete_effective"])
        assert collections_of(repository) == []
    left = result["leftovers"]
    names = {item["key"].split("/")[-1] for item in left}
    assert names == {"locked", "locked-in-parts"} if mode is None else names > {"locked", "locked-in-parts"}
    for item in left:
        until = datetime.fromisoformat(item["locked_until"].replace("Z", "+00:00"))
        assert until < datetime.now(timezone.utc) + timedelta(seconds=61)
        assert item["version_id"]
        assert "AccessDenied" in item["reason"]
    assert sorted(everything_in(s3_server, bucket)) == sorted(f"qdrant/production/{item['key']}" for item in left)
    assert (f"{mode} for 30 days" if mode else "no object by itself") in row_of(result, "object_lock")["detail"]


@pytest.mark.parametrize(
    ("actions", "found"), [(["s3:GetObject"], "may read"), (["s3:GetObject", "s3:ListBucket"], "may list, read")]
)
def test_a_bucket_open_to_strangers_is_unfit(
    s3_server: SeaweedServer, bucket: str, actions: list[str], found: str
) -> None:
    allow_strangers(s3_server, bucket, *actions)
    with Repository(location_on(s3_server, bucket)) as repository, pytest.raises(errors.BucketUnfit) as unfit:
        check_bucket(repository)
    assert f"anonymous_refused (failed, found: {found})" in unfit.value.detail
    assert everything_in(s3_server, bucket) == []


@pytest.mark.parametrize(("plain", "verdict", "found"), [(False, "passed", "no answer"), (True, "failed", "answered")])
@pytest.mark.parametrize("check", [False, True])
def test_plain_http_beside_tls_is_seen(
    s3_server: SeaweedServer, bucket: str, tmp_path: Path, plain: bool, verdict: str, found: str, check: bool
) -> None:
    with TlsFront(s3_server.endpoint, tmp_path, plain) as front:
        location = location_on(s3_server, bucket, endpoint_url=front.url, ca_path=str(tmp_path / "cert.pem"))
        with Repository(location) as repository:
            result = check_bucket(repository, [], check=check)
    row = row_of(result, "plain_http_refused")
    assert (row["verdict"], row["found"]) == (verdict, found)


@pytest.mark.parametrize("bucket_is", ["plain", "locking", "open"])
def test_check_mode_writes_nothing_and_says_what_it_could_not_see(
    s3_server: SeaweedServer, run_module: Run, bucket_is: str
) -> None:
    bucket = s3_server.create_bucket(f"b-{secrets.token_hex(6)}", ObjectLockEnabledForBucket=bucket_is == "locking")
    if bucket_is == "open":
        allow_strangers(s3_server, bucket, "s3:ListBucket")
    with Repository(location_on(s3_server, bucket)) as repository:
        repository.put(".probe/left/x", b"left by a check that was killed")
        before = holdings(repository)
        result = run_module("bucket_check", {"repository": as_option(repository.location)}, check=True)
        assert holdings(repository) == before
    unseen = by_verdict(result, "not_checked")
    if bucket_is == "open":
        assert result["failure"]["code"] == "bucket_unfit"
        assert unseen == NEED_WRITING - {"anonymous_refused"}
        return
    assert (result["verdict"], result["changed"]) == ("not_checked", False)
    assert unseen == (NEED_WRITING if bucket_is == "plain" else NEED_WRITING | {"versioning", "object_lock"})
    assert row_of(result, "clock_skew")["verdict"] == "passed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bucket": "no-such-bucket"}, "bucket_not_found"),
        ({"secret_key": "wrong"}, "store_denied"),
        ({"access_key": "nobody"}, "store_denied"),
        ({"endpoint_url": "http://127.0.0.1:9", "connect_timeout": 1}, "store_unreachable"),
    ],
)
def test_a_store_that_cannot_be_checked_is_a_clear_error(
    s3_server: SeaweedServer, bucket: str, run_module: Run, changes: dict[str, Any], code: str
) -> None:
    result = run_module("bucket_check", {"repository": {**as_option(location_on(s3_server, bucket)), **changes}})
    assert (result["failure"]["code"], "checks" in result) == (code, False)
    assert result["failure"]["hint"]
    assert s3_server.secret_key not in repr(result)


def test_options_that_cannot_be_right(s3_server: SeaweedServer, bucket: str, run_module: Run) -> None:
    option = {"repository": as_option(location_on(s3_server, bucket))}
    result = run_module("bucket_check", {**option, "max_clock_skew": -1})
    assert result["failure"]["code"] == "invalid_input"
    assert "required" in run_module("bucket_check", {**option, "required": ["durability"]})["msg"]


def test_what_killed_checks_left_is_removed_when_it_is_old(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.put(".probe/killed/x", b"1")
    repository.start_upload(".probe/killed/y")
    check_bucket(repository)
    assert {key.split("/")[-1] for key in holdings(repository)} == {"x", "y"}, "they may be those of a running check"
    later = datetime.now(timezone.utc) + timedelta(hours=1, seconds=5)
    monkeypatch.setattr(operation.ClockReading, "store_now", lambda self: later)
    check_bucket(repository)
    assert holdings(repository) == {}


def test_probes_are_removed_after_an_error(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setitem(operation.PROBES, "delete_effective", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        check_bucket(repository, [ALL])
    assert holdings(repository) == {}
