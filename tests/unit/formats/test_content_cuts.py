# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file cut by its content: what a rewritten segment has again is cut as it was before."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.content_cuts import (
    LARGEST_CHUNK,
    WANTED_SIZE,
    ContentCutter,
)

RECORD = 3072
MIB = 1 << 20


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def cut(data: bytes, places: Sequence[int] = ()) -> list[bytes]:
    """The chunks of a file that comes in pieces that end at ``places``."""
    chunks: list[bytes] = []
    cutter = ContentCutter(lambda view: chunks.append(bytes(view)))
    for start, stop in itertools.pairwise([0, *sorted(places), len(data)]):
        cutter.feed(memoryview(data)[start:stop])
    cutter.finish()
    return chunks


def new_share(before: bytes, after: bytes) -> float:
    """Of the bytes of ``after``: those in chunks that ``before`` lacks."""
    return sum(map(len, set(cut(after)) - set(cut(before)))) / len(after)


FILES = st.one_of(
    st.builds(noise, st.integers(0, 2 * MIB), st.integers(0, 9)),
    st.integers(0, 2 * MIB).map(bytes),
    st.builds(lambda word, times: word * times, st.binary(min_size=1, max_size=12), st.integers(0, 100_000)),
)


@given(FILES, st.lists(st.integers(0, 2 * MIB), max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_chunks_are_the_file_and_the_same_ones_however_it_comes(data: bytes, places: list[int]) -> None:
    chunks = cut(data, [place for place in places if place < len(data)])
    assert b"".join(chunks) == data
    assert chunks == cut(data)
    assert all(0 < len(chunk) <= LARGEST_CHUNK for chunk in chunks)


def test_a_cutter_is_ready_for_the_next_file() -> None:
    files = [noise(300_001), noise(7, seed=1), noise(500_000, seed=2)]
    chunks: list[bytes] = []
    cutter = ContentCutter(lambda view: chunks.append(bytes(view)))
    for file in files:
        cutter.feed(memoryview(file))
        cutter.finish()
    assert chunks == [chunk for file in files for chunk in cut(file)]


def test_chunks_have_about_the_wanted_size() -> None:
    chunks = cut(noise(16 * MIB))
    assert 0.8 * WANTED_SIZE < 16 * MIB / len(chunks) < 1.1 * WANTED_SIZE
    assert min(map(len, chunks[:-1])) >= WANTED_SIZE // 4


@pytest.mark.parametrize("inserted", [b"", noise(RECORD, seed=3)], ids=["removed", "replaced by another in front"])
def test_records_that_are_gone_change_the_chunks_around_them_alone(inserted: bytes) -> None:
    """Chunks of a fixed size would all shift."""
    records = [noise(RECORD, seed) for seed in range(100, 2900)]
    kept = [inserted, *(record for number, record in enumerate(records) if number % 200 != 77)]
    assert new_share(b"".join(records), b"".join(kept)) < 0.12


def test_records_of_two_segments_that_lie_in_each_other_are_found_again() -> None:
    """A merged segment has runs of points of each of the segments that it was made of."""
    one, other = ([noise(RECORD, seed) for seed in range(start, start + 1200)] for start in (0, 5000))
    runs = [source[at : at + 120] for at in range(0, 1200, 120) for source in (one, other)]
    assert new_share(b"".join(one), b"".join(itertools.chain(*runs))) < 0.5 + 0.15


def test_zeros_and_what_repeats_are_cut_at_the_largest_size() -> None:
    assert [len(chunk) for chunk in cut(bytes(3 * LARGEST_CHUNK + 5))] == [LARGEST_CHUNK] * 3 + [5]
