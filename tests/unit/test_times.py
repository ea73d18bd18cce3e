# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations and times as options give them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        (90, 90),
        ("45s", 45),
        ("15m", 900),
        ("24h", 86400),
        ("1.5h", 5400),
        ("7d", 604800),
        (" 2 w ", 1209600),
    ],
)
def test_durations(text: str | int, expected: float) -> None:
    assert parse_duration(text, "rpo") == expected


@pytest.mark.parametrize("text", ["", "h", "-5", "1y", "1h30m", "soon"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InvalidInput, match="rpo is"):
        parse_duration(text, "rpo")


def test_moments() -> None:
    expected = datetime(2026, 11, 22, 2, 0, tzinfo=timezone.utc)
    for text in (
        "2026-11-22T02:00:00Z",
        "2026-11-22T02:00:00",
        "2026-11-22 03:00:00+01:00",
        " 2026-11-22T02:00:00.000z",
    ):
        assert parse_moment(text, "since") == expected
    assert parse_moment("2026-11-22", "since") == expected - timedelta(hours=2)


def test_no_moment() -> None:
    with pytest.raises(InvalidInput, match="since is 'yesterday'"):
        parse_moment("yesterday", "since")
