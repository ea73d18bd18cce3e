# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of an archive's chunks: what is read is what was written, and what is not whole is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.chunk_list import (
    MAGIC,
    Chunk,
    ChunkList,
    encode,
    encode_piece,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.content_cuts import LARGEST_CHUNK
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.pack_table import Pack

PACKS = [Pack(hashlib.sha256(bytes([number])).hexdigest(), 16 << 20, 16 * (number == 2)) for number in range(3)]
LITERALS = st.binary(min_size=1, max_size=3000)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    size = draw(st.integers(1, LARGEST_CHUNK))
    pack = draw(st.integers(0, 2))
    stored = draw(st.integers(1, size)) + PACKS[pack].overhead
    offset = draw(st.integers(0, (16 << 20) - stored))
    return Chunk(draw(st.binary(min_size=32, max_size=32)), size, stored, pack, offset)


PIECES = st.lists(st.one_of(LITERALS, chunks()), max_size=30)


def size_of(pieces: list[bytes | Chunk]) -> int:
    return sum(piece.size if isinstance(piece, Chunk) else len(piece) for piece in pieces)


def records(pieces: list[bytes | Chunk]) -> Iterator[bytes]:
    before = None
    for piece in pieces:
        yield encode_piece(piece, before)
        before = piece if isinstance(piece, Chunk) else before


def encoded(pieces: list[bytes | Chunk], size: int | None = None) -> bytes:
    return b"".join(encode(records(pieces), size_of(pieces) if size is None else size))


def decoded(data: bytes, piece: int = 1000) -> list[bytes | Chunk]:
    return list(ChunkList((data[at : at + piece] for at in range(0, len(data), piece)), PACKS, "the list"))


@given(PIECES, st.integers(1, 5000))
def test_what_is_read_is_what_was_written(pieces: list[bytes | Chunk], piece: int) -> None:
    assert decoded(encoded(pieces), piece) == pieces


@given(PIECES, st.data())
@settings(max_examples=200)
def test_a_list_that_is_cut_short_is_refused(pieces: list[bytes | Chunk], data: st.DataObject) -> None:
    whole = encoded(pieces)
    # What follows the last record is the end of the frame.
    with pytest.raises(DamagedBackup):
        decoded(whole[: data.draw(st.integers(0, len(whole) - 8))])


@pytest.mark.parametrize(
    "data",
    [b"", b"QDR", b"QDRLIST\x02", MAGIC, MAGIC + b"no zstd", MAGIC + zstandard.compress(b"\xff" * 20)],
    ids=["nothing", "a piece", "another version", "no more", "another format", "endless number"],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedBackup, match="the list"):
        decoded(data)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(bytes(32), 10, 11, 0, 0),
        Chunk(bytes(32), 10, 0, 0, 0),
        Chunk(bytes(32), LARGEST_CHUNK + 1, 5, 0, 0),
        Chunk(bytes(32), 10, 10, 3, 0),
        Chunk(bytes(32), 10, 10, 0, (16 << 20) - 9),
        Chunk(bytes(32), 10, 16, 2, 0),
    ],
    ids=["stored is longer", "nothing is stored", "too long", "no such pack", "behind its pack", "a tag only"],
)
def test_a_chunk_that_no_pack_can_have_is_refused(chunk: Chunk) -> None:
    with pytest.raises(DamagedBackup):
        decoded(encoded([chunk]))


def test_a_list_of_another_size_than_its_archive_is_refused() -> None:
    with pytest.raises(DamagedBackup, match="the bytes of its archive"):
        decoded(encoded([b"abc"], size=4))


def test_chunks_that_follow_one_another_take_forty_bytes_each() -> None:
    pieces: list[bytes | Chunk] = [
        Chunk(hashlib.sha256(b"%d" % number).digest(), LARGEST_CHUNK, LARGEST_CHUNK, 0, number * LARGEST_CHUNK)
        for number in range(256)
    ]
    assert len(encoded(pieces)) < 256 * 40


def test_a_frame_that_grows_beyond_all_bounds_takes_no_memory() -> None:
    bomb = MAGIC + zstandard.compress(bytes(1 << 28))
    with pytest.raises(DamagedBackup):
        decoded(bomb)
