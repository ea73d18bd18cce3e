# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that the parts of a backup take."""

from __future__ import annotations

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.part_upload import (
    MIB,
    buffers_for,
    part_size_for,
)

TIB = 1024 * 1024 * MIB


@pytest.mark.parametrize(
    ("snapshot", "part_mib", "buffers"), [(1, 16, 4), (TIB // 4, 28, 4), (TIB // 2, 56, 2), (TIB, 111, 2)]
)
def test_large_parts_have_fewer_buffers(snapshot: int, part_mib: int, buffers: int) -> None:
    part_size = part_size_for(snapshot)
    assert (part_size, buffers_for(part_size)) == (part_mib * MIB, buffers)
