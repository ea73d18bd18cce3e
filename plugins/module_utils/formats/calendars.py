# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``systemd-analyze calendar`` tells of a calendar."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise

# With the time zone UTC: "Next elapse: Tue 2026-12-01 02:00:00 UTC", "Iter. #2: ...", or "Iteration #2: ...".
_RUN = re.compile(r"(?:Next elapse|Iter\S* #\d+): \S+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")


def longest_gap(told: str) -> float | None:
    """The longest time between two of the runs that are listed, in seconds; None where there are fewer than two."""
    runs = [datetime.strptime(each, "%Y-%m-%d %H:%M:%S") for each in _RUN.findall(told)]
    gaps = [(after - before).total_seconds() for before, after in pairwise(runs)]
    return max(gaps, default=None)
