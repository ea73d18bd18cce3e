# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults between this host and S3: each is overcome by a retry or told in clear words, and no wrong byte passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verified_parts import VerifiedParts
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import READ_TRIES, Repository
from tests.faults.proxy import INTERNAL_ERROR, SLOW_DOWN, FaultProxy, Rule
from tests.made_backups import PART, describe, location_on, make_backup, some_bytes, store_object
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

WHOLE = some_bytes(2 * PART + 11)


@pytest.fixture
def proxy(s3_server: SeaweedServer) -> Iterator[FaultProxy]:
    """A way to the S3 server that breaks what a test says."""
    with FaultProxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def direct(s3_server: SeaweedServer, bucket: str) -> Repository:
    """The repository without faults."""
    return Repository(location_on(s3_server, bucket))


@pytest.fixture
def repository(s3_server: SeaweedServer, bucket: str, proxy: FaultProxy) -> Repository:
    """The same repository through the proxy. Three tries keep the waiting between them short."""
    return Repository(location_on(s3_server, bucket, endpoint_url=proxy.url), max_attempts=3)


def put_whole(repository: Repository, key: str = "x") -> None:
    store_object(repository, key, WHOLE)


OVERCOME_IN_UPLOADS: list[dict[str, Any]] = [
    {"status": 500, "body": INTERNAL_ERROR},
    {"status": 503, "body": SLOW_DOWN, "times": 2},
    {"cut_request_after": PART // 2},
    {"cut_request_after": 0},
    {"lose_response": True},
    {"cut_response_after": 0},
]


@pytest.mark.parametrize("fault", OVERCOME_IN_UPLOADS, ids=lambda fault: "-".join(map(str, fault))[:40])
def test_an_upload_overcomes_a_fault_in_a_part(
    repository: Repository, direct: Repository, proxy: FaultProxy, fault: dict[str, Any]
) -> None:
    rule = proxy.add(Rule(method="PUT", path="partNumber=2", **fault))
    put_whole(repository)
    assert rule.hits == fault.get("times", 1)
    assert direct.get("x") == WHOLE


@pytest.mark.parametrize(
    "fault", [{"status": 500, "body": INTERNAL_ERROR}, {"lose_response": True}], ids=["500", "answer lost"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "uploads"), ("POST", "uploadId="), ("PUT", "small")])
def test_beginning_completing_and_small_writes_overcome_a_fault(
    repository: Repository, direct: Repository, proxy: FaultProxy, method: str, path: str, fault: dict[str, Any]
) -> None:
    rule = proxy.add(Rule(method=method, path=path, **fault))
    put_whole(repository)
    repository.put("small", b"committed", if_none_match=True)
    assert rule.hits == 1
    assert direct.get("x") == WHOLE
    assert direct.get("small") == b"committed"


def test_a_lost_answer_does_not_hide_what_another_has_written(
    repository: Repository, direct: Repository, proxy: FaultProxy
) -> None:
    direct.put("small", b"another's")
    proxy.add(Rule(method="PUT", path="small", lose_response=True))
    with pytest.raises(errors.ObjectExists):
        repository.put("small", b"ours", if_none_match=True)
    assert direct.get("small") == b"another's"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500, "body": INTERNAL_ERROR}, "500 InternalError"),
        ({"status": 503, "body": SLOW_DOWN}, "503 SlowDown"),
        ({"cut_request_after": 1000}, "connection broke"),
    ],
)
def test_an_upload_that_cannot_succeed_says_so(
    repository: Repository, direct: Repository, proxy: FaultProxy, fault: dict[str, Any], words: str
) -> None:
    rule = proxy.add(Rule(method="PUT", path="partNumber=2", times=None, **fault))
    with pytest.raises(errors.StoreUnreachable, match=words) as caught:
        put_whole(repository)
    assert rule.hits == 3
    assert "Cannot store part 2 of s3://" in caught.value.detail
    assert caught.value.hint
    with pytest.raises(errors.ObjectNotFound):
        direct.head("x")


def test_a_bit_flipped_on_the_way_up_is_refused_by_the_store(
    repository: Repository, direct: Repository, proxy: FaultProxy
) -> None:
    proxy.add(Rule(method="PUT", path="partNumber=2", flip_request_at=PART - 1))
    with pytest.raises(errors.ChecksumRefused, match="Cannot store part 2"):
        put_whole(repository)
    with pytest.raises(errors.ObjectNotFound):
        direct.head("x")


OVERCOME_IN_DOWNLOADS: list[dict[str, Any]] = [
    {"status": 503, "body": SLOW_DOWN},
    {"cut_response_after": 0},
    {"cut_response_after": PART // 2, "times": READ_TRIES - 1},
    {"lose_response": True},
]


@pytest.mark.parametrize("fault", OVERCOME_IN_DOWNLOADS, ids=lambda fault: "-".join(map(str, fault))[:40])
def test_a_download_overcomes_a_fault(
    repository: Repository, direct: Repository, proxy: FaultProxy, fault: dict[str, Any]
) -> None:
    put_whole(direct)
    rule = proxy.add(Rule(method="GET", path="/x", **fault))
    assert repository.get_range("x", 100, PART) == WHOLE[100 : PART + 100]
    assert rule.hits == fault.get("times", 1)
    rule.hits = 0
    assert repository.get("x") == WHOLE


def test_an_answer_that_takes_too_long_is_asked_for_again(
    direct: Repository, proxy: FaultProxy, s3_server: SeaweedServer
) -> None:
    put_whole(direct)
    rule = proxy.add(Rule(method="GET", path="/x", delay=2))
    place = location_on(s3_server, direct.location.bucket, endpoint_url=proxy.url, read_timeout=1)
    assert Repository(place).get_range("x", 0, 10) == WHOLE[:10]
    assert rule.hits == 1
    proxy.add(Rule(method="GET", path="/x", delay=2))
    with pytest.raises(errors.StoreUnreachable, match="no answer within 1 s"):
        Repository(place, max_attempts=1).get_range("x", 0, 10)


def test_a_download_that_always_breaks_off_says_so(
    repository: Repository, direct: Repository, proxy: FaultProxy
) -> None:
    put_whole(direct)
    rule = proxy.add(Rule(method="GET", path="/x", cut_response_after=1000, times=None))
    with pytest.raises(errors.StoreUnreachable, match=r"Cannot read s3://.*connection broke"):
        repository.get_range("x", 0, PART)
    assert rule.hits == READ_TRIES


def test_a_short_answer_is_no_part(repository: Repository, direct: Repository, proxy: FaultProxy) -> None:
    put_whole(direct)
    proxy.add(Rule(method="GET", path="/x", truncate_to=1000))
    with pytest.raises(errors.StoreError, match=r"asked for from 0 on, the store gave 1000"):
        repository.get_range("x", 0, PART)


def test_a_bit_flipped_on_the_way_down_is_fetched_again(
    repository: Repository, direct: Repository, proxy: FaultProxy
) -> None:
    put_whole(direct)
    proxy.add(Rule(method="GET", path="/x", flip_response_at=17, skip=1))
    with VerifiedParts([repository], "x", describe(WHOLE, "x"), prefetch=1) as parts:
        assert b"".join(parts) == WHOLE
    assert [(entry["part"], entry["served_by"]) for entry in parts.damaged] == [(2, "primary")]


def test_a_region_that_goes_away_midway_is_replaced_by_the_next(
    repository: Repository, direct: Repository, proxy: FaultProxy, s3_server: SeaweedServer
) -> None:
    put_whole(direct)
    second = Repository(location_on(s3_server, direct.location.bucket, name="standby"))
    proxy.add(Rule(method="GET", path="/x", status=500, body=INTERNAL_ERROR, skip=1, times=None))
    with VerifiedParts([repository, second], "x", describe(WHOLE, "x"), prefetch=1) as parts:
        assert b"".join(parts) == WHOLE
    assert parts.served == {"primary": {"parts": 1, "bytes": PART}, "standby": {"parts": 2, "bytes": PART + 11}}
    assert list(parts.health.down) == ["primary"]


def test_a_copy_through_a_bad_line_commits_what_verifies(
    repository: Repository, direct: Repository, proxy: FaultProxy, s3_server: SeaweedServer
) -> None:
    manifest = make_backup(direct, shards=(WHOLE, b"small"))
    target = Repository(location_on(s3_server, s3_server.create_bucket(f"{direct.location.bucket}-to"), name="to"))
    for rule in (
        Rule(method="GET", path="0.snapshot", flip_response_at=5),
        Rule(method="GET", path="0.snapshot", cut_response_after=100, skip=1),
        Rule(method="GET", path="1.snapshot", status=503, body=SLOW_DOWN),
    ):
        proxy.add(rule)
    report = copy_backups(repository, [target], ["docs"], Choice())
    assert report.copied[0]["methods"] == ["stream"]
    assert target.get(manifest.object_key(manifest.shards[0])) == WHOLE


def test_a_copy_that_arrives_wrong_is_not_committed(
    repository: Repository, direct: Repository, proxy: FaultProxy, s3_server: SeaweedServer, bucket: str
) -> None:
    source = Repository(location_on(s3_server, s3_server.create_bucket(f"{bucket}-from"), name="from"))
    make_backup(source, shards=(WHOLE,))
    # The store takes the parts; what it then gives back is wrong, again and again.
    proxy.add(Rule(method="GET", path="0.snapshot", flip_response_at=1, times=None))
    with pytest.raises(errors.DamagedBackup, match="part 1 of 3"):
        copy_backups(source, [repository], ["docs"], Choice())
    with pytest.raises(errors.ObjectNotFound):
        direct.head("docs/backups/20261122T020000Z-a1b2c3/manifest.json")
