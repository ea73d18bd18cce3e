# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wraps of data keys, and the record of later ones."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedManifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import (
    KeyRecord,
    check_wrap,
    fingerprint,
    is_key_id,
    key_context,
    master_key_of,
    unwrap_key,
    wrap_key,
)

MASTER, OTHER, DATA = b"m" * 32, b"o" * 32, b"d" * 32
CONTEXT = key_context("production", "docs", "20261122T020000Z-a1b2c3", "0" * 32)
WRAP = wrap_key(DATA, MASTER, b"n" * 12, CONTEXT)
M1 = {"manifest_sha256": "m1"}
KMS_WRAP = {"kind": "aws:kms", "key_id": "arn:aws:kms:eu-central-1:1:key/a", "wrapped": "AAAA"}


def test_a_wrap_opens_with_its_master_key_for_what_it_was_made() -> None:
    assert unwrap_key(WRAP, MASTER, CONTEXT) == DATA
    assert unwrap_key(WRAP, OTHER, CONTEXT) is None
    assert unwrap_key(KMS_WRAP, MASTER, CONTEXT) is None
    for name in CONTEXT:
        assert unwrap_key(WRAP, MASTER, {**CONTEXT, name: "another"}) is None


def test_a_wrap_names_its_master_key_and_tells_nothing_of_any_key() -> None:
    assert master_key_of(WRAP) == fingerprint(MASTER) != fingerprint(OTHER)
    assert master_key_of(KMS_WRAP) == KMS_WRAP["key_id"]
    secrets = (DATA, MASTER)
    assert not [secret for secret in secrets if secret in base64.b64decode(WRAP["wrapped"])]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"kind": ["key"]},
        {**WRAP, "kind": "vault"},
        {**WRAP, "more": 1},
        {**WRAP, "fingerprint": "ABC"},
        {**WRAP, "nonce": "AAAA"},
        {**WRAP, "wrapped": "no base64!"},
        {**WRAP, "wrapped": ""},
        {**WRAP, "wrapped": 7},
        {"kind": "aws:kms", "wrapped": "AAAA"},
    ],
)
def test_what_is_no_wrap_is_refused(wrong: Any) -> None:
    check_wrap(WRAP, "x")
    check_wrap(KMS_WRAP, "x")
    with pytest.raises(DamagedManifest, match="wrap of the data key"):
        check_wrap(wrong, "the data key")


def test_ids_are_16_bytes_in_hex() -> None:
    assert is_key_id("0123456789abcdef" * 2)
    assert not any(map(is_key_id, ["", "0" * 31, "A" * 32, "0" * 33, None, 7]))


def test_a_record_keeps_one_wrap_of_each_master_key() -> None:
    record = KeyRecord(M1)
    record.add("a", WRAP)
    again = wrap_key(DATA, MASTER, b"x" * 12, CONTEXT)
    record.add("a", KMS_WRAP)
    record.add("a", again)
    read = KeyRecord.parse(record.dump(), M1)
    assert (read.of("a"), read.of("b"), read.wraps) == ([again, KMS_WRAP], [], record.wraps)


def test_what_a_record_takes_of_another_loses_nothing() -> None:
    ours, theirs = KeyRecord(M1, {"a": [WRAP]}), KeyRecord(M1, {"a": [KMS_WRAP], "b": [WRAP]})
    assert ours.lacks(theirs)
    ours.take(theirs)
    assert ours.wraps == {"a": [WRAP, KMS_WRAP], "b": [WRAP]}
    assert not ours.lacks(theirs)
    newer = wrap_key(DATA, MASTER, b"x" * 12, CONTEXT)
    ours.take(KeyRecord(M1, {"a": [newer]}))
    assert ours.of("a") == [WRAP, KMS_WRAP], "a copy never puts another wrap in the place of one that is there"


def test_a_record_that_is_damaged_or_of_another_manifest_counts_as_none() -> None:
    good = KeyRecord(M1, {"a": [WRAP]}).dump()
    whole = json.loads(good)
    changes: list[dict[str, Any]] = [{"schema_version": 2}, {"wraps": {"a": [{"kind": "key"}]}}, {"wraps": 7}]
    wrong = [b"", b"[]", good[:-9], *(json.dumps({**whole, **change}).encode() for change in changes)]
    assert KeyRecord.parse(good, M1).wraps == {"a": [WRAP]}
    assert KeyRecord.parse(good, {"manifest_sha256": "m2"}).wraps == {}
    assert [KeyRecord.parse(data, M1).wraps for data in wrong] == [{}] * len(wrong)
