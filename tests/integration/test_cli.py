# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host agent as a systemd timer starts it: a process with two files, on a real Qdrant and a real store."""

from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.repository_lock import RepositoryLock
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.cluster import Cluster, make_sharded, start_cluster
from tests.made_backups import make_backup
from tests.proofs import holdings, verify_all, wait_for
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Make = Callable[..., str]


def backups_of(*names: str, **more: Any) -> Json:
    return {"collections": list(names), **more}


def test_a_second_run_finds_its_backup(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection()
    host = agent(qdrant, repository, backup=backups_of(name, max_age="1h"))
    planned = host.runs("backup", "--check")
    assert planned.returncode == 0
    assert planned.stdout.startswith(f"{name}: would make a backup, because there is no committed backup yet")
    assert holdings(repository) == {}
    first = host.runs("backup", "--json")
    made = json.loads(first.stdout)
    assert (first.returncode, made["changed"]) == (0, True)
    assert verify_all(repository) == [made["backups"][0]["backup_id"]]
    second = host.runs("backup")
    assert second.returncode == 0
    assert second.stdout.startswith(f"{name}: kept {made['backups'][0]['backup_id']}, because the newest backup is")
    listed = host.runs("list", "--collection", name, "--limit", "5")
    assert listed.stdout.split()[:2] == [made["backups"][0]["backup_id"], name]


def test_the_agent_encrypts_with_the_key_in_a_file(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make, tmp_path: Path
) -> None:
    name, key = make_collection(), secrets.token_hex(32)
    path = tmp_path / "backup.key"
    path.touch(mode=0o600)
    path.write_text(key, encoding="ascii")
    host = agent(qdrant, repository, backup=backups_of(name))
    host.secrets.append(key)
    host.config["repository"]["client_encryption"] = {"key_file": str(path)}
    made = json.loads(host.runs("backup", "--json").stdout)["backups"][0]
    assert made["client_encryption"] == [fingerprint(bytes.fromhex(key))]
    assert verify_all(repository) == [made["backup_id"]]
    path.chmod(0o640)
    refused = host.runs("backup")
    assert refused.returncode == 1
    assert f"The key file {path} can be read or changed by others than its user." in refused.stderr
    host.config["repository"]["client_encryption"] = {"key": key}
    assert "unknown settings: key" in host.runs("backup").stderr


def test_a_run_beside_another_is_busy(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    host = agent(qdrant, repository, backup=backups_of(make_collection()))
    with RepositoryLock(repository, "backup"):
        refused = host.runs("backup", "--json")
    assert refused.returncode == 75
    assert re.match(r"qdrant-dr: The lock 'backup' of s3://\S+ is held by process \d+ on \S+ since ", refused.stderr)
    assert refused.stderr.count("\n") == 1
    assert json.loads(refused.stdout)["failure"]["code"] == "busy"
    assert [key for key in holdings(repository) if not key.startswith(".locks/")] == []
    assert host.runs("backup").returncode == 0


def test_the_lock_of_a_killed_run_is_taken_over(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection(points=20_000, dimensions={"text": 64})
    host = agent(qdrant, repository, backup=backups_of(name))
    running = host.start("backup")
    wait_for(lambda: list(repository.list(f"{name}/started/")), "the backup's begin")
    running.kill()
    running.wait()
    done = host.runs("backup", "--json")
    assert done.returncode == 0, done.stderr
    entry = json.loads(done.stdout)["backups"][0]
    assert entry["leftovers_removed"]
    assert verify_all(repository) == [entry["backup_id"]]


def test_sigterm_leaves_nothing_and_gives_the_lock_back(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    name = make_collection(points=20_000, dimensions={"text": 64})
    host = agent(qdrant, repository, backup=backups_of(name))
    running = host.start("backup")
    wait_for(lambda: list(repository.list(f"{name}/started/")), "the backup's begin")
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 143
    # While Qdrant makes a snapshot nobody can take it back: then the marker stays, and the next run removes both.
    left = [key for key in holdings(repository) if not key.startswith((".locks/", f"{name}/started/"))]
    assert left == []
    with RepositoryLock(repository, "backup") as lock:
        assert lock.held
    assert host.runs("backup").returncode == 0
    assert len(verify_all(repository)) == 1
    assert [key for key in holdings(repository) if "/started/" in key] == []
    assert qdrant.snapshots(name) == []


def test_a_wrong_key_is_one_sentence(
    agent: Callable[..., Agent], keyed_qdrant: QdrantServer, repository: Repository
) -> None:
    keyed = Qdrant(QdrantConnection(keyed_qdrant.url, api_key="no-such-key"))
    host = agent(keyed, repository)
    refused = host.runs("backup")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"qdrant-dr: Qdrant at {keyed_qdrant.url} ")
    assert refused.stderr.count("\n") == 1
    host = agent(Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key)), repository)
    host.credentials["repositories"]["primary"]["secret_key"] = "wrong-secret"
    host.secrets.append("wrong-secret")
    refused = host.runs("list")
    assert refused.returncode == 1
    assert "The secret key does not belong to this access key" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert host.runs("status").returncode == 3


def test_a_credentials_file_that_others_can_read_is_refused(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository
) -> None:
    host = agent(qdrant, repository)
    assert host.runs("list").returncode == 0
    for mode in (0o640, 0o604, 0o620):
        (host.folder / "credentials.json").chmod(mode)
        refused = host.runs("list")
        assert refused.returncode == 1
        assert "credentials.json can be read or changed by others" in refused.stderr
        assert "chmod 600" in refused.stderr


def test_keys_in_the_configuration_are_refused(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository
) -> None:
    host = agent(qdrant, repository)
    host.config["repository"]["secret_key"] = "a-secret-in-the-wrong-place"
    host.secrets.append("a-secret-in-the-wrong-place")
    refused = host.runs("list")
    assert refused.returncode == 1
    assert "holds secret_key. Keys belong into the credentials file" in refused.stderr


def test_status_says_how_old_the_backups_are(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    fresh, old = make_collection(points=20), make_collection(points=20)
    host = agent(qdrant, repository, backup=backups_of(fresh, old), status={"rpo": "1d"})
    assert (
        host.runs("status").stdout
        == "CRITICAL: " + "; ".join(f"{name} has no backup" for name in sorted((fresh, old))) + "\n"
    )
    assert host.runs("backup").returncode == 0
    good = host.runs("status")
    assert (good.returncode, good.stdout[:16]) == (0, "OK: 2 collection")
    host.config["status"] = {"rpo": "1d", "warning": "0"}
    assert host.runs("status").returncode == 1
    make_backup(repository, "ancient", "20200101T000000Z-a1b2c3")
    host.config |= {"backup": backups_of("ancient"), "status": {"rpo": "1d"}}
    late = host.runs("status", "--json")
    assert late.returncode == 2
    assert re.fullmatch(r"CRITICAL: ancient: newest backup \d+d \d+h old, RPO 1d 0h", json.loads(late.stdout)["line"])


def test_status_warns_where_the_node_does_not_answer(agent: Callable[..., Agent], repository: Repository) -> None:
    make_backup(repository, "docs")
    host = agent(Qdrant(QdrantConnection("http://127.0.0.1:1")), repository)
    answer = host.runs("status")
    assert answer.returncode == 1
    assert answer.stdout.startswith("WARNING: the node could not be asked for its collections")


def test_copies_go_to_every_destination_once(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, standby: Repository, make_collection: Make
) -> None:
    name = make_collection()
    host = agent(qdrant, repository, standby, backup=backups_of(name), copy={"newest": 2})
    assert host.runs("backup").returncode == 0
    first = host.runs("copy", "--json")
    assert first.returncode == 0, first.stderr
    assert [entry["destination"] for entry in json.loads(first.stdout)["copied"]] == ["standby"]
    assert verify_all(standby) == verify_all(repository)
    again = host.runs("copy", "--json")
    assert json.loads(again.stdout)["changed"] is False
    host.config["destinations"] = []
    refused = host.runs("copy")
    assert (refused.returncode, "no destination" in refused.stderr) == (1, True)


def test_keys_are_neither_on_the_command_line_nor_in_the_environment(
    agent: Callable[..., Agent], qdrant: Qdrant, repository: Repository, make_collection: Make
) -> None:
    host = agent(qdrant, repository, backup=backups_of(make_collection()))
    running = host.start("backup")
    wait_for(lambda: holdings(repository), "the run's begin")
    process = Path("/proc") / str(running.pid)
    shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"config.json" in shown
    assert not [secret for secret in host.secrets if secret.encode() in shown]
    assert running.wait(timeout=60) == 0


def test_a_store_that_does_not_do_what_is_required_gets_no_backup(
    agent: Callable[..., Agent],
    qdrant: Qdrant,
    repository: Repository,
    s3_server: SeaweedServer,
    make_collection: Make,
) -> None:
    bucket = repository.location.bucket
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3_server.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    host = agent(qdrant, repository, backup=backups_of(make_collection(), require_bucket_check=True))
    assert host.runs("backup", "--check").returncode == 0, "check mode probes nothing"
    refused = host.runs("backup")
    assert refused.returncode == 65
    assert "anonymous_refused (failed, found: may list)" in refused.stderr
    assert [key for key in holdings(repository) if not key.startswith(".locks/")] == []
    s3_server.client().delete_bucket_policy(Bucket=bucket)
    assert host.runs("backup").returncode == 0
    assert len(verify_all(repository)) == 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with start_cluster(tmp_path_factory.mktemp("cluster"), 3) as started:
        make_sharded(started.nodes, "docs")
        make_sharded(started.nodes, "more", points=60)
        yield started


def nodes_of(cluster: Cluster) -> Json:
    return {name: server.url for name, server in zip(cluster.names, cluster.servers, strict=True)}


def test_a_cluster_of_different_shards_is_backed_up_where_its_nodes_are_named(
    agent: Callable[..., Agent], cluster: Cluster, repository: Repository
) -> None:
    host = agent(cluster.nodes[0], repository, backup={"max_age": "1h"})
    refused = host.runs("backup")
    assert refused.returncode == 1
    assert "is not on this node" in refused.stderr
    assert "name all nodes in qdrant_agent_nodes" in refused.stderr
    assert [key for key in holdings(repository) if not key.startswith(".locks/")] == []
    host.config["nodes"] = nodes_of(cluster)
    planned = host.runs("backup", "--check")
    assert planned.stdout.count(": would make a backup, because there is no committed backup yet") == 2
    assert [key for key in holdings(repository) if not key.startswith(".locks/")] == []
    first = host.runs("backup", "--json")
    made = json.loads(first.stdout)
    assert (first.returncode, made["changed"]) == (0, True), first.stderr
    assert [(entry["collection"], entry["shards"]) for entry in made["backups"]] == [("docs", 6), ("more", 6)]
    assert sorted(verify_all(repository)) == sorted(entry["backup_id"] for entry in made["backups"])
    second = host.runs("backup")
    assert second.returncode == 0
    assert second.stdout.count(": kept 2") == 2
    assert host.runs("status").returncode == 0


def test_of_two_agents_of_a_cluster_one_is_busy(
    agent: Callable[..., Agent], cluster: Cluster, repository: Repository
) -> None:
    host = agent(cluster.nodes[0], repository, backup=backups_of("docs", max_age="1h"), nodes=nodes_of(cluster))
    running = host.start("backup")
    wait_for(lambda: list(repository.list("docs/started/")), "the backup's begin")
    # It may be done before the other one has begun.
    running.send_signal(signal.SIGSTOP)
    host.config["qdrant"]["url"] = cluster.servers[1].url
    busy = host.runs("backup")
    running.send_signal(signal.SIGCONT)
    assert busy.returncode == 75
    assert "The lock 'backup' of " in busy.stderr
    assert running.wait(timeout=60) == 0
    late = host.runs("backup")
    assert (late.returncode, "docs: kept " in late.stdout) == (0, True)
    assert len(verify_all(repository)) == 1


@pytest.mark.parametrize("own", [True, False], ids=["its own", "another"])
def test_a_cluster_with_a_node_down_is_backed_up(
    agent: Callable[..., Agent], cluster: Cluster, repository: Repository, own: bool
) -> None:
    facts = cluster.facts()
    # The loss of the leader would make the others wait for a new one.
    number = next(at for at, node in enumerate(facts) if int(node["peer_id"]) != node["leader"])
    here = number if own else (number + 1) % len(facts)
    host = agent(cluster.nodes[here], repository, nodes=nodes_of(cluster))
    cluster.servers[number].kill()
    try:
        done = host.runs("backup", "--json")
    finally:
        cluster.servers[number].start()
        wait_for(cluster.settled, "the node's return")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert sorted(verify_all(repository)) == sorted(entry["backup_id"] for entry in made["backups"])
    assert [entry["shards"] for entry in made["backups"]] == [6, 6]
    assert f"warning: n{number} is left out: Qdrant at {cluster.servers[number].url} " in done.stderr
