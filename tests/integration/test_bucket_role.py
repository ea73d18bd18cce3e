# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role qdrant_bucket on a real S3 server over HTTPS, and on moto for what only AWS has."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.bucket_playbook import Aws, Json, set_up
from tests.made_backups import PART, location_on, some_bytes, store_object
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.s3, pytest.mark.slow]

ROLE = "arn:aws:iam::111122223333:role/replication"
# What SeaweedFS has of what is asked for below.
HAS = {"versioning", "encryption", "ownership", "tags", "object_lock", "lifecycle", "policy"}
HAS_NOT = {"public_access", "transition"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tls_files: dict[str, str]) -> Iterator[SeaweedServer]:
    """An S3 server with HTTPS."""
    files = (Path(tls_files["cert"]), Path(tls_files["key"]))
    with SeaweedServer(tmp_path_factory.mktemp("bucket"), certificate=files) as server:
        yield server


class MadeBucket:
    """A bucket that the role has set up, and the runs that did: planned, done, done again, and planned again."""

    def __init__(self, server: SeaweedServer, ca: str, folder: Path) -> None:
        self.server, self.ca, self.folder = server, ca, folder
        self.name = f"b-{secrets.token_hex(6)}"
        self.variables: Json = {
            "repositories": [self.repository(self.name)],
            "lock_mode": "governance",
            "lock_days": 3,
            "tags": {"team": "recovery"},
            "transitions": [{"days": 30, "storage_class": "GLACIER"}],
        }
        self.planned = set_up(folder, self.variables, "--check")
        self.existed = self.name in {bucket["Name"] for bucket in server.client().list_buckets()["Buckets"]}
        self.done = set_up(folder, self.variables, "-vvvv")
        self.again = set_up(folder, self.variables)
        self.planned_again = set_up(folder, self.variables, "--check")

    def repository(self, bucket: str) -> Json:
        """As a survey fills it in: with empty strings."""
        return {
            "name": "near",
            "bucket": bucket,
            "cluster": "production",
            "prefix": "qdrant",
            "profile": "",
            "kms_key_id": "",
            "region": self.server.region,
            "endpoint_url": self.server.https_endpoint,
            "ca_path": self.ca,
            "access_key": self.server.access_key,
            "secret_key": self.server.secret_key,
        }

    def client(self) -> Any:
        """A client over HTTPS."""
        import boto3
        from botocore.config import Config

        keys = {"aws_access_key_id": self.server.access_key, "aws_secret_access_key": self.server.secret_key}
        config = Config(s3={"addressing_style": "path"}, proxies={})
        return boto3.session.Session(**keys, region_name=self.server.region).client(
            "s3", endpoint_url=self.server.https_endpoint, verify=self.ca, config=config
        )

    def refused(self, client: Any, operation: str, **request: Any) -> bool:
        """Whether the store denies it."""
        from botocore.exceptions import ClientError

        with pytest.raises(ClientError) as error:
            getattr(client, operation)(Bucket=self.name, **request)
        return error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.fixture(scope="module")
def made(server: SeaweedServer, tls_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> MadeBucket:
    """A bucket on the real server."""
    made = MadeBucket(server, tls_files["ca"], tmp_path_factory.mktemp("operator"))
    assert [run.status for run in (made.planned, made.done, made.again, made.planned_again)] == [0] * 4, (
        made.done.output
    )
    return made


def test_check_mode_makes_nothing_and_says_what_would_be_made(made: MadeBucket) -> None:
    assert not made.existed
    # The bucket and each of its features: that a store lacks one is only seen in a bucket.
    assert made.planned.changed == 1 + len(HAS | HAS_NOT)
    assert set(made.planned.states["near"].values()) == {"set"}


def test_each_feature_is_set_or_named_as_unsupported(made: MadeBucket) -> None:
    states = made.done.states["near"]
    assert {name for name, state in states.items() if state == "unsupported"} == HAS_NOT
    assert {name for name, state in states.items() if state in ("set", "unchanged")} == HAS
    assert "Warning: near: public_access, but the store does not know it; near: transition" in made.done.said
    client = made.client()
    assert client.get_bucket_versioning(Bucket=made.name)["Status"] == "Enabled"
    lock = client.get_object_lock_configuration(Bucket=made.name)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"
    [rule] = client.get_bucket_lifecycle_configuration(Bucket=made.name)["Rules"]
    assert rule["Filter"] == {"Prefix": "qdrant/"}
    assert rule["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    assert client.get_bucket_tagging(Bucket=made.name)["TagSet"] == [{"Key": "team", "Value": "recovery"}]


def test_a_second_run_changes_nothing(made: MadeBucket) -> None:
    assert made.again.changed == 0, made.again.output
    expected = dict.fromkeys(HAS, "unchanged") | dict.fromkeys(HAS_NOT, "unsupported")
    assert made.again.states["near"] == expected
    # In check mode nothing is tried, and this store only refuses transitions when they are tried.
    assert made.planned_again.states["near"] == expected | {"transition": "set"}
    assert made.planned_again.changed == 1


def test_secrets_stay_out_of_the_output(made: MadeBucket) -> None:
    assert "s3_bucket" in made.done.output
    assert made.server.secret_key not in made.done.output


def test_plain_http_is_refused(made: MadeBucket) -> None:
    assert made.refused(made.server.client(), "list_objects_v2")
    assert made.refused(made.server.client(), "put_object", Key="qdrant/x", Body=b"x", ServerSideEncryption="AES256")
    assert made.client().list_objects_v2(Bucket=made.name)["KeyCount"] >= 0


def test_otherwise_encrypted_objects_are_refused(made: MadeBucket) -> None:
    client = made.client()
    assert made.refused(client, "put_object", Key="qdrant/x", Body=b"x", ServerSideEncryption="aws:kms")
    assert made.refused(client, "create_multipart_upload", Key="qdrant/x", ServerSideEncryption="aws:kms")
    client.put_object(Bucket=made.name, Key="qdrant/x", Body=b"x")
    assert client.head_object(Bucket=made.name, Key="qdrant/x")["ServerSideEncryption"] == "AES256"


def test_backups_get_in_and_are_locked(made: MadeBucket) -> None:
    location = location_on(made.server, made.name, endpoint_url=made.server.https_endpoint, ca_path=made.ca)
    with Repository(location) as repository:
        store_object(repository, "large", some_bytes(2 * PART + 7))
        repository.put("small", b"x", if_none_match=True)
        info = repository.head("large")
        assert (info.encryption, info.size) == ("AES256", 2 * PART + 7)
        assert info.version_id
        assert made.refused(made.client(), "delete_object", Key=location.root + "large", VersionId=info.version_id)


def test_a_required_feature_that_the_store_lacks_fails(made: MadeBucket) -> None:
    failed = set_up(made.folder, made.variables | {"required": ["versioning", "public_access"]})
    assert failed.status != 0
    assert "not there: near: public_access, but the store does not know it." in failed.said
    assert failed.changed == 0


def test_wrong_keys_fail(made: MadeBucket, tmp_path: Path) -> None:
    repository = made.repository(made.name) | {"secret_key": "wrong-" + secrets.token_hex(8)}
    failed = set_up(tmp_path, {"repositories": [repository], "required": []})
    assert failed.status != 0
    assert "SignatureDoesNotMatch" in failed.output
    assert repository["secret_key"] not in failed.output


# -- what only AWS has


@pytest.fixture
def aws(moto_s3: str, tmp_path: Path) -> Aws:
    """With two buckets that do not exist yet."""
    return Aws(moto_s3, tmp_path)


def test_aws_has_it_all(aws: Aws) -> None:
    wanted: Json = {
        "required": ["public_access", "ownership", "lifecycle", "transition", "object_lock", "policy"],
        "lock_mode": "compliance",
        "lock_days": 20,
        "transitions": [{"days": 30, "storage_class": "STANDARD_IA"}, {"days": 60, "storage_class": "DEEP_ARCHIVE"}],
        "replication_role_arn": ROLE,
    }
    done = aws.runs(**wanted)
    assert done.status == 0, done.output
    assert done.states["near"].pop("replication") == "manual"
    assert {state for states in done.states.values() for state in states.values()} <= {"set", "unchanged"}
    assert "DEEP_ARCHIVE after 60 days: each object is billed for 180 days at least" in done.said
    assert "takes 12 hours. That counts into the RTO" in done.said
    client = aws.client()
    assert client.get_bucket_location(Bucket=aws.near)["LocationConstraint"] == "eu-west-1"
    assert aws.client("us-west-2").get_bucket_location(Bucket=aws.far)["LocationConstraint"] == "us-west-2"
    [encryption] = client.get_bucket_encryption(Bucket=aws.near)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": aws.key}
    assert encryption["BucketKeyEnabled"]
    assert all(client.get_public_access_block(Bucket=aws.near)["PublicAccessBlockConfiguration"].values())
    [ownership] = client.get_bucket_ownership_controls(Bucket=aws.near)["OwnershipControls"]["Rules"]
    assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
    rules = client.get_bucket_lifecycle_configuration(Bucket=aws.near)["Rules"]
    assert [rule.get("Expiration") for rule in rules] == [{"ExpiredObjectDeleteMarker": True}, None]
    assert [step["StorageClass"] for step in rules[1]["Transitions"]] == ["STANDARD_IA", "DEEP_ARCHIVE"]
    # The printed configuration is one that AWS takes; once it is there, the role sees it.
    client.put_bucket_replication(Bucket=aws.near, ReplicationConfiguration=done.policies["near"]["replication"])
    again = aws.runs(**wanted)
    assert (again.status, again.changed) == (0, 0), again.output
    assert {state for states in again.states.values() for state in states.values()} == {"unchanged"}


def test_what_is_not_ours_is_kept(aws: Aws) -> None:
    client = aws.create()
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "*"}
    client.put_bucket_policy(Bucket=aws.near, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    client.put_bucket_tagging(Bucket=aws.near, Tagging={"TagSet": [{"Key": "theirs", "Value": "1"}]})
    logs = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}
    client.put_bucket_lifecycle_configuration(Bucket=aws.near, LifecycleConfiguration={"Rules": [logs]})
    del aws.repositories[1]
    done = aws.runs(tags={"ours": "2"})
    assert done.status == 0, done.output
    statements = json.loads(client.get_bucket_policy(Bucket=aws.near)["Policy"])["Statement"]
    assert statements[0] == theirs
    assert [statement["Sid"] for statement in statements[1:]] == [
        "QdrantDrDenyPlainHttp",
        "QdrantDrDenyOtherEncryption",
        "QdrantDrDenyOtherKey",
        "QdrantDrDenyUnencrypted",
    ]
    assert {tag["Key"] for tag in client.get_bucket_tagging(Bucket=aws.near)["TagSet"]} == {"theirs", "ours"}
    rules = client.get_bucket_lifecycle_configuration(Bucket=aws.near)["Rules"]
    assert [rule["ID"] for rule in rules] == ["logs", "qdrant-dr"]


def test_a_bucket_for_a_key_of_the_customer(aws: Aws) -> None:
    """A default that a bucket can have, and no object without that key."""
    [near] = aws.repositories = aws.repositories[:1]
    del near["kms_key_id"]
    near.update(encryption="SSE-C", sse_customer_key_file="/not/needed/here")
    done = aws.runs()
    assert done.status == 0, done.output
    client = aws.client()
    [rule] = client.get_bucket_encryption(Bucket=aws.near)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    statements = json.loads(client.get_bucket_policy(Bucket=aws.near)["Policy"])["Statement"]
    conditions = {statement["Sid"]: statement["Condition"] for statement in statements}
    assert conditions["QdrantDrDenyUnencrypted"] == {
        "Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}
    }
    assert (aws.runs().changed, aws.runs().status) == (0, 0)


def test_a_bucket_that_cannot_become_what_is_asked_for_stops_all(aws: Aws) -> None:
    client = aws.create()
    rules = [
        {"ID": "purge", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}},
        {"ID": "part", "Status": "Enabled", "Filter": {"Prefix": "production/products/"}, "Expiration": {"Days": 9}},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}},
        {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}},
    ]
    client.put_bucket_lifecycle_configuration(Bucket=aws.near, LifecycleConfiguration={"Rules": rules})
    aws.repositories.reverse()
    refused = aws.runs(lock_mode="governance", lock_days=3)
    assert (refused.status != 0, refused.changed) == (True, 0)
    assert f"Nothing was changed: near: {aws.near} exists without an object lock" in refused.said
    assert f"near: a lifecycle rule of {aws.near} would delete backups: remove purge, part." in refused.said
    # The other region, whose turn is first, was not touched either.
    assert aws.far not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


# -- what is refused before anything is contacted

NOWHERE = "http://127.0.0.1:9"


def test_input_that_contradicts_itself_is_refused_in_one_sentence(tmp_path: Path) -> None:
    same = {"bucket": "same", "cluster": "c", "endpoint_url": NOWHERE}
    refused = set_up(
        tmp_path,
        {
            "repositories": [
                same,
                {**same, "encryption": "aws:kms"},
                {"bucket": "b", "cluster": "", "kms_key_id": "k"},
            ],
            "versioning": False,
            "lock_mode": "compliance",
            "lock_days": 40,
            "required": ["tags"],
            "replication_role_arn": ROLE,
            "transitions": [
                {"days": 10, "storage_class": "STANDARD_IA"},
                {"days": 50, "storage_class": "GLACIER_IR"},
                {"days": 90, "storage_class": "DEEP_ARCHIVE"},
            ],
        },
    )
    assert (refused.status != 0, refused.changed) == (True, 0)
    for problem in (
        "Nothing was changed: set bucket and cluster in each of qdrant_bucket_repositories; ",
        "give each of qdrant_bucket_repositories a name of its own",
        "name each bucket once",
        "an object lock needs qdrant_bucket_versioning",
        "qdrant_bucket_noncurrent_days is below qdrant_bucket_lock_days",
        "admit: STANDARD_IA not before day 30, DEEP_ARCHIVE not before day 140;",
        "encryption aws:kms needs a kms_key_id",
        "kms_key_id needs encryption aws:kms",
        "kms_key_id must be the ARN of the key",
        "qdrant_bucket_deny_plain_http would lock everyone out",
        "qdrant_bucket_required names what is switched off: tags",
        "replication needs two or more repositories",
    ):
        assert problem in refused.said


def test_half_a_lock_is_refused(tmp_path: Path) -> None:
    repository = {"bucket": "b", "cluster": "c", "endpoint_url": NOWHERE.replace("http", "https")}
    refused = set_up(tmp_path, {"repositories": [repository], "lock_days": 3}, "--tags", "qdrant_bucket_preflight")
    assert (
        "Nothing was changed: set both qdrant_bucket_lock_mode and qdrant_bucket_lock_days, or neither." in refused.said
    )


def test_policies_alone_need_no_store(tmp_path: Path) -> None:
    same = {"bucket": "b", "prefix": "/qdrant/", "endpoint_url": NOWHERE}
    repositories = [{**same, "name": name, "cluster": name} for name in ("blue", "green")]
    made = set_up(tmp_path, {"repositories": repositories, "policies_only": True})
    assert (made.status, made.changed, made.states) == (0, 0, {}), made.output
    [read] = [each for each in made.policies["green"]["restorer"]["Statement"] if each["Sid"] == "ReadBackups"]
    assert read["Resource"] == "arn:aws:s3:::b/qdrant/green/*"
    assert '"s3:PutObject"' in made.output
