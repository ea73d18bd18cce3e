# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts come verified, in order, in constant memory, and from the first source that has them right."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedBackup,
    ObjectNotFound,
    StoreDenied,
    StoreUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verified_parts import (
    SourceHealth,
    VerifiedParts,
)
from tests.made_backups import describe, some_bytes

KEY = "docs/backups/x/shards/0.snapshot"
PART = 10


class Source:
    """A repository in memory. ``fault(number of the read, offset, data)`` may raise or give other bytes."""

    def __init__(self, name: str, data: bytes, fault: Callable[[int, int, bytes], bytes] | None = None) -> None:
        self.name = name
        self.data = data
        self.fault = fault
        self.reads: list[int] = []
        self._lock = threading.Lock()

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        assert key == KEY
        with self._lock:
            self.reads.append(offset // PART + 1)
            number = len(self.reads)
        data = self.data[offset : offset + length]
        return self.fault(number, offset, data) if self.fault else data


def always(error: Exception) -> Callable[[int, int, bytes], bytes]:
    def fault(_number: int, _offset: int, _data: bytes) -> bytes:
        raise error

    return fault


def parts_of(data: bytes, *sources: Source, **how: Any) -> VerifiedParts:
    return VerifiedParts(list(sources), KEY, describe(data, "k", PART), **how)  # type: ignore[arg-type]


def damaged_at(data: bytes, offsets: set[int]) -> bytes:
    changed = bytearray(data)
    for offset in offsets:
        changed[offset] ^= 1
    return bytes(changed)


@given(data=st.data(), size=st.integers(1, 95), prefetch=st.integers(1, 5))
@settings(max_examples=60)
def test_two_sources_damaged_in_different_parts_give_one_whole_object(
    data: st.DataObject, size: int, prefetch: int
) -> None:
    whole = some_bytes(size)
    count = -(-size // PART)
    bad_first = data.draw(st.sets(st.integers(1, count)))
    bad_second = data.draw(st.sets(st.integers(1, count))) - bad_first
    sources = [
        Source(name, damaged_at(whole, {(number - 1) * PART for number in bad}))
        for name, bad in (("a", bad_first), ("b", bad_second))
    ]
    with parts_of(whole, *sources, prefetch=prefetch) as parts:
        assert b"".join(parts) == whole
    assert sum(count["bytes"] for count in parts.served.values()) == size
    assert parts.served.get("b", {"parts": 0})["parts"] == len(bad_first)
    found = {entry["part"]: (entry["object"], entry["source"], entry["served_by"]) for entry in parts.damaged}
    assert found == dict.fromkeys(bad_first, (KEY, "a", "b"))
    assert sources[1].reads.count(1) == (1 if 1 in bad_first else 0)


def test_a_bad_part_is_fetched_once_more_from_the_same_source() -> None:
    whole = some_bytes(25)
    first = Source("a", whole, lambda number, _offset, data: b"x" * len(data) if number == 2 else data)
    second = Source("b", whole)
    with parts_of(whole, first, second, prefetch=1) as parts:
        assert b"".join(parts) == whole
    assert second.reads == []
    assert first.reads == [1, 2, 2, 3]
    assert [(entry["part"], entry["source"], entry["served_by"]) for entry in parts.damaged] == [(2, "a", "a")]


def test_a_missing_object_is_taken_from_the_next_source() -> None:
    whole = some_bytes(25)
    with parts_of(whole, Source("a", b"", always(ObjectNotFound("no such object"))), Source("b", whole)) as parts:
        assert b"".join(parts) == whole
    assert [entry["reason"] for entry in parts.damaged] == ["the object is missing"] * 3
    assert parts.served == {"b": {"parts": 3, "bytes": 25}}


def test_no_good_copy_names_object_part_and_the_reason_of_each_source() -> None:
    whole = some_bytes(35)
    sources = [
        Source("a", damaged_at(whole, {12})),
        Source("b", whole, lambda _n, offset, data: always(ObjectNotFound("x"))(0, 0, b"") if offset == 10 else data),
        Source("c", whole, always(StoreUnreachable("c is on fire."))),
    ]
    received = []
    with pytest.raises(DamagedBackup) as caught, parts_of(whole, *sources) as parts:
        received.extend(parts)
    assert received == [whole[:10]]
    for words in ("part 2 of 4", KEY, "a: its bytes", "b: the object is missing", "c: c is on fire."):
        assert words in caught.value.detail
    assert {entry["source"] for entry in caught.value.result["damaged"] if entry["part"] == 2} == {"a", "b"}


def test_a_source_that_is_down_is_not_asked_for_every_part() -> None:
    whole = some_bytes(200)
    down, up = Source("a", whole, always(StoreUnreachable("no connection."))), Source("b", whole)
    health = SourceHealth()
    for _object in range(2):
        with parts_of(whole, down, up, prefetch=1, health=health) as parts:
            assert b"".join(parts) == whole
    assert len(down.reads) == 2
    assert health.down == {"a": "no connection."}
    assert [note["source"] for note in health.notes] == ["a", "a"]
    assert parts.damaged == []


def test_a_source_that_recovers_is_asked_on() -> None:
    whole = some_bytes(60)

    def every_second(number: int, _offset: int, data: bytes) -> bytes:
        if number % 2:
            raise StoreUnreachable("now and then.")
        return data

    flaky, up = Source("a", whole, every_second), Source("b", whole)
    with parts_of(whole, flaky, up, prefetch=1) as parts:
        assert b"".join(parts) == whole
    assert parts.health.down == {}
    assert parts.served == {"a": {"parts": 3, "bytes": 30}, "b": {"parts": 3, "bytes": 30}}


def test_wrong_credentials_are_not_tried_again() -> None:
    whole = some_bytes(60)
    denied = Source("a", whole, always(StoreDenied("403.")))
    with parts_of(whole, denied, Source("b", whole), prefetch=1) as parts:
        assert b"".join(parts) == whole
    assert denied.reads == [1]


def test_sources_that_cannot_be_asked_are_no_damage() -> None:
    whole = some_bytes(30)
    with (
        pytest.raises(StoreUnreachable, match=r"a: no route\."),
        parts_of(whole, Source("a", whole, always(StoreUnreachable("no route.")))) as parts,
    ):
        list(parts)


def test_memory_stays_constant() -> None:
    whole = some_bytes(400)
    source = Source("a", whole)
    taken = 0
    with parts_of(whole, source, prefetch=3) as parts:
        for _part in parts:
            taken += 1
            assert len(source.reads) - taken <= 3
    assert taken == 40


def test_leaving_stops_the_threads() -> None:
    whole = some_bytes(400)
    source = Source("a", whole)
    with parts_of(whole, source, prefetch=3) as parts:
        assert hashlib.sha256(next(iter(parts))).hexdigest() == hashlib.sha256(whole[:10]).hexdigest()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verified-parts")]
    assert len(source.reads) <= 4
