# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and keys that cannot be right are refused before anything is sent, and never shown."""

from __future__ import annotations

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6333",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://host:0",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        QdrantConnection(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@host:6333",
        "http://user:hunter2@host:port",
        "ftp://user:hunter2@host",
        "user:hunter2@host",
        "http://host?key=hunter2",
        "http://host#hunter2",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        QdrantConnection(url)
    assert "hunter2" not in str(refusal.value.failure())


@pytest.mark.parametrize("key", ["", "two words", "hunter2\r\nHost: evil", "hunter2\n", "schl\u00fcssel"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        QdrantConnection("http://host", api_key=key)
    assert "hunter2" not in str(refusal.value.failure())


def test_the_key_is_not_shown() -> None:
    assert "hunter2" not in repr(QdrantConnection("http://host", api_key="hunter2"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://host:6333/", "host:6333"),
        ("http://host", "host:80"),
        ("https://host", "host:443"),
        ("http://[::1]:6333", "[::1]:6333"),
    ],
)
def test_the_nodes_name(url: str, address: str) -> None:
    assert QdrantConnection(url).address == address


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_change_the_path_are_refused(name: str) -> None:
    node = Qdrant(QdrantConnection("http://127.0.0.1:1"))
    with pytest.raises(InvalidInput):
        node.delete_collection(name)
    with pytest.raises(InvalidInput):
        node.delete_snapshot("c", name)


@pytest.mark.parametrize("field", ["timeout", "operation_timeout"])
def test_a_time_must_be_positive(field: str) -> None:
    with pytest.raises(InvalidInput):
        QdrantConnection("http://host", **{field: 0})


def test_missing_tls_files_are_named() -> None:
    with pytest.raises(InvalidInput, match="TLS files"):
        Qdrant(QdrantConnection("https://127.0.0.1:1", ca_path="/nowhere/ca.pem")).version()
