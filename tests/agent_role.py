# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles qdrant_agent and qdrant_wal_archive on this host, with all their paths in a folder of the test."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {"api_key": "key-of-the-node", "access_key": "AKIAEXAMPLE", "secret_key": "secret-of-the-store"}
SECRETS |= {"pruner_access_key": "AKIAPRUNER", "pruner_secret_key": "secret-of-the-pruner"}
PRUNER = {name: SECRETS[f"pruner_{name}"] for name in ("access_key", "secret_key")}

Json = dict[str, Any]
AGENT = {"name": "vectorops.qdrant_dr.qdrant_agent"}
ARCHIVER = {"name": "vectorops.qdrant_dr.qdrant_wal_archive"}


def variables(folder: Path) -> Json:
    """The role's variables, with every path below ``folder``."""
    keys = {name: SECRETS[name] for name in ("access_key", "secret_key")}
    return {
        "qdrant_agent_repository": {
            "bucket": "backups",
            "cluster": "production",
            "region": "",
            "client_encryption": {"key_file": "/etc/backup.key"},
            **keys,
        },
        "qdrant_agent_destinations": [{"name": "standby", "bucket": "copies", "cluster": "production"}],
        "qdrant_agent_api_key": SECRETS["api_key"],
        "qdrant_agent_verify_repair": True,
        "qdrant_agent_prune_keep_daily": 30,
        "qdrant_agent_prune_overrides": [{"regions": ["standby"], "keep_last": 3}],
        "qdrant_agent_pruner_keys": {"backups": PRUNER},
        "qdrant_agent_user": getpass.getuser(),
        "qdrant_agent_group": grp.getgrgid(os.getgid()).gr_name,
        "qdrant_agent_home": str(folder / "home"),
        "qdrant_agent_config_dir": str(folder / "etc"),
        "qdrant_agent_command": str(folder / "qdrant-dr"),
        "qdrant_agent_unit_dir": str(folder),
        "qdrant_agent_metrics_path": str(folder / "metrics" / "watch.prom"),
        "qdrant_agent_python": sys.executable,
        # What the agent imports late is not needed here, and a network neither.
        "qdrant_agent_packages": ["pip"],
        "qdrant_agent_pip_wheel_dir": str(folder),
    }


def lay_out(folder: Path) -> None:
    """Copy the collection into the folder, so that nobody's editor changes the program between two runs."""
    copy = folder / "collections" / "ansible_collections" / "vectorops" / "qdrant_dr"
    for part in ("meta", "plugins", "roles"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "galaxy.yml", copy)


def play(folder: Path, given: Json, *arguments: str, role: Json | None = None) -> tuple[int, int, str]:
    """Run the role; returns its status, how many tasks changed something, and all that it printed."""
    tasks = [{"name": "Run the role", "ansible.builtin.include_role": role or AGENT}]
    playbook = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (folder / "play.json").write_text(json.dumps(playbook), encoding="utf-8")
    (folder / "vars.json").write_text(json.dumps(given), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.json"), "-i", "localhost,"]
    command += ["-e", f"@{folder / 'vars.json'}", "-e", f"ansible_python_interpreter={sys.executable}", *arguments]
    skipped = ["qdrant_agent_user", "qdrant_agent_service", "qdrant_wal_archive_service"]
    env = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ} | {
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "true",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [*command, "--skip-tags", ",".join(skipped)], env=env, capture_output=True, text=True, timeout=240, check=False
    )
    output = done.stdout + done.stderr
    recap = re.search(r"ok=\d+ +changed=(\d+)", output)
    return done.returncode, int(recap[1]) if recap else -1, output


def archiver_variables(folder: Path, storage: Path | str = "/var/lib/qdrant/storage") -> Json:
    """Those of the role qdrant_wal_archive, for the agent in this folder."""
    shared = {name: f"qdrant_wal_archive_{name}" for name in ("user", "group", "config_dir", "command", "unit_dir")}
    given = {new: variables(folder)[f"qdrant_agent_{name}"] for name, new in shared.items()}
    return given | {
        "qdrant_wal_archive_storage_path": str(storage),
        "qdrant_wal_archive_state_dir": str(folder / "state"),
        "qdrant_wal_archive_outage_minutes": 5,
        "qdrant_wal_archive_peak_mb_per_second": 1,
        "qdrant_wal_archive_qdrant_config": str(folder / "qdrant.yaml"),
        "qdrant_wal_archive_restart_qdrant": False,
        "qdrant_wal_archive_cpu_quota": "20%",
        "qdrant_wal_archive_metrics_path": str(folder / "metrics" / "wal.prom"),
    }
