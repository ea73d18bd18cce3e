# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of what is made now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.fresh_id import fresh_id

SECOND = datetime(2026, 11, 22, 2, 0, 5, tzinfo=timezone.utc)


def test_ids_of_one_second_sort_by_time() -> None:
    ids = [fresh_id(SECOND + timedelta(milliseconds=each)) for each in range(0, 1000, 4)]
    assert ids == sorted(ids)
    assert {layout.backup_time(each) for each in ids} == {SECOND}


def test_ids_of_one_moment_differ() -> None:
    assert fresh_id(SECOND) != fresh_id(SECOND)
