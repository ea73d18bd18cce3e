# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that a cluster must agree on: they are waited for, and a late answer is not taken for a refusal.

A stub stands in for a cluster that is slow to agree, which a healthy one on loopback never is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import OperationTimeout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection

# What Qdrant 1.16.3 said in a cluster on a busy machine.
LATE = "Service internal error: Waiting for consensus operation commit failed. Timeout set at: 10 seconds."
SWITCH = [
    {"delete_alias": {"alias_name": "live"}},
    {"create_alias": {"alias_name": "live", "collection_name": "new"}},
    {"delete_alias": {"alias_name": "mark"}},
]


def slow_to_agree(stub: Callable[..., Any], stub_reply: Callable[..., None], agreed_after: float) -> Any:
    """A cluster that answers each change with a timeout, and makes it `agreed_after` seconds later."""
    began: list[float] = []

    def answer(handler: Any) -> None:
        if handler.command != "GET":
            began.append(time.monotonic())
            stub_reply(handler, 500, json.dumps({"status": {"error": LATE}}).encode())
            return
        agreed = bool(began) and time.monotonic() - began[0] > agreed_after
        aliases = {"live": "new"} if agreed else {"live": "old", "mark": "new"}
        listed = [{"alias_name": alias, "collection_name": name} for alias, name in aliases.items()]
        stub_reply(handler, 200, json.dumps({"result": {"aliases": listed}}).encode())

    return stub(answer=answer)


def test_a_change_of_aliases_that_comes_late_is_made(stub: Callable[..., Any], stub_reply: Callable[..., None]) -> None:
    server = slow_to_agree(stub, stub_reply, agreed_after=0.7)
    Qdrant(QdrantConnection(server.url, timeout=20)).update_aliases(SWITCH)
    assert [method for method, _path, _headers in server.requests].count("POST") == 1


def test_a_change_that_nobody_sees_is_unknown_and_not_sent_again(
    stub: Callable[..., Any], stub_reply: Callable[..., None]
) -> None:
    server = slow_to_agree(stub, stub_reply, agreed_after=3600)
    node = Qdrant(QdrantConnection(server.url, timeout=2))
    with pytest.raises(OperationTimeout, match="did not agree in time"):
        node.update_aliases(SWITCH)
    with pytest.raises(OperationTimeout, match="PUT /collections/docs"):
        node.create_collection("docs", {})
    assert [method for method, _path, _headers in server.requests if method != "GET"] == ["POST", "PUT"]


def test_the_cluster_is_given_the_time_that_an_answer_may_take(stub: Callable[..., Any]) -> None:
    server = stub(200, b'{"result": true}')
    node = Qdrant(QdrantConnection(server.url, timeout=45))
    node.create_collection("docs", {})
    node.update_aliases(SWITCH)
    assert [path for _method, path, _headers in server.requests] == [
        "/collections/docs?timeout=44",
        "/collections/aliases?timeout=44",
    ]
