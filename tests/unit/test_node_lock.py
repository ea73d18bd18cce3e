# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that lets one process at a time create a snapshot on a node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import Busy, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import node_lock as lock_file
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_lock import node_lock

HOLDER = """
import sys
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_lock import node_lock
with node_lock("node", 0, sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_it_is_exclusive_and_ends_with_the_process(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    env = {"PYTHONPATH": str(Path(lock_file.__file__).parents[6])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Busy), node_lock("node", 0.15, folder):
            pass
        with node_lock("another node", 0, folder):
            pass
        holder.kill()
        with node_lock("node", 10, folder):
            pass


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(InvalidInput, match="open to other users"), node_lock("node", 0, folder):
        pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to(tmp_path / "real")
    with pytest.raises(InvalidInput), node_lock("node", 0, tmp_path / "locks"):
        pass
