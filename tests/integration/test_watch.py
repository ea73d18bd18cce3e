# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch between drills on real stores, and a real archived log: the module and ``qdrant-dr status --check``."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record as drill_format
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_kind import FAILOVER
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.verification import CONTENT
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.watch import limits_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest, verify_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.watch import watch
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.archivers import LoggedCollection
from tests.made_backups import as_option, location_on, make_backup
from tests.stored_drills import drill_record, store_drill
from tools.servers import QdrantServer, SeaweedServer

pytestmark = pytest.mark.s3

Json = dict[str, Any]
Run = Callable[..., Json]


def made(ago: timedelta, token: str = "aaaaaa") -> str:
    """The id of what was begun so long ago."""
    return layout.new_backup_id(datetime.now(timezone.utc) - ago, token)


def watched(run_module: Run, *regions: Repository, sla: Any = "prototype", **more: Any) -> Json:
    options = [as_option(each.location) for each in regions]
    return run_module("sla_status", {"repositories": options, "sla": sla, **more})


def test_all_is_well_where_all_was_done(repository: Repository, standby: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    copy_backups(repository, [standby], None, Choice())
    verify_backups([repository, standby], VerifyRequest(None, Choice(newest=None), CONTENT))
    store_drill(standby, drill_record(drill_id=(drill := made(timedelta(days=2)))))
    found = watched(run_module, repository, standby)
    assert (found["status"], found["changed"], found["unreachable_regions"]) == (0, False, [])
    assert found["line"].startswith("OK: 1 collection, the oldest backup is 2h 0m old (docs)")
    entry = found["collections"]["docs"]
    assert (entry["redundancy"], entry["verification"], entry["drill"]["drill_id"]) == (2, "good", drill)
    assert [region["name"] for region in entry["regions"]] == ["primary", "standby"]


def test_the_backups_of_a_region_are_listed_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    sent, send = [], URLLib3Session.send
    monkeypatch.setattr(URLLib3Session, "send", lambda self, request: sent.append(request.url) or send(self, request))
    limits = limits_of(parse_level("standard"))
    found = watch([repository], ["docs"], lambda _name: limits, lambda _name: True, datetime.now(timezone.utc))
    assert found["collections"]["docs"]["newest"] is not None
    assert len([url for url in sent if "list-type=2" in url and "docs%2Fbackups%2F" in url]) == 1


def test_a_drill_whose_record_was_altered_proves_nothing(repository: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    older, newer = (drill_record(drill_id=made(timedelta(days=days))) for days in (3, 2))
    for record in (older, {**newer, "verdict": "FAIL"}):
        store_drill(repository, record)
    repository.put(layout.drill_key("docs", newer["drill_id"]), drill_format.dump(newer))
    drill = watched(run_module, repository)["collections"]["docs"]["drill"]
    assert (drill["drill_id"], drill["verdict"]) == (older["drill_id"], "PASS")


def test_what_was_never_done_is_a_warning(repository: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    failover = drill_record(drill_id=made(timedelta(hours=1)), kind=FAILOVER.text)
    store_drill(repository, failover)
    found = watched(run_module, repository)
    assert found["status"] == 1
    assert [each["what"] for each in found["collections"]["docs"]["findings"]] == [
        "redundancy",
        "verification",
        "drill",
    ]
    assert found["line"] == (
        "WARNING: docs: 0 of 1 regions have a recent backup that was verified; docs: no backup was ever verified;"
        " docs: it was never drilled"
    )


def test_an_old_copy_a_failed_drill_and_damage_are_critical(
    repository: Repository, standby: Repository, run_module: Run
) -> None:
    make_backup(standby, "docs", made(timedelta(hours=30)))
    manifest = make_backup(repository, "docs", made(timedelta(hours=2)))
    repository.delete([manifest.object_key(manifest.shards[0])])
    for region in (repository, standby):
        with suppress(DamagedBackup):
            verify_backups([region], VerifyRequest(None, Choice(newest=None), CONTENT))
    store_drill(repository, drill_record(drill_id=made(timedelta(days=2)), verdict="FAIL"))
    store_drill(repository, drill_record(drill_id=made(timedelta(days=3))))
    found = watched(run_module, repository, standby)
    critical = {each["what"]: each["text"] for each in found["collections"]["docs"]["findings"] if each["level"] == 2}
    assert found["status"] == 2
    assert set(critical) == {"region", "verification", "drill"}
    assert critical["region"] == "what standby has is 1d 6h old, critical from 1d 0h on"


def test_a_region_that_is_gone_leaves_the_others_to_be_judged(
    repository: Repository, s3_server: SeaweedServer, bucket: str, run_module: Run
) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    gone = Repository(
        location_on(s3_server, bucket, name="gone", endpoint_url="http://127.0.0.1:1", connect_timeout=1.0)
    )
    found = watched(run_module, gone, repository)
    assert (found["status"], [each["region"] for each in found["unreachable_regions"]]) == (1, ["gone"])
    assert "docs: gone could not be read" in found["line"]
    alone = watched(run_module, gone)
    assert alone["failure"]["code"] == "store_unreachable"


def test_a_level_that_needs_the_log_is_not_met_without_it(repository: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", made(timedelta(minutes=2)))
    found = watched(run_module, repository, sla=[{"collections": ["d*"], "sla": "standard"}])
    assert found["line"].startswith("CRITICAL: docs: no log is archived that goes on from a backup")
    missing = watched(run_module, repository, collections=["none"])
    assert missing["line"].startswith("CRITICAL: none: it has no backup")
    assert watched(run_module, repository, sla="gold")["failure"]["code"] == "invalid_input"


@pytest.mark.qdrant
def test_the_agent_judges_the_archived_log_by_the_level(
    qdrant_server: QdrantServer, repository: Repository, standby: Repository, tmp_path: Path
) -> None:
    storage = str(qdrant_server.storage_path)
    logged = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", shards=2)
    section = {"collections": [logged.name], "storage_path": storage, "reserve_bytes": 0}
    section |= {"state_path": str(tmp_path / "state"), "spool_path": str(tmp_path / "spool")}
    host = Agent(
        tmp_path,
        QdrantConnection(qdrant_server.url),
        [repository.location, standby.location],
        wal_archive=section,
        backup={"collections": [logged.name], "storage_path": storage},
        sla="customer_facing",
    )
    try:
        logged.put(1, 20)
        for command in (["backup"], ["archive-wal", "--once"], ["copy"], ["verify"]):
            done = host.runs(*command)
            assert done.returncode == 0, done.stderr
        answer = host.runs("status", "--check", "--json")
        found = json.loads(answer.stdout)
        entry = found["collections"][logged.name]
        assert answer.returncode == found["status"] == 1
        assert [each["text"] for each in entry["findings"]] == ["it was never drilled"]
        assert (entry["wal_continued"], entry["redundancy"]) == (True, 2)
        assert entry["wal_age_seconds"] < 60
        store_drill(standby, drill_record(logged.name, made(timedelta(hours=1))))
        good = host.runs("status")
        assert (good.returncode, good.stdout[:17]) == (0, "OK: 1 collection,"), good.stdout
        host.config["sla"] = {"rpo_seconds": 0.001, "rto_seconds": 3600}
        late = host.runs("status", "--check")
        assert (late.returncode, "archived log ends" in late.stdout) == (2, True)
        assert late.stdout.count("\n") == 1
    finally:
        logged.qdrant.delete_collection(logged.name)


@pytest.mark.qdrant
def test_the_check_without_levels_looks_at_all_regions(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, standby: Repository
) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    host = agent(qdrant, repository, standby, backup={"collections": ["docs"]}, status={"rpo": "1d"})
    assert host.runs("status").returncode == 0
    answer = host.runs("status", "--check")
    assert (answer.returncode, answer.stdout) == (2, "CRITICAL: docs: standby has no backup\n")


@pytest.mark.qdrant
def test_metrics_are_written_for_another_user_to_read(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, standby: Repository, tmp_path: Path
) -> None:
    make_backup(repository, "docs", made(timedelta(hours=2)))
    make_backup(repository, "logs", made(timedelta(hours=2)))
    path = tmp_path / "watch.prom"
    host = agent(qdrant, repository, standby, backup={"collections": ["docs", "logs"]})
    assert "names no file for metrics" in host.runs("metrics").stderr
    host.config |= {"status": {"metrics_path": str(path)}, "sla": [{"collections": ["docs"], "sla": "prototype"}]}
    mask = os.umask(0o077)
    try:
        done = host.runs("metrics")
    finally:
        os.umask(mask)
    assert done.returncode == 0, "what is wrong is not for this to say"
    assert path.stat().st_mode & 0o777 == 0o644
    text = path.read_text(encoding="utf-8")
    assert 'qdrant_dr_status{cluster="production",collection="docs"} 2\n' in text
    assert 'qdrant_dr_sla_seconds{cluster="production",collection="docs",objective="rpo"} 86400\n' in text
    assert 'qdrant_dr_region_reachable{cluster="production",collection="docs",region="standby"} 1\n' in text
    begun = float(re.search(r'backup_timestamp_seconds\{[^}]*"docs"\} (\S+)', text)[1])  # type: ignore[index]
    assert abs(datetime.now(timezone.utc).timestamp() - begun - 7200) < 60
    host.config["status"]["metrics_path"] = str(tmp_path / "nowhere" / "watch.prom")
    failed = host.runs("metrics")
    assert (failed.returncode, "cannot be written" in failed.stderr) == (1, True)
