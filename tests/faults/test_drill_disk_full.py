# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill whose scratch space is full, from the start or while it restores: a FAIL at its stage, and nothing left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.drill_playbook import DrillPlaybook, records_in, servers_below
from tests.made_backups import as_option
from tests.proofs import wait_for
from tests.small_disk import on_a_small_disk
from tools.servers import QdrantServer, qdrant_binary

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
# What is written there when the run has ended, by who still sees the disk then.
LEFT = 'shift; "$@"; status=$?; ls -A "$0" > left; exit $status'


@pytest.fixture
def playbook(
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    repository: Repository,
    make_collection: Callable[..., str],
    tmp_path: Path,
) -> DrillPlaybook:
    """A drill to an ephemeral Qdrant on a disk that `full_disk` makes."""
    name = make_collection(points=1500, dimensions={"text": 512}, on=production, wal_config={"wal_capacity_mb": 1})
    back_up(production, repository, BackupRequest(name))
    variables = {
        "qdrant_drill_sources": [as_option(repository.location)],
        "qdrant_drill_sla": "standard",
        "qdrant_drill_target": "ephemeral",
        "qdrant_drill_binary": str(qdrant_binary()),
        "qdrant_drill_scratch_path": str(tmp_path / "disk"),
        "qdrant_drill_source": {"url": keyed_qdrant.url, "api_key": keyed_qdrant.read_only_key},
        "qdrant_drill_min_copies": 1,
        "qdrant_drill_output": str(tmp_path / "reports"),
        "qdrant_drill_journal": str(tmp_path / "journal"),
    }
    return DrillPlaybook(tmp_path, production, variables)


def on_disk(playbook: DrillPlaybook, size: str) -> list[str]:
    """What to put before the run, so that only it sees a disk of this size, and says in the end what is left there."""
    disk = playbook.folder / "disk"
    return [*on_a_small_disk(disk, f"size={size}"), "sh", "-c", LEFT, str(disk), "run"]


def fill_up(disk: Path) -> None:
    """Somebody else takes all the room that there is."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(1 << 20)):
            pass


def stages(record: Json) -> Json:
    return {stage["name"]: stage["outcome"] for stage in record["stages"]}


def test_a_disk_that_is_too_small_is_seen_before_anything_is_restored(playbook: DrillPlaybook) -> None:
    status, output, [record] = playbook.drills(before=on_disk(playbook, "8m"))
    assert status != 0
    assert (record["verdict"], record["failed_stage"], record["failure"]["code"]) == (
        "FAIL",
        "locate",
        "preflight_failed",
    )
    assert "MiB free, the restore needs" in record["failure"]["detail"]
    assert record["failure"]["detail"] in " ".join(output.split())
    assert stages(record)["restore"] == "skipped"
    assert (playbook.folder / "left").read_text() == ""


def test_a_disk_that_fills_up_during_the_restore_fails_it_there(playbook: DrillPlaybook) -> None:
    slow = [{**each, "bandwidth_limit": "512K"} for each in playbook.variables["qdrant_drill_sources"]]
    process = playbook.start(before=on_disk(playbook, "200m"), qdrant_drill_sources=slow)
    [server] = wait_for(lambda: servers_below(playbook.folder / "disk"), "the ephemeral Qdrant")
    disk = Path(f"/proc/{server}/root{playbook.folder}/disk")
    wait_for(lambda: list(disk.glob("qdrant-drill-*/storage/collections/*-drill/config.json")), "the restore")
    fill_up(disk)
    output = process.communicate()[0]
    assert process.returncode != 0
    [record] = records_in(playbook.folder / "reports")
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "restore")
    assert record["failure"]["code"] == "qdrant_disk_full"
    assert f"{playbook.folder}/disk/qdrant-drill-" in record["failure"]["detail"]
    assert record["failure"]["detail"] in " ".join(output.split())
    assert stages(record)["cleanup"] == "done"
    assert (playbook.folder / "left").read_text() == "filler\n"
