# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as the module and the agent make it, from what a real store holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.made_backups import as_option, location_on, make_backup, manifest_of
from tests.stored_drills import drill_record, store_drill
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

Json = dict[str, Any]
Run = Callable[..., Json]
MONDAY, TUESDAY, WEDNESDAY = ("20261123T020000Z-aaaaaa", "20261124T020000Z-bbbbbb", "20261125T020000Z-cccccc")
SIZE = 100_000_000


@pytest.fixture
def repository(s3_server: SeaweedServer, bucket: str) -> Repository:
    return Repository(location_on(s3_server, bucket))


def write_manifest(repository: Repository, backup_id: str, size: int, finished: str, **fields: Any) -> None:
    """A plan reads manifests alone, so that the objects of a large backup need not be there."""
    window = dict.fromkeys(("snapshot_started", "snapshot_finished"), "2026-11-25T02:00:00Z")
    window |= {"started": "2026-11-25T02:00:00Z", "finished": finished}
    manifest = manifest_of("docs", backup_id, (bytes(size),), window=window, **fields)
    repository.put(layout.manifest_key("docs", backup_id), manifest.dump())


def test_sizes_and_rates_are_those_that_were_measured(repository: Repository, run_module: Run) -> None:
    write_manifest(repository, MONDAY, SIZE, "2026-11-25T02:00:50Z")
    write_manifest(repository, WEDNESDAY, SIZE + 2_000_000, "2026-11-25T02:00:10Z")
    store_drill(repository, drill_record(drill_id=TUESDAY))
    # A newer one that is damaged, and a folder of one that never wrote its record.
    repository.put(layout.drill_key("docs", WEDNESDAY), b"{")
    repository.put(layout.drills_prefix("docs") + "20261126T020000Z-dddddd/report.md", b"")
    plan = run_module("sla_plan", {"repository": as_option(repository.location), "sla": "standard"})["plans"][0]
    assert (plan["size"], plan["growth_per_day"]) == (SIZE + 2_000_000, 1_000_000)
    rates = {name: (each["mb_per_second"], each["measured"]) for name, each in plan["rates"].items()}
    assert rates == {
        "backup": (10.2, True),
        "copy": (200, False),
        "restore": (50, True),
        "replay": (10, True),
        "log": (pytest.approx(2e8 / 3600 / 1e6), True),
    }
    assert plan["rates"]["restore"]["source"] == f"drill {TUESDAY}"
    assert plan["rates"]["backup"]["source"] == f"backup {WEDNESDAY}, 10s"
    assert plan["rto"]["parts"][0] == {"name": "find", "seconds": 15.5, "reason": f"as in drill {TUESDAY}"}
    assert plan["met"]


def recorded(state: Path, **days: Json) -> str:
    """What the archiver of a host with one of the shards of docs has recorded, by the days ago."""
    today = datetime.now(timezone.utc).date()
    dated = {
        name: {(today - timedelta(days=int(ago[1:]))).isoformat(): value for ago, value in values.items()}
        for name, values in days.items()
    }
    record = {"schema_version": 1, "bytes_per_second": [{"collection": "docs", "shard": 0, **dated}]}
    state.mkdir()
    (state / "write-rates").write_text(json.dumps(record))
    return str(state)


def test_how_much_is_written_is_what_the_archiver_has_recorded(
    repository: Repository, run_module: Run, tmp_path: Path, agent: Callable[..., Agent]
) -> None:
    write_manifest(repository, MONDAY, SIZE, "2026-11-25T02:00:50Z")
    store_drill(repository, drill_record(drill_id=TUESDAY))
    written = {"_3": 9e10, "_2": 86_400_000_000.0, "_1": 8.64e9, "_0": 9e10}
    state = recorded(tmp_path / "state", days={"_2": 4_000_000.0, "_1": 1.0}, written=written)
    given = {"repository": as_option(repository.location), "sla": "standard", "state_path": state}
    found = run_module("sla_plan", given)
    plan = found["plans"][0]
    busiest = (datetime.now(timezone.utc).date() - timedelta(days=2)).isoformat()
    assert plan["rates"]["log"] == {
        "mb_per_second": 1.0, "measured": True, "source": f"archiver: the mean of {busiest}",
    }  # fmt: skip
    assert plan["rates"]["peak"] == {"mb_per_second": 4.0, "measured": True, "source": "archiver: the busiest minutes"}
    assert plan["written_per_day"] == 86_400_000_000
    assert plan["rpo"]["parts"][-1]["name"] == "upload"
    assert "written at a peak of 4 MB/s" in plan["rpo"]["parts"][-1]["reason"]
    assert any(f"log 1 MB/s (archiver: the mean of {busiest})" in line for line in found["report"])
    assert run_module("sla_plan", {**given, "rates": {"log": 2.0}})["plans"][0]["rates"]["log"]["source"] == "given"
    host = agent(Qdrant(QdrantConnection("http://127.0.0.1:1")), repository, sla="standard")
    host.config["wal_archive"] = {"storage_path": "/nowhere", "state_path": state, "spool_path": "/nowhere"}
    assert f"log 1 MB/s (archiver: the mean of {busiest})" in host.runs("plan").stdout
    # A drill tells of it where no archiver does.
    del given["state_path"]
    assert run_module("sla_plan", given)["plans"][0]["rates"]["log"]["source"] == f"drill {TUESDAY}"


def test_shards_of_other_hosts_are_taken_to_be_written_to_as_much(
    repository: Repository, run_module: Run, tmp_path: Path
) -> None:
    objects = (bytes(SIZE // 2), bytes(SIZE // 2))
    window = dict.fromkeys(("started", "snapshot_started", "snapshot_finished", "finished"), "2026-11-25T02:00:00Z")
    manifest = manifest_of("docs", MONDAY, objects, window=window)
    repository.put(layout.manifest_key("docs", MONDAY), manifest.dump())
    state = recorded(tmp_path / "state", days={"_1": 3_000_000.0}, written={"_2": 1.0, "_1": 86_400_000_000.0})
    given = {"repository": as_option(repository.location), "sla": "standard", "state_path": state}
    rates = run_module("sla_plan", given)["plans"][0]["rates"]
    assert (rates["log"]["mb_per_second"], rates["peak"]["mb_per_second"]) == (2.0, 6.0)
    assert rates["log"]["source"].endswith(", by 1 of 2 shards")


def test_a_plan_that_does_not_hold_fails_and_shows_its_arithmetic(repository: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", MONDAY)
    make_backup(repository, "users", MONDAY)
    refused = run_module(
        "sla_plan",
        {
            "repository": as_option(repository.location),
            "sla": [{"collections": ["do*"], "sla": "standard"}],
            "size_gb": 2000.0,
        },
    )
    assert refused["failure"]["code"] == "sla_not_met"
    assert refused["failure"]["detail"] == (
        "docs cannot meet standard (RPO 3600 s, RTO 14400 s). The RTO would be 8h 36m, and may be 4h 0m: find 1m 0s (to"
        " find the backup, check the target and ask the first question, which is assumed) + restore 7h 56m (2 TB at"
        " 70 MB/s, which is assumed) + replay 38m 54s (46.7 GB at 20 MB/s, which is assumed). It holds up to 933 GB."
    )
    assert refused["plans"][0]["met"] is False
    assert refused["unplanned"] == ["users"]
    assert "docs: 2 TB" in refused["report"][0]
    held = run_module(
        "sla_plan",
        {"repository": as_option(repository.location), "sla": "standard", "size_gb": 930.0, "collections": ["docs"]},
    )
    assert [plan["met"] for plan in held["plans"]] == [True]


def test_a_schedule_without_the_archive_cannot_meet_an_rpo_of_an_hour(repository: Repository, run_module: Run) -> None:
    make_backup(repository, "docs", MONDAY)
    given = {"repository": as_option(repository.location), "sla": "standard"}
    refused = run_module("sla_plan", given | {"schedule": {"wal_archive": False, "backup_interval": "1h"}})
    assert "The RPO would be 1h 3m, and may be 1h 0m: interval 1h 0m (between two backups)" in refused["msg"]
    assert "It holds at no size." in refused["msg"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sla": "gold"}, "sla is 'gold', which is no tier."),
        ({"rates": {"restore": 0.0}}, "restore is 0."),
        ({"keep_days": 0}, "keep_days is 0."),
        ({"schedule": {"backup_interval": "0"}}, "backup_interval is 0."),
        ({"schedule": {"copy_interval": "often"}}, "copy_interval is 'often', which is no duration."),
        ({"collections": ["none"]}, "none has no backup, so that its size is not known."),
    ],
)
def test_what_cannot_be_right_is_refused(repository: Repository, run_module: Run, changes: Json, words: str) -> None:
    make_backup(repository, "docs", MONDAY)
    refused = run_module("sla_plan", {"repository": as_option(repository.location), "sla": "standard", **changes})
    assert refused["failure"]["code"] in ("invalid_input", "backup_not_found")
    assert words in refused["msg"]


def test_a_collection_to_come_can_be_planned_for_two_regions(
    repository: Repository, s3_server: SeaweedServer, bucket: str, run_module: Run
) -> None:
    far = location_on(s3_server, bucket, name="far", prefix="far")
    given = {"repositories": [as_option(repository.location), as_option(far)], "collections": ["new"], "size_gb": 100.0}
    found = run_module("sla_plan", given | {"sla": "high_availability", "rates": {"restore": 500.0, "backup": 500.0}})
    plan = found["plans"][0]
    assert (plan["met"], plan["region_met"]) == (True, False)
    assert [part["name"] for part in plan["region_rpo"]["parts"]] == ["poll", "seal", "upload", "copy_interval", "copy"]
    assert plan["costs"]["storage"]["daily_full"]["cost"] == pytest.approx(2 * 3000 * 0.023)


def test_the_agent_plans_what_it_backs_up(agent: Callable[..., Agent], repository: Repository) -> None:
    make_backup(repository, "docs", MONDAY)
    make_backup(repository, "users", MONDAY)
    entry = {"collections": ["docs"], "sla": "prototype"}
    host = agent(Qdrant(QdrantConnection("http://127.0.0.1:1")), repository, sla=[entry])
    held = host.runs("plan")
    assert held.returncode == 0, held.stderr
    assert held.stdout.startswith("docs: ")
    assert "meets prototype" in held.stdout
    assert held.stdout.endswith("users: no service level is for it\n")
    # This host archives no log.
    refused = host.runs("plan", "--sla", "standard", "--collection", "docs", "--json")
    assert refused.returncode == 65
    found = json.loads(refused.stdout)
    assert (found["met"], [part["name"] for part in found["plans"][0]["rpo"]["parts"]]) == (
        False,
        ["interval", "delay", "backup"],
    )
    paths = dict.fromkeys(("storage_path", "state_path", "spool_path"), "/nowhere")
    host.config["wal_archive"] = {**paths, "seal_interval": 7}
    archived = json.loads(host.runs("plan", "--sla", "standard", "--json").stdout)["plans"][0]
    assert [(part["name"], part["seconds"]) for part in archived["rpo"]["parts"]] == [
        ("poll", 1),
        ("seal", 7),
        ("upload", 1),
    ]
    del host.config["wal_archive"]
    slow = host.runs("plan", "--size-gb", "9000", "--rate", "restore=80", "--price", "storage_per_gb_month=0.01")
    assert slow.returncode == 65
    assert "restore 1d 7h (9 TB at 80 MB/s)" in slow.stdout
    assert "daily full 270 TB, 2,700.00 USD" in slow.stdout
    for option, words in (
        (["--rate", "restore"], "--rate is restore=."),
        (["--rate", "restore=x"], "--rate restore is 'x', which is no number."),
        (["--sla", "gold"], "--sla is 'gold', which is no tier."),
    ):
        wrong = host.runs("plan", *option)
        assert (wrong.returncode, words in wrong.stderr) == (1, True), wrong.stderr
    del host.config["sla"]
    assert "names no service level." in host.runs("plan").stderr
