# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of the writer, the pruner and the restorer, enforced by a real S3 server as policy of the bucket."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    ObjectExists,
    ObjectNotFound,
    StoreDenied,
    StoreError,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.versions import list_versions
from tests.agent_process import Agent
from tests.bucket_playbook import Json, set_up
from tests.made_backups import PART, location_on, make_backup, some_bytes, store_object
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

WHO = ("writer", "pruner", "restorer")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """An S3 server that knows the three identities, and gives them no rights of its own."""
    with SeaweedServer(tmp_path_factory.mktemp("identities"), identities=WHO) as server:
        yield server


def policies_for(bucket: str, folder: Path) -> Json:
    """What the playbook prints for the repository of `location_on`."""
    repository = {"bucket": bucket, "cluster": "production", "prefix": "qdrant"}
    made = set_up(folder, {"repositories": [repository], "policies_only": True})
    assert made.status == 0, made.output
    printed: Json = made.policies[bucket]
    return printed


@pytest.fixture(scope="module")
def bucket(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket with locks, in which each identity has its policy."""
    name = server.create_bucket(f"b-{secrets.token_hex(6)}", ObjectLockEnabledForBucket=True)
    statements = [
        {**statement, "Sid": who + statement["Sid"], "Principal": {"AWS": f"arn:aws:iam::000000000000:user/{who}"}}
        for who, policy in policies_for(name, tmp_path_factory.mktemp("policies")).items()
        for statement in policy["Statement"]
    ]
    server.client().put_bucket_policy(
        Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    return name


@pytest.fixture
def opened(server: SeaweedServer, bucket: str) -> Iterator[Callable[..., Repository]]:
    """Call it as ``opened(who, cluster="production")`` for the repository as an identity sees it."""
    repositories: list[Repository] = []

    def open_as(who: str, cluster: str = "production") -> Repository:
        access_key, secret_key = (server.access_key, server.secret_key) if who == "owner" else server.keys[who]
        keys = {"access_key": access_key, "secret_key": secret_key}
        repositories.append(Repository(location_on(server, bucket, cluster=cluster, **keys)))
        return repositories[-1]

    yield open_as
    for repository in repositories:
        repository.close()


def test_the_writer_stores_and_cannot_delete(opened: Callable[..., Repository]) -> None:
    writer = opened("writer")
    writer.check_access()
    store_object(writer, "large", some_bytes(PART + 7))
    writer.put("small", b"1", if_none_match=True)
    with pytest.raises(ObjectExists):
        writer.put("small", b"2", if_none_match=True)
    assert writer.get("small") == b"1"
    with pytest.raises(ObjectNotFound):
        writer.head("missing")
    upload = writer.start_upload("left")
    assert [key for key, _id, _time in writer.uploads()] == ["left"]
    writer.abort_upload("left", upload)
    with RepositoryLock(writer, "backup") as lock:
        assert lock.held
    with pytest.raises(StoreError):
        writer.delete(["small"])
    version = opened("owner").head("small").version_id
    with pytest.raises(Exception, match="AccessDenied"):
        writer.client.delete_object(
            Bucket=writer.location.bucket, Key=writer.location.root + "small", VersionId=version
        )
    assert writer.get("small") == b"1"


def test_the_writer_sees_no_other_cluster(opened: Callable[..., Repository]) -> None:
    opened("owner", "other").put("secret", b"1")
    elsewhere = opened("writer", "other")
    for forbidden in (
        elsewhere.check_access,
        lambda: elsewhere.get("secret"),
        lambda: elsewhere.put("mine", b"1"),
    ):
        with pytest.raises(StoreDenied):
            forbidden()


def test_the_restorer_only_reads(opened: Callable[..., Repository]) -> None:
    opened("owner").put("backup", b"1")
    restorer = opened("restorer")
    assert restorer.get("backup") == b"1"
    assert "backup" in [info.key for info in restorer.list()]
    with pytest.raises(StoreDenied):
        restorer.put("backup", b"2")
    with pytest.raises(StoreError):
        restorer.delete(["backup"])
    with pytest.raises(StoreDenied):
        opened("restorer", "other").check_access()


def test_the_pruner_deletes_what_is_not_locked(opened: Callable[..., Repository]) -> None:
    owner, pruner = opened("owner"), opened("pruner")
    key = pruner.location.root + "old"
    bucket = {"Bucket": pruner.location.bucket, "Key": key}
    free = owner.put("old", b"1").version_id
    locked = owner.put("old", b"2").version_id
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    owner.client.put_object_retention(
        **bucket, VersionId=locked, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}
    )
    assert pruner.client.get_object_retention(**bucket, VersionId=locked)["Retention"]["Mode"] == "GOVERNANCE"
    listed = pruner.client.list_object_versions(Bucket=pruner.location.bucket, Prefix=key)["Versions"]
    assert {entry["VersionId"] for entry in listed} == {free, locked}
    pruner.client.delete_object(**bucket, VersionId=free)
    for bypass in (False, True):
        with pytest.raises(Exception, match="AccessDenied"):
            pruner.client.delete_object(**bucket, VersionId=locked, BypassGovernanceRetention=bypass)
    left = owner.client.list_object_versions(Bucket=pruner.location.bucket, Prefix=key)["Versions"]
    assert [entry["VersionId"] for entry in left] == [locked]
    pruner.delete(["old"])
    with pytest.raises(StoreDenied):
        pruner.put("old", b"3")
    with RepositoryLock(pruner, "prune") as lock:
        assert lock.held


def test_the_pruner_verifies_the_newest_and_prunes_the_rest(opened: Callable[..., Repository]) -> None:
    owner, pruner = opened("owner"), opened("pruner")
    ids = [f"2026110{day}T020000Z-00000{day}" for day in range(1, 4)]
    for backup_id in ids:
        make_backup(owner, "pruned", backup_id)
    verify_backups([pruner], VerifyRequest(["pruned"], Choice(), "content"))
    limits = PruneLimits(grace=86400.0, require_verified=True, max_delete_percent=100.0)
    report = prune_backups([pruner], PruneRequest(["pruned"], RetentionPolicy(keep_last=1), limits))
    assert [each["backup_id"] for each in report.pruned[0]["removed"]] == ids[:2]
    assert {version.key.split("/")[2] for version in list_versions(owner, "pruned/backups/")} == {ids[2]}


def test_the_agent_backs_up_as_the_writer_and_prunes_as_the_pruner(
    opened: Callable[..., Repository], agent: Callable[..., Agent]
) -> None:
    owner, writer, pruner = opened("owner"), opened("writer"), opened("pruner")
    ids = [f"2026110{day}T020000Z-00000{day}" for day in range(1, 4)]
    for backup_id in ids:
        make_backup(owner, "pruned-by-agent", backup_id)
    nowhere = Qdrant(QdrantConnection("http://127.0.0.1:1"))
    host = agent(nowhere, writer, prune={"collections": ["pruned-by-agent"], "keep_last": 2})
    refused = host.runs("prune")
    assert refused.returncode == 1, "the writer cannot delete"
    assert len(list(owner.list("pruned-by-agent/backups/"))) == 9
    keys = {"access_key": pruner.location.access_key, "secret_key": pruner.location.secret_key}
    host.credentials["pruner"] = {writer.name: keys}
    host.secrets += keys.values()
    done = host.runs("prune")
    assert (done.returncode, done.stdout.count(" was removed (")) == (0, 1), done.stderr
    assert {item.key.split("/")[2] for item in owner.list("pruned-by-agent/backups/")} == set(ids[1:])
