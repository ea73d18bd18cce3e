# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archived WAL chunks and the segment made of them: just the entries of one log, or an error."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import IntegrityError, InvalidInput, WalGap
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import (
    ChunkBuilder,
    cover,
    goes_on,
    prove_chunk,
    read_chunk,
    seal_chunk,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import (
    MAX_HEADER,
    ChunkHeader,
    Poll,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_join import Entries, Joiner
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    ReplicaLog,
    chunk_key,
    parse_chunk_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_summary import Summary
from tests.made_snapshots import numbered, wal_segment
from tests.made_wal import SECOND, START, log_of, moment, sealed

LOG = ReplicaLog("docs", 3, "node-1.example", "20261122T020000Z-a1b2c3")
# Lengths of the files of a log, in entries.
FILES = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def chunks_of(polls: Sequence[Entries], cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(set(cuts) - {0, len(polls)}), len(polls)]
    return [sealed(polls[start:stop], LOG) for start, stop in itertools.pairwise(places)]


def entries_of(entries: Entries) -> list[bytes]:
    return [entry for _index, entry in entries.items(entries.first, entries.stop)]


def entries_in(file: bytes, first: int) -> list[bytes]:
    segment = wal.scan(f"closed-{first}", first, file)
    assert segment.offset(segment.stop) == len(file)
    return [wal.entry_data(file, segment, index) for index in range(first, segment.stop)]


def joined(pieces: Sequence[Entries], first: int, last: int) -> bytes:
    joiner = Joiner(first, last)
    segment = b"".join(block for piece in pieces for block in joiner.add(piece))
    joiner.finish()
    return segment


@given(FILES, st.integers(0, 1 << 40))
def test_a_chunk_gives_back_its_entries_and_when_they_were_written(files: list[int], first: int) -> None:
    polls = log_of(files, first)
    last = first + sum(files) - 1
    header, entries = read_chunk(sealed(polls, LOG))
    assert entries_of(entries) == numbered(first, last + 1)
    assert (header.first, header.last, header.log, header.cluster) == (first, last, LOG, "production")
    assert header.key == chunk_key(LOG, first, last)
    assert len(header.runs) == len(files), "one for each file"
    assert (header.previous_crc, header.last_crc) == (None, polls[-1].last_crc)
    assert header.bounds(last) == (moment(last), moment(last + 1))


@settings(max_examples=300)
@given(FILES, st.data())
def test_a_flipped_bit_is_found_wherever_it_is(files: list[int], data: st.DataObject) -> None:
    whole = bytearray(sealed(log_of(files), LOG))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        read_chunk(bytes(whole))


SECRET, KEY_ID = b"d" * 32, "0123456789abcdef" * 2
WRAP = {"kind": "aws:kms", "key_id": "arn:aws:kms:eu-central-1:1:key/a", "wrapped": "AAAA"}


def encrypted(whole: bytes, secret: bytes = SECRET, **change: Any) -> tuple[ChunkHeader, bytes]:
    """A chunk as an archiver with a key stores it; ``change``: fields of its header, before that."""
    header = ChunkHeader.parse(whole)
    body = bytearray(whole[len(header.dump()) :])
    header = seal_chunk(replace(header, **change), body, secret, KEY_ID, WRAP, b"s" * 32)
    return header, header.dump() + bytes(body)


@given(FILES)
def test_an_encrypted_chunk_gives_its_entries_to_who_has_the_key(files: list[int]) -> None:
    whole = sealed(log_of(files), LOG)
    header, stored = encrypted(whole)
    assert ChunkHeader.parse(stored) == header
    assert read_chunk(stored, SECRET) == (header, read_chunk(whole)[1])
    assert prove_chunk(stored) == prove_chunk(stored, lambda _header: SECRET) == header
    assert (header.sha256, header.client_encryption) == (None, {"data_key": KEY_ID, "wrap": WRAP})
    for other in (b"o" * 32, b""):
        with pytest.raises(IntegrityError, match="does not open"):
            read_chunk(stored, other)


@settings(max_examples=300)
@given(FILES, st.data())
def test_a_flipped_bit_of_an_encrypted_chunk_is_found_without_the_key(files: list[int], data: st.DataObject) -> None:
    whole = bytearray(encrypted(sealed(log_of(files), LOG))[1])
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        prove_chunk(bytes(whole))


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "staging"},
        {"log": replace(LOG, collection="other")},
        {"log": replace(LOG, shard=4)},
        {"log": replace(LOG, replica="node-2.example")},
        {"log": replace(LOG, timeline="20261122T020000Z-a1b2c4")},
        {"previous_crc": 7},
        {"polls": (Poll(3, START, START + SECOND),)},
        {"summary": Summary(unknown=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_encrypted_entries_open_below_their_own_header_only(change: dict[str, Any]) -> None:
    """Even where every digest was made to fit; none of these fields is proved by the entries themselves."""
    header, stored = encrypted(sealed(log_of([2, 2]), LOG))
    body = stored[len(header.dump()) :]
    moved = replace(header, **change)
    assert prove_chunk(moved.dump() + body) == moved
    with pytest.raises(IntegrityError, match="does not open below its header"):
        read_chunk(moved.dump() + body, SECRET)


def test_what_was_encrypted_wrongly_is_found() -> None:
    with pytest.raises(IntegrityError, match="does not end with its last entry"):
        read_chunk(encrypted(sealed(log_of([2, 2]), LOG), last_crc=7)[1], SECRET)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"sha256":null', b'"sha256":"' + b"0" * 64 + b'"', "client_encryption"),
        (b'"data_key":"0', b'"data_key":"x', "client_encryption"),
        (b'"wrap":{', b'"wrap":{"more":1,', "wrap of the data key"),
        (b'"client_encryption":{', b'"client_encryption":{"more":1,', "client_encryption"),
        (b'"client_encryption":', b'"encryption":', "sha256"),
    ],
)
def test_a_header_is_that_of_an_encrypted_chunk_or_not(old: bytes, new: bytes, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        read_chunk(encrypted(sealed(log_of([2]), LOG))[1].replace(old, new, 1), SECRET)


@given(FILES, st.data())
def test_a_cut_or_longer_chunk_is_refused(files: list[int], data: st.DataObject) -> None:
    whole = sealed(log_of(files), LOG)
    for other in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\x00"):
        with pytest.raises(IntegrityError):
            read_chunk(other)


@pytest.mark.parametrize(
    "change",
    [
        {"last": 9},
        {"first": 1},
        {"last_crc": 1},
        {"runs": ((0, 7), (2, 2))},
        {"runs": ((0, 1),)},
        {"runs": ((0, 1), (1, 2))},
        {"runs": ((0, 1), (1, 2), (1, 2))},
        {"runs": ()},
        {"polls": ()},
        {"summary": Summary(unknown=5)},
        {"size": 10**15},
        {"size": 3},
        {"sha256": "0" * 64},
    ],
)
def test_a_header_that_is_sound_in_itself_is_still_compared_with_the_entries(change: dict[str, object]) -> None:
    whole = sealed(log_of([2, 2]), LOG)
    header = ChunkHeader.parse(whole)
    body = whole[len(header.dump()) :]
    assert read_chunk(header.dump() + body)[0] == header
    with pytest.raises(IntegrityError):
        read_chunk(replace(header, **change).dump() + body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"schema_version":1', b'"schema_version":2', "schema version 2"),
        (b'"codec":"zstd"', b'"codec":"lz4"', "codec 'lz4'"),
        (b"qdrant_dr/wal", b"qdrant_dr/backup", "not a WAL chunk"),
        (b'"first":0', b'"first": 0', "altered"),
        (b'"first":0', b'"first":"0"', "'first'"),
        (b'"shard":3,', b"", "'shard'"),
        (b'"previous_crc":null,', b"", "'previous_crc'"),
        (b'"polls":[', b'"polls":[[],', "polls"),
        (b'"unknown":2', b'"unknown":3', "valid summary: it tells of more|a count"),
        (b'"unknown":2', b'"unknown":1', "altered"),
        (b'"summary":', b'"other":', "valid summary: it has other fields"),
        (b"\n", b"", "no complete header"),
    ],
)
def test_an_unreadable_header_says_why(old: bytes, new: bytes, why: str) -> None:
    whole = sealed(log_of([2]), LOG).replace(old, new, 1)
    with pytest.raises(IntegrityError, match=why):
        read_chunk(whole[: whole.index(b"}") + 1] if old == b"\n" else whole)


def test_a_header_fits_into_what_a_reader_fetches_of_it() -> None:
    log = ReplicaLog("\U0001f600" * 255, 2**31, "\U0001f600" * 255, "t" * 64)
    builder = ChunkBuilder("\U0001f600" * 255, log)
    upserts = [
        {"upsert_points": {"points": [{"id": 1, "vector": {f"{n:028}": []}, "payload": {}}]}} for n in range(500)
    ]
    polls = log_of([1] * 500, first=1 << 63, seed=1 << 31, operations=list(map(cbor2.dumps, upserts)))
    while not builder.is_full:
        poll = polls.pop(0)
        builder.add(poll, START, START + len(polls) * SECOND)
    header, rest = builder.finish()
    assert ChunkHeader.parse(header.dump()) == header
    assert len(header.summary.vectors) == 64
    assert len(header.dump()) <= MAX_HEADER
    # What KMS makes of a data key has some 200 bytes.
    wrap = {"kind": "aws:kms", "key_id": "k" * 100, "wrapped": "A" * 400}
    assert len(seal_chunk(header, bytearray(rest), SECRET, KEY_ID, wrap, b"s" * 32).dump()) <= MAX_HEADER
    with pytest.raises(InvalidInput):
        builder.add(polls[0], START, START)


def test_pieces_of_one_poll_have_its_bounds() -> None:
    builder = ChunkBuilder("production", LOG)
    for piece in log_of([2, 1]):
        builder.add(piece, moment(0), moment(9))
    header = builder.finish()[0]
    assert [(poll.last, poll.after, poll.before) for poll in header.polls] == [(2, moment(0), moment(9))]


def test_only_what_follows_goes_into_a_chunk() -> None:
    polls = log_of([3, 3])
    builder = ChunkBuilder("production", LOG)
    with pytest.raises(InvalidInput, match="without entries"):
        builder.finish()
    builder.add(polls[0], START, START)
    for other in (polls[2], polls[0], log_of([3], seed=5)[1]):
        with pytest.raises(InvalidInput):
            builder.add(other, START, START)


@given(FILES, st.data())
def test_chunks_become_one_segment_of_any_of_their_entries(files: list[int], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, 1000))
    polls = log_of(files, begin)
    stop = begin + len(polls)
    first = data.draw(st.integers(begin, stop - 1))
    last = data.draw(st.integers(first, stop - 1))
    chunks = [read_chunk(chunk) for chunk in chunks_of(polls, data.draw(st.lists(st.integers(0, len(polls)))))]
    entries = {header.key: entries for header, entries in chunks}
    needed = cover([header for header, _entries in reversed(chunks)], first, last)
    segment = joined([entries[piece.header.key] for piece in needed], first, last)
    assert segment == wal_segment(numbered(first, last + 1), seed=int.from_bytes(segment[4:8], "little"))
    sizes = [
        piece.header.size if piece.is_whole else entries[piece.header.key].framed_size(piece.first, piece.last + 1)
        for piece in needed
    ]
    assert len(segment) == wal.HEADER_SIZE + sum(sizes), "known before a byte of it is made"


@given(FILES, st.data())
def test_what_continues_a_chunk_is_sent_as_it_is_stored(files: list[int], data: st.DataObject) -> None:
    polls = log_of(files)
    chunks = [read_chunk(chunk) for chunk in chunks_of(polls, data.draw(st.lists(st.integers(0, len(polls)))))]
    needed = cover([header for header, _entries in chunks], 0, len(polls) - 1)
    joiner = Joiner(0, len(polls) - 1)
    segments = [(0, b"")]
    for number, (piece, (header, entries)) in enumerate(zip(needed, chunks, strict=True)):
        if number and not goes_on(needed[number - 1], piece):
            joiner.begin_segment()
            segments.append((piece.first, b""))
        blocks = list(joiner.add(entries))
        assert len(header.runs) > 1 or blocks[-1] == entries.data
        segments[-1] = (segments[-1][0], segments[-1][1] + b"".join(blocks))
    joiner.finish()
    found = [entry for first, segment in segments for entry in entries_in(segment, first)]
    assert found == numbered(0, len(polls))


@given(FILES, st.data())
def test_chunks_that_overlap_are_joined_where_they_agree(files: list[int], data: st.DataObject) -> None:
    polls = log_of(files)
    stop = len(polls)
    spans = data.draw(st.lists(st.tuples(st.integers(0, stop - 1), st.integers(1, stop)), max_size=4))
    whole = [(0, (stop + 1) // 2), (stop // 2, stop)]
    chunks = [read_chunk(sealed(polls[a:b], LOG)) for a, b in [*whole, *spans] if a < b]
    needed = cover([header for header, _entries in chunks], 0, stop - 1)
    assert [piece.first for piece in needed[1:]] == [piece.last + 1 for piece in needed[:-1]], "each entry once"
    ordered = sorted((entries for _header, entries in chunks), key=lambda entries: entries.first)
    segment = joined(ordered, 0, stop - 1)
    assert segment == wal_segment(numbered(0, stop), seed=int.from_bytes(segment[4:8], "little"))


@pytest.mark.parametrize(
    ("spans", "first", "last", "lost"),
    [
        ([(0, 2), (3, 6)], 0, 5, "2 to 2"),
        ([(0, 2), (3, 6)], 1, 2, "2 to 2"),
        ([(2, 6)], 0, 5, "0 to 1"),
        ([(0, 4)], 1, 5, "4 to 5"),
        ([], 3, 3, "3 to 3"),
    ],
)
def test_missing_entries_are_named(spans: list[tuple[int, int]], first: int, last: int, lost: str) -> None:
    polls = log_of([2, 2, 2])
    chunks = [read_chunk(sealed(polls[a:b], LOG)) for a, b in spans]
    with pytest.raises(WalGap, match=f"lacks the entries {lost}"):
        cover([header for header, _entries in chunks], first, last)
    with pytest.raises(WalGap, match=f"lacks the entries {lost.split()[0]} to"):
        joined([entries for _header, entries in chunks], first, last)


def test_what_is_not_needed_may_be_missing() -> None:
    polls = log_of([2, 2, 2])
    headers = [ChunkHeader.parse(sealed(polls[a:b], LOG)) for a, b in [(0, 1), (2, 4), (5, 6)]]
    assert [(piece.first, piece.last) for piece in cover(headers, 2, 3)] == [(2, 3)]


def test_chunks_of_another_log_are_not_joined() -> None:
    """The indexes fit, and everything in each chunk is sound: a timeline that was not noticed when it began."""
    mine, other = log_of([2, 2, 2]), log_of([2, 2, 2], seed=9)
    first, second = read_chunk(sealed(mine[:3], LOG)), read_chunk(sealed(other[3:], LOG))
    with pytest.raises(IntegrityError, match="does not continue"):
        cover([first[0], second[0]], 0, 5)
    with pytest.raises(IntegrityError, match="do not continue the log that ends with entry 2"):
        joined([first[1], second[1]], 0, 5)
    renamed = read_chunk(sealed(mine[3:], replace(LOG, replica="node-2")))
    with pytest.raises(IntegrityError, match="does not continue"):
        cover([first[0], renamed[0]], 0, 5)
    foreign = wal_segment([b"another log"] * 6)
    with pytest.raises(IntegrityError, match="do not continue"):
        joined([first[1], Entries(foreign, (wal.scan("closed-0", 0, foreign),))], 0, 5)


def test_the_log_of_a_base_is_joined_with_chunks() -> None:
    """It was re-framed as one segment, so its CRCs are not those of the chunks: an entry that both have is compared."""
    base = wal_segment(numbered(2, 5), seed=77)
    pieces = [Entries(base, (wal.scan("closed-2", 2, base),)), read_chunk(sealed(log_of([3, 3, 3])[4:], LOG))[1]]
    segment = joined(pieces, 2, 8)
    assert segment == wal_segment(numbered(2, 9), seed=int.from_bytes(segment[4:8], "little"))


def test_keys_sort_by_index_and_are_read_back() -> None:
    keys = [chunk_key(LOG, first, first + 1) for first in (0, 9, 10, 10**12, 2**64 - 2)]
    assert keys == sorted(keys)
    assert keys[1] == f"docs/wal/3/node-1.example/{LOG.timeline}/{9:020}-{10:020}.wal"
    for replica in ("7123456789", "a/b:c %2F", "\u00e4"):
        log = replace(LOG, replica=replica)
        assert chunk_key(log, 3, 7).count("/") == 5
        assert parse_chunk_key(chunk_key(log, 3, 7)) == (log, 3, 7)


@pytest.mark.parametrize(
    "key",
    [
        "docs/index.json",
        f"docs/wal/3/n/t/{1:020}-{2:020}.wal.tmp",
        f"docs/wal/03/n/t/{1:020}-{2:020}.wal",
        "docs/wal/3/n/t/1-2.wal",
        f"docs/wal/3/n/{1:020}-{2:020}.wal",
        f"docs/wal/3/a b/t/{1:020}-{2:020}.wal",
    ],
)
def test_other_keys_are_not_those_of_chunks(key: str) -> None:
    assert parse_chunk_key(key) is None
