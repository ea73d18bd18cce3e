# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary in a chunk's header says what looking at each of its entries says, or that they must be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal_operations
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.canonical import canonical
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.point_changes import PointChanges
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import read_chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import (
    MAX_HEADER,
    ChunkHeader,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_operations import describe
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_summary import Summarizer, Summary
from tests.made_wal import log_of, sealed

LOG = ReplicaLog("docs", 3, "node-1.example", "20261122T020000Z-a1b2c3")
NAMES = st.sampled_from(["a", "dense", "ä", ""])
VECTORS = st.dictionaries(NAMES, st.just([0.5]), max_size=3) | st.just([0.5])
POINT = st.fixed_dictionaries({"id": st.integers(0, 9), "vector": VECTORS, "payload": st.sampled_from([None, {}])})
MOST = PointChanges(*[2**64 - 1] * 3)
UPSERT = st.fixed_dictionaries({"points": st.lists(POINT, max_size=3)})
FILTER = st.just({"must": []})
CHANGES = st.one_of(
    UPSERT.map(lambda body: {"upsert_points": body}),
    st.builds(lambda body, only: {"upsert_points_conditional": {"points_op": body, "condition": only}}, UPSERT, FILTER),
    UPSERT.map(lambda body: {"sync_points": body}),
    st.just({"delete_points": {"ids": [1]}}),
    st.just({"update_vectors": {"points": [{"id": 1}], "update_filter": {"must": []}}}),
)
OTHERS = st.one_of(
    st.just({"create_index": {"field_name": "k", "field_schema": "keyword"}}),
    st.just({"delete_index": "k"}),
    st.just({"fold_points": {}}),
)


def summed(entries: Sequence[bytes]) -> Summary:
    summarizer = Summarizer()
    for entry in entries:
        summarizer.add(entry)
    return summarizer.summary()


def upsert(*names: str) -> bytes:
    return cbor2.dumps({"upsert_points": {"points": [{"id": 1, "vector": dict.fromkeys(names), "payload": {}}]}})


@given(st.lists(CHANGES | OTHERS, max_size=12), st.sets(NAMES))
def test_it_says_what_the_entries_say_by_themselves(operations: list[dict[str, Any]], names: set[str]) -> None:
    entries = list(map(cbor2.dumps, operations))
    described = list(map(describe, entries))
    summary = summed(entries)
    expected: Counter[str] = Counter()
    for operation in described:
        expected.update(operation.inexact(names))
    assert summary.inexact(names) == expected
    assert summary.is_enough == all(operation.kind not in ("index", "unknown") for operation in described)


@given(st.lists(CHANGES | OTHERS, min_size=1, max_size=6))
def test_a_header_keeps_it(operations: list[dict[str, Any]]) -> None:
    entries = list(map(cbor2.dumps, operations))
    header = read_chunk(sealed(log_of([len(entries)], operations=entries), LOG))[0]
    assert header.summary == summed(entries)


def test_entries_that_nobody_can_read_are_archived_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_name: str, _body: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(wal_operations._READERS, "delete_points", fails)
    readers_fail = cbor2.dumps({"delete_points": {"ids": [1]}})
    deep = b"\xa1\x61a" * 100_000 + b"\x00"
    # A list of 2^63 items, a text that is not UTF-8, a tag with a pattern that is none.
    entries = [b"\x00", deep, b"\x9b\x80" + bytes(7), b"\xa1\x61\xff\x00", b"\xd8\x23\x61(", readers_fail]
    polls = log_of([len(entries)], operations=entries)
    header, stored = read_chunk(sealed(polls, LOG))
    assert header.summary == Summary(unknown=len(entries))
    assert [entry for _index, entry in stored.items(0, len(entries))] == entries


@pytest.mark.parametrize("names", [[f"name-{number}" for number in range(300)], [f"{n:04}" * 64 for n in range(300)]])
def test_where_there_is_no_room_the_entries_must_be_looked_at(names: list[str]) -> None:
    entries = list(map(upsert, names))
    header = ChunkHeader.parse(sealed(log_of([100, 200], operations=entries), LOG))
    assert header.summary.unknown + len(header.summary.vectors) == len(entries)
    assert header.summary.vectors
    assert not header.summary.is_enough
    assert len(header.dump()) < MAX_HEADER


def test_how_much_room_it_takes_is_bounded() -> None:
    shorter = [f"{number:030}" for number in range(500)]
    longer = ["\U0001f600" * 2 ** (number % 10) + str(number) for number in range(500)]
    for names in (shorter, longer, list(map(str, range(500)))):
        summary = summed(list(map(upsert, names)))
        largest = Summary(*[2**64 - 1] * 5, tuple((each, 2**64 - 1) for each, _count in summary.vectors), MOST)
        assert len(canonical(largest.dump())) <= 4096


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"index": -1}, "count"),
        ({"index": True}, "count"),
        ({"conditional": 4}, "count"),
        ({"unknown": "1"}, "count"),
        ({"transfer": None}, "count"),
        ({"vectors": [[["a"], 4]]}, "count"),
        ({"vectors": [[["a"], 1], [["b"], 1]], "index": 2}, "more entries"),
        ({"vectors": [[[7], 1]]}, "a name"),
        ({"vectors": [["a"]]}, "values to unpack"),
        ({"vectors": None}, "not iterable"),
        ({"vectors": [[None, 1]]}, "not iterable"),
        ({"others": 1}, "other fields"),
    ],
)
def test_one_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    sound = {**summed([upsert("a")] * 3).dump()}
    assert Summary.parse(sound, 3).vectors == ((("a",), 3),)
    with pytest.raises((TypeError, ValueError), match=why):
        Summary.parse({**sound, **change}, 3)
    for other in (None, [], {name: value for name, value in sound.items() if name != "index"}):
        with pytest.raises(ValueError, match="other fields"):
            Summary.parse(other, 3)
