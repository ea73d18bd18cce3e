# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the repository: they sort by time, and none leads out of its folder."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout

BACKUP = "20261122T020000Z-a1b2c3"
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(timezone.utc))


def test_an_id_tells_its_time_in_utc() -> None:
    moment = datetime(2026, 11, 22, 3, 30, 5, tzinfo=timezone(timedelta(hours=1, minutes=30)))
    backup_id = layout.new_backup_id(moment, "a1b2c3")
    assert backup_id == "20261122T020005Z-a1b2c3"
    assert layout.backup_time(backup_id) == moment


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    first, second = sorted([one.replace(microsecond=0), other.replace(microsecond=0)])
    if first < second:
        assert layout.new_backup_id(first, "ffffff") < layout.new_backup_id(second, "000000")
    assert layout.is_backup_id(layout.new_backup_id(one, "0a9f00"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "20261122T020000Z",
        "20261122T020000Z-A1B2C3",
        "20261122T020000Z-a1b2c",
        "20261122T020000Z-a1b2c3d",
        "20261122T020000Z-a1b2c3/",
        "20261122T020000Z-a1b2c3\n",
        "x20261122T020000Z-a1b2c3",
        "20261322T020000Z-a1b2c3",
        "20261122T250000Z-a1b2c3",
        "٢0261122T020000Z-a1b2c3",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    assert not layout.is_backup_id(text)
    with pytest.raises(InvalidInput, match="is not a backup id"):
        layout.backup_time(text)


def test_the_keys_are_those_of_the_documented_layout() -> None:
    assert layout.manifest_key("docs", BACKUP) == f"docs/backups/{BACKUP}/manifest.json"
    assert layout.backup_prefix("docs", BACKUP) == f"docs/backups/{BACKUP}/"
    assert layout.backups_prefix("docs") == "docs/backups/"
    assert layout.shard_key(BACKUP, 3) == f"backups/{BACKUP}/shards/3.snapshot"
    assert layout.sidecar_key("a/3.snapshot") == "a/3.snapshot.sha256"
    assert layout.started_key("docs", BACKUP).startswith(layout.started_prefix("docs"))
    assert not layout.started_key("docs", BACKUP).startswith(layout.backups_prefix("docs"))


@pytest.mark.parametrize("name", ["docs", "a b", "\u00e4\u4e2d", "x" * 255, "a.b", "...", "it's", "100%", "a+b=c"])
def test_names_that_qdrant_takes_are_taken(name: str) -> None:
    assert layout.check_collection_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "/", "x" * 256, "a\x00b", "a\nb", "a*", "a?", 'a"b', "a<b", "a:b"]
)
def test_names_that_would_lead_elsewhere_are_refused(name: str) -> None:
    for make in (layout.check_collection_name, layout.backups_prefix, layout.started_prefix):
        with pytest.raises(InvalidInput, match="cannot be the name of a collection"):
            make(name)


def test_the_sidecar_satisfies_sha256sum(tmp_path: Path) -> None:
    data = b"a shard archive"
    (tmp_path / "0.snapshot").write_bytes(data)
    sidecar = layout.sidecar("docs/backups/x/shards/0.snapshot", hashlib.sha256(data).hexdigest())
    (tmp_path / "0.snapshot.sha256").write_bytes(sidecar)
    check = ["sha256sum", "--strict", "--check", "0.snapshot.sha256"]
    assert subprocess.run(check, cwd=tmp_path, check=True, capture_output=True).stdout == b"0.snapshot: OK\n"
    (tmp_path / "0.snapshot").write_bytes(data + b"!")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1
