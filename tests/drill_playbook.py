# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook drill, run by somebody who sees its output, its exit status and its reports."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from tests.made_backups import as_option
from tests.playbook_process import PLAYBOOK_SECONDS, playbook_command, playbook_environment
from tools.servers import QdrantServer

HOOK = """
- name: Tell of {name}
  ansible.builtin.lineinfile:
    path: "{log}"
    line: "{name} {{{{ qdrant_drill_records | default([]) | map(attribute='verdict') | join(' ') }}}}"
    create: true
    mode: "0600"
"""
HOOKS = ("before_disaster", "fence", "provision", "publish", "after")

Json = dict[str, Any]


class DrillPlaybook:
    """Two collections of production with backups, and someone who runs the playbook."""

    def __init__(self, folder: Path, production: Qdrant, variables: Json) -> None:
        self.folder, self.production, self.variables = folder, production, variables

    def drills(self, *arguments: str, before: Sequence[str] = (), **variables: Any) -> tuple[int, str, list[Json]]:
        """Status and output of a run, and the records that it wrote, in their order. ``before``: as in ``start``."""
        output = Path(tempfile.mkdtemp(dir=self.folder))
        process = self.start(*arguments, before=before, **{"qdrant_drill_output": str(output), **variables})
        said = process.communicate(timeout=PLAYBOOK_SECONDS)[0]
        return process.returncode, said, records_in(output)

    def start(self, *arguments: str, before: Sequence[str] = (), **variables: Any) -> subprocess.Popen[str]:
        """A run that goes on; ``before``: what to put before its command."""
        given = {**self.variables, **variables}
        command = [*before, *playbook_command(self.folder, "drill", given, arguments)]
        env = playbook_environment(self.folder)
        return subprocess.Popen(
            command, env=env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def hooks(self, **instead: str) -> Json:
        """Hooks that write their names to ``log``; ``instead``: other tasks for one."""
        made = {}
        for name in HOOKS:
            path = self.folder / f"{name}.yml"
            path.write_text(instead.get(name) or HOOK.format(name=name, log=self.folder / "log"))
            made[f"qdrant_drill_{name}"] = str(path)
        return made

    def log(self) -> list[str]:
        return [line.strip() for line in (self.folder / "log").read_text().splitlines()]

    def ephemeral(self) -> list[str]:
        """What is left of an ephemeral Qdrant."""
        left = [path.name for path in self.folder.glob("qdrant-drill-*")]
        return left + [str(pid) for pid in servers_below(self.folder)]


def drill_variables(folder: Path, source: QdrantServer, target: Qdrant, location: StoreLocation) -> Json:
    """Those of the role that a drill with one source needs; its journal is in ``folder``."""
    return {
        "qdrant_drill_sources": [{**as_option(location), "profile": ""}],
        "qdrant_drill_sla": "standard",
        "qdrant_drill_url": target.connection.url,
        "qdrant_drill_source": {"url": source.url, "api_key": source.read_only_key},
        "qdrant_drill_min_copies": 1,
        "qdrant_drill_journal": str(folder / "journal"),
    }


def records_in(folder: Path) -> list[Json]:
    """The records that were written there, in the order of their drills."""
    records = [json.loads(path.read_text()) for path in folder.glob("**/record.json")]
    return sorted(records, key=lambda record: str(record["drill_id"]))


def servers_below(folder: Path) -> list[int]:
    """The processes whose working directory is that of an ephemeral Qdrant in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "cwd").startswith(f"{folder}/qdrant-drill-"):
                found.append(int(process.name))
    return found
