# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where master keys come from: files, the environment, options, and (emulated) AWS KMS."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    REPOSITORY_SUBSPEC,
    store_location,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    InvalidInput,
    KeyServiceError,
    StoreUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import check_wrap, fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ClientEncryption, StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.master_keys import KeyRing, key_ring
from tests.emulated_s3 import kms_key

KEY = bytes(range(200, 232))
OTHER = bytes(range(32))
CONTEXT = {"cluster": "production", "data_key": "0" * 32}


def place(**option: Any) -> StoreLocation:
    sealing = ClientEncryption.of(option) if option else None
    keys = {"access_key": "emulated", "secret_key": "emulated", "region": "us-east-1"}
    return StoreLocation("primary", "backups", "production", client_encryption=sealing, connect_timeout=1, **keys)


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "backup.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


SHAPES = [
    KEY,
    KEY + b"\n",
    KEY.hex().encode(),
    KEY.hex().upper().encode() + b"\r\n",
    base64.b64encode(KEY),
    base64.b64encode(KEY) + b"\n",
]


@pytest.mark.parametrize("content", SHAPES)
def test_a_file_may_hold_the_key_in_three_ways(tmp_path: Path, content: bytes) -> None:
    ring = KeyRing(place(key_file=key_file(tmp_path, content)))
    assert [key.name for key in ring.keys] == [fingerprint(KEY)]


@pytest.mark.parametrize("content", [b"", b"\n", b"a" * 32, b"0" * 63, KEY[:31], KEY + KEY, b"\x00" * 5000])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    path = key_file(tmp_path, content)
    with pytest.raises(InvalidInput, match=f"The key file {path} holds no key") as refusal:
        KeyRing(place(key_file=path))
    assert "openssl rand -hex 32" in refusal.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, KEY, mode)
    with pytest.raises(InvalidInput, match=f"The key file {path} can be read or changed by others") as refusal:
        KeyRing(place(key_file=path))
    assert refusal.value.hint.endswith(f"chmod 600 {path}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file") as refusal:
        KeyRing(place(key_file=str(tmp_path / "none")))
    assert "openssl rand -hex 32" in refusal.value.hint


def test_the_environment_may_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", KEY.hex())
    assert KeyRing(place(key_env="BACKUP_KEY")).current.name == fingerprint(KEY)
    monkeypatch.delenv("BACKUP_KEY")
    with pytest.raises(InvalidInput, match=r"BACKUP_KEY .* is not set"):
        KeyRing(place(key_env="BACKUP_KEY"))


def test_no_option_no_keys() -> None:
    assert key_ring(place()) is None


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"key": "a", "key_file": "b"}, "names key_file and key"),
        ({}, "names no key"),
        ({"key": None}, "names no key"),
        ({"key": "", "key_file": ""}, "names no key"),
        ({"key": "a", "kms_region": "eu-central-1"}, "options of KMS without kms_key_id"),
        ({"key": "a", "old_keys": [{}]}, "names no key"),
    ],
)
def test_exactly_one_key_is_needed(option: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ClientEncryption.of(option)


def test_the_option_becomes_part_of_the_location_and_shows_no_key() -> None:
    defaults = {name: spec.get("default") for name, spec in REPOSITORY_SUBSPEC.items()}
    option = {"key": KEY.hex(), "key_file": None, "key_env": "", "old_keys": [{"key": OTHER.hex(), "key_file": ""}]}
    location = store_location({**defaults, "bucket": "backups", "cluster": "production", "client_encryption": option})
    assert [key.name for key in KeyRing(location).keys] == [fingerprint(KEY), fingerprint(OTHER)]
    assert KEY.hex() not in repr(location)
    assert OTHER.hex() not in repr(location)


def test_old_keys_open_and_do_not_wrap() -> None:
    old = KeyRing(place(key=OTHER.hex()))
    data_key, wrap = old.current.generate(CONTEXT)
    ring = KeyRing(place(key=KEY.hex(), old_keys=[{"key": OTHER.hex()}]))
    assert ring.open([wrap], CONTEXT) == data_key
    assert ring.current.open(wrap, CONTEXT) is None
    assert KeyRing(place(key=KEY.hex())).open([wrap], CONTEXT) is None
    again = ring.current.wrap(data_key, CONTEXT)
    assert KeyRing(place(key=KEY.hex())).open([wrap, again], CONTEXT) == data_key


def test_a_key_in_kms_wraps_and_opens(moto_s3: str) -> None:
    key_id, other_id = kms_key(moto_s3), kms_key(moto_s3)
    ring = KeyRing(place(kms_key_id=key_id, kms_endpoint_url=moto_s3))
    data_key, wrap = ring.current.generate(CONTEXT)
    check_wrap(wrap, "x")
    assert len(data_key) == 32
    assert wrap["key_id"].endswith(f"key/{key_id}")
    assert ring.open([wrap], CONTEXT) == data_key
    assert ring.open([wrap], {**CONTEXT, "cluster": "another"}) is None
    assert KeyRing(place(key=KEY.hex())).open([wrap], CONTEXT) is None

    moved = KeyRing(place(kms_key_id=other_id, kms_endpoint_url=moto_s3))
    again = moved.current.wrap(data_key, CONTEXT)
    assert moved.open([again], CONTEXT) == data_key


def test_a_key_service_that_fails_is_named(moto_s3: str) -> None:
    ring = KeyRing(place(kms_key_id="00000000-0000-0000-0000-000000000000", kms_endpoint_url=moto_s3))
    with pytest.raises(KeyServiceError, match=r"Cannot get a data key from the KMS key 0000.*NotFoundException"):
        ring.current.generate(CONTEXT)


def test_where_a_key_service_is_out_of_reach_another_key_may_open() -> None:
    kms_wrap = {"kind": "aws:kms", "key_id": "arn", "wrapped": "AAAA"}
    out_of_reach = {"kms_key_id": "gone", "kms_endpoint_url": "http://127.0.0.1:9"}
    data_key, wrap = KeyRing(place(key=OTHER.hex())).current.generate(CONTEXT)
    ring = KeyRing(place(**out_of_reach, old_keys=[{"key": OTHER.hex()}]))
    assert ring.open([kms_wrap, wrap], CONTEXT) == data_key
    with pytest.raises(StoreUnreachable, match="Cannot open a data key with the KMS key gone"):
        ring.open([kms_wrap], CONTEXT)
