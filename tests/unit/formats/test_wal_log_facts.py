# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the logs of a collection: the one that is the nearest to being too short, and the newest class."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_log_facts import (
    LogFacts,
    log_lines,
    log_result,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_sizing import KeptLog

MIB = 1024 * 1024
NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def test_of_several_logs_the_tightest_is_told_and_the_newest_that_is_inexact() -> None:
    ample = LogFacts(2 * MIB, KeptLog(32, 1000), 60.0, {"conditional": 7}, NOON)
    tight = LogFacts(1 * MIB, KeptLog(32, 100), 60.0, {"partial_vectors": 2}, NOON + HOUR)
    told = log_result([ample, None, tight, LogFacts()])
    assert told == {
        "peak_mb_per_second": 1.0,
        "keeps_mb": 3200,
        "needs_mb": 3600,
        "outage_minutes": 60.0,
        "retention": "too_short",
        "inexact": {"partial_vectors": 2},
        "inexact_before": "2026-11-22T13:00:00.000000Z",
    }
    assert log_result([ample])["retention"] == "ok"
    short, inexact = log_lines("docs", told)
    assert "docs: each shard is written to at 1 MB/s at most; the log of 3200 MB is too short for 60 minutes" in short
    assert "exactly 2 partial_vectors, the newest of which were written by 2026-11-22T13:00:00" in inexact


def test_where_nothing_is_known_nothing_is_said() -> None:
    told = log_result([None])
    assert (told["retention"], told["peak_mb_per_second"], told["inexact"]) == (None, None, {})
    assert log_lines("docs", told) == []
    without_rate = log_result([LogFacts(None, KeptLog(32, 1), 60.0)])
    assert (without_rate["retention"], without_rate["keeps_mb"]) == (None, 32)
    assert log_lines("docs", without_rate) == []
