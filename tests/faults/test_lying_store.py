# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that answer 200 and do something else: bucket_check names each lie, and none makes a bad backup commit."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    BucketUnfit,
    DamagedBackup,
    DrError,
    EncryptionRefused,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.bucket_verdict import ALL
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.verification import CONTENT
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.bucket_check import check_bucket
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import committed_ids
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.lying_store import LIES, LIES_ABOUT_KEYS, Lie, LyingStore
from tests.faults.proxy import FaultProxy, Rule
from tests.made_backups import as_option, location_on
from tests.proofs import holdings, verify_all
from tools.servers import SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Make = Callable[..., str]

CHECKSUMS = {f"checksum_{name}" for name in ("sha256", "sha256_part", "md5", "md5_part", "crc32", "crc32c")}
UNENCRYPTED = {"encryption_asked"}
# The checks that name each lie. Who believes that nothing was deleted, sees no lock either.
NAMED = {
    "drops encryption": UNENCRYPTED,
    "drops encryption and echoes it": UNENCRYPTED,
    "drops encryption of uploads in parts": UNENCRYPTED,
    "ignores checksums": CHECKSUMS,
    "ignores checksums and echoes them": CHECKSUMS,
    "ignores If-None-Match": {"conditional_write"},
    "ignores locks of uploads in parts": {"object_lock"},
    "ignores locks": {"object_lock"},
    "shows locks and deletes": {"object_lock"},
    "lets strangers in": {"anonymous_refused"},
    "ignores ranges": {"range_read"},
    "ignores ranges of copies": {"multipart_copy"},
    "deletes nothing": {"delete_effective", "object_lock"},
}
# The test server has no TLS, and the bucket no default encryption.
HONEST_FAULTS = {"plain_http_refused", "encryption_default"}


@pytest.fixture
def locking(s3_server: SeaweedServer) -> Iterator[Repository]:
    """A repository in a bucket with versioning and object lock."""
    name = s3_server.create_bucket(f"b-{secrets.token_hex(6)}", ObjectLockEnabledForBucket=True)
    with Repository(location_on(s3_server, name)) as repository:
        yield repository


def failed_checks(repository: Repository) -> tuple[set[str], BucketUnfit]:
    """What does not pass when everything is required."""
    with pytest.raises(BucketUnfit) as unfit:
        check_bucket(repository, [ALL])
    rows: Any = unfit.value.result["checks"]
    return {row["check"] for row in rows if row["verdict"] != "passed"}, unfit.value


@pytest.mark.parametrize("lie", [None, *LIES])
def test_each_lie_is_named_by_its_check(s3_server: SeaweedServer, locking: Repository, lie: str | None) -> None:
    with LyingStore(s3_server, LIES[lie] if lie else Lie()) as store:
        location = dataclasses.replace(locking.location, endpoint_url=store.url)
        with Repository(location, max_attempts=2) as deceived:
            failed, error = failed_checks(deceived)
    assert failed - HONEST_FAULTS == (NAMED[lie] if lie else set())
    for name in failed:
        assert name in error.detail
    if lie == "lets strangers in":
        assert "may list, read, write" in error.detail
    assert str(locking.location.secret_key) not in repr(error.result)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (None, None),
        ("drops the key", "was to be encrypted with SSE-C"),
        ("drops the key and echoes that it has it", "in-parts can be read without a key."),
    ],
)
def test_a_store_that_ignores_the_customers_key_is_named(
    s3_server: SeaweedServer, bucket: str, lie: str | None, words: str | None
) -> None:
    how = {"encryption": "SSE-C", "sse_customer_key": secrets.token_hex(32)}
    with LyingStore(s3_server, LIES_ABOUT_KEYS[lie] if lie else Lie()) as store:
        location = location_on(s3_server, bucket, endpoint_url=store.url, **how)
        with Repository(location, max_attempts=2) as deceived:
            if words is None:
                assert check_bucket(deceived, ["encryption_asked"])["verdict"] == "passed"
                return
            with pytest.raises(BucketUnfit) as unfit:
                check_bucket(deceived, ["encryption_asked"])
    assert "encryption_asked (failed" in unfit.value.detail
    assert words in unfit.value.detail


def test_probes_that_a_store_only_says_it_deleted_are_named(s3_server: SeaweedServer, bucket: str) -> None:
    with (
        LyingStore(s3_server, LIES["deletes nothing"]) as store,
        Repository(location_on(s3_server, bucket, endpoint_url=store.url)) as deceived,
        Repository(location_on(s3_server, bucket)) as truthful,
    ):
        left = check_bucket(deceived, [])["leftovers"]
        assert {item["key"] for item in left} == {item.key for item in truthful.list()} != set()


@pytest.fixture
def deceived(
    request: pytest.FixtureRequest, s3_server: SeaweedServer, repository: Repository
) -> Iterator[tuple[Repository, FaultProxy]]:
    """`repository` behind the lie that is the parameter, and before that a proxy for faults on the way."""
    lie, mode = request.param
    with LyingStore(s3_server, LIES[lie]) as store, FaultProxy(store.url) as proxy:
        location = dataclasses.replace(repository.location, endpoint_url=proxy.url, checksum_mode=mode)
        with Repository(location, max_attempts=2) as through:
            yield through, proxy


@pytest.mark.parametrize("deceived", [("ignores checksums and echoes them", "when_supported")], indirect=True)
def test_a_store_that_echoes_what_it_did_not_check_gets_no_backup_where_a_check_is_required(
    run_module: Callable[..., Any],
    qdrant: Qdrant,
    make_collection: Make,
    repository: Repository,
    deceived: tuple[Repository, FaultProxy],
) -> None:
    params = {"url": qdrant.connection.url, "collections": [make_collection()], "require_bucket_check": True}
    params["repository"] = as_option(deceived[0].location)
    refused = run_module("backup", params)
    assert refused["failure"]["code"] == "bucket_unfit"
    assert "checksum_sha256_part (failed, found: taken)" in refused["failure"]["detail"]
    assert holdings(repository) == {}
    assert run_module("backup", params, check=True)["changed"], "check mode probes nothing"
    made = run_module("backup", {**params, "repository": as_option(repository.location)})
    assert verify_all(repository) == [made["backups"][0]["backup_id"]]


def assert_truth(repository: Repository, collection: str) -> None:
    """Whatever is committed verifies to its last bit, as the real server has it."""
    if committed_ids(repository, collection):
        verify_backups([repository], VerifyRequest([collection], Choice(), CONTENT))
    verify_all(repository)


BOTH_MODES = ("when_supported", "when_required")
FLIPS = {
    "a part": {"path": r"\.snapshot\?.*partNumber=2", "flip_request_at": 12345},
    "a whole shard": {"path": r"\.snapshot$", "flip_request_at": 12345},
    "a sidecar": {"path": r"\.sha256$", "flip_request_at": 5},
    "the manifest": {"path": r"manifest\.json", "flip_request_at": 300},
}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("deceived", [("ignores checksums", mode) for mode in BOTH_MODES], indirect=True)
@pytest.mark.parametrize("what", FLIPS)
def test_a_bit_that_flips_on_the_way_to_a_store_without_checksums_is_found(
    qdrant: Qdrant,
    large: str,
    make_collection: Make,
    repository: Repository,
    deceived: tuple[Repository, FaultProxy],
    what: str,
) -> None:
    name = large if what == "a part" else make_collection()
    through, proxy = deceived
    broken = proxy.add(Rule(method="PUT", **FLIPS[what]))
    with pytest.raises(DrError, match=r"gave other bytes|is not what was sent") as error:
        back_up(qdrant, through, BackupRequest(name))
    assert "bucket_check" in error.value.hint
    assert broken.hits == 1
    if what != "the manifest":
        assert holdings(repository) == {}
        assert isinstance(error.value, DamagedBackup)
        back_up(qdrant, through, BackupRequest(name))
        assert_truth(repository, name)


@pytest.mark.parametrize("deceived", [(lie, "when_supported") for lie in LIES], indirect=True)
def test_no_lie_makes_a_bad_backup_commit(
    qdrant: Qdrant,
    make_collection: Make,
    repository: Repository,
    deceived: tuple[Repository, FaultProxy],
    request: pytest.FixtureRequest,
) -> None:
    name = make_collection()
    lie = request.node.callspec.params["deceived"][0]
    through, _proxy = deceived
    if lie in ("drops encryption", "drops encryption and echoes it"):
        with pytest.raises(EncryptionRefused, match="was to be encrypted with AES256"):
            back_up(qdrant, through, BackupRequest(name))
        assert holdings(repository) == {}
        return
    back_up(qdrant, through, BackupRequest(name))
    back_up(qdrant, through, BackupRequest(name))
    assert len(committed_ids(repository, name)) == 2
    assert_truth(repository, name)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("deceived", [("drops encryption of uploads in parts", "when_supported")], indirect=True)
def test_an_object_in_parts_that_is_not_encrypted_is_refused(
    qdrant: Qdrant, large: str, repository: Repository, deceived: tuple[Repository, FaultProxy]
) -> None:
    with pytest.raises(EncryptionRefused, match="was to be encrypted with AES256"):
        back_up(qdrant, deceived[0], BackupRequest(large))
    assert holdings(repository) == {}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("deceived", [("ignores ranges", "when_supported")], indirect=True)
def test_what_is_only_read_back_where_nothing_was_checked_costs_no_honest_store(
    qdrant: Qdrant, large: str, repository: Repository, deceived: tuple[Repository, FaultProxy]
) -> None:
    through, proxy = deceived
    back_up(qdrant, through, BackupRequest(large))
    assert [target for method, target in proxy.requests if method == "GET" and ".snapshot" in target] == []
    assert_truth(repository, large)
