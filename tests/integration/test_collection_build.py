# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users install it: built, installed elsewhere, and used from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tests.made_backups import as_option, location_on
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "tests",
}
MODULES = {
    "backup",
    "backup_commit",
    "backup_copy",
    "backup_info",
    "backup_plan",
    "backup_prune",
    "backup_rewrap",
    "backup_share",
    "backup_verify",
    "bucket_check",
    "collection_check",
    "drill",
    "drill_info",
    "drill_recover",
    "drill_report",
    "failover",
    "node_info",
    "restore",
    "restore_points",
    "sla_plan",
    "sla_status",
    "snapshot",
    "snapshot_info",
    "wal_archive_info",
}
# What working in a clone leaves in it.
LITTER = (
    ".ansible/collections/x",
    ".hypothesis/x",
    ".mypy_cache/x",
    ".pytest_cache/x",
    ".ruff_cache/x",
    ".venv/bin/python",
    "__pycache__/x.pyc",
    "build/demo/report.json",
    "changelogs/.plugin-cache.yaml",
    "plugins/modules/__pycache__/x.pyc",
    "tests/output/x",
    "vectorops-qdrant_dr-0.0.1.tar.gz",
    "other.tar.gz",
)
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Back up
      ansible.builtin.import_role:
        name: vectorops.qdrant_dr.qdrant_backup
    - name: List what there is
      vectorops.qdrant_dr.backup_info:
        repository: "{{ qdrant_backup_repository }}"
        collection: "{{ qdrant_restore_collection }}"
      register: found
    - name: Restore the backup that was listed
      ansible.builtin.import_role:
        name: vectorops.qdrant_dr.qdrant_restore
      vars:
        qdrant_restore_backup_id: "{{ found.backups[0].backup_id }}"
"""


def galaxy(*arguments: str, home: Path) -> None:
    """Run ansible-galaxy with a home of its own."""
    program = str(Path(sys.executable).with_name("ansible-galaxy"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    command = [program, "collection", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection built in a tree that was worked in: what git knows or would add, and litter."""
    folder = tmp_path_factory.mktemp("build")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    for name in LITTER:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text("litter")
    galaxy("build", str(folder / "source"), "--output-path", str(folder), home=folder)
    return next(folder.glob("vectorops-qdrant_dr-*.tar.gz"))


def test_the_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == SHIPPED
    assert {Path(name).stem for name in names if name.startswith("plugins/modules/")} - {"modules"} == MODULES
    assert sorted(set(LITTER) & set(names)) == []
    assert [name for name in names if "__pycache__" in name or name.endswith(".snapshot")] == []


def test_the_installed_collection_backs_up_and_restores(
    tarball: Path,
    tmp_path: Path,
    qdrant: Qdrant,
    qdrant_server: QdrantServer,
    s3_server: SeaweedServer,
    bucket: str,
    make_collection: Callable[..., str],
) -> None:
    installed = tmp_path / "collections"
    # Without what it depends on: that is for the role that sets buckets up, and Galaxy may be out of reach.
    galaxy("install", str(tarball), "--no-deps", "--collections-path", str(installed), home=tmp_path)
    name = make_collection(points=50)
    before = collection_digest(qdrant, name)
    repository = as_option(location_on(s3_server, bucket))
    target = f"{name}-back"
    variables = {
        "qdrant_backup_url": qdrant_server.url,
        "qdrant_backup_collections": [name],
        "qdrant_backup_snapshots_path": str(qdrant_server.snapshots_path),
        "qdrant_backup_repository": repository,
        "qdrant_restore_url": qdrant_server.url,
        "qdrant_restore_collection": name,
        "qdrant_restore_target": target,
        "qdrant_restore_sources": [repository],
    }
    try:
        output = play(tmp_path, installed, variables)
        assert collection_digest(qdrant, target) == before
    finally:
        qdrant.delete_collection(target)
    # At -vvv Ansible names each module's and each role's file.
    assert f"{installed}/ansible_collections/vectorops/qdrant_dr/plugins/modules/backup.py" in output
    assert str(ROOT) not in output


def play(folder: Path, installed: Path, variables: dict[str, Any]) -> str:
    """Run the playbook with the collections below ``installed`` and no others, and return what it printed."""
    (folder / "play.yml").write_text(PLAYBOOK)
    (folder / "vars.json").write_text(json.dumps(variables))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(installed),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-vvv", "-i", "localhost,", "-c", "local", "-e", "@vars.json", "play.yml"]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
