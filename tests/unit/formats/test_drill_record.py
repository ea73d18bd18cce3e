# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a drill: what is missing or of another type is named, and its text is the same for the same content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import IntegrityError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record
from tests import made_drills
from tests.made_drills import FIELD_PATHS, places

DOCUMENT = Path(__file__).parents[3] / "docs" / "drill_report.md"
EXAMPLES = [
    made_drills.passed,
    made_drills.with_findings,
    made_drills.failed,
    made_drills.failover,
    made_drills.hostile,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_a_record_comes_back_as_it_was_written(make: Callable[[], dict[str, Any]]) -> None:
    record = make()
    data = drill_record.dump(record)
    assert drill_record.parse(data) == record
    assert drill_record.dump(dict(reversed(record.items()))) == data
    assert drill_record.digest(record) == drill_record.digest(drill_record.parse(data))


@pytest.mark.parametrize("path", FIELD_PATHS)
def test_a_field_that_is_missing_or_of_another_type_is_named(path: str) -> None:
    record = made_drills.with_findings(failure={"code": "busy", "detail": "d", "hint": "h"})
    holder, name, place = places(record, path)[0]
    kept = holder.pop(name)
    with pytest.raises(InvalidInput, match="The record of the drill lacks") as refusal:
        drill_record.check(record)
    assert f" {place}." in refusal.value.detail
    assert "docs/drill_report.md" in refusal.value.hint
    if path in ("integrity[].expected", "integrity[].found"):  # which may be anything
        return
    holder[name] = object() if kept is None else -1.5 if isinstance(kept, (int, float)) else [kept]
    if isinstance(kept, (list, dict)):
        holder[name] = "text"
    with pytest.raises(InvalidInput, match="In the record of the drill") as refusal:
        drill_record.check(record)
    assert place in refusal.value.detail


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema version 2, this version reads 1"),
        ({"schema_version": None}, "schema version None"),
        ({"kind": "vectorops.qdrant_dr/backup"}, "not the record of a drill"),
        ({"kind": ["vectorops.qdrant_dr/drill"]}, "not the record of a drill"),
        ({"collection": "../other"}, "not the name of a collection"),
        ({"drill_id": "20261322T020000Z-a1b2c3"}, "not an id"),
        ({"rto_seconds": float("nan")}, "not a number"),
        ({"rto_seconds": float("inf")}, "not a number"),
        ({"rto_seconds": True}, "not a number"),
        ({"verdict": "compliant"}, "none of PASS, PASS WITH FINDINGS, FAIL"),
        ({"configuration_sha256": "4F" * 32}, "not a SHA-256"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], words: str) -> None:
    record = {**made_drills.passed(), **changes}
    with pytest.raises(InvalidInput, match=words):
        drill_record.check(record)
    with pytest.raises(IntegrityError, match=words):
        drill_record.parse(json.dumps(record).encode())


@given(st.integers(0, 2000))
def test_a_record_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(IntegrityError, match="not complete JSON"):
        drill_record.parse(drill_record.dump(made_drills.failed())[:length])


@pytest.mark.parametrize("data", [b"[]", b"null", b'"x"', b"{}", b"[" * 100000])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        drill_record.parse(data)


def test_fields_of_a_later_minor_version_are_kept() -> None:
    record = {**made_drills.passed(), "weather": "sunny"}
    assert drill_record.parse(drill_record.dump(record))["weather"] == "sunny"


def test_every_field_is_documented() -> None:
    text = DOCUMENT.read_text()
    assert [path for path in FIELD_PATHS if f"`{path}`" not in text] == []
