# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest proves itself: nothing but the very document that a backup wrote is ever taken for it."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedManifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.canonical import canonical
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import (
    REQUIRED,
    Manifest,
)
from tests.made_backups import manifest_of

BACKUP = "20261122T020000Z-a1b2c3"
SHARDS = (bytes(100), b"\x01" * 25, b"x")


def made(**fields: Any) -> Manifest:
    config = {
        "params": {"vectors": {"size": 4, "distance": "Dot"}},
        "metadata": {"\u00e4": [1, 2.5, None, True, "\U0001f600"]},
    }
    return manifest_of("docs", BACKUP, SHARDS, part_size=30, **{"config": config, "aliases": ["live"], **fields})


def parse(data: bytes, **names: Any) -> Manifest:
    return Manifest.parse(data, **{"cluster": "production", "collection": "docs", "backup_id": BACKUP, **names})


def proving_itself(whole: dict[str, Any]) -> bytes:
    """The document with a digest that fits, as one who writes wrong manifests on purpose would make it."""
    rest = {key: value for key, value in whole.items() if key not in ("schema_version", "kind", "manifest_sha256")}
    return json.dumps({**whole, "manifest_sha256": hashlib.sha256(canonical(rest)).hexdigest()}).encode()


IDLE = {"first": 9, "last": 9, "first_found_by": "ack_index"}


@pytest.mark.parametrize(
    ("logs", "points", "exact"),
    [
        ([IDLE, {**IDLE, "last": 8}, IDLE], {"before": 7, "after": 7}, 7),
        ([IDLE, {**IDLE, "last": 10}, IDLE], {"before": 7, "after": 7}, None),
        ([IDLE, {**IDLE, "first_found_by": "segments"}, IDLE], {"before": 7, "after": 7}, None),
        ([IDLE, IDLE, IDLE], {"before": 7, "after": 8}, None),
    ],
    ids=["idle", "written to", "not read from the node", "other counts"],
)
def test_a_count_is_exact_only_where_the_log_proves_it(
    logs: list[dict[str, Any]], points: dict[str, int], exact: int | None
) -> None:
    shards = [{**shard, "wal": log} for shard, log in zip(made().shards, logs, strict=True)]
    assert Manifest({**made().fields, "shards": shards, "points": points}).exact_points == exact


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each scalar in a JSON value."""
    if isinstance(value, dict):
        return [path for key, inner in value.items() for path in paths(inner, (*at, key))]
    if isinstance(value, list):
        return [path for number, inner in enumerate(value) for path in paths(inner, (*at, number))]
    return [at]


def changed(whole: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(whole)
    place = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


WHOLE = json.loads(made().dump())


def test_what_was_written_is_read() -> None:
    manifest = made()
    again = parse(manifest.dump())
    assert again.fields == manifest.fields
    assert again.dump() == manifest.dump()
    assert again.sha256 == manifest.sha256 == WHOLE["manifest_sha256"]


def test_the_digest_is_over_the_canonical_json_of_the_other_fields() -> None:
    rest = {key: WHOLE[key] for key in WHOLE if key not in ("schema_version", "kind", "manifest_sha256")}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert hashlib.sha256(text.encode()).hexdigest() == WHOLE["manifest_sha256"]


def test_a_manifest_cut_short_at_any_byte_is_refused() -> None:
    data = made().dump()
    for length in range(len(data) - 1):
        with pytest.raises(DamagedManifest):
            parse(data[:length])
    assert parse(data[:-1]).sha256 == made().sha256, "only the line's end may be missing"


@pytest.mark.parametrize("path", paths(WHOLE), ids=lambda path: ".".join(map(str, path)))
def test_every_altered_value_is_noticed(path: tuple[Any, ...]) -> None:
    place: Any = WHOLE
    for step in path:
        place = place[step]
    other = {str: f"{place}x", int: 10**6, float: 0.125, bool: not place, type(None): "x"}[type(place)]
    with pytest.raises(DamagedManifest):
        parse(json.dumps(changed(WHOLE, path, other)).encode())


@given(st.data())
def test_a_flipped_bit_is_noticed_or_changes_nothing(data: st.DataObject) -> None:
    text = bytearray(made().dump())
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    text[bit // 8] ^= 1 << bit % 8
    try:
        read = parse(bytes(text))
    except DamagedManifest:
        return
    assert read.fields == made().fields, "a flip between the values, in white space"


@pytest.mark.parametrize("added", ["note", "shards2"])
def test_an_added_field_is_noticed(added: str) -> None:
    with pytest.raises(DamagedManifest, match="altered"):
        parse(json.dumps({**WHOLE, added: 1}).encode())


@pytest.mark.parametrize("version", [0, 3, "1", None, 1.5])
def test_another_schema_version_is_refused_and_said(version: Any) -> None:
    with pytest.raises(DamagedManifest, match=re.escape(f"schema version {version!r}, this version reads")) as refusal:
        parse(proving_itself({**WHOLE, "schema_version": version}))
    assert "newer" in refusal.value.hint


def in_chunks(**changes: Any) -> dict[str, Any]:
    """The fields of a manifest whose first shard is stored as chunks."""
    fields = copy.deepcopy(made().fields)
    stored = fields["shards"][0]["object"]
    stored["key"] = stored["key"].replace(".snapshot", ".chunks")
    table = {"size": 56, "sha256": "ab" * 32, "part_size": 56, "parts": ["ab" * 32]}
    stored |= {"archive": {"size": 1000, "sha256": "cd" * 32}, "packs": table, **changes}
    return fields


def test_one_with_chunks_has_a_version_that_older_readers_refuse() -> None:
    manifest = Manifest(in_chunks())
    whole = json.loads(manifest.dump())
    assert (whole["schema_version"], json.loads(made().dump())["schema_version"]) == (2, 1)
    assert parse(manifest.dump()).size == 1000 + 25 + 1
    with pytest.raises(DamagedManifest, match="which schema version 1 has not"):
        parse(proving_itself({**whole, "schema_version": 1}))


@pytest.mark.parametrize(
    "changes",
    [
        {"key": made().fields["shards"][0]["object"]["key"]},
        {"archive": {"size": 0, "sha256": "cd" * 32}},
        {"archive": {"size": 1000, "sha256": "cd"}},
        {"archive": {"size": 1000}},
        {"packs": None},
        {"packs": {"size": 56, "sha256": "ab" * 32, "part_size": 10, "parts": ["ab" * 32]}},
        {"packs": {"size": 56, "sha256": "ab" * 32, "part_size": 56, "parts": ["ab"]}},
    ],
)
def test_chunks_that_are_not_fully_described_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedManifest):
        Manifest(in_chunks(**changes))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"collection": "other"}, "of collection 'docs', not of 'other'"),
        ({"cluster": "staging"}, "of cluster 'production', not of 'staging'"),
        ({"backup_id": "20261122T020000Z-ffffff"}, f"of backup_id '{BACKUP}', not of"),
    ],
)
def test_the_manifest_of_something_else_is_refused(names: dict[str, str], said: str) -> None:
    with pytest.raises(DamagedManifest, match=said):
        parse(made().dump(), **names)


def test_the_id_is_not_compared_where_none_is_asked_for() -> None:
    assert parse(made().dump(), backup_id=None).backup_id == BACKUP


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b"\xff\xfe",
        b'{"kind": "other"}',
        b"[" * 200_000,
        b"9" * 5000,
        made().dump().replace(b'"before": 7', b'"before": NaN'),
    ],
    ids=["empty", "null", "list", "text", "object", "not utf-8", "other kind", "deep", "long number", "NaN"],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedManifest):
        parse(data)


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("wrong", ["missing", None, True, 1.5])
def test_each_field_must_be_there_in_its_type(field: str, wrong: Any) -> None:
    whole = {key: value for key, value in WHOLE.items() if key != field}
    if wrong != "missing":
        whole[field] = wrong
    with pytest.raises(DamagedManifest, match=f"lacks a valid '{field}'"):
        parse(proving_itself(whole))


def shard_changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    whole = copy.deepcopy(WHOLE)
    change(whole["shards"][1])
    return proving_itself(whole)


@pytest.mark.parametrize(
    "key",
    [
        "backups/20261122T020000Z-ffffff/shards/1.snapshot",
        f"backups/{BACKUP}/shards/0.snapshot",
        f"backups/{BACKUP}/shards/../../../../other/1.snapshot",
        "/etc/passwd",
        "../1.snapshot",
        "",
    ],
)
def test_an_object_outside_of_the_backup_is_refused(key: str) -> None:
    with pytest.raises(DamagedManifest, match="outside of its backup"):
        parse(shard_changed(lambda shard: shard["object"].update(key=key)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 0}, "do not add up"),
        ({"size": 31}, "do not add up"),
        ({"part_size": 0}, "do not add up"),
        ({"part_size": -30}, "do not add up"),
        ({"part_size": 24}, "do not add up"),
        ({"parts": []}, "do not add up"),
        ({"parts": ["0" * 63]}, "not a SHA-256"),
        ({"parts": ["G" * 64]}, "not a SHA-256"),
        ({"parts": [7]}, "not a SHA-256"),
        ({"sha256": "0" * 64 + "\n"}, "not a SHA-256"),
        ({"sha256": "A" * 64}, "not a SHA-256"),
        ({"wal_offset": None}, "lacks a valid 'wal_offset'"),
        ({"encryption": "AES256"}, "lacks a valid 'encryption'"),
        ({"size": True}, "lacks a valid 'size'"),
    ],
)
def test_an_object_that_cannot_be_right_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DamagedManifest, match=said):
        parse(shard_changed(lambda shard: shard["object"].update(change)))


def test_a_shard_listed_twice_is_refused() -> None:
    whole = copy.deepcopy(WHOLE)
    whole["shards"][1] = whole["shards"][0]
    with pytest.raises(DamagedManifest, match="lists a shard twice"):
        parse(proving_itself(whole))


@pytest.mark.parametrize(("shards", "said"), [([], "lists no shards"), ([7], "a shard is not an object")])
def test_shards_that_are_none_are_refused(shards: list[Any], said: str) -> None:
    with pytest.raises(DamagedManifest, match=said):
        parse(proving_itself({**WHOLE, "shards": shards}))


def test_an_id_that_is_none_is_refused() -> None:
    with pytest.raises(DamagedManifest, match="names no valid backup id"):
        parse(proving_itself({**WHOLE, "backup_id": "../x"}), backup_id=None)


def test_a_wrong_manifest_is_not_even_made() -> None:
    with pytest.raises(DamagedManifest, match="lacks a valid 'aliases'"):
        made(aliases="live")


def test_the_summary_says_what_a_catalogue_shows() -> None:
    summary = made().summary()
    assert (summary["backup_id"], summary["state"], summary["shards"]) == (BACKUP, "committed", 3)
    assert summary["size"] == sum(map(len, SHARDS)) == made().size
    assert summary["encryption"] == ["AES256"]
    assert made().object_key(made().shards[1]) == f"docs/backups/{BACKUP}/shards/1.snapshot"


KEY_ID = "0" * 32
WRAP = {"kind": "aws:kms", "key_id": "arn:aws:kms:eu-central-1:1:key/a", "wrapped": "AAAA"}


def encrypted(**changes: Any) -> dict[str, Any]:
    """The fields of a backup that was encrypted before it was sent; ``changes`` go into its last shard's facts."""
    fields = copy.deepcopy(made(data_keys={}).fields)
    for shard in fields["shards"]:
        stored = shard["object"]
        plain_size = stored["size"]
        stored["size"] += 80 * len(stored["parts"])
        stored["part_size"] += 80
        stored["client_encryption"] = {"data_key": KEY_ID, "plain_size": plain_size, "plain_sha256": "0" * 64}
    fields["shards"][-1]["object"]["client_encryption"] |= changes
    return {**fields, "data_keys": {KEY_ID: WRAP}}


def test_an_encrypted_backup_names_its_master_keys() -> None:
    manifest = Manifest(encrypted())
    assert parse(manifest.dump()).fields == manifest.fields
    assert manifest.summary()["client_encryption"] == [WRAP["key_id"]]
    assert (made().summary()["client_encryption"], made().data_keys) == ([], {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plain_size": 0}, "does not fit its plain size"),
        ({"plain_size": 2}, "does not fit its plain size"),
        ({"plain_sha256": "0" * 63}, "not a SHA-256"),
        ({"data_key": "1" * 32}, "does not wrap the data keys"),
        ({"data_key": None}, "lacks a valid 'data_key'"),
    ],
)
def test_facts_of_encryption_that_cannot_be_right_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DamagedManifest, match=words):
        Manifest(encrypted(**changes))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data_keys": {}}, "does not wrap the data keys"),
        ({"data_keys": {KEY_ID: WRAP, "1" * 32: WRAP}}, "does not wrap the data keys"),
        ({"data_keys": {"../../x": WRAP}}, "no valid ids"),
        ({"data_keys": [KEY_ID]}, "no valid ids"),
        ({"data_keys": {KEY_ID: {}}}, "wrap of the data key"),
        ({"probes": {"sealed": {"data_key": "1" * 32, "text": ""}}}, "does not wrap the data keys"),
        ({"probes": {"sealed": {"data_key": KEY_ID}}}, "sealed probes lacks a valid 'text'"),
    ],
)
def test_data_keys_that_do_not_fit_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DamagedManifest, match=words):
        Manifest({**encrypted(), **fields})


def test_no_part_of_an_encrypted_backup_is_left_plain() -> None:
    fields = encrypted()
    fields["shards"][1] = made().shards[1]
    with pytest.raises(DamagedManifest, match="does not wrap the data keys"):
        Manifest(fields)
    with pytest.raises(DamagedManifest, match="does not wrap the data keys"):
        Manifest(made(probes={"sealed": {"data_key": KEY_ID, "text": ""}}, data_keys={}).fields)
