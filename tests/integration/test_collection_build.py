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
from pathlib import Path

import pytest

from tools.servers import QdrantServer

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
    "backup_share",
    "backup_verify",
    "collection_check",
    "node_info",
    "restore",
    "snapshot",
    "snapshot_info",
}


def galaxy(*arguments: str, home: Path) -> None:
    """Run ansible-galaxy with a home of its own."""
    program = str(Path(sys.executable).with_name("ansible-galaxy"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    command = [program, "collection", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection built from the files that git knows or would add."""
    folder = tmp_path_factory.mktemp("build")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    galaxy("build", str(folder / "source"), "--output-path", str(folder), home=folder)
    return next(folder.glob("vectorops-qdrant_dr-*.tar.gz"))


def test_the_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == SHIPPED
    assert {Path(name).stem for name in names if name.startswith("plugins/modules/")} - {"modules"} == MODULES
    assert [name for name in names if "__pycache__" in name or name.endswith(".snapshot")] == []


def test_an_installed_module_works_elsewhere(tarball: Path, tmp_path: Path, qdrant_server: QdrantServer) -> None:
    galaxy("install", str(tarball), "--collections-path", str(tmp_path / "collections"), home=tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
        "QDRANT_URL": qdrant_server.url,
    }
    arguments = ["localhost", "-c", "local", "-m", "vectorops.qdrant_dr.snapshot_info", "-a", "collection=absent"]
    program = str(Path(sys.executable).with_name("ansible"))
    done = subprocess.run(
        [program, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "FAILED" in done.stdout, done.stdout + done.stderr
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    assert answer["failure"]["code"] == "qdrant_not_found"
