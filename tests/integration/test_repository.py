# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 edge against a real server with credentials, encryption and checksums."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.pace import Pace
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
from tests.emulated_s3 import EmulatedS3
from tests.made_backups import PART, location_on, some_bytes, store_object
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

ENCRYPTIONS = [("AES256", None), ("aws:kms", "demo-key"), ("none", None)]


@pytest.fixture(params=["when_supported", "when_required"])
def repository(s3_server: SeaweedServer, bucket: str, request: pytest.FixtureRequest) -> Repository:
    """A repository, in both ways of sending checksums."""
    return Repository(location_on(s3_server, bucket, checksum_mode=request.param))


@pytest.fixture(scope="module")
def emulated_s3() -> Iterator[EmulatedS3]:
    """A store that can what SeaweedFS cannot."""
    with EmulatedS3() as server:
        yield server


def sha256(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """The result and how many seconds it took."""
    begun = time.monotonic()
    return action(), time.monotonic() - begun


@pytest.mark.parametrize(("encryption", "key"), ENCRYPTIONS)
@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
def test_objects_come_back_and_show_their_encryption(
    s3_server: SeaweedServer, bucket: str, mode: str, encryption: str, key: str | None
) -> None:
    repository = Repository(location_on(s3_server, bucket, checksum_mode=mode, encryption=encryption, kms_key_id=key))
    parts = [bytearray(some_bytes(PART, 1)), some_bytes(PART, 2), b"tail"]
    whole = b"".join(parts)
    small = repository.put("docs/small", b"hello")
    upload_id = repository.start_upload("docs/big")
    done = [
        repository.put_part("docs/big", upload_id, number, part, sha256(part)) for number, part in enumerate(parts, 1)
    ]
    assert all((part.sha256 is not None) == (mode == "when_supported") for part in done)
    assert all(stored.checked for stored in (small, *done)), "the answers show the checksums"
    repository.complete_upload("docs/big", upload_id, done[::-1])

    assert repository.get("docs/small") == b"hello"
    assert repository.get("docs/big") == whole
    assert repository.get_range("docs/big", PART - 3, 6) == whole[PART - 3 : PART + 3]
    for info in (small, repository.head("docs/small"), repository.head("docs/big")):
        assert (info.encryption, info.kms_key_id) == (encryption, key)
        repository.verify_encryption(info)
    assert repository.head("docs/big").size == len(whole)


def test_encryption_that_was_not_applied_is_found_out(s3_server: SeaweedServer, bucket: str) -> None:
    Repository(location_on(s3_server, bucket, encryption="none")).put("x", b"plain")
    asking = Repository(location_on(s3_server, bucket))
    with pytest.raises(errors.EncryptionRefused, match=r"AES256.*shows none"):
        asking.verify_encryption(asking.head("x"))


def test_a_part_is_sent_as_it_is(s3_server: SeaweedServer, bucket: str) -> None:
    repository = Repository(location_on(s3_server, bucket))
    sent: list[Any] = []
    repository.client.meta.events.register("before-send.s3.UploadPart", lambda request, **_more: sent.append(request))
    for data in (bytearray(some_bytes(PART)), some_bytes(PART)):
        repository.put_part("x", repository.start_upload("x"), 1, data, sha256(data))
        request = sent.pop()
        assert request.body is data
        assert request.headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
        assert b"x-amz-checksum-sha256" in request.headers["Authorization"]
        assert {name.lower() for name in request.headers if "checksum" in name.lower()} == {"x-amz-checksum-sha256"}
        assert "Expect" not in request.headers


@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
def test_a_limited_bandwidth_is_kept_in_both_directions(
    s3_server: SeaweedServer, bucket: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = []
    wait = Pace.wait
    monkeypatch.setattr(Pace, "wait", lambda self, size: (passed.append(size), wait(self, size)))
    repository = Repository(location_on(s3_server, bucket, checksum_mode=mode, bandwidth_limit="8M"))
    data = some_bytes(PART, 1)
    upload_id = repository.start_upload("docs/big")
    part, sending = timed(lambda: repository.put_part("docs/big", upload_id, 1, data, sha256(data)))
    assert sum(passed) == len(data), "each byte counts once"
    repository.complete_upload("docs/big", upload_id, [part])
    passed.clear()
    got, reading = timed(lambda: repository.get("docs/big"))
    assert got == data
    assert sum(passed) == len(data)
    passed.clear()
    _stored, putting = timed(lambda: repository.put("docs/small", data, if_none_match=True))
    assert sum(passed) == len(data)
    assert min(sending, reading, putting) > 0.9 * len(data) / (8 << 20)


def test_other_bytes_than_those_hashed_are_refused(s3_server: SeaweedServer, bucket: str) -> None:
    repository = Repository(location_on(s3_server, bucket))
    upload_id = repository.start_upload("x")
    with pytest.raises(errors.ChecksumRefused, match="do not have the checksum"):
        repository.put_part("x", upload_id, 1, b"abc", sha256(b"abd"))
    with pytest.raises(errors.IntegrityError):
        repository.put("x", b"abc", sha256_hex=sha256(b"abd"))
    with pytest.raises(errors.ObjectNotFound):
        repository.head("x")


def test_a_conditional_write_happens_once(repository: Repository) -> None:
    repository.put("x", b"first", if_none_match=True)
    for data in (b"second", b"first"):
        with pytest.raises(errors.ObjectExists):
            repository.put("x", data, if_none_match=True)
    assert repository.get("x") == b"first"
    repository.put("x", b"second")
    assert repository.get("x") == b"second"


def test_reading_less_than_asked_is_an_error(repository: Repository) -> None:
    repository.put("x", b"0123456789")
    assert repository.get_range("x", 8, 2) == b"89"
    assert repository.get_range("x", 8, 0) == b""
    for offset, length in ((8, 3), (20, 1)):
        with pytest.raises(errors.StoreError, match="asked for"):
            repository.get_range("x", offset, length)
    with pytest.raises(errors.StoreError, match="has 10 bytes; at most 9"):
        repository.get("x", max_bytes=9)
    for read in (repository.get, repository.head, lambda key: repository.get_range(key, 0, 1)):
        with pytest.raises(errors.ObjectNotFound, match=r"production/nothing"):
            read("nothing")


def test_listing_and_deleting(repository: Repository, s3_server: SeaweedServer) -> None:
    keys = [f"docs/backups/{number}/a" for number in range(3)] + ["docs/z", "docsother/x"]
    for key in keys:
        repository.put(key, key.encode())
    assert [(item.key, item.size) for item in repository.list("docs/")] == [(key, len(key)) for key in keys[:4]]
    assert list(repository.folders()) == ["docs", "docsother"]
    assert list(repository.folders("docs/backups/")) == ["0", "1", "2"]
    assert list(repository.folders("nothing/")) == []
    other = Repository(location_on(s3_server, repository.location.bucket, cluster="other"))
    other.put("docs/kept", b"")
    repository.delete([*keys, "docs/never-there"])
    repository.delete([])
    assert list(repository.list()) == []
    assert [item.key for item in other.list()] == ["docs/kept"]


def test_unfinished_uploads_are_seen_and_dropped(repository: Repository) -> None:
    upload_id = repository.start_upload("docs/a")
    repository.start_upload("other/b")
    repository.put_part("docs/a", upload_id, 1, b"part", sha256(b"part"))
    [(key, found, begun)] = list(repository.uploads("docs/"))
    assert (key, found) == ("docs/a", upload_id)
    assert begun.tzinfo is not None
    repository.abort_upload("docs/a", upload_id)
    repository.abort_upload("docs/a", upload_id)
    assert list(repository.uploads("docs/")) == []
    assert [key for key, _id, _begun in repository.uploads()] == ["other/b"]
    with pytest.raises(errors.StoreError, match="no longer exists"):
        repository.put_part("docs/a", upload_id, 2, b"part", sha256(b"part"))


@pytest.mark.parametrize(("encryption", "key"), ENCRYPTIONS)
@pytest.mark.parametrize("size", [1000, PART, 2 * PART + 7])
def test_the_store_copies_by_itself(
    request: pytest.FixtureRequest, encryption: str, key: str | None, size: int
) -> None:
    # SeaweedFS answers 501 to parts that are to become an object with a KMS key; a copy then streams (test_copy.py).
    lacking = encryption == "aws:kms" and size > PART
    server = request.getfixturevalue("emulated_s3" if lacking else "s3_server")
    bucket = f"b-{secrets.token_hex(6)}"
    source = Repository(location_on(server, server.create_bucket(bucket)))
    target_bucket = server.create_bucket(f"{bucket}-copy")
    target = Repository(location_on(server, target_bucket, prefix="", encryption=encryption, kms_key_id=key))
    data = some_bytes(size)
    store_object(source, "x", data)
    assert target.same_endpoint(source)
    target.copy_from(source, "x", "y", size, PART)
    assert target.get("y") == data
    assert (target.head("y").encryption, target.head("y").kms_key_id) == (encryption, key)
    with pytest.raises(errors.StoreError):
        target.copy_from(source, "nothing", "z", size, PART)
    assert list(target.uploads()) == []


def wrong(server: SeaweedServer, bucket: str, **changes: Any) -> Repository:
    return Repository(location_on(server, bucket, **changes), max_attempts=2)


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"bucket": "no-such-bucket"}, errors.BucketNotFound, "'no-such-bucket' does not exist"),
        ({"access_key": "AKNOBODY"}, errors.StoreDenied, "InvalidAccessKeyId"),
        ({"secret_key": "not-the-key"}, errors.StoreDenied, "SignatureDoesNotMatch"),
        ({"access_key": None, "secret_key": None}, errors.StoreDenied, "no usable credentials"),
        ({"endpoint_url": "http://127.0.0.1:1"}, errors.StoreUnreachable, "no connection"),
        ({"endpoint_url": "nonsense"}, errors.InvalidInput, "no endpoint URL"),
        ({"profile": "nobody"}, errors.InvalidInput, "nobody"),
    ],
)
def test_wrong_settings_are_told_apart(
    s3_server: SeaweedServer,
    bucket: str,
    changes: dict[str, Any],
    expected: type[errors.DrError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(expected, match=words) as caught:
        wrong(s3_server, **{"bucket": bucket, **changes}).check_access()
    assert caught.value.hint
    assert s3_server.secret_key not in caught.value.detail
    Repository(location_on(s3_server, bucket)).check_access()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("headers", [{}, {"x-amz-bucket-region": "eu-west-3"}], ids=["elsewhere", "another region"])
def test_a_redirect_is_refused_and_no_signature_goes_elsewhere(
    s3_server: SeaweedServer, stub: Callable[..., Any], status: int, headers: dict[str, str]
) -> None:
    """A stub, because no store of these tests redirects; it answers as S3 does for a bucket that is elsewhere."""
    elsewhere = stub()
    endpoint = elsewhere.url.partition("//")[2]
    told = f"<Error><Code>PermanentRedirect</Code><Message>x</Message><Endpoint>{endpoint}</Endpoint></Error>".encode()
    here = stub(status, told, {"Location": f"{elsewhere.url}/b/x", "Content-Type": "application/xml", **headers})
    repository = wrong(s3_server, "b", endpoint_url=here.url)
    for verb in (lambda: repository.get("x"), lambda: repository.put("x", b"1"), lambda: list(repository.list())):
        here.requests.clear()
        with pytest.raises(errors.StoreError, match=f"answered {status} PermanentRedirect") as refusal:
            verb()
        assert "redirects are refused" in refusal.value.hint
        assert len(here.requests) == 1, "it is not asked again"
    assert elsewhere.requests == []


def test_credentials_come_from_the_environment(
    s3_server: SeaweedServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    with Repository(StoreLocation("p", bucket, "c", endpoint_url=s3_server.endpoint)) as repository:
        repository.put("x", b"1")
        assert repository.get("x") == b"1"
