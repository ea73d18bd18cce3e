# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role qdrant_server on three real hosts, after molecule/server/converge.yml. The order matters: hosts change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    QdrantUnauthorized,
    QdrantUnreachable,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tests.hosts.controller import Playbook, addresses, generated_key, on, power, qdrant
from tests.hosts.reader import Reader

HOSTS = addresses("qdrant")
POINTS = 300
CONFIGURE = "--tags=qdrant_server_configure"
ACTIVE_SECONDS = 60
GIVING_UP_SECONDS = 150
LONGER_LOG = {"qdrant_server_wal_retain_closed": 60, "qdrant_server_flush_interval_sec": 4}


def node(name: str, api_key: str | None = None, timeout: float = 30.0) -> Qdrant:
    return qdrant(HOSTS[name], api_key, timeout)


@pytest.fixture(scope="module")
def products() -> str:
    """A collection with a replica of both shards on every node."""
    first = node("node1")
    first.create_collection(
        "products",
        {
            "vectors": {"size": 4, "distance": "Dot"},
            "shard_number": 2,
            "replication_factor": 3,
            "write_consistency_factor": 2,
        },
    )
    points = [{"id": i, "vector": [i, 1, 2, 3], "payload": {"sku": i}} for i in range(POINTS)]
    first.call("PUT", "/collections/products/points", json={"points": points}, params={"wait": "true"})
    return "products"


def started(name: str) -> str:
    return on(HOSTS[name], "systemctl show qdrant.service --property ExecMainStartTimestampMonotonic").stdout


def retained(name: str, collection: str) -> int:
    kept: int = node(name).collection(collection)["config"]["wal_config"]["wal_retain_closed"]
    return kept


def states(name: str, collection: str) -> list[str]:
    cluster = node(name).collection_cluster(collection)
    return sorted(shard["state"] for shard in cluster["local_shards"] + cluster["remote_shards"])


def wait_for_active(collection: str) -> None:
    until = time.monotonic() + ACTIVE_SECONDS
    while not all(is_active(name, collection) for name in HOSTS):
        assert time.monotonic() < until
        time.sleep(0.5)


def is_active(name: str, collection: str) -> bool:
    with suppress(QdrantUnreachable):
        return states(name, collection) == ["Active"] * 6
    return False


@pytest.mark.parametrize("name", HOSTS)
def test_only_root_and_the_service_see_the_key(name: str) -> None:
    files = on(HOSTS[name], "stat --format='%a %U %G' /etc/qdrant /etc/qdrant/config.yaml /etc/qdrant/secrets.env")
    assert files.stdout.splitlines() == ["750 root qdrant", "640 root qdrant", "600 root root"]
    shown = on(HOSTS[name], "systemctl show qdrant.service; cat /proc/$(pidof qdrant)/cmdline /etc/qdrant/config.yaml")
    assert "--config-path" in shown.stdout
    assert generated_key() not in shown.stdout
    for path in ("/etc/qdrant/secrets.env", "/proc/$(pidof qdrant)/environ"):
        assert on(HOSTS[name], f"grep --text --count QDRANT__SERVICE__API_KEY {path}").stdout.strip() == "1"
        refused = on(HOSTS[name], f"runuser -u nobody -- cat {path}")
        assert (refused.returncode, refused.stdout) == (1, "")


@pytest.mark.parametrize("name", HOSTS)
def test_the_service_is_confined(name: str) -> None:
    verdict = on(HOSTS[name], "systemd-analyze security --no-pager --threshold=20 qdrant.service")
    assert verdict.returncode == 0, verdict.stdout[-200:]
    assert on(HOSTS[name], "systemctl show qdrant.service -P LimitNOFILE").stdout == "524288\n"
    assert "CapEff:\t0000000000000000" in on(HOSTS[name], "cat /proc/$(pidof qdrant)/status").stdout
    assert on(HOSTS[name], "stat --format=%U /proc/$(pidof qdrant)").stdout == "qdrant\n"


@pytest.mark.parametrize("name", HOSTS)
def test_every_node_is_in_the_cluster_and_asks_for_the_key(name: str) -> None:
    assert len(node(name).cluster()["peers"]) == 3
    with pytest.raises(QdrantUnauthorized):
        node(name, api_key="wrong").collections()


def test_new_collections_get_the_retention(products: str) -> None:
    for name in HOSTS:
        config = node(name).collection(products)["config"]["wal_config"]
        assert (config["wal_capacity_mb"], config["wal_retain_closed"]) == (4, 50)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"qdrant_server_install_from": "url", "qdrant_server_checksum": ""}, "nothing is installed unverified"),
        ({"qdrant_server_wal_outage_minutes": 60.0}, "set qdrant_server_wal_retain_closed to 180 or more"),
        ({"qdrant_server_cluster_bootstrap": "elsewhere"}, "must be in the group"),
        ({"qdrant_server_api_key": "with blank"}, "Make the API keys of"),
        ({"qdrant_server_temp_path": "/dev/shm/qdrant"}, "must be on the file system of qdrant_server_storage_path"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_variables_are_refused_with_a_sentence(variables: dict[str, object], says: str) -> None:
    began = started("node1")
    run = Playbook("server", "--limit=node1", CONFIGURE, **variables)
    assert run.status == 2
    assert says in run.text
    assert started("node1") == began


def test_check_mode_tells_what_would_change_and_changes_nothing(products: str) -> None:
    before = {name: started(name) for name in HOSTS}
    run = Playbook("server", "--check", "--diff", "--limit=node1", CONFIGURE, qdrant_server_log_level="WARN")
    assert run.status == 0, run.output[-2000:]
    assert "+log_level: WARN" in run.output
    assert run.changed["node1"] == 2, "the file and the restart"
    assert {name: started(name) for name in HOSTS} == before
    assert on(HOSTS["node1"], "grep log_level /etc/qdrant/config.yaml").stdout == "log_level: INFO\n"


def test_a_change_restarts_one_node_at_a_time_while_the_collection_stays_readable(products: str) -> None:
    before = {name: started(name) for name in HOSTS}
    with Reader(HOSTS, products, POINTS) as reader:
        run = Playbook("server", CONFIGURE, qdrant_server_performance={"max_search_threads": 2})
    assert run.status == 0, run.output[-2000:]
    assert all(started(name) != before[name] for name in HOSTS)
    assert reader.away == set(HOSTS), "the reader must have seen each node away"
    assert (reader.most_away, reader.unreadable) == (1, 0)
    assert reader.moments > 100


def test_existing_collections_keep_their_retention_until_asked(products: str) -> None:
    assert {retained(name, products) for name in HOSTS} == {50}
    with Reader(HOSTS, products, POINTS) as reader:
        run = Playbook("server", "--tags=qdrant_server_wal_existing", **LONGER_LOG)
    assert run.status == 0, run.output[-2000:]
    assert {retained(name, products) for name in HOSTS} == {60}
    optimizers = [node(name).collection(products)["config"]["optimizer_config"] for name in HOSTS]
    assert {each["flush_interval_sec"] for each in optimizers} == {4}
    assert (reader.most_away, reader.unreadable) == (1, 0)
    again = Playbook("server", "--limit=node1", "--tags=qdrant_server_wal_existing", **LONGER_LOG)
    assert again.changed == {"node1": 0}


def test_an_existing_program_and_its_user_are_left_alone(products: str) -> None:
    there = "stat --format='%y %i' /usr/local/bin/qdrant; getent passwd qdrant"
    on(HOSTS["node1"], "usermod --comment 'of a package' --shell /bin/sh qdrant")
    before = on(HOSTS["node1"], there).stdout
    run = Playbook("server", "--limit=node1", "--tags=qdrant_server_install", qdrant_server_install_from="existing")
    assert (run.status, run.changed) == (0, {"node1": 0}), run.output[-2000:]
    assert "of a package" in before
    assert on(HOSTS["node1"], there).stdout == before


@pytest.fixture
def dead_node(products: str) -> Iterator[str]:
    """A node without power, whose replicas the others gave up at a write; it comes back in the end."""
    power("cut", "node3")
    try:
        write_until_dead(products)
        yield "node3"
    finally:
        power("start", "node3")
        wait_for_active(products)


def write_until_dead(collection: str) -> None:
    points = [{"id": i, "vector": [0, 0, 0, 1]} for i in range(8)]
    # A host that does not even refuse connections takes Qdrant a while to give up.
    writer = node("node1", timeout=GIVING_UP_SECONDS)
    writer.call("PUT", f"/collections/{collection}/points", json={"points": points}, params={"wait": "true"})
    until = time.monotonic() + ACTIVE_SECONDS
    while "Dead" not in states("node1", collection):
        assert time.monotonic() < until
        time.sleep(0.5)


def test_no_node_is_touched_while_another_is_dead(products: str, dead_node: str) -> None:
    before = started("node1")
    run = Playbook("server", "--limit=node1", qdrant_server_log_level="WARN", qdrant_server_wait_seconds=4)
    assert run.status == 2
    assert f"still have replicas that are not active, or shards on their way: {products}." in run.text
    assert generated_key() not in run.output
    assert started("node1") == before
    assert on(HOSTS["node1"], "grep log_level /etc/qdrant/config.yaml").stdout == "log_level: INFO\n"


def test_a_node_that_lost_power_is_back_with_its_data(products: str) -> None:
    for name in HOSTS:
        assert node(name).count(products) == POINTS


def test_a_new_key_is_brought_to_a_running_node(products: str) -> None:
    run = Playbook("server", "--limit=node1", CONFIGURE, qdrant_server_api_key="another")
    assert run.status == 0, run.output[-2000:]
    assert node("node1", api_key="another").collections() == [products]
    with pytest.raises(QdrantUnauthorized):
        node("node1").collections()
