# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard archive cut into chunks: nothing is lost, and what two archives share is cut alike in both."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedSnapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.content_cuts import LARGEST_CHUNK
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.cutting import ArchiveCutter
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import END_OF_ARCHIVE
from tests.made_snapshots import member, segment_archive, sparse_member

FILES = st.lists(st.integers(0, 3 * LARGEST_CHUNK + 100), max_size=4)


def cut(archive: bytes, places: Sequence[int] = ()) -> list[tuple[str, bytes]]:
    """The pieces of an archive that is fed in pieces that end at ``places``."""
    pieces: list[tuple[str, bytes]] = []
    cutter = ArchiveCutter(
        "the archive", lambda data: pieces.append(("literal", data)), lambda view: pieces.append(("chunk", bytes(view)))
    )
    ends = [0, *sorted(places), len(archive)]
    for start, stop in itertools.pairwise(ends):
        cutter.feed(memoryview(archive)[start:stop])
    cutter.finish()
    return pieces


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def archive_of(segments: Sequence[bytes], log: int = 5000) -> bytes:
    members = [member(f"segments/{number}.tar", data) for number, data in enumerate(segments)]
    small = [member("replica_state.json", b"{}"), sparse_member("wal/open-1", noise(700), [(0, 700)], 32 << 20)]
    return b"".join([*members, *small, member("wal/closed-0", noise(log)), END_OF_ARCHIVE])


@given(FILES, st.lists(st.integers(0, 200_000), max_size=6))
@settings(max_examples=60)
def test_the_pieces_are_the_archive_however_it_comes(sizes: list[int], places: list[int]) -> None:
    archive = archive_of([segment_archive(1, noise(size)) for size in sizes])
    pieces = cut(archive, [place for place in places if place < len(archive)])
    assert b"".join(data for _kind, data in pieces) == archive
    assert pieces == cut(archive)
    kinds = [kind for kind, _data in pieces]
    assert "literal, literal" not in ", ".join(kinds), "what lies together stays together"
    assert all(0 < len(data) <= LARGEST_CHUNK for kind, data in pieces if kind == "chunk")


def test_a_file_is_cut_alike_wherever_it_stands() -> None:
    vectors, links = noise(5 * LARGEST_CHUNK + 77), noise(2 * LARGEST_CHUNK, seed=1)
    one = archive_of([segment_archive(1, vectors, links=links)])
    other = archive_of([segment_archive(9, links, more=noise(3333, seed=2)), segment_archive(7, vectors)], log=9000)
    chunks = [{data for kind, data in cut(archive) if kind == "chunk"} for archive in (one, other)]
    assert sum(map(len, chunks[0] & chunks[1])) == len(vectors) + len(links)


def test_small_files_are_no_chunks() -> None:
    pieces = cut(archive_of([segment_archive(1, noise(100))], log=1000))
    assert [kind for kind, _data in pieces] == ["literal"]


def test_an_archive_that_is_cut_short_is_refused() -> None:
    with pytest.raises(DamagedSnapshot, match="the archive is cut short"):
        cut(archive_of([segment_archive(1, noise(LARGEST_CHUNK))])[:-1000])
