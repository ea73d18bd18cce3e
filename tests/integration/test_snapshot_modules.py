# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules snapshot and snapshot_info as processes, against a real node."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import create_snapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tools.servers import QdrantServer

pytestmark = pytest.mark.qdrant

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def snapshot(run_module: Run, qdrant_server: QdrantServer) -> Run:
    """Run the module snapshot against the shared node."""
    return lambda check=False, **params: run_module("snapshot", {"url": qdrant_server.url, **params}, check, diff=True)


@pytest.fixture
def collection(make_collection: Callable[..., str]) -> str:
    return make_collection(points=50)


def test_a_snapshot_is_created_and_listed(
    snapshot: Run, run_module: Run, collection: str, qdrant_server: QdrantServer
) -> None:
    created = snapshot(collection=collection)
    assert created["changed"]
    assert not created["polled"]
    assert created["diff"] == {"before": "", "after": created["snapshot"]["name"] + "\n"}
    file = qdrant_server.snapshots_path / collection / created["snapshot"]["name"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == created["snapshot"]["checksum"]
    listed = run_module("snapshot_info", {"collection": collection}, env={"QDRANT_URL": qdrant_server.url})
    assert not listed["changed"]
    entry = listed["snapshots"][0]
    assert entry.pop("age_seconds") < 60
    assert entry.pop("created").endswith("Z")
    assert entry == {"collection": collection} | {key: created["snapshot"][key] for key in ("name", "size", "checksum")}
    everything = run_module("snapshot_info", {"url": qdrant_server.url})["snapshots"]
    assert created["snapshot"]["name"] in [item["name"] for item in everything]


def test_snapshots_one_after_another_never_collide(snapshot: Run, qdrant: Qdrant, collection: str) -> None:
    names = [snapshot(collection=collection)["snapshot"]["name"] for attempt in range(3)]
    assert len(set(names)) == 3
    assert {item["name"] for item in qdrant.snapshots(collection)} == set(names)
    assert snapshot(collection=collection, state="absent", older_than=3600)["deleted"] == []
    planned = snapshot(collection=collection, state="absent", older_than=0, check=True)
    assert planned["changed"]
    assert planned["deleted"][:2] == names[:2]
    assert len(qdrant.snapshots(collection)) == 3
    deleted = snapshot(collection=collection, state="absent", older_than=0)
    assert deleted["deleted"][:2] == names[:2]
    assert not {item["name"] for item in qdrant.snapshots(collection)} & set(deleted["deleted"])


def test_snapshots_in_quick_succession_never_collide(qdrant: Qdrant, collection: str) -> None:
    made = [create_snapshot(qdrant, collection)[0] for attempt in range(4)]
    assert len({item["name"] for item in made}) == 4
    assert sorted(qdrant.snapshots(collection), key=lambda item: item["name"]) == made


def test_two_processes_at_once_make_two_snapshots(
    start_module: Callable[..., Any], qdrant: Qdrant, qdrant_server: QdrantServer, collection: str
) -> None:
    params = {"url": qdrant_server.url, "collection": collection}
    results = [module.result() for module in [start_module("snapshot", params) for copy in range(2)]]
    made = {result["snapshot"]["name"]: result["snapshot"]["checksum"] for result in results}
    assert len(made) == 2
    assert {item["name"]: item["checksum"] for item in qdrant.snapshots(collection)} == made


def test_max_age(snapshot: Run, qdrant: Qdrant, collection: str) -> None:
    first = snapshot(collection=collection, max_age=3600)
    assert first["changed"]
    second = snapshot(collection=collection, max_age=3600)
    assert not second["changed"]
    assert second["snapshot"] == first["snapshot"]
    assert not snapshot(collection=collection, max_age=3600, check=True)["changed"]
    assert len(qdrant.snapshots(collection)) == 1


def test_check_mode_changes_nothing(snapshot: Run, qdrant: Qdrant, collection: str) -> None:
    planned = snapshot(collection=collection, check=True)
    assert planned["changed"]
    assert planned["snapshot"] is None
    assert qdrant.snapshots(collection) == []
    name = snapshot(collection=collection)["snapshot"]["name"]
    planned = snapshot(collection=collection, state="absent", name=name, check=True)
    assert planned["changed"]
    assert planned["deleted"] == [name]
    assert planned["diff"] == {"before": name + "\n", "after": ""}
    assert [item["name"] for item in qdrant.snapshots(collection)] == [name]


def test_delete_by_name(snapshot: Run, qdrant: Qdrant, collection: str) -> None:
    name = snapshot(collection=collection)["snapshot"]["name"]
    assert snapshot(collection=collection, state="absent", name=name)["deleted"] == [name]
    assert qdrant.snapshots(collection) == []
    again = snapshot(collection=collection, state="absent", name=name)
    assert not again["changed"]
    assert again["deleted"] == []


def forwarding(target: str, swallow: threading.Event) -> Callable[[Any], None]:
    """Return a stub's answer that forwards to ``target`` and drops the answer to a create, after it was done."""

    def answer(handler: Any) -> None:
        link = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        link.request(handler.command, handler.path, body, {"Content-Type": "application/json"})
        response = link.getresponse()
        data = response.read()
        link.close()
        if handler.command == "POST" and handler.path.partition("?")[0].endswith("/snapshots"):
            swallow.wait(60)
            return
        handler.send_response_only(response.status)
        handler.send_header("Date", response.headers["Date"])
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def test_an_unanswered_create_is_found_and_not_repeated(
    run_module: Run, stub: Callable[..., Any], qdrant: Qdrant, qdrant_server: QdrantServer, collection: str
) -> None:
    done = threading.Event()
    proxy = stub(answer=forwarding(qdrant_server.url, done))
    result = run_module("snapshot", {"url": proxy.url, "collection": collection, "operation_timeout": 2})
    done.set()
    assert result["changed"]
    assert result["polled"]
    assert result["snapshot"] == qdrant.snapshots(collection)[0]
    assert len(qdrant.snapshots(collection)) == 1
    assert [request[0] for request in proxy.requests].count("POST") == 1


def test_a_create_that_never_ends_is_given_up(
    run_module: Run, stub: Callable[..., Any], stub_reply: Callable[..., None], collection: str
) -> None:
    def answer(handler: Any) -> None:
        if handler.command == "POST":
            server.closing.wait(60)
        elif handler.path.endswith("/cluster"):
            stub_reply(handler, 200, b'{"result": {"peer_id": 99}}')
        elif handler.path == "/aliases":
            stub_reply(handler, 200, b'{"result": {"aliases": []}}')
        else:
            stub_reply(handler, 200, b'{"result": [], "version": "1.16.3"}')

    server = stub(answer=answer)
    result = run_module("snapshot", {"url": server.url, "collection": collection, "operation_timeout": 0.3})
    assert result["failed"]
    assert result["failure"]["code"] == "timeout"
    assert "No complete snapshot" in result["failure"]["detail"]
    assert [request[0] for request in server.requests].count("POST") == 1


@pytest.mark.parametrize("module", ["snapshot", "snapshot_info"])
def test_failures_have_a_code_and_keep_the_key(run_module: Run, keyed_qdrant: QdrantServer, module: str) -> None:
    wrong = run_module(module, {"url": keyed_qdrant.url, "api_key": "hunter2-secret", "collection": "c"})
    assert wrong["failed"]
    assert wrong["failure"]["code"] == "qdrant_unauthorized"
    assert wrong["failure"]["detail"] in wrong["msg"]
    assert "hunter2-secret" not in str(wrong)
    env = {"QDRANT_URL": keyed_qdrant.url, "QDRANT_API_KEY": keyed_qdrant.api_key}
    missing = run_module(module, {"collection": "nope"}, env=env)
    assert missing["failure"]["code"] == "qdrant_not_found"
    assert "nope" in missing["failure"]["detail"]
    closed = run_module(module, {"url": "http://127.0.0.1:1", "collection": "c"})
    assert closed["failure"]["code"] == "qdrant_unreachable"
    invalid = run_module(module, {"url": "127.0.0.1:6333", "collection": "c"})
    assert invalid["failure"]["code"] == "invalid_input"


def test_options_that_do_not_go_together(snapshot: Run, collection: str) -> None:
    assert snapshot(collection=collection, state="absent")["failed"]
    assert snapshot(collection=collection, name="x")["failure"]["code"] == "invalid_input"
    assert snapshot(collection=collection, state="absent", name="x", older_than=1)["failed"]
    assert snapshot(collection=collection, state="absent", older_than=-1)["failure"]["code"] == "invalid_input"
