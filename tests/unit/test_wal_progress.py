# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitoring system sees of the archiver, and what it may be told to do."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_follower import Round
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_progress import (
    Progress,
    Totals,
    metrics,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_settings import ArchiveSettings
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import (
    ClientEncryption,
    StoreLocation,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
LOG = ReplicaLog('a "quoted" \\ name', 2, "47", "20261124T110000Z-aaaaaa")


def test_the_lag_grows_until_all_that_was_seen_is_archived() -> None:
    progress = Progress(LOG, since=100.0)
    assert progress.lag(130.0) == 30.0
    progress.reached(Round(NOW, 120.0), LOG.timeline)
    assert progress.lag(130.0) == 10.0
    assert progress.checked_at == NOW


def test_metrics_name_each_replica_and_count_what_went_wrong() -> None:
    progress = Progress(LOG, since=100.0, last=41, behind=3)
    totals = Totals(gaps=2, spool_bytes=12_345_678_901, spool_full=True, base_needed=["docs"])
    lines = metrics({("x", 2): progress}, totals, 107.5, NOW).decode().splitlines()
    labels = '{collection="a \\"quoted\\" \\\\ name",shard="2",replica="47"}'
    assert f"qdrant_dr_wal_lag_seconds{labels} 7.5" in lines
    assert f"qdrant_dr_wal_entries_behind{labels} 3" in lines
    assert f"qdrant_dr_wal_last_index{labels} 41" in lines
    assert 'qdrant_dr_wal_base_needed{collection="docs"} 1' in lines
    assert "qdrant_dr_wal_spool_full 1" in lines
    assert "qdrant_dr_wal_gaps_total 2" in lines
    assert "qdrant_dr_wal_spool_bytes 12345678901" in lines
    assert f"qdrant_dr_wal_updated_timestamp_seconds {int(NOW.timestamp())}" in lines
    names = [line.split("{")[0].split()[0] for line in lines if not line.startswith("#")]
    assert {f"# TYPE {name} " in "\n".join(lines) for name in names} == {True}


@pytest.mark.parametrize(
    "wrong",
    [{"poll_interval": 0.05}, {"poll_interval": 61}, {"seal_interval": 0}, {"seal_bytes": 1 << 27}, {"heartbeat": 0}],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ArchiveSettings("/storage", "/state", "/spool", **wrong)


def test_an_archiver_whose_key_cannot_be_read_is_not_begun(tmp_path: Path) -> None:
    location = StoreLocation("r", "b", "c", client_encryption=ClientEncryption(key_file=str(tmp_path / "key")))
    settings = ArchiveSettings("/storage", str(tmp_path / "state"), str(tmp_path / "spool"))
    with pytest.raises(InvalidInput, match=r"key file .* cannot be read"):
        Archiver(lambda _name: "1", Repository(location), settings)
    assert list(tmp_path.iterdir()) == []
