# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store object against a real node, and against servers that are none."""

from __future__ import annotations

import datetime
import hashlib
import json
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedBackup,
    DamagedSnapshot,
    IntegrityError,
    OperationTimeout,
    QdrantDiskFull,
    QdrantError,
    QdrantNotFound,
    QdrantUnauthorized,
    QdrantUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import ack_indexes, snapshot_file
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tools.servers import QdrantServer

pytestmark = pytest.mark.qdrant

IDENTITY = json.dumps({"title": "qdrant - vector search engine", "version": "1.16.3"}).encode()
CREATED = json.dumps({"result": {"name": "s", "size": 1, "checksum": "aa"}, "status": "ok"}).encode()


def node(url: str, **options: Any) -> Qdrant:
    return Qdrant(QdrantConnection(url, **options))


def test_a_closed_port_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(QdrantUnreachable) as refusal:
            node(url).collections()
    assert refusal.value.detail == f"Qdrant at {url} cannot be reached: Connection refused."
    assert "6333" in refusal.value.hint


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(QdrantUnreachable, match="does not resolve"):
        node("http://no-such-host.invalid:6333").version()


def test_a_wrong_key_and_no_key(keyed_qdrant: QdrantServer) -> None:
    with pytest.raises(QdrantUnauthorized) as refusal:
        node(keyed_qdrant.url, api_key="wr0ng-key").collections()
    assert "wr0ng-key" not in str(refusal.value.failure())
    with pytest.raises(QdrantUnauthorized, match="API key"):
        node(keyed_qdrant.url).collections()
    assert node(keyed_qdrant.url, api_key=keyed_qdrant.api_key).collections() == []


def test_a_read_only_key_cannot_create_a_snapshot(
    keyed_qdrant: QdrantServer, make_collection: Callable[..., str]
) -> None:
    name = make_collection(points=1, on=node(keyed_qdrant.url, api_key=keyed_qdrant.api_key))
    reader = node(keyed_qdrant.url, api_key=keyed_qdrant.read_only_key)
    assert reader.count(name) == 1
    with pytest.raises(QdrantUnauthorized, match="POST"):
        reader.create_snapshot(name)


def test_what_is_missing_is_named(qdrant: Qdrant, make_collection: Callable[..., str]) -> None:
    with pytest.raises(QdrantNotFound, match="nope"):
        qdrant.collection("nope")
    name = make_collection(points=1)
    with pytest.raises(QdrantNotFound), qdrant.open_snapshot(name, "nope.snapshot"):
        pass
    assert qdrant.delete_collection("nope") is False


def test_a_redirect_is_refused_and_the_key_stays_here(stub: Callable[..., Any]) -> None:
    elsewhere = stub(200, IDENTITY)
    here = stub(307, headers={"Location": elsewhere.url + "/collections"})
    client = node(here.url, api_key="hunter2")
    for attempt in (
        client.collections,
        lambda: client.create_snapshot("c"),
        lambda: client.count("c"),
        lambda: upload(client),
    ):
        with pytest.raises(QdrantUnreachable, match=elsewhere.url.removeprefix("http://")):
            attempt()
    with pytest.raises(QdrantUnreachable, match="redirects"), client.open_snapshot("c", "s"):
        pass
    assert elsewhere.requests == []
    assert len(here.requests) == 5


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_web_server_is_no_qdrant(stub: Callable[..., Any], status: int) -> None:
    web = stub(status, b"<html>Welcome</html>", {"Content-Type": "text/html"})
    with pytest.raises(QdrantUnreachable, match="is not a Qdrant node"):
        node(web.url).collections()


def test_another_json_service_is_no_qdrant(stub: Callable[..., Any]) -> None:
    with pytest.raises(QdrantUnreachable, match="is not a Qdrant node"):
        node(stub(200, b'{"hello": "world"}').url).version()


def test_the_wrong_port_of_qdrant(qdrant_server: QdrantServer) -> None:
    with pytest.raises(QdrantUnreachable, match=r"cannot be reached|does not speak HTTP"):
        node(f"http://127.0.0.1:{qdrant_server.grpc_port}").collections()


def upload(client: Qdrant, data: bytes = b"data", sha256: str = "00") -> None:
    client.upload_shard_snapshot("c", 0, iter([data]), len(data), sha256)


@pytest.mark.parametrize(
    "text",
    [
        "Service internal error: No space left on device (os error 28)",
        "Not enough space available for optimization",
        "Wal error: Can't write WAL: disk full",
    ],
)
def test_a_full_disk_is_told_apart(stub: Callable[..., Any], text: str) -> None:
    server = stub(500, json.dumps({"status": {"error": text}, "time": 0}).encode())
    with pytest.raises(QdrantDiskFull) as full:
        node(server.url).create_snapshot("c")
    assert text in full.value.detail
    assert full.value.hint


def test_reads_are_tried_again_and_writes_are_not(stub: Callable[..., Any], stub_reply: Callable[..., None]) -> None:
    failures = iter(range(100))

    def fail_twice(handler: Any) -> None:
        ok = next(failures) % 3 == 2
        stub_reply(handler, 200 if ok else 503, b'{"result": {"count": 5, "collections": []}}', {"Retry-After": "0"})

    server = stub(answer=fail_twice)
    assert node(server.url).count("c") == 5
    assert node(server.url).collections() == []
    assert len(server.requests) == 6
    with pytest.raises(QdrantUnreachable, match="503"):
        node(server.url).create_snapshot("c")
    assert len(server.requests) == 7


def test_a_write_without_an_answer_may_have_happened(stub: Callable[..., Any]) -> None:
    silent = stub(answer=lambda handler: silent.closing.wait(30))
    with pytest.raises(OperationTimeout, match="may still be working on it"):
        node(silent.url, operation_timeout=0.2).create_snapshot("c")
    assert len(silent.requests) == 1
    dropped = stub(answer=lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    with pytest.raises(OperationTimeout, match="was lost"):
        node(dropped.url).create_snapshot("c")
    assert len(dropped.requests) == 1
    with pytest.raises(QdrantUnreachable, match=r"no answer within 0\.2 s"):
        node(silent.url, timeout=0.2).collections()


def test_nothing_is_ever_asked_for_compressed(stub: Callable[..., Any]) -> None:
    server = stub(200, CREATED)
    client = node(server.url)
    client.snapshots("c")
    client.create_snapshot("c")
    upload(client)
    with client.open_snapshot("c", "s") as body:
        assert b"".join(body.iter_bytes()) == CREATED
    accepted = [{key.lower(): value for key, value in request[2].items()} for request in server.requests]
    assert [headers["accept-encoding"] for headers in accepted] == ["identity"] * 4


def test_a_compressed_download_is_refused(stub: Callable[..., Any]) -> None:
    server = stub(200, b"x", {"Content-Encoding": "gzip"})
    with pytest.raises(QdrantError, match="did not send the bytes"), node(server.url).open_snapshot("c", "s"):
        pass


def test_a_download_that_ignores_the_offset_is_refused(stub: Callable[..., Any]) -> None:
    with pytest.raises(QdrantError, match="from 5 on"), node(stub(200, b"0123456789").url).open_snapshot("c", "s", 5):
        pass


def test_a_download_cut_short_is_noticed(stub: Callable[..., Any], stub_reply: Callable[..., None]) -> None:
    server = stub(answer=lambda handler: stub_reply(handler, 200, b"x" * 10, {"Content-Length": "1000"}))
    with node(server.url).open_snapshot("c", "s") as body, pytest.raises(QdrantUnreachable, match="in the middle"):
        list(body.iter_bytes(4))


def test_collections_aliases_and_indexes(qdrant: Qdrant, make_collection: Callable[..., str]) -> None:
    name = make_collection(points=30, name="with space \u00e4#%2F")
    assert name in qdrant.collections()
    assert qdrant.count(name) == 30
    assert set(qdrant.collection(name)["payload_schema"]) == {"group", "number"}
    qdrant.update_aliases([{"create_alias": {"collection_name": name, "alias_name": "a1"}}])
    assert qdrant.aliases()["a1"] == name
    assert len(qdrant.collection_cluster(name)["local_shards"]) == 2
    assert qdrant.cluster() == {"status": "disabled"}
    assert qdrant.version().count(".") == 2


def test_scroll_yields_every_point_with_the_exact_floats(qdrant: Qdrant, make_collection: Callable[..., str]) -> None:
    name = make_collection(points=0, dimensions={"v": 3}, index=False)
    values = [1.1754943508222875e-38, 3.4028234663852886e38, -0.1]
    qdrant.create_collection(raw := name + "-dot", {"vectors": {"size": 3, "distance": "Dot"}})
    try:
        points = [{"id": number, "vector": values, "payload": {"n": number}} for number in range(700)]
        qdrant.call("PUT", f"/collections/{raw}/points", {"points": points}, {"wait": True})
        found = list(qdrant.scroll(raw))
        assert [point["id"] for point in found] == list(range(700))
        assert all(struct.pack("<3f", *point["vector"]) == struct.pack("<3f", *values) for point in found)
        assert found == list(qdrant.scroll(raw, 33))
        assert [point.get("vector") for point in qdrant.scroll(raw, vectors=False)] == [None] * 700
    finally:
        qdrant.delete_collection(raw)


def test_a_download_is_the_file_and_resumes(qdrant: Qdrant, make_collection: Callable[..., str]) -> None:
    name = make_collection()
    snapshot = qdrant.create_snapshot(name)
    with qdrant.open_snapshot(name, snapshot["name"]) as body:
        etag, length = body.etag, body.length
        data = b"".join(body.iter_bytes(1000))
    assert length == len(data) == snapshot["size"]
    assert hashlib.sha256(data).hexdigest() == snapshot["checksum"]
    with qdrant.open_snapshot(name, snapshot["name"], 12345, etag) as body:
        assert b"".join(body.iter_bytes()) == data[12345:]
    with pytest.raises(DamagedSnapshot), qdrant.open_snapshot(name, snapshot["name"], 12345, '"another"'):
        pass
    with pytest.raises(DamagedSnapshot), qdrant.open_snapshot(name, snapshot["name"], len(data) + 1, etag):
        pass
    qdrant.delete_snapshot(name, snapshot["name"])
    assert qdrant.snapshots(name) == []


@pytest.fixture
def shard_archive(
    qdrant: Qdrant, qdrant_server: QdrantServer, make_collection: Callable[..., str]
) -> tuple[str, bytes]:
    """A collection of one shard, and the bytes of its shard snapshot."""
    name = make_collection(points=500, shard_number=1)
    made = qdrant.call("POST", f"/collections/{name}/shards/0/snapshots", params={"wait": True})
    path = next(qdrant_server.snapshots_path.rglob(made["name"]))
    data = path.read_bytes()
    qdrant.delete_shard_snapshot(name, 0, made["name"])
    return name, data


def pieces(data: bytes, size: int = 1 << 16) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), size):
        yield view[start : start + size]


def test_an_upload_brings_every_point_back(qdrant: Qdrant, shard_archive: tuple[str, bytes]) -> None:
    name, data = shard_archive
    before = collection_digest(qdrant, name)
    qdrant.call("POST", f"/collections/{name}/points/delete", {"filter": {}}, {"wait": True})
    assert qdrant.count(name) == 0
    qdrant.upload_shard_snapshot(name, 0, pieces(data), len(data), hashlib.sha256(data).hexdigest())
    assert collection_digest(qdrant, name) == before
    assert before[0] == 500


def test_an_upload_that_its_source_breaks_off_changes_nothing(
    qdrant: Qdrant, qdrant_server: QdrantServer, shard_archive: tuple[str, bytes]
) -> None:
    name, data = shard_archive
    before = collection_digest(qdrant, name)
    reason = DamagedBackup("part 2 has no good copy")

    def breaking() -> Iterator[memoryview]:
        for number, piece in enumerate(pieces(data)):
            if number == 1:
                raise reason
            yield piece

    with pytest.raises(DamagedBackup) as broken:
        qdrant.upload_shard_snapshot(name, 0, breaking(), len(data), hashlib.sha256(data).hexdigest())
    assert broken.value is reason
    assert collection_digest(qdrant, name) == before
    assert qdrant.shard_snapshots(name, 0) == []


@pytest.mark.parametrize("change", [1, -1])
def test_an_upload_of_another_size_is_never_completed(
    qdrant: Qdrant, shard_archive: tuple[str, bytes], change: int
) -> None:
    name, data = shard_archive
    before = collection_digest(qdrant, name)
    with pytest.raises(IntegrityError, match="announced"):
        qdrant.upload_shard_snapshot(name, 0, pieces(data), len(data) + change, hashlib.sha256(data).hexdigest())
    assert collection_digest(qdrant, name) == before


def test_an_upload_with_a_wrong_checksum_is_refused(qdrant: Qdrant, shard_archive: tuple[str, bytes]) -> None:
    name, data = shard_archive
    before = collection_digest(qdrant, name)
    with pytest.raises(QdrantError, match="Checksum mismatch"):
        qdrant.upload_shard_snapshot(name, 0, pieces(data), len(data), "0" * 64)
    assert collection_digest(qdrant, name) == before


@pytest.mark.parametrize("closes", [True, False])
def test_an_early_answer_stops_an_upload_and_is_reported(
    stub: Callable[..., Any], stub_reply: Callable[..., None], closes: bool
) -> None:
    def refuse(handler: Any) -> None:
        stub_reply(handler, 403, b"Global access is required")
        handler.wfile.flush()
        assert closes or refusing.closing.wait(60)

    refusing = stub(answer=refuse)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(1 << 20)

    with pytest.raises(QdrantUnauthorized, match="Global access is required"):
        node(refusing.url).upload_shard_snapshot("c", 0, endless(), 1 << 40, "00")
    assert sent < 1000


def test_a_server_that_takes_nothing_does_not_hold_an_upload_for_ever(stub: Callable[..., Any]) -> None:
    stuck = stub(answer=lambda handler: stuck.closing.wait(60))
    with pytest.raises(QdrantUnreachable, match="no answer within"):
        upload(node(stuck.url, operation_timeout=0.3), bytes(64 << 20))


def test_the_clock_of_the_node(qdrant: Qdrant) -> None:
    told = qdrant.server_time()
    assert told is not None
    assert abs(datetime.datetime.now(datetime.timezone.utc) - told) < datetime.timedelta(seconds=5)


def test_files_of_a_real_node(qdrant: Qdrant, qdrant_server: QdrantServer, make_collection: Callable[..., str]) -> None:
    name = make_collection(points=50)
    snapshot = qdrant.create_snapshot(name)
    path = snapshot_file(qdrant_server.snapshots_path, name, snapshot["name"])
    assert path is not None
    assert path.stat().st_size == snapshot["size"]
    positions = ack_indexes(qdrant_server.storage_path, name)
    assert positions is not None
    assert set(positions) == {0, 1}
    assert all(position is None or position >= 0 for position in positions.values())


def test_tls(tmp_path: Path, tls_files: dict[str, str], make_collection: Callable[..., str]) -> None:
    settings = {
        "QDRANT__SERVICE__ENABLE_TLS": "true",
        "QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE": "true",
        "QDRANT__TLS__CERT": tls_files["cert"],
        "QDRANT__TLS__KEY": tls_files["key"],
        "QDRANT__TLS__CA_CERT": tls_files["ca"],
    }
    own = {"client_cert": tls_files["cert"], "client_key": tls_files["key"]}
    with QdrantServer(tmp_path / "q", extra_env=settings) as server:
        with pytest.raises(QdrantUnreachable, match="certificate was not accepted") as refusal:
            node(server.url, **own).version()
        assert "ca_path" in refusal.value.hint
        with pytest.raises(QdrantUnreachable, match="TLS failed"):
            node(server.url, ca_path=tls_files["ca"]).version()
        with pytest.raises(QdrantUnreachable):
            node(server.url.replace("https", "http")).version()
        client = node(server.url, ca_path=tls_files["ca"], **own)
        name = make_collection(points=20, on=client)
        snapshot = client.create_snapshot(name)
        with client.open_snapshot(name, snapshot["name"]) as body:
            assert hashlib.sha256(b"".join(body.iter_bytes())).hexdigest() == snapshot["checksum"]
        with pytest.raises(QdrantError, match="Checksum mismatch"):
            client.upload_shard_snapshot(name, 0, iter([bytes(1 << 20)] * 3), 3 << 20, "0" * 64)
        assert node(server.url, validate_certs=False, **own).count(name) == 20
