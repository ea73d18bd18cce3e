# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of service levels: the agent's schedules and the archiver's intervals."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.agent_config import read_config
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import SlaPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_role import ARCHIVER, archiver_variables, lay_out, play, variables
from tests.made_backups import as_option, manifest_of

pytestmark = pytest.mark.slow

LEVELS = [{"collections": ["docs"], "sla": "high_availability"}, {"sla": "prototype"}]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the role qdrant_agent has run, with levels and one schedule that was set by hand."""
    folder = tmp_path_factory.mktemp("levels")
    lay_out(folder)
    by_hand = {"qdrant_agent_copy_on_calendar": "hourly"}
    status, _changed, output = play(folder, {**variables(folder), **by_hand, "qdrant_sla": LEVELS})
    assert status == 0, output
    return folder


def test_schedules_follow_from_the_service_level(host: Path) -> None:
    given = variables(host)
    config = read_config(str(host / "etc" / "config.json"), environment={})
    assert (config.backup["max_age"], config.rpo, config.warning) == (5 * 3600, None, None)
    assert config.sla == SlaPolicy.parse(LEVELS)
    backups, copies = ((host / f"qdrant-dr-{name}.timer").read_text() for name in ("backup", "copy"))
    assert "\nOnCalendar=*-*-* 00/6:00:00 UTC\nRandomizedDelaySec=60s\n" in backups
    assert "\nOnCalendar=hourly\n" in copies
    for changes, said in (
        (
            {"qdrant_sla": "prototype", "qdrant_agent_rpo": "26h"},
            "qdrant_agent_rpo is 1d 2h, but qdrant_sla is prototype",
        ),
        ({"qdrant_sla": "prototype", "qdrant_agent_max_age": "2d"}, "qdrant_agent_max_age is 2d 0h, but qdrant_sla is"),
        ({"qdrant_sla": "gold"}, "qdrant_sla is 'gold', which is no tier."),
        (
            {"qdrant_sla": "prototype", "qdrant_agent_backup_on_calendar": "Mon..Fri 02:00"},
            "The longest time between two runs of qdrant_agent_backup_on_calendar is 3d 0h, but qdrant_sla is",
        ),
    ):
        status, changed, output = play(host, given | changes)
        assert (status, changed) == (2, 0), output
        assert said in " ".join(output.split())


@pytest.mark.s3
def test_levels_that_cannot_be_met_are_refused_before_anything_runs(host: Path, repository: Repository) -> None:
    manifest = manifest_of("docs", "20261123T020000Z-aaaaaa", (bytes(200_000_000),))
    repository.put(layout.manifest_key("docs", manifest.backup_id), manifest.dump())
    # The agent of these tests gets what it needs of this process' environment.
    packages = next((host / "home" / "venv").glob("lib/python*/site-packages"))
    (packages / "here.pth").write_text(sysconfig.get_paths()["purelib"])
    given = variables(host) | {
        "qdrant_agent_repository": {**as_option(repository.location), "profile": ""},
        "qdrant_agent_destinations": [],
        "qdrant_agent_prune_overrides": [],
        "qdrant_agent_pruner_keys": {},
        "qdrant_agent_copy_on_calendar": "Sat 02:00",
        "qdrant_sla": {"rpo_seconds": "1h", "rto_seconds": 62},
    }
    before = (host / "etc" / "config.json").read_text()
    status, _changed, output = play(host, given)
    said = " ".join(output.split())
    assert status == 2, output
    assert "docs cannot meet RPO 3600 s, RTO 62 s. The RTO would be 1m 2s, and may be 1m 2s: find 1m 0s" in said
    assert "WARNING: qdrant_agent_copy_on_calendar leaves 604800 s between two runs" in said
    assert (host / "etc" / "config.json").read_text() == before, "nothing runs by what was refused"
    status, _changed, output = play(host, given | {"qdrant_sla_unmet": "warn"})
    assert (status, "WARNING: docs cannot meet" in output) == (0, True), output
    archive = archiver_variables(host) | {"qdrant_sla": given["qdrant_sla"], "qdrant_wal_archive_seal_interval": 3}
    kept = host / "etc" / "wal-archive.json"
    known = kept.read_text() if kept.exists() else None
    status, _changed, output = play(host, archive, role=ARCHIVER)
    assert (status, "docs cannot meet RPO 3600 s" in output) == (2, True), output
    assert (kept.read_text() if kept.exists() else None) == known
    # A level that the log is archived for, whatever the agent had been told.
    high = {"qdrant_sla": [{"collections": ["do*"], "sla": {"rpo_seconds": 60, "rto_seconds": "1h"}}]}
    status, _changed, output = play(host, archive | high, role=ARCHIVER)
    assert status == 0, output


def test_the_archiver_follows_from_the_service_level(host: Path) -> None:
    given = archiver_variables(host) | {
        "qdrant_sla": "high_availability",
        "qdrant_wal_archive_collections": ["docs"],
    }
    done = play(host, given, role=ARCHIVER)
    assert done[0] == 0, done[2]
    archived = read_config(str(host / "etc" / "config.json"), environment={}).wal_archive
    assert archived is not None
    assert (archived.seal_interval, archived.heartbeat) == (5, 15)
    assert play(host, given | {"qdrant_wal_archive_seal_interval": 20, "qdrant_sla": "standard"}, role=ARCHIVER)[0] == 0
    archived = read_config(str(host / "etc" / "config.json"), environment={}).wal_archive
    assert archived is not None
    assert (archived.seal_interval, archived.heartbeat) == (20, 30)
    for changes, said in (
        ({"qdrant_wal_archive_seal_interval": 90}, "qdrant_wal_archive_seal_interval is 1m 30s, but qdrant_sla is"),
        ({"qdrant_wal_archive_enabled": False}, "The WAL archive is off, but qdrant_sla is high_availability"),
    ):
        status, changed, output = play(host, given | changes, role=ARCHIVER)
        assert (status, changed) == (2, 0), output
        assert said in " ".join(output.split())
