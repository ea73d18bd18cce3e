# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader and the re-framer of write-ahead logs: whatever happens to a file, no wrong entry ever comes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import IntegrityError, WalGap
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from tests.made_snapshots import RECORDED, RECORDED_ENTRY, SEED, chained_crc, numbered, wal_segment

ENTRIES = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
SEEDS = st.integers(0, 2**32 - 1)


def entries_of(data: bytes, segment: wal.Segment) -> list[bytes]:
    return [wal.entry_data(data, segment, index) for index in range(segment.first, segment.stop)]


def read(data: bytes, first: int = 0) -> list[bytes]:
    return entries_of(data, wal.scan("open-1", first, data))


def reframed(files: list[tuple[bytes, wal.Segment]], first: int, stop: int, seed: int) -> bytes:
    writer = wal.Writer(seed)
    pieces = [writer.header]
    for data, segment in files:
        pieces += writer.reframe(data, segment, max(first, segment.first), min(stop, segment.stop))
    return b"".join(pieces)


def test_a_log_that_qdrant_wrote_is_read() -> None:
    assert read(RECORDED + bytes(4096)) == [RECORDED_ENTRY]


def test_the_encoder_of_these_tests_writes_what_qdrant_wrote() -> None:
    assert wal_segment([RECORDED_ENTRY], seed=0x8C74205A) == RECORDED


@given(ENTRIES, SEEDS, st.sampled_from([0, 4096]))
def test_every_entry_is_read(entries: list[bytes], seed: int, capacity: int) -> None:
    assert read(wal_segment(entries, seed, capacity), first=17) == entries


@given(ENTRIES.filter(bool), SEEDS, st.data())
def test_a_log_cut_anywhere_gives_its_whole_entries(entries: list[bytes], seed: int, data: st.DataObject) -> None:
    whole = wal_segment(entries, seed)
    length = data.draw(st.integers(0, len(whole)))
    complete = [number for number in range(len(entries) + 1) if len(wal_segment(entries[:number], seed)) <= length]
    expected = entries[: max(complete, default=0)]
    assert read(whole[:length]) == expected
    # A preallocated file has zeros where the tail was not written.
    if length >= wal.HEADER_SIZE:
        assert read(whole[:length].ljust(len(whole) + 64, b"\x00"))[: len(expected)] == expected


@given(ENTRIES.filter(bool), SEEDS, st.data())
def test_a_flipped_bit_ends_the_log_before_the_entry_that_has_it(
    entries: list[bytes], seed: int, data: st.DataObject
) -> None:
    whole = bytearray(wal_segment(entries, seed, 2048))
    used = len(wal_segment(entries, seed))
    bit = data.draw(st.integers(0, used * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    if bit // 8 < 4:
        with pytest.raises(IntegrityError):
            read(bytes(whole))
        return
    # The seed stands before the first entry: without it nothing can be proved.
    damaged = (
        0 if bit // 8 < 8 else sum(len(wal_segment(entries[:n], seed)) <= bit // 8 for n in range(1, len(entries)))
    )
    assert read(bytes(whole)) == entries[:damaged]


@given(ENTRIES, st.binary(min_size=16, max_size=80))
def test_garbage_behind_the_last_entry_adds_nothing(entries: list[bytes], garbage: bytes) -> None:
    assert read(wal_segment(entries) + garbage) == entries


def test_an_entry_that_stands_in_another_place_is_not_taken() -> None:
    one, two = wal_segment([b"first"]), wal_segment([b"first", b"second", b"third"])
    second = two[len(one) : len(wal_segment([b"first", b"second"]))]
    assert read(two[: len(one)] + second + second) == [b"first", b"second"]


@given(ENTRIES, SEEDS, st.data())
def test_a_file_that_is_being_written_is_read_on_without_its_start(
    entries: list[bytes], seed: int, data: st.DataObject
) -> None:
    whole = wal_segment(entries, seed)
    position, found = None, []
    # A header comes as a whole: Qdrant writes it into a file of another name.
    lengths = st.integers(0, len(whole)).filter(lambda length: length == 0 or length >= wal.HEADER_SIZE)
    for length in [*sorted(data.draw(st.lists(lengths, max_size=6))), len(whole)]:
        state = whole[:length].ljust(len(whole) + 64, b"\x00")
        position = position or wal.begin("open-1", 5, state[:8])
        if position is None:
            continue
        scanned = wal.scan_from("open-1", position, state[position.offset :])
        found += entries_of(state[position.offset :], scanned.entries)
        position = scanned.position
        assert found == read(state)
        assert position.index == 5 + len(found)
        assert state[position.offset - 4 : position.offset] == position.crc.to_bytes(4, "little")
    assert found == entries


@given(ENTRIES, st.integers(1, 60))
def test_a_file_is_read_in_pieces_however_small(entries: list[bytes], size: int) -> None:
    whole = wal_segment(entries)
    position = wal.begin("open-1", 0, whole[:8])
    found: list[bytes] = []
    while position is not None and position.offset < len(whole):
        piece = whole[position.offset : position.offset + size]
        scanned = wal.scan_from("open-1", position, piece)
        if not scanned.entries.ends:
            assert len(piece) < scanned.wanted <= len(whole) - position.offset
            size = scanned.wanted
        found += entries_of(piece, scanned.entries)
        position = scanned.position
    assert found == entries


def test_a_scan_stops_where_it_is_told_to() -> None:
    data = wal_segment(numbered(0, 9))
    position = wal.begin("open-1", 0, data[:8])
    assert position is not None
    first = wal.scan_from("open-1", position, data, stop=4, at=8)
    rest = wal.scan_from("open-1", first.position, data, at=first.position.offset)
    assert entries_of(data, first.entries) == numbered(0, 4)
    assert entries_of(data, rest.entries) == numbered(4, 9)
    assert wal.entry_crc(data, rest.entries, 3) == wal.entry_crc(data, first.entries, 3) == rest.entries.seed


def test_preallocated_zeros_are_no_entry_even_where_their_crc_is_zero() -> None:
    seed = 0xF931DF69
    assert chained_crc(seed, bytes(12)) == 0
    assert read(wal_segment([], seed, capacity=4096)) == []


@pytest.mark.parametrize("data", [b"", b"wal", bytes(8), bytes(4096), wal_segment([]), wal_segment([], 0, 4096)])
def test_a_file_without_entries_has_none(data: bytes) -> None:
    assert read(data) == []


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(IntegrityError, match="open-1 does not begin with 'wal'"):
        read(b"log\x00" + bytes(100))
    with pytest.raises(IntegrityError, match="open-1"):
        read(b"wal\x01" + bytes(100))


def test_a_length_beyond_the_file_ends_the_log() -> None:
    data = wal_segment([b"a"]) + (2**63).to_bytes(8, "little") + bytes(64)
    assert read(data) == [b"a"]


@settings(max_examples=50)
@given(st.lists(ENTRIES, min_size=1, max_size=4), SEEDS, st.data())
def test_several_segments_become_one_with_the_same_entries(
    groups: list[list[bytes]], seed: int, data: st.DataObject
) -> None:
    every = [entry for group in groups for entry in group]
    begin = data.draw(st.integers(0, 1000))
    files, index = [], begin
    for number, group in enumerate(groups):
        content = wal_segment(group, seed=(seed + number) % 2**32, capacity=1024)
        files.append((content, wal.scan(f"closed-{index}", index, content)))
        index += len(group)
    first = data.draw(st.integers(begin, index))
    content_of = {segment.name: content for content, segment in files if segment.ends}
    needed = [(content_of[segment.name], segment) for segment in wal.cover([s for _c, s in files], first)]
    new = reframed(needed, first, index, seed)
    assert new == wal_segment(every[first - begin :], seed), "the chain is the one that Qdrant would have written"
    assert read(new + bytes(512), first) == every[first - begin :]


def test_a_part_of_a_segment_can_be_taken() -> None:
    data = wal_segment(numbered(0, 9))
    segment = wal.scan("open-1", 0, data)
    assert reframed([(data, segment)], 3, 6, SEED) == wal_segment(numbered(3, 6))


@pytest.mark.parametrize(
    ("spans", "first", "lost"),
    [
        ([(0, 4), (6, 9)], 0, "lacks the entries 4 to 5"),
        ([(5, 9)], 3, "lacks the entries 3 to 4"),
        ([(0, 4)], 6, "ends at 3, before the first entry needed, 6"),
        ([], 2, "ends at -1, before the first entry needed, 2"),
        ([(0, 2), (2, 2), (3, 5)], 1, "lacks the entries 2 to 2"),
    ],
)
def test_a_missing_entry_is_named(spans: list[tuple[int, int]], first: int, lost: str) -> None:
    segments = [wal.scan(f"closed-{begin}", begin, wal_segment(numbered(begin, end))) for begin, end in spans]
    with pytest.raises(WalGap, match=lost):
        wal.cover(segments, first)


def test_what_lies_before_the_first_entry_needed_may_be_missing() -> None:
    segments = [wal.scan(f"closed-{a}", a, wal_segment(numbered(a, b))) for a, b in [(0, 2), (5, 8), (8, 9)]]
    assert [segment.name for segment in wal.cover(segments, 6)] == ["closed-5", "closed-8"]
    assert wal.cover(segments, 9) == []


def test_files_stand_in_the_order_of_their_entries() -> None:
    names = ["open-10", "tmp-3", "closed-100", "open-9", "closed-20", "first-index", "closed-x"]
    assert wal.in_order(names) == ["closed-20", "closed-100", "open-9", "open-10"]


def test_a_closed_file_is_named_by_its_first_index_and_an_open_one_follows() -> None:
    assert wal.first_index("closed-17", follows=3) == 17
    assert wal.first_index("open-17", follows=3) == 3
    with pytest.raises(IntegrityError, match="tmp-17"):
        wal.first_index("tmp-17", follows=3)
