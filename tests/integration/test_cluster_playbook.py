# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup playbook on a real cluster of three nodes: whole, with nodes that die on the way, and in a fleet."""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.cluster import Cluster, make_sharded, start_cluster, transfer_under_way
from tests.made_backups import as_option, location_on
from tests.playbook_process import run_in
from tests.proofs import answers, holdings, verify_all, wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3, pytest.mark.slow]

PLAYBOOK_SECONDS = 180

Json = dict[str, Any]


class Run:
    """What one run of ansible-playbook printed, and how many tasks changed something on all hosts together."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.status = process.returncode
        self.output = process.stdout + process.stderr
        self.text = " ".join(self.output.split())
        self.changed = sum(map(int, re.findall(r"ok=\d+ +changed=(\d+)", self.output)))


class Operator:
    """Someone with an inventory of local hosts, one a node, and ansible-playbook."""

    def __init__(self, folder: Path, variables: Json) -> None:
        self.folder, self.variables = folder, variables
        self.hosts: Json = {}
        self.groups: Json = {}

    def add_host(self, name: str, server: QdrantServer, **variables: Any) -> None:
        """A host that is gone, as far as Ansible can tell, as soon as there is the file that ``gone`` names."""
        with socket.create_server(("127.0.0.1", 0)) as unused:
            closed_port = unused.getsockname()[1]
        self.hosts[name] = {
            "ansible_connection": f"{{{{ 'ssh' if '{self.gone(name)}' is exists else 'local' }}}}",
            "ansible_host": "127.0.0.1",
            "ansible_port": closed_port,
            "ansible_python_interpreter": sys.executable,
            "qdrant_backup_url": server.url,
            "qdrant_backup_storage_path": str(server.storage_path),
            "qdrant_backup_snapshots_path": str(server.snapshots_path),
            **variables,
        }

    def gone(self, name: str) -> Path:
        return self.folder / f"gone-{name}"

    def on_module(self, host: str, module: str, command: str) -> None:
        """Let the host run a shell command just before each run of a module on it."""
        wrapper = self.folder / f"python-{host}"
        wrapper.write_text(f'#!/bin/sh\ncase "$*" in *{module}*) {command} ;; esac\nexec {sys.executable} "$@"\n')
        wrapper.chmod(0o755)
        self.hosts[host]["ansible_python_interpreter"] = str(wrapper)

    def notes_overlap(self, module: str) -> Path:
        """A file that is there as soon as two hosts have run the module at once."""
        busy, overlap = self.folder / "busy", self.folder / "overlap"
        alone = f'mkdir {busy} || touch {overlap}; {sys.executable} "$@"; status=$?; rmdir {busy}; exit $status'
        for host in self.hosts:
            self.on_module(host, module, alone)
        return overlap

    def backs_up(self, *arguments: str, **variables: Any) -> Run:
        """Run the playbook ``vectorops.qdrant_dr.backup``."""
        inventory = {"qdrant": {"hosts": self.hosts, "children": self.groups}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        (self.folder / "vars.json").write_text(json.dumps(self.variables | variables), encoding="utf-8")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "vectorops.qdrant_dr.backup"]
        command += ["-i", str(self.folder / "inventory.json"), "-e", f"@{self.folder / 'vars.json'}", *arguments]
        return Run(run_in(self.folder, command, PLAYBOOK_SECONDS))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes."""
    with start_cluster(tmp_path_factory.mktemp("playbook-cluster"), 3) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """The three nodes, all of them up, and without collections afterwards."""
    yield running
    for server, node in zip(running.servers, running.nodes, strict=True):
        if not answers(node):
            server.start()
    wait_for(running.settled, "the whole cluster")
    for name in running.nodes[0].collections():
        running.nodes[0].delete_collection(name)


@pytest.fixture
def operator(cluster: Cluster, repository: Repository, tmp_path: Path) -> Operator:
    """Their operator, with one host for each node."""
    variables = {"qdrant_backup_cluster": True, "qdrant_backup_repository": as_option(repository.location)}
    operator = Operator(tmp_path, variables)
    for name, server in zip(cluster.names, cluster.servers, strict=True):
        operator.add_host(name, server)
    return operator


def documents(repository: Repository, collection: str) -> list[Json]:
    """The shares of the nodes in the repository."""
    keys = [item.key for item in repository.list(f"{collection}/backups/") if "/nodes/" in item.key]
    return [json.loads(repository.get(key)) for key in keys]


def restored_digest(
    run_module: Callable[..., Json], repository: Repository, target: QdrantServer, collection: str
) -> tuple[int, str]:
    """Count and digest of a collection after its restore to a standalone node by the module."""
    params = {
        "url": target.url,
        "collection": collection,
        "target": f"{collection}-{secrets.token_hex(3)}",
        "sources": [as_option(repository.location)],
        "aliases": ["none"],
        "replication_factor": 1,
    }
    result = run_module("restore", params)
    assert not result.get("failed"), result
    with Qdrant(QdrantConnection(target.url)) as node:
        found = collection_digest(node, params["target"])
        node.delete_collection(params["target"])
    return found


def test_a_cluster_is_backed_up_by_its_nodes_together(
    cluster: Cluster,
    operator: Operator,
    repository: Repository,
    run_module: Callable[..., Json],
    qdrant_server: QdrantServer,
) -> None:
    make_sharded(cluster.nodes, "docs")
    before = collection_digest(cluster.nodes[0], "docs")

    planned = operator.backs_up("--check")
    assert (planned.status, planned.changed) == (0, 3), planned.output
    assert "docs: would make a backup, because there is no committed backup yet" in planned.text
    assert holdings(repository) == {}
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]

    made = operator.backs_up("-vvvv", "--tags", "qdrant_backup")
    assert made.status == 0, made.output
    assert repository.location.secret_key
    assert repository.location.secret_key not in made.output
    made_of = {share["node"]: [entry["shard"] for entry in share["shards"]] for share in documents(repository, "docs")}
    assert set(made_of) == {"n0", "n1", "n2"}
    assert sorted(shard for shards in made_of.values() for shard in shards) == [0, 1, 2, 3, 4, 5]
    assert made.changed == 4
    assert len(verify_all(repository)) == 1
    assert [node.snapshots("docs") for node in cluster.nodes] == [[], [], []]
    assert list(repository.list("docs/started/")) == []

    again = operator.backs_up(qdrant_backup_max_age="1h")
    assert (again.status, again.changed) == (0, 0), again.output
    assert again.text.count("docs: kept") == 1
    assert len(verify_all(repository)) == 1

    assert restored_digest(run_module, repository, qdrant_server, "docs") == before


@pytest.mark.parametrize("victim", [0, 2])
def test_the_shards_of_a_node_that_is_killed_go_to_others(
    cluster: Cluster,
    operator: Operator,
    repository: Repository,
    run_module: Callable[..., Json],
    qdrant_server: QdrantServer,
    victim: int,
) -> None:
    make_sharded(cluster.nodes, "docs")
    before = collection_digest(cluster.nodes[0], "docs")
    operator.on_module(f"n{victim}", "backup_share", f"kill -9 {cluster.servers[victim].pid}")
    made = operator.backs_up()
    assert made.status == 0, made.output
    assert "docs: made" in made.text
    assert f"n{victim}: docs: Qdrant at {cluster.servers[victim].url} cannot be reached" in made.text
    assert len(verify_all(repository)) == 1
    shares = documents(repository, "docs")
    assert sorted(entry["shard"] for share in shares for entry in share["shards"]) == [0, 1, 2, 3, 4, 5]
    assert f"n{victim}" not in {share["node"] for share in shares}
    assert len(shares) >= 3, "the second attempt has shares of its own"
    assert restored_digest(run_module, repository, qdrant_server, "docs") == before


@pytest.mark.parametrize(
    ("host", "module", "lost"),
    [("n0", "node_info", "n0"), ("n0", "backup_plan", "n2"), ("n1", "backup_share", "n0")],
)
def test_hosts_that_go_away_end_nothing(
    cluster: Cluster, operator: Operator, repository: Repository, host: str, module: str, lost: str
) -> None:
    make_sharded(cluster.nodes, "docs", points=60)
    operator.on_module(host, module, f"touch {operator.gone(lost)}")
    made = operator.backs_up()
    assert made.status == 0, made.output
    assert f"{lost}: The host cannot be reached any more." in made.text
    assert "docs: made" in made.text
    assert len(verify_all(repository)) == 1
    shards = [entry["shard"] for share in documents(repository, "docs") for entry in share["shards"]]
    assert sorted(shards) == [0, 1, 2, 3, 4, 5]


def test_a_shard_that_nobody_else_has_leaves_no_backup_of_its_collection(
    cluster: Cluster, operator: Operator, repository: Repository
) -> None:
    make_sharded(cluster.nodes, "lone", points=60, replication_factor=1)
    make_sharded(cluster.nodes, "doubled", points=60)
    operator.on_module("n1", "backup_share", f"kill -9 {cluster.servers[1].pid}")
    failed = operator.backs_up()
    assert failed.status != 0
    assert "The cluster does not have every backup that it needs." in failed.text
    assert "lone: not made. doubled: made. " in failed.text
    assert "lone: lone cannot be backed up: shard" in failed.text
    assert "has no Active replica on a usable node (n1: Active)" in failed.text
    assert [key for key in holdings(repository) if "lone/" in key] == []
    assert len(verify_all(repository)) == 1
    assert len(documents(repository, "doubled")) >= 2
    survivors = [cluster.nodes[0], cluster.nodes[2]]
    assert [node.snapshots(name) for node in survivors for name in ("lone", "doubled")] == [[], [], [], []]


def test_a_node_that_is_down_is_left_out_and_hosts_of_elsewhere_are_refused(
    cluster: Cluster, operator: Operator, repository: Repository, qdrant_server: QdrantServer
) -> None:
    make_sharded(cluster.nodes, "docs", points=60)
    stranger = Operator(operator.folder, operator.variables)
    stranger.hosts = dict(operator.hosts)
    stranger.add_host("stranger", qdrant_server)
    refused = stranger.backs_up(qdrant_backup_collections=["docs"])
    assert refused.status != 0
    assert "stranger belongs to another cluster than n0" in refused.text
    assert holdings(repository) == {}

    cluster.servers[0].kill()
    made = operator.backs_up("--limit", "n0,n1,n2")
    assert made.status == 0, made.output
    assert "n0: Qdrant at" in made.text
    assert {share["node"] for share in documents(repository, "docs")} == {"n1", "n2"}
    assert len(verify_all(repository)) == 1

    cluster.servers[1].kill()
    refused = operator.backs_up()
    assert refused.status != 0
    assert "docs: docs cannot be backed up" in refused.text
    assert len(verify_all(repository)) == 1


def test_a_store_that_does_not_do_what_is_required_gets_no_backup(
    cluster: Cluster, operator: Operator, repository: Repository, s3_server: SeaweedServer
) -> None:
    make_sharded(cluster.nodes, "docs")
    bucket = repository.location.bucket
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3_server.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    refused = operator.backs_up(qdrant_backup_require_bucket_check=True)
    assert refused.status != 0
    assert all(f"fatal: [{name}]" in refused.text for name in cluster.names)
    assert "anonymous_refused (failed, found: may list)" in refused.text
    assert holdings(repository) == {}
    s3_server.client().delete_bucket_policy(Bucket=bucket)
    made = operator.backs_up(qdrant_backup_require_bucket_check=True)
    assert made.status == 0, made.output
    assert len(verify_all(repository)) == 1


def test_no_more_nodes_than_allowed_store_at_once_and_no_faster_than_allowed(
    cluster: Cluster, operator: Operator, repository: Repository
) -> None:
    make_sharded(cluster.nodes, "docs", points=60)
    overlap = operator.notes_overlap("backup_share")
    made = operator.backs_up()
    assert (made.status, overlap.exists()) == (0, True), made.output
    overlap.unlink()
    limited = {**operator.variables["qdrant_backup_repository"], "bandwidth_limit": "64M"}
    made = operator.backs_up("-vvv", qdrant_backup_throttle=1, qdrant_backup_repository=limited)
    assert (made.status, overlap.exists()) == (0, False), made.output
    used = {share["node"] for share in documents(repository, "docs")}
    assert len(used) > 1
    assert made.output.count('"bandwidth_limit": "64M"') >= len(used)
    assert len(verify_all(repository)) == 2


def test_a_transfer_that_does_not_end_is_waited_for_and_named(
    cluster: Cluster, operator: Operator, repository: Repository
) -> None:
    make_sharded(cluster.nodes, "docs", points=60, shard_number=1, replication_factor=1)
    operator.hosts = {
        name: operator.hosts[name]
        for name, node in zip(cluster.names, cluster.nodes, strict=True)
        if node.collection_cluster("docs")["local_shards"]
    }
    with transfer_under_way(cluster, "docs"):
        refused = operator.backs_up("-vvv", qdrant_backup_wait_for_transfers=2)
    assert refused.status != 0
    assert '"wait_for_transfers": 2.0' in refused.output
    assert "docs cannot be backed up: shards are being transferred" in refused.text
    assert holdings(repository) == {}
    made = operator.backs_up()
    assert made.status == 0, made.output
    assert len(verify_all(repository)) == 1


def test_nobody_answers(operator: Operator, cluster: Cluster, repository: Repository) -> None:
    for name in cluster.names:
        operator.gone(name).touch()
    failed = operator.backs_up()
    assert failed.status != 0
    assert "The cluster does not have every backup that it needs." in failed.text
    assert holdings(repository) == {}


def test_a_fleet_is_backed_up_in_one_run(
    cluster: Cluster,
    operator: Operator,
    repository: Repository,
    s3_server: SeaweedServer,
    qdrant_server: QdrantServer,
    make_collection: Callable[..., str],
    tmp_path: Path,
) -> None:
    make_sharded(cluster.nodes, "docs", points=60)
    single = make_collection(points=60)
    buckets = [s3_server.create_bucket(f"b-{secrets.token_hex(6)}") for _each in range(2)]
    with start_cluster(tmp_path / "second", 2) as second, Repository(location_on(s3_server, buckets[0])) as theirs:
        make_sharded(second.nodes, "docs", points=40, shard_number=2)
        fleet = Operator(tmp_path, {"qdrant_backup_max_age": "1h", "qdrant_backup_collections": ["docs"]})
        for name, server in zip(("b0", "b1"), second.servers, strict=True):
            fleet.add_host(name, server)
        groups = {"b": (fleet.hosts, theirs), "a": (operator.hosts, repository)}
        operator.hosts["n2"]["qdrant_backup_exclude"] = True
        for group, (hosts, place) in groups.items():
            variables = {
                "qdrant_backup_cluster": True,
                "qdrant_backup_cluster_hosts": f"{{{{ groups['{group}'] }}}}",
                "qdrant_backup_repository": as_option(place.location),
            }
            fleet.groups[group] = {"hosts": hosts, "vars": variables}
        fleet.hosts = {}
        own = as_option(location_on(s3_server, buckets[1]))
        fleet.add_host("alone", qdrant_server, qdrant_backup_repository=own)
        made = fleet.backs_up("--limit", "a,b")
        assert made.status == 0, made.output
        assert made.text.count("docs: made") == 2
        assert {share["node"] for share in documents(repository, "docs")} == {"n0", "n1"}
        assert {share["node"] for share in documents(theirs, "docs")} <= {"b0", "b1"}
        del fleet.variables["qdrant_backup_collections"]
        both = fleet.backs_up()
        assert both.status == 0, both.output
        assert (both.text.count("docs: kept"), both.text.count(f"{single}: made")) == (2, 1)
        again = fleet.backs_up()
        assert (again.status, again.changed) == (0, 0), again.output
