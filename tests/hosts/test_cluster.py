# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster on real hosts is backed up while it is written to and loses power and links, and comes back on other hosts.

The order matters: the last test is of what went through all that.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import newest_committed
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    collection_digest,
    wait_until_ready,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_ranges import restorable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import KEYS, SIZES, copies, fill_key, key_shards, make_sharded
from tests.conftest import fill
from tests.hosts.controller import Playbook, addresses, network, on, power, qdrant, repository
from tests.hosts.reader import Reader
from tests.proofs import answers, holdings, verify_all, wait_for

SOURCE, TARGET = addresses("source"), addresses("target")
COLLECTIONS = ("docs", "tenants")
ALIASES = {"docs-live": "docs", "tenants-live": "tenants"}
READY_SECONDS = 120.0
# Lets the archivers run on the source, on one host at a time, or (at_once) on several.
ARCHIVER, RETENTION = "../molecule/cluster/archiver", "--tags=qdrant_wal_archive_retention"
BATCH = 20
# More than anybody writes.
MILLION = 1_000_000

Json = dict[str, Any]


@pytest.fixture(scope="module")
def nodes() -> list[Qdrant]:
    """The source: a collection with 6 shards and one with shard keys, two replicas of each shard."""
    nodes = [qdrant(address) for address in SOURCE.values()]
    make_sharded(nodes, "docs", points=3000)
    make_sharded(nodes, "tenants", points=1200, keys=KEYS)
    create = [{"create_alias": {"alias_name": a, "collection_name": c}} for a, c in ALIASES.items()]
    nodes[0].update_aliases(create)
    return nodes


@pytest.fixture(scope="module")
def store() -> Iterator[Repository]:
    with repository("source") as opened:
        yield opened


@dataclass
class Writer:
    """Writes points numbered from `first` on to both collections, through one node, while in its `with` block."""

    through: Qdrant
    first: int
    rounds: int = 0
    acknowledged: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in COLLECTIONS})
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Writer:
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        wait_for(lambda: self.acknowledged["tenants"], "the first write")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def so_far(self) -> dict[str, set[int]]:
        """What was acknowledged until now."""
        return {name: set(numbers) for name, numbers in self.acknowledged.items()}

    @property
    def sent(self) -> range:
        """The numbers of all points that were sent, acknowledged or not."""
        return range(self.first, self.first + self.rounds * BATCH)

    def _write(self) -> None:
        for key in itertools.cycle(KEYS):
            if self._stop.wait(0.05):
                return
            self.rounds += 1
            numbers = self.sent[-BATCH:]
            with suppress(DrError):  # unknown whether it was written: nobody may rely on it
                fill(self.through, "docs", BATCH, SIZES, first_id=numbers.start)
                self.acknowledged["docs"].update(numbers)
                fill_key(self.through, "tenants", key, BATCH, numbers.start)
                self.acknowledged["tenants"].update(numbers)


def back_up() -> Playbook:
    return Playbook("backup", qdrant_hosts="source")


def restore(collection: str, **variables: Any) -> None:
    run = Playbook("restore", qdrant_hosts="node4", qdrant_restore_collection=collection, **variables)
    assert run.status == 0, run.output[-3000:]


def prove_newest(before: dict[str, set[int]], writer: Writer, collections: Iterable[str] = COLLECTIONS) -> None:
    """Restore the newest backups: of the writer's points they have all of `before`, and none that it did not send."""
    target = qdrant(TARGET["node4"])
    for collection in collections:
        proof = f"{collection}-proof"
        # One replica of each shard: to make more takes Qdrant ten seconds.
        how = {"qdrant_restore_aliases": ["none"], "qdrant_restore_replication_factor": 1}
        restore(collection, qdrant_restore_target=proof, **how)
        numbers = {point["payload"]["number"] for point in target.scroll(proof, vectors=False)}
        assert before[collection] <= {number for number in numbers if number >= writer.first} <= set(writer.sent)
        target.delete_collection(proof)


def newest(store: Repository, collection: str) -> Manifest:
    found = newest_committed(store, collection)
    assert found is not None
    return found


def remains(store: Repository) -> set[str]:
    """What belongs to no committed backup, after each of those was read to its last bit."""
    folders = tuple(f"{c}/backups/{b}/" for c in COLLECTIONS for b in verify_all(store))
    return {key for key in holdings(store) if not key.startswith(folders)}


def begun_shares(store: Repository, node: str) -> set[str]:
    """The markers of all shares that a node has begun; of a run that lost its power one stays for a day."""
    return {key for key in holdings(store) if "/started/" in key and key.endswith(f"/{node}.json")}


def hears(name: str, other: str) -> bool:
    """Whether a host gets an answer from another one within a second."""
    asked = on(SOURCE[name], f"timeout 1 bash -c '< /dev/tcp/{SOURCE[other]}/22'")
    return asked.returncode == 0


def indexes(node: Qdrant, collection: str) -> Json:
    return {field: known["data_type"] for field, known in node.collection(collection)["payload_schema"].items()}


def test_a_backup_while_writing_has_all_that_was_acknowledged_before(nodes: list[Qdrant], store: Repository) -> None:
    with Writer(nodes[2], 1 * MILLION) as writer:
        before = writer.so_far()
        run = back_up()
        after = writer.so_far()
    assert run.status == 0, run.output[-3000:]
    for name in COLLECTIONS:
        assert f"{name}: made" in run.text
        assert len(after[name]) > len(before[name])
        made = newest(store, name)
        assert {shard["wal"]["first_found_by"] for shard in made.shards} == {"ack_index"}
        assert {snapshot["read_from"] for snapshot in made.fields["snapshots"]} == {"file"}
        assert {shard["node"] for shard in made.shards} == set(SOURCE)
    assert remains(store) == set()
    prove_newest(before, writer)


def test_the_power_of_a_host_fails_in_the_middle_of_its_share(nodes: list[Qdrant], store: Repository) -> None:
    """Of the host that plans and commits for the others, too."""
    with Writer(nodes[2], 2 * MILLION) as writer, ThreadPoolExecutor() as pool:
        before = writer.so_far()
        known = begun_shares(store, "node1")
        running = pool.submit(back_up)
        wait_for(lambda: begun_shares(store, "node1") - known, "the share of node1")
        power("cut", "node1")
        run = running.result()
    power("start", "node1")
    wait_for(lambda: answers(nodes[0]), "Qdrant on node1")
    assert run.status == 0, run.output[-3000:]
    assert "node1: The host cannot be reached any more." in run.text
    for name in COLLECTIONS:
        assert f"{name}: made" in run.text
        assert {shard["node"] for shard in newest(store, name).shards} == {"node2", "node3"}
    verify_all(store)
    for name in COLLECTIONS:
        wait_until_ready(nodes, name, READY_SECONDS)
        assert set(copies(nodes[0], name).values()) == {2}
    prove_newest(before, writer)


def test_two_nodes_are_parted_during_a_backup(nodes: list[Qdrant], store: Repository) -> None:
    """One of the two is written through, so that Qdrant gives up replicas of the other."""
    earlier = {name: newest(store, name).backup_id for name in COLLECTIONS}
    with Writer(nodes[0], 3 * MILLION) as writer, ThreadPoolExecutor() as pool:
        before = writer.so_far()
        known = begun_shares(store, "node1")
        running = pool.submit(back_up)
        wait_for(lambda: begun_shares(store, "node1") - known, "the share of node1")
        network("part", "node1", "node2")
        assert (hears("node1", "node2"), hears("node2", "node1"), hears("node1", "node3")) == (False, False, True)
        run = running.result()
    network("join", "node1", "node2")
    made = {name for name in COLLECTIONS if newest(store, name).backup_id != earlier[name]}
    assert made == {name for name in COLLECTIONS if f"{name}: made" in run.text}
    assert (run.status == 0) == (made == set(COLLECTIONS))
    for name in COLLECTIONS:
        wait_until_ready(nodes, name, READY_SECONDS)
    assert hears("node1", "node2")
    # Of the others the newest backup is from before the writer.
    prove_newest(before, writer, made)


def test_a_quiet_cluster_comes_back_on_other_hosts_exactly(nodes: list[Qdrant], store: Repository) -> None:
    before = {name: collection_digest(nodes[0], name) for name in COLLECTIONS}
    assert back_up().status == 0
    # The run that lost its power waits for a day: it might be at work behind a cut.
    assert {key.partition("/started/")[2].partition("/")[2] for key in remains(store)} <= {"node1.json"}
    for name in COLLECTIONS:
        restore(name)
    for target in (qdrant(address) for address in TARGET.values()):
        for name in COLLECTIONS:
            assert target.count(name) == before[name][0]
            assert collection_digest(target, name) == before[name]
            assert set(copies(target, name).values()) == {2}
            assert indexes(target, name) == indexes(nodes[0], name)
        assert target.aliases() == ALIASES
        assert key_shards(target, "tenants") == key_shards(nodes[0], "tenants")


def archived(store: Repository) -> Json:
    """Shard and replica -> the last archived entry, of all logs that are followed; none has a gap."""
    found = restorable(store, "docs").as_result(utc_now())
    assert (found["gaps"], found["doubts"]) == ([], [])
    return {(each["shard"], each["replica"]): each["last_index"] for each in found["shards"]}


def replicas_of(nodes: list[Qdrant]) -> set[tuple[int, str]]:
    clusters = [node.collection_cluster("docs") for node in nodes]
    return {(shard["shard_id"], str(each["peer_id"])) for each in clusters for shard in each["local_shards"]}


def started() -> dict[str, str]:
    shown = "systemctl show qdrant.service -P ExecMainStartTimestampMonotonic"
    return {name: on(address, shown).stdout for name, address in SOURCE.items()}


def kept_by_a_new_one(node: Qdrant) -> int:
    """How many closed files of its log a collection keeps that is made now."""
    node.create_collection("new", {"vectors": {"size": 4, "distance": "Dot"}})
    try:
        found: int = node.collection("new")["config"]["wal_config"]["wal_retain_closed"]
        return found
    finally:
        node.delete_collection("new")


@pytest.mark.timeout(900)
def test_archivers_follow_every_replica_of_the_cluster(nodes: list[Qdrant], store: Repository) -> None:
    before = started()
    run = Playbook(ARCHIVER)
    assert run.status == 0, run.output[-3000:]
    assert started() == before, "nothing is known yet that new collections would have to keep"
    wait_for(lambda: set(archived(store)) == replicas_of(nodes), "each replica in the archive")


@pytest.mark.timeout(900)
def test_the_retention_is_raised_with_one_node_away_at_a_time(nodes: list[Qdrant], store: Repository) -> None:
    more = {"qdrant_wal_archive_outage_minutes": 10, "qdrant_wal_archive_peak_mb_per_second": 1}
    before, kept = started(), kept_by_a_new_one(nodes[0])
    for arguments, changed in ((["--check"], 1), ([], 2), ([], 0)):
        together = Playbook(ARCHIVER, *arguments, RETENTION, at_once=3, **more)
        assert (together.status, together.changed) == (0, dict.fromkeys(SOURCE, changed)), together.output[-3000:]
        assert together.text.count("closed files from the next restart of qdrant.service on") == 3
    assert (started(), kept_by_a_new_one(nodes[0])) == (before, kept), "several at a time are not restarted"
    with Reader(SOURCE, "docs", nodes[0].count("docs")) as reader:
        run = Playbook(ARCHIVER, RETENTION, **more)
    assert (run.status, run.changed) == (0, dict.fromkeys(SOURCE, 1)), run.output[-3000:]
    assert all(moment != before[name] for name, moment in started().items())
    assert reader.away == set(SOURCE), "the reader must have seen each node away"
    assert (reader.most_away, reader.unreadable) == (1, 0)
    assert {kept_by_a_new_one(node) > kept for node in nodes} == {True}
    for at_once in (1, 3):
        again, since = Playbook(ARCHIVER, RETENTION, at_once=at_once, **more), started()
        assert (again.changed, "from the next restart of" in again.text) == (dict.fromkeys(SOURCE, 0), False)
        assert started() == since
    last = archived(store)
    fill(nodes[1], "docs", 300, SIZES, first_id=4 * MILLION)
    wait_for(lambda: all(index > last[log] for log, index in archived(store).items()), "what came after the restarts")
