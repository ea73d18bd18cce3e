# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs of chunks: each chunk comes out as it went in, or not at all."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.canonical import canonical
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.chunk_list import Chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.content_cuts import LARGEST_CHUNK
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import log_key_context, wrap_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.pack import (
    PackBuilder,
    PackKey,
    PackReader,
    key_context_of,
    read_header,
)

SECRET, SALT, KEY_ID = bytes(range(32)), bytes(range(100, 132)), "ab" * 16
CONTEXT = log_key_context("prod", "docs", "packs", KEY_ID)
KEY = PackKey(KEY_ID, SECRET, wrap_key(SECRET, bytes(32), bytes(12), CONTEXT), "prod", "docs")
CHUNKS = st.lists(
    st.one_of(st.binary(min_size=1, max_size=3000), st.integers(1, LARGEST_CHUNK).map(bytes)), max_size=12
)


def packed(data: list[bytes], key: PackKey | None) -> tuple[bytes, list[Chunk]]:
    builder = PackBuilder(SALT, key)
    chunks = []
    for each in data:
        offset, stored = builder.add(each)
        chunks.append(Chunk(hashlib.sha256(each).digest(), len(each), stored, 0, offset))
    pack, sha256 = builder.finish()
    assert hashlib.sha256(pack).hexdigest() == sha256
    return bytes(pack), chunks


def opened(pack: bytes, chunk: Chunk, secret: bytes = SECRET) -> bytes:
    header = read_header(pack, "the pack")
    stored = memoryview(pack)[chunk.offset : chunk.offset + chunk.stored]
    return bytes(PackReader(header, secret, "the pack").open(chunk, stored))


@given(CHUNKS, st.sampled_from([None, KEY]))
def test_chunks_come_out_as_they_went_in(data: list[bytes], key: PackKey | None) -> None:
    pack, chunks = packed(data, key)
    assert [opened(pack, chunk) for chunk in chunks] == data
    assert key_context_of(read_header(pack, "the pack")) == (CONTEXT if key else None)


@given(st.data(), st.sampled_from([None, KEY]))
def test_a_flipped_bit_is_found(data: st.DataObject, key: PackKey | None) -> None:
    pack, [chunk] = packed([data.draw(st.binary(min_size=1, max_size=500))], key)
    bit = data.draw(st.integers(chunk.offset * 8, len(pack) * 8 - 1))
    damaged = bytearray(pack)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DrError, match="the pack"):
        opened(bytes(damaged), chunk)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_chunk_that_was_moved_is_found(key: PackKey | None) -> None:
    pack, [one, other] = packed([b"1" * 40, b"2" * 40], key)
    with pytest.raises(DrError):
        opened(pack, one._replace(offset=other.offset))
    moved = pack[: one.offset] + pack[other.offset :] + pack[one.offset : other.offset]
    with pytest.raises(DrError):
        opened(moved, one)


def test_another_key_opens_nothing() -> None:
    pack, [chunk] = packed([b"a chunk"], KEY)
    with pytest.raises(DrError, match="does not open"):
        opened(pack, chunk, bytes(32))
    assert b"a chunk" not in pack


def test_what_compresses_is_compressed_and_what_does_not_is_hardly_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"the same words again and again. " * 2000
    _pack, [chunk] = packed([text], None)
    assert chunk.stored < len(text) / 20
    builder = PackBuilder(SALT)
    tried: list[int] = []
    compress = builder._compressor.compress

    class Counting:
        def compress(self, data: Any) -> Any:
            tried.append(len(data))
            return compress(data)

    monkeypatch.setattr(builder, "_compressor", Counting())
    noise = [random.Random(number).randbytes(4096) for number in range(400)]
    assert [builder.add(each)[1] for each in noise] == [4096] * 400
    assert len(tried) < 50
    assert min(builder.add(text)[1] for _each in range(20)) < len(text) / 20, "and yet what comes later is"


@pytest.mark.parametrize("data", [b"", b"QDRPACK\x01", b"QDRPACK\x01\xff\xff\xff\xff{}", b"QDRPACK\x01\x02\0\0\0{]"])
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(DrError, match="the pack"):
        read_header(data, "the pack")


@pytest.mark.parametrize("field", ["cluster", "data_key", "salt", "wrap"])
def test_a_header_without_its_key_is_refused(field: str) -> None:
    header = {**KEY.header(SALT), field: "x"}
    if field == "cluster":
        del header["cluster"]
    text = canonical(header)
    with pytest.raises(DrError, match="the pack"):
        read_header(b"QDRPACK\x01" + len(text).to_bytes(4, "little") + text, "the pack")
