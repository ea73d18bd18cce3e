# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far apart the runs of a calendar are, by what systemd says of it."""

from __future__ import annotations

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.calendars import longest_gap

# As systemd 252 prints it for "Mon..Fri 02:00", and newer ones with another word for an iteration.
WORKDAYS = """  Original form: Mon..Fri 02:00
Normalized form: Mon..Fri *-*-* 02:00:00
    Next elapse: Thu 2026-12-03 02:00:00 UTC
       From now: 2 days left
       Iter. #2: Fri 2026-12-04 02:00:00 UTC
       From now: 3 days left
   Iteration #3: Mon 2026-12-07 02:00:00 UTC
       From now: 6 days left
"""


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (WORKDAYS, 3 * 86400),
        ("    Next elapse: Fri 2027-01-01 02:00:00 UTC\n       From now: 1 month 0 days left\n", None),
        ("    Next elapse: never\n", None),
    ],
)
def test_the_longest_time_between_two_runs(told: str, seconds: float | None) -> None:
    assert longest_gap(told) == seconds
