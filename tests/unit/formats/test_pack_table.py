# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a shard's packs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.pack_table import MAGIC, Pack, encode, parse

PACKS = st.builds(
    Pack,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers(1, (1 << 64) - 1),
    st.integers(0, 1 << 10),
)


@given(st.lists(PACKS, max_size=20))
def test_what_is_read_is_what_was_written(packs: list[Pack]) -> None:
    assert parse(encode(packs), "the table") == packs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC[:-1],
        b"X" + MAGIC[1:],
        MAGIC + bytes(47),
        MAGIC + bytes(48),
        MAGIC + bytes(32) + b"\xff" * 16,
    ],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedBackup, match="the table"):
        parse(data, "the table")


def test_a_pack_is_described_as_an_object_of_one_part() -> None:
    pack = Pack("ab" * 32, 70)
    assert pack.stored == {"size": 70, "sha256": "ab" * 32, "part_size": 70, "parts": ["ab" * 32]}
