# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks and their roles as users run them: ansible-playbook, a real Qdrant with a key, two real S3 servers."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import location_on, make_backup
from tests.playbook_process import run_in
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

PLAYBOOK_SECONDS = 120
POINTS = 300
# What a survey sends for the questions that nobody answered.
UNANSWERED = ["qdrant_backup_ca_path", "qdrant_backup_client_cert", "qdrant_backup_client_key"]
UNANSWERED += [
    "qdrant_restore_target",
    "qdrant_restore_backup_id",
    "qdrant_restore_before",
    "qdrant_restore_to_time",
    "qdrant_replicate_backup_id",
]

Json = dict[str, Any]


class Run:
    """What one run of ansible-playbook printed, and how many tasks changed something."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.status = process.returncode
        self.output = process.stdout + process.stderr
        recap = re.search(r"ok=\d+ +changed=(\d+) .* failed=(\d+)", self.output)
        self.changed = int(recap[1]) if recap else None


class User:
    """Someone with an inventory, a file of variables and ansible-playbook."""

    def __init__(self, folder: Path, variables: Json) -> None:
        self.folder = folder
        self.variables = variables
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self._write("inventory.json", {"qdrant": {"hosts": {"node-1": host}}})

    def _write(self, name: str, content: Json) -> str:
        (self.folder / name).write_text(json.dumps(content), encoding="utf-8")
        return str(self.folder / name)

    def runs(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        """Run one of the collection's playbooks by its name."""
        given = {name: value for name, value in (self.variables | variables).items() if value is not None}
        command = [str(Path(sys.executable).parent / "ansible-playbook"), f"vectorops.qdrant_dr.{playbook}"]
        command += ["-i", str(self.folder / "inventory.json"), "-e", "@" + self._write("vars.json", given), *arguments]
        return Run(run_in(self.folder, command, PLAYBOOK_SECONDS))


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """The S3 server of the second region."""
    with SeaweedServer(tmp_path_factory.mktemp("playbooks-standby"), region_name="eu-west-1") as server:
        yield server


@pytest.fixture
def node(keyed_qdrant: QdrantServer) -> Iterator[Qdrant]:
    """The node with a key."""
    with Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key)) as qdrant:
        yield qdrant


def repository_of(server: SeaweedServer, name: str) -> Json:
    """The option for a fresh bucket, as a survey fills it in: with empty strings."""
    return {
        "name": name,
        "bucket": server.create_bucket(f"{name}-{secrets.token_hex(6)}"),
        "cluster": "test",
        "prefix": "",
        "profile": "",
        "kms_key_id": "",
        "session_token": "",
        "region": server.region,
        "endpoint_url": server.endpoint,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
    }


@pytest.fixture
def user(keyed_qdrant: QdrantServer, s3_server: SeaweedServer, other_server: SeaweedServer, tmp_path: Path) -> User:
    """A user of the node, with one repository on each server."""
    near, far = repository_of(s3_server, "near"), repository_of(other_server, "far")
    variables: Json = dict.fromkeys(UNANSWERED, "")
    for role in ("qdrant_backup", "qdrant_restore"):
        variables |= {f"{role}_url": keyed_qdrant.url, f"{role}_api_key": keyed_qdrant.api_key}
    variables |= {
        "qdrant_backup_repository": near,
        "qdrant_backup_storage_path": str(keyed_qdrant.storage_path),
        "qdrant_backup_snapshots_path": str(keyed_qdrant.snapshots_path),
        "qdrant_replicate_source": near,
        "qdrant_replicate_destinations": [far],
        "qdrant_restore_sources": [near, far],
    }
    return User(tmp_path, variables)


def keys_in(server: SeaweedServer, repository: Json) -> list[str]:
    found = server.client().list_objects_v2(Bucket=repository["bucket"])
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_backup_replicate_lose_and_restore(
    user: User,
    node: Qdrant,
    make_collection: Callable[..., str],
    s3_server: SeaweedServer,
    other_server: SeaweedServer,
) -> None:
    name = make_collection(points=POINTS, on=node)
    alias = f"{name}-live"
    node.update_aliases([{"create_alias": {"collection_name": name, "alias_name": alias}}])
    before = collection_digest(node, name)

    made = user.runs("backup", "-vvvv", qdrant_backup_collections=[name])
    assert (made.status, made.changed) == (0, 1), made.output
    for secret in (node.connection.api_key, s3_server.secret_key, other_server.secret_key):
        assert secret
        assert secret not in made.output
    again = user.runs("backup", qdrant_backup_collections=[name], qdrant_backup_max_age="1h")
    assert (again.status, again.changed) == (0, 0), again.output
    assert f"{name}: kept" in again.output

    copied = user.runs("replicate", "-vvvv")
    assert (copied.status, copied.changed) == (0, 1), copied.output
    assert s3_server.secret_key not in copied.output
    assert other_server.secret_key not in copied.output
    again = user.runs("replicate", qdrant_replicate_all=True)
    assert (again.status, again.changed) == (0, 0), again.output

    node.delete_collection(name)
    emptied = s3_server.client()
    near = user.variables["qdrant_backup_repository"]
    for key in keys_in(s3_server, near):
        if key.endswith(".snapshot"):
            emptied.delete_object(Bucket=near["bucket"], Key=key)
    restored = user.runs(
        "restore",
        "-vvvv",
        qdrant_restore_collection=name,
        qdrant_restore_expect_digest=before[1],
        qdrant_restore_aliases=[alias],
    )
    assert (restored.status, restored.changed) == (0, 1), restored.output
    assert node.connection.api_key
    assert node.connection.api_key not in restored.output
    assert other_server.secret_key not in restored.output
    assert collection_digest(node, name) == before
    assert node.aliases()[alias] == name

    taken = user.runs("restore", qdrant_restore_collection=name)
    assert taken.status != 0
    assert "target_exists" in taken.output
    assert collection_digest(node, name) == before


def test_check_mode_says_what_would_happen_and_changes_nothing(
    user: User,
    node: Qdrant,
    make_collection: Callable[..., str],
    s3_server: SeaweedServer,
    other_server: SeaweedServer,
) -> None:
    name = make_collection(points=POINTS, on=node)
    near, far = user.variables["qdrant_backup_repository"], user.variables["qdrant_replicate_destinations"][0]

    planned = user.runs("backup", "--check", qdrant_backup_collections=[name])
    assert (planned.status, planned.changed) == (0, 1), planned.output
    assert f"{name}: would make" in planned.output
    assert keys_in(s3_server, near) == []
    assert node.snapshots(name) == []

    made = user.runs("backup", qdrant_backup_collections=name)
    assert made.status == 0, made.output
    planned = user.runs("replicate", "--check")
    assert (planned.status, planned.changed) == (0, 1), planned.output
    assert "would copy" in planned.output
    assert keys_in(other_server, far) == []

    target = f"{name}-copy"
    planned = user.runs("restore", "--check", qdrant_restore_collection=name, qdrant_restore_target=target)
    assert (planned.status, planned.changed) == (0, 1), planned.output
    assert f"{target} would be restored" in planned.output
    assert target not in node.collections()


def test_preflight_tag_checks_the_variables_alone(user: User, s3_server: SeaweedServer) -> None:
    checked = user.runs("backup", "--tags", "qdrant_backup_preflight")
    assert (checked.status, checked.changed) == (0, 0), checked.output
    assert keys_in(s3_server, user.variables["qdrant_backup_repository"]) == []


@pytest.mark.parametrize(
    ("playbook", "variable", "value", "said"),
    [
        ("backup", "qdrant_backup_probes", "many", "qdrant_backup_probes"),
        ("backup", "qdrant_backup_repository", None, "missing required arguments: qdrant_backup_repository"),
        ("backup", "qdrant_backup_repository", {"bucket": "", "cluster": "test"}, "Set bucket and cluster"),
        ("backup", "qdrant_backup_max_age", "yesterday", "Set qdrant_backup_max_age"),
        ("backup", "qdrant_backup_repository", {"bucket": "b", "cluster": "c", "encryption": "rot13"}, "rot13"),
        ("replicate", "qdrant_replicate_destinations", [], "each of qdrant_replicate_destinations"),
        ("replicate", "qdrant_replicate_newest", 0, "Set qdrant_replicate_newest"),
        ("restore", "qdrant_restore_collection", "", "Name the collection"),
        ("restore", "qdrant_restore_min_recall", 2, "Set qdrant_restore_min_recall"),
        ("restore", "qdrant_restore_to_time", "2026-11-22T10:00:00", "names no zone"),
        ("restore", "qdrant_hosts", "node-1,localhost", "Name one host"),
    ],
)
def test_wrong_variables_are_refused_before_anything_happens(
    user: User, s3_server: SeaweedServer, playbook: str, variable: str, value: Any, said: str
) -> None:
    near = user.variables["qdrant_backup_repository"]
    refused = user.runs(playbook, **{"qdrant_restore_collection": "products", variable: value})
    assert refused.status != 0
    assert said in " ".join(refused.output.split())
    assert refused.changed == 0
    assert near["secret_key"] not in refused.output
    assert keys_in(s3_server, near) == []


def test_a_plan_is_shown_and_refused_where_it_does_not_hold(user: User, node: Qdrant, make_collection: Any) -> None:
    name = make_collection(on=node)
    assert user.runs("backup", qdrant_backup_collections=[name]).status == 0
    held = user.runs("plan", qdrant_sla=[{"sla": {"rpo_seconds": "15m", "rto_seconds": 3600}}])
    assert held.status == 0, held.output
    assert re.search(rf"{name}: [0-9.]+ MB, grows 0 MB a day; meets its level", held.output)
    assert held.changed == 0
    refused = user.runs("plan", qdrant_sla="standard", qdrant_plan_size_gb=2000)
    assert refused.status == 2
    assert "CANNOT MEET standard" in refused.output
    assert "The RTO would be" in refused.output
    assert "sla is 'gold', which is no tier." in user.runs("plan", qdrant_sla="gold").output


def test_a_level_says_how_young_a_backup_is_good_enough(user: User, node: Qdrant, make_collection: Any) -> None:
    chosen = {"qdrant_backup_collections": [make_collection(on=node)]}
    assert user.runs("backup", **chosen, qdrant_sla="prototype").changed == 1
    assert user.runs("backup", **chosen, qdrant_sla="prototype").changed == 0
    assert user.runs("backup", **chosen, qdrant_sla="prototype", qdrant_backup_max_age="").changed == 1
    assert user.runs("backup", **chosen).changed == 1
    refused = user.runs("backup", **chosen, qdrant_sla="prototype", qdrant_backup_max_age="2d")
    assert (refused.status, "qdrant_backup_max_age is 2d 0h, but qdrant_sla is" in refused.output) == (2, True)
    tight = {**chosen, "qdrant_sla": {"rpo_seconds": "24h", "rto_seconds": 60}, "qdrant_backup_max_age": ""}
    refused = user.runs("backup", **tight)
    assert (refused.status, refused.changed) == (2, 0), refused.output
    assert "The RTO would be 1m 0s, and may be 1m 0s: find 1m 0s" in " ".join(refused.output.split())
    assert user.runs("backup", **tight, qdrant_sla_unmet="warn").changed == 1


def test_copies_are_planned_and_judged_by_their_level(
    user: User, s3_server: SeaweedServer, other_server: SeaweedServer
) -> None:
    near, far = user.variables["qdrant_backup_repository"], user.variables["qdrant_replicate_destinations"][0]
    with Repository(location_on(s3_server, near["bucket"], cluster="test", prefix="")) as repository:
        make_backup(repository, "old", "20251101T020000Z-a1b2c3", cluster="test")
    by_hand = user.runs("replicate", qdrant_sla="prototype", qdrant_replicate_rpo={"far": "2d"})
    assert (by_hand.status, by_hand.changed) == (2, 0), by_hand.output
    assert "qdrant_replicate_rpo of far is 2d 0h, but qdrant_sla is" in " ".join(by_hand.output.split())
    tight = {"qdrant_sla": {"rpo_seconds": "5000d", "rto_seconds": 60}}
    # Names are those of the buckets by default, which may be the same in two stores.
    refused = user.runs("replicate", **tight, qdrant_replicate_destinations=[{**far, "name": near["name"]}])
    assert (refused.status, refused.changed) == (2, 0), refused.output
    assert "The RTO would be 1m 0s, and may be 1m 0s: find 1m 0s" in " ".join(refused.output.split())
    assert keys_in(other_server, far) == []
    copied = user.runs("replicate", **tight, qdrant_sla_unmet="warn")
    assert (copied.status, copied.changed) == (0, 1), copied.output
    assert "WARNING: old cannot meet" in " ".join(copied.output.split())
    late = user.runs("replicate", qdrant_sla="prototype")
    assert (late.status, late.changed) == (2, 0), late.output
    said = " ".join(late.output.split())
    assert re.search(r"the newest backup of old in far is from \d+ s ago, and qdrant_sla allows 86400 s", said)
    assert user.runs("replicate", qdrant_sla=[{"collections": ["other"], "sla": "prototype"}]).status == 0
    assert user.runs("replicate", qdrant_sla="prototype", qdrant_sla_unmet="warn").status == 0
