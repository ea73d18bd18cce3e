# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of bandwidth: how they are written, and that they hold."""

from __future__ import annotations

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.pace import Pace, PacedBody, parse_rate


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("text", "rate"), [("500000", 500_000), ("64K", 65_536), (" 50M ", 50 << 20), ("1.5g", 3 << 29), ("2 M", 2 << 20)]
)
def test_rates_are_powers_of_1024(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "0", "10K", "-1M", "50MB/s", "M"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="bandwidth_limit") as caught:
        parse_rate(text)
    assert "50M" in caught.value.hint


def test_bytes_pass_at_the_rate_and_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(1000, clock, clock.sleep)
    for _piece in range(5):
        pace.wait(500)
    assert clock.now == pytest.approx(102.0), "the last piece starts when the four before it have had their time"
    clock.now += 60
    pace.wait(500)
    pace.wait(500)
    assert clock.now == pytest.approx(162.5)


def test_a_paced_body_reads_and_rewinds_like_a_file() -> None:
    clock = Clock()
    data = bytes(range(256)) * 1000
    body = PacedBody(data, Pace(256_000, clock, clock.sleep))
    assert body.read() == data
    assert clock.now == pytest.approx(101.0, abs=0.3)
    assert (body.seek(0, 2), body.tell(), body.seek(10)) == (len(data), len(data), 10)
    assert body.read(5) == data[10:15]
