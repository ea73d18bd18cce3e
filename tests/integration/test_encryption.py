# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of encryption with each way of sending checksums: back up, copy both ways, restore from the last copy.

With a key of the customer also who can read what, and what a store that ignores the key is told apart by.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import StoreError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.bucket_check import check_bucket
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.encryption import NOTHING
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import PART, as_option, flip_byte, location_on, make_backup, some_bytes
from tests.proofs import verify_all
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Run = Callable[..., dict[str, Any]]
KEY = secrets.token_hex(32)
OTHER_ID = "20261123T020000Z-a1b2c3"


@pytest.fixture
def restored(qdrant: Qdrant) -> Iterator[str]:
    """The name of a collection that does not exist; it is deleted after the test."""
    name = f"restored-{secrets.token_hex(6)}"
    yield name
    qdrant.delete_collection(name)


@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
@pytest.mark.parametrize(
    ("encryption", "key"), [("AES256", None), ("aws:kms", "demo-key"), ("SSE-C", None), ("none", None)]
)
def test_what_comes_back_is_what_was_there(
    s3_server: SeaweedServer,
    qdrant: Qdrant,
    make_collection: Callable[..., str],
    restored: str,
    encryption: str,
    key: str | None,
    mode: str,
) -> None:
    # By another name the same server is another endpoint, to which a copy streams.
    by_name = s3_server.endpoint.replace("127.0.0.1", "localhost")
    places = {"made": s3_server.endpoint, "copied": s3_server.endpoint, "streamed": by_name}
    how = {"encryption": encryption, "kms_key_id": key, "checksum_mode": mode}
    how |= {"sse_customer_key": KEY} if encryption == "SSE-C" else {}
    made, copied, streamed = (
        Repository(location_on(s3_server, fresh_bucket(s3_server), name=name, endpoint_url=endpoint, **how))
        for name, endpoint in places.items()
    )
    name = make_collection(points=100)

    backup_id = back_up(qdrant, made, BackupRequest(name))["backup_id"]
    report = copy_backups(made, [copied, streamed], [name], Choice())
    restore([qdrant], [streamed], RestoreRequest(name, target=restored))

    assert [entry["methods"] for entry in report.copied] == [["server"], ["stream"]]
    assert collection_digest(qdrant, restored) == collection_digest(qdrant, name)
    for repository in (made, copied, streamed):
        assert verify_all(repository) == [backup_id]
        shown = {(info.encryption, info.kms_key_id) for info in map(repository.head, keys_of(repository))}
        assert shown == {(encryption, key)}, "of every object, manifest and sidecars too"


@pytest.fixture
def keyed(s3_server: SeaweedServer, tmp_path: Path) -> Repository:
    """A repository whose objects the store encrypts with the key in a file."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(KEY, encoding="ascii")
    how = {"encryption": "SSE-C", "sse_customer_key_file": str(path)}
    return Repository(location_on(s3_server, fresh_bucket(s3_server), name="keyed", **how))


def test_an_object_in_parts_is_read_whole_and_in_ranges_only_with_its_key(keyed: Repository) -> None:
    manifest = make_backup(keyed, shards=(some_bytes(2 * PART + 5),))
    key = manifest.object_key(manifest.shards[0])
    assert keyed.get(key) == some_bytes(2 * PART + 5)
    assert keyed.get_range(key, PART - 3, 7) == some_bytes(2 * PART + 5)[PART - 3 : PART + 4]
    stranger = Repository(dataclasses.replace(keyed.location, **NOTHING))
    with pytest.raises(StoreError, match="answered 400"):
        stranger.get(key)


def test_verify_and_repair_with_a_key(keyed: Repository, standby: Repository, run_module: Run) -> None:
    make_backup(keyed, shards=(some_bytes(PART + 5), b"small"))
    copy_backups(keyed, [standby], ["docs"], Choice())
    manifest = make_backup(standby, backup_id=OTHER_ID)
    copy_backups(standby, [keyed], ["docs"], Choice())
    flip_byte(keyed, manifest.object_key(manifest.shards[0]), 3)
    regions = [as_option(each.location) for each in (keyed, standby)]
    damaged = run_module("backup_verify", {"repositories": regions})
    repaired = run_module("backup_verify", {"repositories": regions, "repair": True})
    again = run_module("backup_verify", {"repositories": regions})
    assert damaged["failure"]["code"] == "damaged_backup"
    assert [(each["region"], each["repaired"]) for each in repaired["findings"]] == [("keyed", True)]
    assert (again["findings"], again["chosen"]) == ([], 2)
    assert {keyed.head(each).encryption for each in keys_of(keyed)} == {"SSE-C"}


def test_a_wrong_key_is_one_clear_error(keyed: Repository, run_module: Run) -> None:
    make_backup(keyed)
    wrong = {**as_option(keyed.location), "sse_customer_key": secrets.token_hex(32)}
    del wrong["sse_customer_key_file"]
    for module, params in (
        ("backup_verify", {"repositories": [wrong]}),
        ("backup_prune", {"repositories": [wrong], "keep_last": 1}),
        ("backup_info", {"repository": wrong}),
    ):
        answer = run_module(module, params)
        assert answer["failed"], module
        assert "stored with another customer's key" in answer["failure"]["detail"], module
        assert wrong["sse_customer_key"] not in repr(answer)


def test_a_missing_key_is_said_to_be_missing(keyed: Repository) -> None:
    make_backup(keyed)
    without = Repository(dataclasses.replace(keyed.location, **{**NOTHING, "encryption": "AES256"}))
    with pytest.raises(StoreError, match="answered 400") as refused:
        without.get(keys_of(keyed)[0])
    assert "set encryption to SSE-C" in refused.value.hint


def test_another_repositorys_key_is_not_shown_to_the_store(s3_server: SeaweedServer, keyed: Repository) -> None:
    """A server that copies by itself would have to know both."""
    how = {"encryption": "SSE-C", "sse_customer_key": secrets.token_hex(32)}
    other = Repository(location_on(s3_server, fresh_bucket(s3_server), name="other", **how))
    make_backup(keyed)
    asked: list[str] = []
    other.client.meta.events.register("before-send.s3", lambda event_name, **_more: asked.append(event_name))
    report = copy_backups(keyed, [other], ["docs"], Choice())
    assert report.copied[0]["methods"] == ["stream"]
    assert "before-send.s3.PutObject" in asked
    assert "before-send.s3.CopyObject" not in asked
    assert {key: other.get(key) for key in keys_of(keyed)} == {key: keyed.get(key) for key in keys_of(keyed)}


def test_bucket_check_proves_the_key(keyed: Repository) -> None:
    """SeaweedFS copies whole objects with a key, and no ranges of them: copies are then streamed."""
    rows = {row["check"]: row for row in check_bucket(keyed)["checks"]}
    assert rows["encryption_asked"]["found"] == "at once: SSE-C; in parts: SSE-C"
    assert rows["encryption_asked"]["verdict"] == "passed"
    assert rows["encryption_default"]["found"] == "none", "asked without any encryption"
    assert rows["multipart_copy"]["verdict"] == "unsupported"


def fresh_bucket(server: SeaweedServer) -> str:
    return server.create_bucket(f"b-{secrets.token_hex(6)}")


def keys_of(repository: Repository) -> list[str]:
    return [item.key for item in repository.list()]
