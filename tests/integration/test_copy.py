# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies in other regions: complete, proved there, safe to repeat, and never committed when wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import (
    Choice,
    CopyReport,
    copy_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import PART, as_option, flip_byte, location_on, make_backup, some_bytes, store_object
from tests.proofs import verify_all
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

OLDER, NEWER = "20261121T020000Z-000001", "20261122T020000Z-000002"
SHARDS = (some_bytes(2 * PART + 5, 1), some_bytes(1000, 2))
TOTAL = sum(map(len, SHARDS))


@pytest.fixture(scope="module")
def standby_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A second, independent S3 server: another region."""
    with SeaweedServer(tmp_path_factory.mktemp("standby"), region_name="eu-west-1") as server:
        yield server


@pytest.fixture
def source(s3_server: SeaweedServer, bucket: str) -> Repository:
    return Repository(location_on(s3_server, bucket))


@pytest.fixture
def neighbour(s3_server: SeaweedServer, bucket: str) -> Repository:
    """Another bucket behind the same endpoint."""
    return Repository(location_on(s3_server, s3_server.create_bucket(f"{bucket}-n"), name="neighbour", prefix=""))


@pytest.fixture
def standby(standby_server: SeaweedServer, bucket: str) -> Repository:
    """A bucket on another server."""
    return Repository(location_on(standby_server, standby_server.create_bucket(bucket), name="standby"))


def copy(
    source: Repository, *destinations: Repository, choice: Choice | None = None, check: bool = False
) -> CopyReport:
    return copy_backups(source, destinations, None, choice or Choice(), check=check)


def assert_whole(repository: Repository, manifest: Manifest, original: Repository) -> None:
    """Every object, sidecar and the manifest are there, byte for byte."""
    for shard, data in zip(manifest.shards, SHARDS, strict=True):
        key = manifest.object_key(shard)
        assert repository.get(key) == data
        assert repository.head(key).encryption == repository.location.encryption
        assert repository.get(layout.sidecar_key(key)) == original.get(layout.sidecar_key(key))
    key = layout.manifest_key(manifest.collection, manifest.backup_id)
    assert repository.get(key) == original.get(key) == manifest.dump()
    assert list(repository.uploads()) == []


def content(repository: Repository) -> dict[str, str]:
    return {item.key: item.etag + str(item.last_modified) for item in repository.list()}


def test_a_backup_arrives_everywhere_and_the_second_run_has_nothing_to_do(
    source: Repository, neighbour: Repository, standby: Repository
) -> None:
    manifest = make_backup(source, shards=SHARDS)
    planned = copy(source, neighbour, standby, check=True)
    assert content(neighbour) == content(standby) == {}
    report = copy(source, neighbour, standby)
    for plan, done, method in zip(planned.copied, report.copied, ("server", "stream"), strict=True):
        assert (done["objects"], done["objects_kept"], done["bytes"], done["methods"]) == (2, 0, TOTAL, [method])
        assert {**plan, "seconds": 0, "leftovers_removed": []} == {**done, "seconds": 0}
    assert report.as_result()["bytes"] == 2 * TOTAL
    for repository in (neighbour, standby):
        assert_whole(repository, manifest, source)
    before = content(neighbour), content(standby)
    again = copy(source, neighbour, standby)
    assert again.copied == []
    assert [entry["destination"] for entry in again.unchanged] == ["neighbour", "standby"]
    assert (content(neighbour), content(standby)) == before


@pytest.mark.parametrize(("encryption", "key"), [("aws:kms", "demo-key"), ("none", None)])
def test_the_encryption_is_the_destinations(
    source: Repository, s3_server: SeaweedServer, bucket: str, encryption: str, key: str | None
) -> None:
    # SeaweedFS cannot copy parts into KMS objects by itself: the copy streams then.
    manifest = make_backup(source, shards=SHARDS)
    target = Repository(
        location_on(s3_server, bucket, prefix="copy", name="copy", encryption=encryption, kms_key_id=key)
    )
    copy(source, target)
    assert_whole(target, manifest, source)
    assert target.head(manifest.object_key(manifest.shards[0])).kms_key_id == key


def test_which_backups_are_copied(source: Repository, standby: Repository) -> None:
    for collection in ("docs", "images"):
        for backup_id in (OLDER, NEWER):
            make_backup(source, collection, backup_id)
    source.put(layout.backup_prefix("half", NEWER) + "shards/0.snapshot", b"not committed")

    def copied(choice: Choice) -> set[tuple[str, str]]:
        return {(entry["collection"], entry["backup_id"]) for entry in copy(source, standby, choice=choice).copied}

    assert copied(Choice()) == {("docs", NEWER), ("images", NEWER)}
    report = copy_backups(source, [standby], ["docs"], Choice(backup_ids=[OLDER]))
    assert [entry["backup_id"] for entry in report.copied] == [OLDER]
    assert copied(Choice(newest=None)) == {("images", OLDER)}
    for names, choice in ((["nothing"], Choice()), (["docs"], Choice(backup_ids=["20200101T000000Z-ffffff"]))):
        with pytest.raises(errors.BackupNotFound):
            copy_backups(source, [standby], names, choice)


def test_a_region_can_have_one_backup_a_day(source: Repository, standby: Repository) -> None:
    ids = [f"202611{day:02}T{hour:02}0000Z-{day:04x}{hour:02x}" for day in (20, 21, 23) for hour in (2, 14)]
    for backup_id in ids:
        make_backup(source, backup_id=backup_id)
    report = copy(source, standby, choice=Choice(days=2))
    assert [entry["backup_id"] for entry in report.copied] == [ids[5], ids[3]]
    assert verify_all(standby) == [ids[3], ids[5]]


def test_the_lag_of_each_region_is_told_against_its_own_rpo(
    source: Repository, standby: Repository, neighbour: Repository
) -> None:
    make_backup(source, backup_id=OLDER)
    new = layout.new_backup_id(datetime.now(timezone.utc) - timedelta(hours=2), "000002")
    make_backup(standby, backup_id=new)
    rpos = {"standby": 3 * 3600.0, "neighbour": 60.0}
    report = copy_backups(source, [standby, neighbour], None, Choice(), rpos=rpos)
    told = [(lag["destination"], lag["newest"], lag["rpo_met"]) for lag in report.lag]
    assert told == [("standby", new, True), ("neighbour", OLDER, False)]
    assert 7200 <= report.lag[0]["age_seconds"] < 7300
    with pytest.raises(errors.InvalidInput, match="fourth"):
        copy_backups(source, [standby], None, Choice(), rpos={"fourth": 1.0})


def test_an_interrupted_copy_goes_on_where_it_stopped(source: Repository, standby: Repository) -> None:
    manifest = make_backup(source, shards=SHARDS)
    first, second = (manifest.object_key(shard) for shard in manifest.shards)
    store_object(standby, first, SHARDS[0])
    standby.start_upload(second)
    kept = standby.head(first).last_modified
    planned = copy(source, standby, check=True).copied[0]
    assert (planned["objects"], planned["objects_kept"], planned["bytes"]) == (1, 1, len(SHARDS[1]))
    [entry] = copy(source, standby).copied
    assert (entry["objects"], entry["objects_kept"], entry["bytes"]) == (1, 1, len(SHARDS[1]))
    assert entry["leftovers_removed"] == [f"multipart upload of {second}"]
    assert standby.head(first).last_modified == kept
    assert standby.get(second) == SHARDS[1]


@pytest.mark.parametrize(
    "wrong", [SHARDS[0][:-1], SHARDS[0][:PART] + b"x" + SHARDS[0][PART + 1 :]], ids=["short", "bit"]
)
def test_a_wrong_object_at_the_destination_is_replaced(source: Repository, standby: Repository, wrong: bytes) -> None:
    manifest = make_backup(source, shards=SHARDS)
    store_object(standby, manifest.object_key(manifest.shards[0]), wrong)
    [entry] = copy(source, standby).copied
    assert (entry["objects"], entry["objects_kept"]) == (2, 0)
    assert_whole(standby, manifest, source)


@pytest.mark.parametrize("where", ["neighbour", "standby"])
def test_a_damaged_source_is_named_and_nothing_is_committed(
    source: Repository, where: str, request: pytest.FixtureRequest
) -> None:
    target: Repository = request.getfixturevalue(where)
    manifest = make_backup(source, shards=SHARDS)
    key = manifest.object_key(manifest.shards[0])
    flip_byte(source, key, PART + 7)
    with pytest.raises(errors.DamagedBackup) as caught:
        copy(source, target)
    for words in ("part 2 of 3", key, "primary:"):
        assert words in caught.value.detail
    with pytest.raises(errors.ObjectNotFound):
        target.head(layout.manifest_key("docs", manifest.backup_id))
    assert list(target.uploads()) == []
    assert caught.value.result["failures"][0]["destination"] == target.name


def test_another_manifest_under_the_same_id_is_left_alone(source: Repository, standby: Repository) -> None:
    make_backup(source, shards=SHARDS)
    make_backup(standby, shards=(b"another",))
    before = content(standby)
    with pytest.raises(errors.ObjectExists, match="is not the manifest of"):
        copy(source, standby)
    assert content(standby) == before


def test_a_destination_of_another_cluster_is_refused(source: Repository, s3_server: SeaweedServer, bucket: str) -> None:
    make_backup(source)
    other = Repository(location_on(s3_server, bucket, name="other", cluster="staging"))
    with pytest.raises(errors.InvalidInput, match="'staging'"):
        copy(source, other)
    assert content(other) == {}


def test_what_fails_leaves_the_others_copied(
    source: Repository, standby: Repository, s3_server: SeaweedServer, bucket: str
) -> None:
    make_backup(source, "docs", OLDER)
    make_backup(source, "docs", NEWER)
    key = layout.manifest_key("docs", NEWER)
    source.put(key, source.get(key)[:100])
    denied = Repository(location_on(s3_server, bucket, name="denied", secret_key="wrong"))
    with pytest.raises(errors.PartlyFailed) as caught:
        copy(source, denied, standby, choice=Choice(newest=None))
    result = caught.value.result
    assert [(entry["backup_id"], entry["destination"]) for entry in result["copied"]] == [(OLDER, "standby")]
    assert [(entry["backup_id"], entry["failure"]["code"]) for entry in result["failures"]] == [
        (NEWER, "damaged_manifest"),
        (OLDER, "store_denied"),
    ]


def test_encryption_that_is_not_applied_stops_the_copy(
    source: Repository, s3_server: SeaweedServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes the request for encryption and ignores it, as some do."""
    make_backup(source, shards=SHARDS)
    target = Repository(location_on(s3_server, bucket, prefix="lies", name="lies"))
    drop = ("x-amz-server-side-encryption", "ServerSideEncryption")

    def forget(params: dict[str, Any], **_more: Any) -> None:
        params["headers"].pop(drop[0], None)

    for operation in ("PutObject", "CreateMultipartUpload", "CopyObject"):
        target.client.meta.events.register(f"before-call.s3.{operation}", forget)
    with pytest.raises(errors.EncryptionRefused):
        copy(source, target)
    assert not [item.key for item in target.list() if item.key.endswith("manifest.json")]


def test_the_module_backup_copy(
    source: Repository, neighbour: Repository, standby: Repository, run_module: Callable[..., dict[str, Any]]
) -> None:
    manifest = make_backup(source, shards=SHARDS)
    params = {
        "source": as_option(source.location),
        "destinations": [as_option(neighbour.location), as_option(standby.location)],
        "collections": ["docs"],
    }
    planned = run_module("backup_copy", params, check=True)
    assert (planned["changed"], planned["bytes"], content(standby)) == (True, 2 * TOTAL, {})
    done = run_module("backup_copy", params)
    assert (done["changed"], done["bytes"], len(done["copied"])) == (True, 2 * TOTAL, 2)
    assert_whole(standby, manifest, source)
    for check in (True, False):
        again = run_module("backup_copy", params, check=check)
        assert (again["changed"], again["copied"], len(again["unchanged"])) == (False, [], 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"all": True, "newest": 2},
        {"newest": 0},
        {"destinations": []},
        {"backup_id": NEWER},
        {"backup_id": "nonsense", "collections": ["docs"]},
    ],
)
def test_the_module_refuses_what_contradicts_itself(
    source: Repository, run_module: Callable[..., dict[str, Any]], changes: dict[str, Any]
) -> None:
    option = as_option(source.location)
    result = run_module("backup_copy", {"source": option, "destinations": [{**option, "name": "b"}], **changes})
    assert result["failure"]["code"] == "invalid_input"


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Copy
      vectorops.qdrant_dr.backup_copy:
        source: "{{ primary }}"
        destinations: ["{{ standby }}"]
    - name: Copy to where the key is wrong
      vectorops.qdrant_dr.backup_copy:
        source: "{{ primary }}"
        destinations: ["{{ standby | combine({'secret_key': standby.secret_key ~ 'x', 'bucket': 'elsewhere'}) }}"]
      register: denied
      failed_when: denied.failure.code != 'store_denied'
    - name: Look
      vectorops.qdrant_dr.backup_info:
        repository: "{{ standby }}"
      register: found
    - name: Show
      ansible.builtin.debug:
        var: found
"""


def test_secrets_are_in_no_output(source: Repository, standby: Repository, tmp_path: Path) -> None:
    make_backup(source)
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    options = {"primary": as_option(source.location), "standby": as_option(standby.location)}
    (tmp_path / "options.json").write_text(json.dumps(options))
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [
            bin_folder / "ansible-playbook",
            "-vvvv",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            "@options.json",
            "play.yml",
        ],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[2] / "build" / "collections"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in output
    assert standby.location.bucket in output
    for location in (source.location, standby.location):
        assert location.access_key not in output
        assert location.secret_key not in output
