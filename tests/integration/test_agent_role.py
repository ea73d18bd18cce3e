# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role qdrant_agent on this host, with all its paths in a folder of the test: what it writes, and that it works.

Users and running timers need a host of their own; everything else is real.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.agent_config import read_config
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import VerifyRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.prune_options import prune_request
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ClientEncryption, StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection
from tests.agent_role import ARCHIVER, PRUNER, SECRETS, Json, archiver_variables, lay_out, play, variables
from tools.servers import QdrantServer

pytestmark = pytest.mark.slow

BACKUP = "vectorops.qdrant_dr.qdrant_backup"
SYSTEMD = shutil.which("systemd-analyze") is not None

WHEN = {
    "backup": "*-*-* 02:00:00 UTC",
    "copy": "*-*-* 00/6:00:00 UTC",
    "verify": "*-*-* 04:00:00 UTC",
    "prune": "*-*-* 05:00:00 UTC",
    "metrics": "*-*-* *:00/5:00 UTC",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the role has run: planned, done, and done again."""
    if not SYSTEMD:
        pytest.skip("the role needs systemd")
    folder = tmp_path_factory.mktemp("agent")
    lay_out(folder)
    given = variables(folder)
    status, changed, output = play(folder, given, "--check", "--diff")
    assert status == 0, output
    assert changed > 0
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".json") == ["ansible", "collections"]
    status, changed, output = play(folder, given, "--diff")
    assert status == 0, output
    assert not [secret for secret in SECRETS.values() if secret in output]
    again = play(folder, given)
    assert again[:2] == (0, 0), again[2]
    planned = play(folder, given, "--check")
    assert planned[:2] == (0, 0), planned[2]
    return folder


def test_the_files_are_what_the_agent_reads(host: Path) -> None:
    config = read_config(str(host / "etc" / "config.json"), environment={})
    keys = {name: SECRETS[name] for name in ("access_key", "secret_key")}
    sealing = ClientEncryption(key_file="/etc/backup.key")
    assert config.repository == StoreLocation(
        name="backups", bucket="backups", cluster="production", client_encryption=sealing, **keys
    )
    assert config.destinations == [StoreLocation(name="standby", bucket="copies", cluster="production")]
    assert (config.qdrant.url, config.qdrant.api_key) == ("http://127.0.0.1:6333", SECRETS["api_key"])
    assert (config.collections, config.backup["max_age"], config.rpo) == (["all"], 20 * 3600, 26 * 3600)
    assert config.copy_newest == 1
    assert config.metrics_path == str(host / "metrics" / "watch.prom")
    assert config.verify == VerifyRequest(None, Choice(newest=None), "content", 10.0, repair=True)
    pruned = dataclasses.replace(config.repository, **PRUNER)
    assert config.to_prune == [pruned, *config.destinations]
    request = prune_request(config.prune, config.prune_collections)
    assert request.policy_for("backups", "docs") == RetentionPolicy(keep_daily=30)
    assert request.policy_for("standby", "docs") == RetentionPolicy(keep_last=3)
    assert request.limits == PruneLimits(86400.0, require_verified=True, max_delete_percent=50.0)


def test_only_the_user_reads_them(host: Path) -> None:
    modes = {name: stat.S_IMODE((host / "etc" / name).stat().st_mode) for name in ("config.json", "credentials.json")}
    assert modes == {"config.json": 0o600, "credentials.json": 0o600}
    assert stat.S_IMODE((host / "etc").stat().st_mode) == 0o700
    assert not [secret for secret in SECRETS.values() if secret in (host / "etc" / "config.json").read_text()]


def test_the_command_runs_in_an_environment_of_its_own(host: Path) -> None:
    command = str(host / "qdrant-dr")
    env = {"PYTHONPATH": "/nonexistent"}
    version = subprocess.run([command, "--version"], capture_output=True, text=True, env=env, check=True).stdout
    assert re.fullmatch(r"qdrant-dr \d+\.\d+\.\d+\n", version)
    # Its environment has no boto3: the answer is one sentence, and shows which configuration was read.
    listed = subprocess.run([command, "list"], capture_output=True, text=True, env=env, check=False)
    assert listed.returncode == 1
    assert listed.stderr.startswith("qdrant-dr: The Python package boto3 is missing")


@pytest.mark.parametrize("name", list(WHEN))
def test_systemd_understands_the_units(host: Path, name: str) -> None:
    unit = f"qdrant-dr-{name}"
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(host / f"{unit}.service"), str(host / f"{unit}.timer")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit in line]) == (0, [])
    timer = (host / f"{unit}.timer").read_text()
    assert f"\nOnCalendar={WHEN[name]}\nRandomizedDelaySec=10min\n" in timer
    assert "\nPersistent=true\n" in timer
    service = (host / f"{unit}.service").read_text()
    assert f"\nExecStart={host}/qdrant-dr {name} --config {host}/etc/config.json\n" in service
    assert "\nSuccessExitStatus=75\n" in service
    assert "\nRestart=on-failure\n" in service, "after a boot Qdrant may not answer yet"
    assert "\nRestartPreventExitStatus=2 65\n" in service, "damage would be read again and again"
    assert (f"\nReadWritePaths={host}/metrics\n" in service) == (name == "metrics")
    assert "\nProtectProc=" not in service, "a backup of another user would look interrupted"


def test_a_calendar_that_systemd_does_not_know_is_refused(host: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    given = {**variables(tmp_path), "qdrant_agent_backup_on_calendar": "every night"}
    status, changed, output = play(tmp_path, given)
    assert (status, changed) == (2, 0), output
    assert "Failed to parse calendar" in output
    given = {**variables(tmp_path), "qdrant_agent_destinations": [{"bucket": "backups", "cluster": "production"}]}
    assert play(tmp_path, given)[:2] == (2, 0), "two repositories of one name"
    given = {**variables(tmp_path), "qdrant_agent_nodes": {"a": "a:6333"}}
    status, changed, output = play(tmp_path, given)
    assert (status, changed, "Give qdrant_agent_nodes as name: address" in output) == (2, 0, True), output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prune_enabled": True, "prune_keep_daily": 0, "prune_overrides": []}, "No rule says what to keep"),
        ({"pruner_keys": {"bakups": PRUNER}}, "censored"),
        ({"pruner_keys": {"backups": {"access_key": "AKIAPRUNER"}}}, "censored"),
        ({"prune_keep_within": "a month"}, "a month is no age"),
    ],
)
def test_a_prune_that_cannot_be_right_is_refused(host: Path, tmp_path: Path, changes: Json, said: str) -> None:
    lay_out(tmp_path)
    given = variables(tmp_path) | {f"qdrant_agent_{name}": value for name, value in changes.items()}
    status, changed, output = play(tmp_path, given)
    assert (status, changed, said in output) == (2, 0, True), output
    assert not [secret for secret in SECRETS.values() if secret in output]


@pytest.mark.parametrize("sealing", [{"key": "0" * 64}, {"key_file": "/k", "old_keys": [{"key": "0" * 64}]}])
def test_a_master_key_in_the_variables_is_refused(host: Path, tmp_path: Path, sealing: Json) -> None:
    lay_out(tmp_path)
    given = variables(tmp_path)
    given["qdrant_agent_repository"]["client_encryption"] = sealing
    status, changed, output = play(tmp_path, given, "-vvv")
    assert (status, changed) == (2, 0), output
    assert "keys of client-side encryption stand in files" in output
    assert "0" * 64 not in output


def test_a_customers_key_in_the_variables_is_refused(host: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    given = variables(tmp_path)
    given["qdrant_agent_repository"].update(encryption="SSE-C", sse_customer_key="0" * 64)
    status, changed, output = play(tmp_path, given, "-vvv")
    assert (status, changed) == (2, 0), output
    assert "customers' keys stand in files" in output
    assert "0" * 64 not in output


def test_the_schedule_of_the_role_qdrant_backup_installs_the_agent(host: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    given = variables(tmp_path)
    repository, api_key = given.pop("qdrant_agent_repository"), given.pop("qdrant_agent_api_key")
    backup = {"storage_path": "/s", "snapshots_path": "/n", "keep_on_node": True, "probes": 3, "type": "auto"}
    here = QdrantConnection("http://localhost:6333", api_key, False, "/ca", "/cert", "/key", 5.0, 60.0)
    hosts = "groups['all'] | map('regex_replace', '(.+)', 'http://\\1:6333')"
    own = {
        **dataclasses.asdict(here),
        **backup,
        "repository": repository,
        "collections": ["docs"],
        "max_age": "3h",
        "full_every": "7d",
    }
    own |= {"nodes": f"{{{{ dict(groups['all'] | zip({hosts})) }}}}"}
    own |= {
        "require_bucket_check": True,
        "wait_for_transfers": 60,
        "on_calendar": "*-*-* 03:00:00 UTC",
        "randomized_delay": "3min",
    }
    given |= {f"qdrant_backup_{name}": value for name, value in own.items()}
    status, _changed, output = play(tmp_path, given, role={"name": BACKUP, "tasks_from": "schedule"})
    assert status == 0, output
    config = read_config(str(tmp_path / "etc" / "config.json"), environment={})
    assert (config.qdrant, config.nodes) == (here, {"localhost": here})
    assert (config.collections, config.backup) == (["docs"], {**backup, "max_age": 3 * 3600, "full_every": 7 * 86400})
    assert (config.wait_for_transfers, config.require_bucket_check) == (60, True)
    assert config.repository.secret_key == SECRETS["secret_key"]
    timer = (tmp_path / "qdrant-dr-backup.timer").read_text()
    assert "\nOnCalendar=*-*-* 03:00:00 UTC\nRandomizedDelaySec=3min\n" in timer


def test_the_schedule_of_the_role_qdrant_replicate_installs_an_agent_that_copies(host: Path, tmp_path: Path) -> None:
    lay_out(tmp_path)
    given = variables(tmp_path)
    own = {"source": given.pop("qdrant_agent_repository"), "destinations": given.pop("qdrant_agent_destinations")}
    given |= {f"qdrant_replicate_{name}": value for name, value in own.items()}
    given |= {"qdrant_replicate_newest": 2, "qdrant_sla": "customer_facing"}
    role = {"name": "vectorops.qdrant_dr.qdrant_replicate", "tasks_from": "schedule"}
    status, _changed, output = play(tmp_path, given, role=role)
    assert status == 0, output
    config = read_config(str(tmp_path / "etc" / "config.json"), environment={})
    assert [each.bucket for each in (config.repository, *config.destinations)] == ["backups", "copies"]
    assert config.copy_newest == 2
    timer = (tmp_path / "qdrant-dr-copy.timer").read_text()
    assert "\nOnCalendar=*-*-* *:00/5:00 UTC\nRandomizedDelaySec=60s\n" in timer
    status, _changed, output = play(tmp_path, given | {"qdrant_replicate_on_calendar": "Mon 02:00"}, role=role)
    assert (status, "qdrant_agent_copy_on_calendar leaves 604800 s" in output) == (0, True), output
    assert "\nOnCalendar=Mon 02:00\n" in (tmp_path / "qdrant-dr-copy.timer").read_text()


@pytest.mark.qdrant
def test_the_archiver_is_set_up_beside_the_agent(
    host: Path, qdrant_server: QdrantServer, make_collection: Callable[..., str]
) -> None:
    short = make_collection(points=1, wal_config={"wal_capacity_mb": 4})
    long = make_collection(points=1, wal_config={"wal_capacity_mb": 32, "wal_retain_closed": 10})
    given = archiver_variables(host, qdrant_server.storage_path)
    planned = play(host, given, "--check", "--diff", role=ARCHIVER)
    assert planned[0] == 0, planned[2]
    assert planned[1] > 0
    assert not (host / "etc" / "wal-archive.json").exists()
    done = play(host, given, role=ARCHIVER)
    assert done[0] == 0, done[2]
    assert f"WARNING: The log of {short} keeps at least 4 MB for each shard, and needs 300 MB" in done[2]
    assert "set wal_retain_closed to 75 or more" in done[2]
    assert f"The log of {long}" not in done[2]
    # Its environment lacks what it takes to look into a log: that is no reason to fail.
    assert (
        f"What is written to {short}, shard 0, cannot be told: The Python package google-crc32c is not installed"
        in done[2]
    )
    assert not (host / "qdrant.service.d").exists(), "this host has no service of Qdrant"
    assert play(host, given, role=ARCHIVER)[:2] == (0, 0)
    config = read_config(str(host / "etc" / "config.json"), environment={})
    archived = config.wal_archive
    assert archived is not None
    assert config.repository.client_encryption == ClientEncryption(key_file="/etc/backup.key"), "what backups have"
    assert (archived.storage_path, archived.collections) == (str(qdrant_server.storage_path), None)
    assert (archived.spool_path, archived.poll_interval) == (str(host / "state" / "spool"), 1.0)
    assert archived.outage_minutes == 5
    units = [host / "qdrant-dr-archive-wal.service", host / "qdrant-dr-base-needed.path"]
    backups = [host / "qdrant-dr-backup.service", host / "qdrant-dr-backup-requested.service"]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, [*units, *backups])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if "qdrant-dr-" in line]) == (0, [])
    service = units[0].read_text()
    assert f"\nExecStart={host}/qdrant-dr archive-wal --config {host}/etc/config.json\n" in service
    assert f"\nReadOnlyPaths=-{qdrant_server.storage_path}\n" in service
    assert "\nProtectSystem=strict\n" in service
    assert "\nCPUQuota=20%\n" in service
    requests = host / "state" / "state" / "base-needed"
    assert requests.is_dir()
    assert f"\nPathChanged={requests}\n" in units[1].read_text()
    for backup in backups:
        assert f"\nReadWritePaths=-{requests}\n" in (host / f"{backup.name}.d" / "wal-archive.conf").read_text()
    assert "\nUnit=qdrant-dr-backup-requested.service\n" in units[1].read_text()
    assert "/qdrant-dr backup --requested --config " in backups[1].read_text()
    assert "\nAfter=qdrant-dr-backup-requested.service\n" in backups[0].read_text()
    # It goes on with what it has read when it began: another configuration of the agent is another unit.
    os.utime(host / "etc" / "credentials.json", (1, 1))
    again = play(host, given, role=ARCHIVER)
    assert again[:2] == (0, 1), again[2]
    assert units[0].read_text() != service


def test_the_archiver_needs_the_agent(host: Path) -> None:
    given = archiver_variables(host) | {"qdrant_wal_archive_command": str(host / "nowhere")}
    status, _changed, output = play(host, given, role=ARCHIVER)
    assert status != 0
    assert "apply the role qdrant_agent first" in output


@pytest.mark.qdrant
def test_new_collections_are_made_to_keep_what_an_outage_takes(host: Path, qdrant_server: QdrantServer) -> None:
    given = archiver_variables(host, qdrant_server.storage_path)
    dropin = host / "qdrant.service.d" / "wal-retention.conf"
    (host / "qdrant.service").touch()
    planned = play(host, given, "--check", "--diff", role=ARCHIVER)
    assert (planned[0], planned[1], dropin.exists()) == (0, 1, False), planned[2]
    done = play(host, given, "--diff", role=ARCHIVER)
    assert (done[0], done[1]) == (0, 2), done[2]
    # 300 MB are 9.4 files of 32 MB, and 12.5 with some room.
    assert "+Environment=QDRANT__STORAGE__WAL__WAL_RETAIN_CLOSED=13\n" in done[2]
    assert "WARNING: new collections keep 13 closed files from the next restart of qdrant.service on" in done[2]
    assert dropin.read_text().endswith("\n[Service]\nEnvironment=QDRANT__STORAGE__WAL__WAL_RETAIN_CLOSED=13\n")
    less = play(host, given | {"qdrant_wal_archive_peak_mb_per_second": 0.01}, role=ARCHIVER)
    assert less[:2] == (0, 0), less[2]
    (host / "qdrant.yaml").write_text("storage: {wal: {wal_capacity_mb: 64, wal_retain_closed: 14}}")
    more = play(host, given | {"qdrant_wal_archive_outage_minutes": 20}, "--diff", role=ARCHIVER)
    # The archiver is told, too, how long an outage has to be bridged.
    assert (more[0], more[1]) == (0, 2), more[2]
    assert "-Environment=QDRANT__STORAGE__WAL__WAL_RETAIN_CLOSED=13\n+Environment" in more[2]
    assert dropin.read_text().endswith("=24\n")
