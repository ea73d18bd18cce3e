# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a repository's store is reached: TLS, the two ways to name a bucket, and what the environment may say."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.proxy import FaultProxy
from tests.made_backups import PART, as_option, location_on, make_backup, some_bytes
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

Json = dict[str, Any]
Run = Callable[..., Json]


@pytest.fixture
def tls_endpoint(s3_server: SeaweedServer, tls_files: dict[str, str]) -> Iterator[str]:
    """The S3 server behind a certificate that an unknown authority signed for 127.0.0.1."""
    with FaultProxy(s3_server.endpoint, (tls_files["cert"], tls_files["key"])) as proxy:
        yield proxy.url


def test_tls_with_the_authority_of_the_store(
    s3_server: SeaweedServer, bucket: str, tls_endpoint: str, tls_files: dict[str, str]
) -> None:
    place = {"endpoint_url": tls_endpoint, "ca_path": tls_files["ca"]}
    with Repository(location_on(s3_server, bucket, **place)) as repository:
        manifest = make_backup(repository, shards=(some_bytes(PART + 5),))
        data = repository.get(manifest.object_key(manifest.shards[0]))
    assert data == some_bytes(PART + 5)


def test_a_certificate_is_trusted_only_when_told_to(
    s3_server: SeaweedServer, repository: Repository, tls_endpoint: str, tls_files: dict[str, str], run_module: Run
) -> None:
    make_backup(repository)
    option = {**as_option(repository.location), "endpoint_url": tls_endpoint}
    refused = run_module("backup_info", {"repository": option})
    assert refused["failure"]["code"] == "store_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in refused["failure"]["detail"]
    assert "ca_path" in refused["failure"]["hint"]
    for trust in ({"ca_path": tls_files["ca"]}, {"validate_certs": False}):
        found = run_module("backup_info", {"repository": {**option, **trust}})
        assert len(found["backups"]) == 1, trust
    name = tls_endpoint.replace("127.0.0.1", "localhost")
    foreign = run_module("backup_info", {"repository": {**option, "endpoint_url": name, "ca_path": tls_files["ca"]}})
    assert "localhost" in foreign["failure"]["detail"], "the certificate is for 127.0.0.1"
    plain = run_module("backup_info", {"repository": {**option, "endpoint_url": tls_endpoint.replace("https", "http")}})
    assert plain["failure"]["code"] == "store_unreachable"


@pytest.fixture
def by_name(s3_server: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The endpoint by its domain, which this process finds on 127.0.0.1 with all names below it."""
    look_up = socket.getaddrinfo

    def here(host: Any, *more: Any, **how: Any) -> Any:
        known = isinstance(host, str) and (host == s3_server.domain or host.endswith(f".{s3_server.domain}"))
        return look_up("127.0.0.1" if known else host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    return f"http://{s3_server.domain}:{s3_server.port}"


@pytest.mark.parametrize(("style", "in_host"), [("path", False), ("virtual", True), ("auto", False)])
def test_a_bucket_is_named_in_the_path_or_in_the_host(
    s3_server: SeaweedServer, bucket: str, by_name: str, style: str, in_host: bool
) -> None:
    with Repository(location_on(s3_server, bucket, endpoint_url=by_name, addressing_style=style)) as repository:
        asked: list[str] = []
        repository.client.meta.events.register("before-send.s3", lambda request, **_more: asked.append(request.url))
        manifest = make_backup(repository, shards=(some_bytes(PART + 5),))
        assert repository.get(manifest.object_key(manifest.shards[0])) == some_bytes(PART + 5)
    assert asked
    for url in map(urlsplit, asked):
        assert (url.hostname or "").startswith(f"{bucket}.") == in_host
        assert url.path.startswith(f"/{bucket}") != in_host


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({"AWS_ENDPOINT_URL_S3": "{stub}", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-a"}, "eu-a"),
        ({"AWS_ENDPOINT_URL": "{stub}", "AWS_DEFAULT_REGION": "eu-b"}, "eu-b"),
        ({"AWS_ENDPOINT_URL": "{stub}", "AWS_REGION": "eu-c", "AWS_DEFAULT_REGION": "eu-d"}, "eu-c"),
    ],
    ids=["service first", "generic", "region first"],
)
def test_endpoint_and_region_may_come_from_the_environment(
    stub: Callable[..., Any], run_module: Run, env: dict[str, str], region: str
) -> None:
    """A stub, because SeaweedFS takes requests that are signed for any region."""
    store = stub(404, b"<Error><Code>NoSuchBucket</Code></Error>")
    given = {name: value.format(stub=store.url) for name, value in env.items()}
    option = {"bucket": "backups", "cluster": "production", "access_key": "owner", "secret_key": "secret"}
    answer = run_module("backup_info", {"repository": option}, env=given)
    assert (answer["failure"]["code"], len(store.requests)) == ("bucket_not_found", 1)
    assert store.url in answer["msg"]
    [(_method, _path, headers)] = store.requests
    assert f"/{region}/s3/aws4_request" in headers["Authorization"]


def test_what_is_given_counts_more_than_the_environment(
    repository: Repository, run_module: Run, stub: Callable[..., Any]
) -> None:
    elsewhere = stub(500)
    make_backup(repository)
    env = {"AWS_ENDPOINT_URL": elsewhere.url, "AWS_ENDPOINT_URL_S3": elsewhere.url, "AWS_REGION": "mars"}
    found = run_module("backup_info", {"repository": as_option(repository.location)}, env=env)
    assert (len(found["backups"]), elsewhere.requests) == (1, [])
