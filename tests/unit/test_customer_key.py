# Copyright (c) 2026, VectorOps contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The customer's key of SSE-C: the forms that it may have, the files it may be in, and the wires it may go over."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.customer_key import load
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.s3_client import build_client

# The same in every process, because tests are named by it.
KEY = hashlib.sha256(b"a key").digest()
BASE64 = base64.b64encode(KEY).decode()


def written(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    "content", [KEY, KEY.hex().encode(), BASE64.encode(), f"{BASE64}\n".encode(), f" {KEY.hex().upper()}\r\n".encode()]
)
def test_a_file_may_hold_the_key_in_any_of_its_forms(tmp_path: Path, content: bytes) -> None:
    assert load(None, written(tmp_path, content)).encoded == BASE64


@pytest.mark.parametrize("text", [KEY.hex(), BASE64])
def test_the_key_itself_may_be_given(text: str) -> None:
    assert load(text, None).encoded == BASE64


@pytest.mark.parametrize(
    "text", ["x" * 32, "x" * 64, KEY.hex()[:-2], BASE64[:-4], f"{BASE64[:9]} {BASE64[9:]}", "\u00e4"]
)
def test_another_length_or_form_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    for refused in (lambda: load(text, None), lambda: load(None, written(tmp_path, text.encode() + b"\n"))):
        with pytest.raises(InvalidInput, match="holds no key: 32 bytes") as refusal:
            refused()
        assert text not in str(refusal.value.failure())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InvalidInput, match="can be read or changed by others") as refusal:
        load(None, written(tmp_path, KEY, mode))
    assert "chmod 600" in refusal.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="absent cannot be read: No such file"):
        load(None, str(tmp_path / "absent"))


@pytest.fixture
def location_at() -> Callable[[str | None], StoreLocation]:
    def make(endpoint: str | None) -> StoreLocation:
        return StoreLocation(
            "eu", "backups", "production", region="eu-central-1", access_key="a", secret_key="s",
            endpoint_url=endpoint, encryption="SSE-C", sse_customer_key=BASE64,
        )  # fmt: skip

    return make


@pytest.mark.parametrize("endpoint", ["http://s3.example.com", "http://10.0.0.1:9000", "http://127.0.0.1.example.com"])
def test_the_key_does_not_travel_in_the_clear(
    location_at: Callable[[str | None], StoreLocation], endpoint: str
) -> None:
    with pytest.raises(InvalidInput, match="plain HTTP: the key of SSE-C would travel in the clear"):
        build_client(location_at(endpoint), 1)


@pytest.mark.parametrize(
    "endpoint", [None, "https://s3.example.com", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"]
)
def test_it_travels_over_https_and_to_this_host(
    location_at: Callable[[str | None], StoreLocation], endpoint: str | None
) -> None:
    build_client(location_at(endpoint), 1).close()


def test_plain_http_may_also_be_what_the_environment_says(
    location_at: Callable[[str | None], StoreLocation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.com")
    with pytest.raises(InvalidInput, match="in the clear"):
        build_client(location_at(None), 1)


def test_no_text_of_a_location_has_the_key(location_at: Callable[[str | None], StoreLocation]) -> None:
    location = location_at(None)
    assert location.customer_key is not None
    assert BASE64 not in f"{location!r} {location.customer_key!r}"
    assert dataclasses.replace(location, sse_customer_key=KEY.hex()).customer_key == location.customer_key
