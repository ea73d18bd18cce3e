# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make drill`: on the demo's servers back up, copy, and drill the loss of the first region into an ephemeral Qdrant.

Usage: python -m tools.drill [--output FOLDER]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from tools.demo import (
    ANSIBLE_CONFIG,
    INVENTORY,
    PLAYBOOK,
    Failed,
    call,
    environment,
    run_playbook,
    servers,
    settings_of,
    telling,
    write_private,
)
from tools.servers import qdrant_binary

CREATE = PLAYBOOK.parent / "files" / "create_demo_collections.py"
COLLECTIONS = ["articles", "digits"]

Json = dict[str, Any]


@dataclass
class Drill:
    """One run below a folder; ``step`` says what it is at. ``output``: where the reports go."""

    folder: Path
    output: Path
    step: str = "start the servers"

    def play(self) -> list[Json]:
        """The records of the drills; raises Failed where there is none."""
        with servers(self.folder) as (node, regions):
            self.step = "make the buckets"
            settings = settings_of(self.folder, node, regions)
            write_private(self.folder / "settings.json", settings)
            (self.folder / "ansible.cfg").write_text(ANSIBLE_CONFIG, encoding="utf-8")
            write_private(self.folder / "inventory.json", INVENTORY)
            self._create()
            for playbook, variables in self._variables(settings).items():
                self._run(playbook, variables)
            self.step = "stop the servers"
        return [json.loads(path.read_text(encoding="utf-8")) for path in self.records()]

    def records(self) -> list[Path]:
        """Those of this run, in the order of their collections."""
        return sorted(self.output.glob(f"**/{layout.DRILL_RECORD}"))

    def _create(self) -> None:
        self.step = "create the collections"
        command = [sys.executable, str(CREATE), str(self.folder / "settings.json")]
        with (self.folder / "create.log").open("wb") as log:
            if subprocess.run(command, env=environment(self.folder), stdout=log, stderr=log, check=False).returncode:
                raise Failed("create.log says why.")

    def _run(self, playbook: str, variables: Json) -> None:
        self.step = f"playbook {playbook}"
        given = write_private(self.folder / "settings.json", variables)
        arguments = ["-i", str(self.folder / "inventory.json"), "-e", f"@{given}", f"vectorops.qdrant_dr.{playbook}"]
        with (self.folder / f"{playbook}.log").open("wb") as log:
            status = run_playbook(arguments, environment(self.folder), log)
        if status and not self.records():  # A drill whose verdict is FAIL ends so, too, and has a record.
            raise Failed(f"{playbook}.log says why.")

    def _variables(self, settings: Json) -> dict[str, Json]:
        """Those of each playbook, in the order of their runs."""
        regions = [settings["demo_primary"], settings["demo_standby"]]
        return {
            "backup": {
                "qdrant_backup_url": settings["demo_qdrant_url"],
                "qdrant_backup_api_key": settings["demo_qdrant_api_key"],
                "qdrant_backup_collections": COLLECTIONS,
                "qdrant_backup_storage_path": settings["demo_storage_path"],
                "qdrant_backup_snapshots_path": settings["demo_snapshots_path"],
                "qdrant_backup_repository": regions[0],
            },
            "replicate": {"qdrant_replicate_source": regions[0], "qdrant_replicate_destinations": regions[1:]},
            "drill": {
                "qdrant_hosts": "node-1",
                "qdrant_drill_collections": COLLECTIONS,
                "qdrant_drill_scenario": "region_lost",
                "qdrant_drill_sla": "standard",
                "qdrant_drill_reason": "make drill",
                "qdrant_drill_target": "ephemeral",
                "qdrant_drill_binary": str(qdrant_binary()),
                "qdrant_drill_source": {
                    "url": settings["demo_qdrant_url"],
                    "api_key": settings["demo_qdrant_api_key"],
                },
                "qdrant_drill_sources": regions,
                "qdrant_drill_report_repositories": regions,
                "qdrant_drill_output": str(self.output),
                "qdrant_drill_journal": str(self.folder / "journal"),
            },
        }


def summary_of(record: Json, path: Path) -> str:
    """What people want to know first, and then the stages and findings."""
    sla, bound = record["sla"], "" if record["rpo_bound"] == "exact" else f"{record['rpo_bound']} "
    lines = [
        f"{record['collection']}: {record['verdict']}",
        f"  RTO     {record['rto_seconds']} s, of {sla['rto_seconds']:g} s",
        f"  RPO     {bound}{record['rpo_seconds']} s, of {sla['rpo_seconds']:g} s",
        f"  report  {path}",
    ]
    lines += [f"  {each['name']:12} {each['seconds']:7.2f} s  {each['detail']}" for each in record["stages"]]
    lines += [f"  {each['severity']}: {each['text']}" for each in record["findings"]]
    return "\n".join(lines)


def run(output: Path) -> None:
    """Drill, and say what came of it; SystemExit where something failed or a verdict is FAIL."""
    shutil.rmtree(output / "reports", ignore_errors=True)
    (output / "reports").mkdir()
    drill = Drill(output / "servers", output / "reports")
    with telling("make drill", drill):
        records = drill.play()
    for record, path in zip(records, drill.records(), strict=True):
        print(summary_of(record, path.with_name(layout.DRILL_PAGE)), end="\n\n")
    if any(record["verdict"] == "FAIL" for record in records):
        raise SystemExit("make drill: a verdict is FAIL.")


if __name__ == "__main__":
    call("drill", "Drill the loss of a region, on real servers.", run)
