# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters and a single node with the agent, all in one inventory. The order matters: backups become more."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    QdrantError,
    QdrantUnauthorized,
    QdrantUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import newest_committed
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_listing import (
    last_chunk,
    read_header,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import archived
from tests.cluster import make_sharded
from tests.hosts.controller import Playbook, addresses, generated_key, on, power, qdrant, repository
from tests.made_backups import with_key
from tests.proofs import answers, holdings, verify_all, wait_for

# The cluster's name in the store -> its hosts.
FLEET = {"a": addresses("cluster_a"), "b": addresses("cluster_b"), "c": addresses("alone")}
HOSTS = [name for hosts in FLEET.values() for name in hosts]
ALONE = FLEET["c"]["c1"]
AGENT_FILES = "/etc/qdrant-dr/config.json /etc/qdrant-dr/credentials.json"
STAMP = "/var/lib/systemd/timers/stamp-qdrant-dr-backup.timer"
ARCHIVED, KEY_FILE = "archived", "/etc/qdrant-dr/archive.key"
ARCHIVER = "qdrant-dr-archive-wal.service"
STORAGE, REQUESTS = "/var/lib/qdrant/storage", "/var/lib/qdrant-dr/state/base-needed"
# The seal interval of the inventory, and what looking and sending may take.
ARCHIVED_SECONDS = 2.0 + 8.0


def node(address: str, api_key: str | None = None) -> Qdrant:
    """The node at an address; the single one speaks TLS, with a certificate that it has signed itself."""
    if address != ALONE:
        return qdrant(address, api_key)
    authority = Path(os.environ["HOSTS_DIR"]) / "alone.pem"
    authority.write_text(on(ALONE, "cat /etc/qdrant-tls/cert.pem").stdout, encoding="ascii")
    return qdrant(address, api_key, ca_path=authority)


@pytest.fixture(scope="module", autouse=True)
def _collections() -> None:
    """A collection on each cluster and on the single node."""
    for cluster, hosts in FLEET.items():
        nodes = [node(address) for address in hosts.values()]
        make_sharded(nodes, f"of-{cluster}", points=600, replication_factor=len(nodes))


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, Repository]]:
    """The repositories of the fleet."""
    with ExitStack() as stack:
        yield {cluster: stack.enter_context(repository(cluster)) for cluster in FLEET}


def committed(stores: dict[str, Repository]) -> dict[str, int]:
    """How many backups each cluster has, every one of which was read to its last bit."""
    return {cluster: len(verify_all(store)) for cluster, store in stores.items()}


def newest(stores: dict[str, Repository], cluster: str) -> Manifest:
    found = newest_committed(stores[cluster], f"of-{cluster}")
    assert found is not None
    return found


def test_check_mode_says_what_would_be_done_and_does_nothing(stores: dict[str, Repository]) -> None:
    run = Playbook("backup", "--check", "--diff")
    assert run.status == 0, run.output[-3000:]
    for cluster in FLEET:
        assert f"of-{cluster}: would make a backup, because there is no committed backup yet" in run.text
        assert holdings(stores[cluster]) == {}
    # Who would store something: not the one that is excluded.
    assert {name for name, changed in run.changed.items() if changed} == set(HOSTS) - {"a2"}
    for cluster, hosts in FLEET.items():
        assert all(node(address).snapshots(f"of-{cluster}") == [] for address in hosts.values())


def test_one_run_backs_up_the_whole_fleet(stores: dict[str, Repository]) -> None:
    run = Playbook("backup")
    assert run.status == 0, run.output[-3000:]
    assert [run.text.count(f"of-{cluster}: made") for cluster in FLEET] == [1, 1, 1]
    assert committed(stores) == {"a": 1, "b": 1, "c": 1}
    assert {shard["node"] for shard in newest(stores, "a").shards} == {"a1"}
    assert {shard["node"] for shard in newest(stores, "b").shards} == {"b1", "b2"}


def test_the_next_run_has_nothing_to_do(stores: dict[str, Repository]) -> None:
    before = {cluster: holdings(store) for cluster, store in stores.items()}
    for arguments in (["--check", "--diff"], []):
        run = Playbook("backup", *arguments, qdrant_backup_max_age="1h")
        assert run.status == 0, run.output[-3000:]
        assert run.changed == dict.fromkeys(HOSTS, 0)
        assert [run.text.count(f"of-{cluster}: kept") for cluster in FLEET] == [1, 1, 1]
    assert {cluster: holdings(store) for cluster, store in stores.items()} == before


def test_a_limit_is_one_cluster(stores: dict[str, Repository]) -> None:
    run = Playbook("backup", "--limit", "cluster_b")
    assert run.status == 0, run.output[-3000:]
    assert set(run.changed) == set(FLEET["b"])
    assert committed(stores) == {"a": 1, "b": 2, "c": 1}


def test_the_single_node_speaks_tls_and_nothing_else() -> None:
    assert node(ALONE).collections() == ["of-c"]
    with pytest.raises(QdrantUnreachable):
        qdrant(ALONE).collections()
    refused = on(ALONE, "runuser -u nobody -- cat /etc/qdrant-tls/key.pem")
    assert (refused.returncode, refused.stdout) == (1, "")


def test_the_key_to_read_with_reads_and_no_more() -> None:
    reader = node(ALONE, generated_key()[::-1])
    assert reader.count("of-c") == 600
    with pytest.raises(QdrantUnauthorized):
        reader.delete_collection("of-c")


def write_text(size: int) -> None:
    node(ALONE).call("POST", "/collections/of-c/points/payload", {"payload": {"text": "x" * size}, "points": [1]})


def test_further_configuration_is_in_force() -> None:
    assert node(ALONE).collection("of-c")["config"]["optimizer_config"]["default_segment_number"] == 3
    write_text(1000)
    with pytest.raises(QdrantError):
        write_text(1 << 20)


def test_only_the_agents_user_reads_its_files() -> None:
    files = on(ALONE, f"stat --format='%a %U' {AGENT_FILES}")
    assert files.stdout.splitlines() == ["600 qdrant-dr"] * 2
    assert generated_key() not in on(ALONE, "cat /etc/qdrant-dr/config.json; systemctl cat 'qdrant-dr-*'").stdout


def test_the_timers_wait_for_their_time() -> None:
    listed = json.loads(on(ALONE, "systemctl list-timers --all --output=json 'qdrant-dr-*'").stdout)
    waiting = {timer["activates"] for timer in listed if timer["next"]}
    assert waiting == {"qdrant-dr-backup.service", "qdrant-dr-verify.service"}
    timers = " ".join(f"qdrant-dr-{name}.timer" for name in ("backup", "copy", "verify", "prune"))
    enabled = on(ALONE, f"systemctl is-enabled {timers}").stdout.split()
    assert enabled == ["enabled", "disabled", "enabled", "disabled"]


def test_systemd_makes_a_backup_as_the_agents_user(stores: dict[str, Repository]) -> None:
    started = on(ALONE, "systemctl start qdrant-dr-backup.service")
    assert started.returncode == 0, on(ALONE, "journalctl --unit qdrant-dr-backup.service").stdout
    assert committed(stores)["c"] == 2
    assert {shard["wal"]["first_found_by"] for shard in newest(stores, "c").shards} == {"ack_index"}
    assert on(ALONE, "systemctl show qdrant-dr-backup.service -P User").stdout == "qdrant-dr\n"
    verdict = on(ALONE, "systemd-analyze security --no-pager --threshold=20 qdrant-dr-backup.service")
    assert verdict.returncode == 0, verdict.stdout[-200:]
    status = on(ALONE, "runuser -u qdrant-dr -- qdrant-dr status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert generated_key() not in on(ALONE, "journalctl --unit 'qdrant-dr-*'").stdout


def test_a_run_that_was_missed_is_made_up_for_after_the_boot(stores: dict[str, Repository]) -> None:
    on(ALONE, f"touch --date='3 days ago' {STAMP}")
    power("cut", "c1")
    power("start", "c1")
    wait_for(lambda: committed(stores)["c"] == 3, "the backup that was missed")


def test_systemd_verifies_and_prunes(stores: dict[str, Repository]) -> None:
    before = committed(stores)["c"]
    for name in ("verify", "prune"):
        started = on(ALONE, f"systemctl start qdrant-dr-{name}.service")
        assert started.returncode == 0, on(ALONE, f"journalctl --unit qdrant-dr-{name}.service").stdout
    assert list(stores["c"].list("of-c/verified/"))
    assert (before, committed(stores)["c"]) == (3, 2)


def make_archived() -> None:
    node(ALONE).create_collection(ARCHIVED, {"vectors": {"size": 4, "distance": "Dot"}, "shard_number": 1})


def write_archived() -> int:
    """Write a few points; returns the number of their entry in the log."""
    points = [{"id": number, "vector": [number, 1, 2, 3]} for number in range(20)]
    path = f"/collections/{ARCHIVED}/points"
    return int(node(ALONE).call("PUT", path, {"points": points}, {"wait": True})["operation_id"])


def archive(stores: dict[str, Repository]) -> dict[str, Any]:
    return restorable(stores["c"], ARCHIVED).as_result(utc_now())


def holds(stores: dict[str, Repository], entry: int) -> bool:
    return any(shard["last_index"] >= entry for shard in archive(stores)["shards"])


def wait_for_base(stores: dict[str, Repository], backups: int) -> None:
    """Wait until the archive goes on from the newest of so many backups, and nobody asks for another one."""

    def is_met() -> bool:
        found = archive(stores)
        return len(found["backups"]) == backups and found["continued"] and not on(ALONE, f"ls {REQUESTS}").stdout

    wait_for(is_met, f"backup {backups} and the request taken back")


def shown(setting: str) -> str:
    """What systemd says of the archiver."""
    return on(ALONE, f"systemctl show {ARCHIVER} -P {setting}").stdout.strip()


def journal() -> str:
    """What the archiver and the backups said, for a test that fails."""
    return on(ALONE, f"journalctl --no-pager --unit {ARCHIVER} --unit 'qdrant-dr-backup*'").stdout[-3000:]


def test_the_archiver_runs_since_the_boot_and_is_confined() -> None:
    units = f"{ARCHIVER} qdrant-dr-base-needed.path"
    assert on(ALONE, f"systemctl is-active {units}").stdout.split() == ["active"] * 2, journal()
    assert (shown("User"), shown("NRestarts")) == ("qdrant-dr", "0"), journal()
    verdict = on(ALONE, f"systemd-analyze security --no-pager --threshold=20 {ARCHIVER}")
    assert verdict.returncode == 0, verdict.stdout[-200:]


def test_not_even_root_could_write_to_qdrants_files_as_the_archiver_sees_them() -> None:
    inside = f"nsenter --mount --target $(systemctl show {ARCHIVER} -P MainPID)"
    own = on(ALONE, f"{inside} touch /var/lib/qdrant-dr/spool/try && rm /var/lib/qdrant-dr/spool/try")
    assert own.returncode == 0, own.stderr
    for path in (STORAGE, "/etc/qdrant-dr", "/opt/qdrant-dr"):
        refused = on(ALONE, f"{inside} touch {path}/try")
        assert (refused.returncode, refused.stderr.rpartition(": ")[2]) == (1, "Read-only file system\n")


def test_a_new_log_gets_the_backup_that_its_archive_begins_from(stores: dict[str, Repository]) -> None:
    make_archived()
    write_archived()
    wait_for_base(stores, 1)


def test_what_is_written_is_in_the_repository_within_seconds(stores: dict[str, Repository]) -> None:
    entry = write_archived()
    began = time.monotonic()
    wait_for(lambda: holds(stores, entry), "the entry in the archive")
    assert time.monotonic() - began < ARCHIVED_SECONDS
    status = on(ALONE, "runuser -u qdrant-dr -- qdrant-dr status")
    assert status.returncode == 0, status.stdout + status.stderr


def test_a_collection_made_anew_gets_a_backup_too(stores: dict[str, Repository]) -> None:
    node(ALONE).delete_collection(ARCHIVED)
    make_archived()
    write_archived()
    wait_for_base(stores, 2)
    assert len(archive(stores)["gaps"]) == 1


def test_a_request_that_nobody_was_there_to_see_is_met_when_the_archiver_starts(stores: dict[str, Repository]) -> None:
    on(ALONE, f"systemctl stop {ARCHIVER} qdrant-dr-base-needed.path")
    on(ALONE, f"runuser -u qdrant-dr -- touch {REQUESTS}/{ARCHIVED}.json")
    on(ALONE, f"systemctl start {ARCHIVER}")
    wait_for_base(stores, 3)


def test_the_archive_goes_on_after_a_reboot(stores: dict[str, Repository]) -> None:
    before = archive(stores)
    power("stop", "c1")
    power("start", "c1")
    wait_for(lambda: answers(node(ALONE)), "Qdrant after the boot")
    entry = write_archived()
    wait_for(lambda: holds(stores, entry), "the entry in the archive")
    after = archive(stores)
    assert (after["continued"], after["backups"], after["gaps"]) == (True, before["backups"], before["gaps"])
    assert (shown("ActiveState"), shown("NRestarts")) == ("active", "0"), journal()
    told = on(ALONE, "journalctl --unit 'qdrant-dr-*'; cat /etc/qdrant-dr/wal-archive.json").stdout
    assert generated_key() not in told


def kept(collection: str) -> int:
    """How many closed files of its log each shard of a collection of the single node keeps."""
    found: int = node(ALONE).collection(collection)["config"]["wal_config"]["wal_retain_closed"]
    return found


def kept_by_a_new_one() -> int:
    node(ALONE).create_collection("new", {"vectors": {"size": 4, "distance": "Dot"}})
    try:
        return kept("new")
    finally:
        node(ALONE).delete_collection("new")


def retention(**variables: Any) -> Playbook:
    """Run the role of the archiver on the single node, as far as it looks at the logs."""
    run = Playbook(
        "../molecule/fleet/archiver", "--tags=qdrant_wal_archive_retention,qdrant_wal_archive_lint", **variables
    )
    assert run.status == 0, run.output[-3000:]
    assert generated_key() not in run.output
    return run


def test_the_role_looks_at_the_rate_that_the_archiver_has_seen() -> None:
    write_archived()
    # It writes down what it has seen when it ends, and each minute.
    on(ALONE, f"systemctl restart {ARCHIVER}")
    as_archiver = "runuser -u qdrant-dr -g qdrant-dr --supp-group=qdrant --"
    told = json.loads(on(ALONE, f"{as_archiver} qdrant-dr wal retention --outage-minutes=60 --json").stdout)
    assert [(each["collection"], each["suffices"]) for each in told["collections"]] == [(ARCHIVED, True)]
    assert 0 < told["new_collections"]["peak_mb_per_second"] < 0.1
    run = retention()
    assert run.changed == {"c1": 0}
    assert "entries of its log upsert points without a payload, which a restore to a moment need not" in run.text
    assert "keeps at least" not in run.text


def test_new_collections_keep_what_an_outage_takes_and_the_others_are_told_of() -> None:
    more = {"qdrant_wal_archive_outage_minutes": 30, "qdrant_wal_archive_peak_mb_per_second": 1}
    started = "systemctl show qdrant.service -P ExecMainStartTimestampMonotonic"
    before = on(ALONE, started).stdout
    together = {**more, "qdrant_wal_archive_restart_qdrant": False}
    planned = Playbook("../molecule/fleet/archiver", "--check", "--tags=qdrant_wal_archive_retention", **together)
    assert (planned.status, planned.changed, kept_by_a_new_one()) == (0, {"c1": 1}, 50), planned.output[-3000:]
    run = retention(**more)
    assert f"The log of {ARCHIVED} keeps at least 200 MB for each shard, and needs 1800 MB" in run.text
    assert "set wal_retain_closed to 450 or more" in run.text
    assert on(ALONE, started).stdout != before
    assert (kept_by_a_new_one(), kept(ARCHIVED)) == (563, 50)
    assert retention(**more).changed == {"c1": 0}
    assert retention().changed == {"c1": 0}, "it is never lowered"


def test_a_configuration_that_keeps_more_counts_again() -> None:
    given = {"qdrant_server_wal_retain_closed": 600}
    for changes in (True, False):
        run = Playbook("server", "--limit=alone", "--tags=qdrant_server_configure", **given)
        assert (run.status, run.changed["c1"] > 0) == (0, changes), run.output[-3000:]
        assert kept_by_a_new_one() == 600


def archiver(**variables: Any) -> Playbook:
    """Run the roles of the agent and its archiver on the single node."""
    run = Playbook("../molecule/fleet/archiver", **variables)
    assert generated_key() not in run.output
    return run


@pytest.mark.timeout(900)
def test_the_archiver_takes_a_key_from_a_file_that_is_its_alone(stores: dict[str, Repository]) -> None:
    before = archive(stores)
    sealing, key = {"agent_encryption": {"client_encryption": {"key_file": KEY_FILE}}}, secrets.token_hex(32)
    on(ALONE, f"install -o qdrant-dr -g qdrant-dr -m 0640 /dev/null {KEY_FILE} && echo {key} > {KEY_FILE}")
    assert archiver(**sealing).status == 2
    exposed = f"The key file {KEY_FILE} can be read or changed by others than its user."
    # It tries again every now and then.
    assert (shown("ActiveState"), exposed in " ".join(journal().split())) == ("activating", True), journal()
    on(ALONE, f"chmod 0600 {KEY_FILE}")
    run = archiver(**sealing)
    assert (run.status, shown("ActiveState")) == (0, "active"), run.output[-3000:] + journal()
    entry = write_archived()
    wait_for(lambda: holds(stores, entry), "the entry in the archive")
    log = restorable(stores["c"], ARCHIVED).timelines[-1].log
    newest = last_chunk(stores["c"], log)
    assert newest is not None
    assert read_header(stores["c"], newest).client_encryption is not None
    with with_key(stores["c"], key) as opened:
        assert max(archived(opened, log)) == entry
    assert archive(stores)["gaps"] == before["gaps"]
    told = on(ALONE, "journalctl --unit 'qdrant-dr-*'; cat /etc/qdrant-dr/*.json; systemctl cat 'qdrant-dr-*'").stdout
    assert key not in run.output + told


def test_a_host_that_only_copies_has_no_timer_of_backups() -> None:
    for wanted, state in ((False, "disabled\ninactive\n"), (True, "enabled\nactive\n")):
        tag = "--tags=qdrant_agent_service"
        run = Playbook("../molecule/fleet/archiver", tag, qdrant_agent_backup_enabled=wanted)
        assert run.status == 0, run.output[-3000:]
        shown = on(ALONE, "systemctl is-enabled qdrant-dr-backup.timer; systemctl is-active qdrant-dr-backup.timer")
        assert shown.stdout == state
