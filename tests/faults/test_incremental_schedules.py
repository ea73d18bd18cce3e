# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental backups, copies, verifications and prunes that share packs, on stores that fail at random.

A backup may be at work while others are pruned and copied, and may be killed. All that was committed verifies then.
(See fake_store.py for why the store is a fake.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import BackupNotFound, DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import pack_writer
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup_objects import packs_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import read_manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.commit import commit
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.test_fault_schedules import IN_ONE_TEST, World
from tests.made_backups import archive_of, some_bytes, store_chunks
from tests.proofs import verify_all

# QDRANT_DR_SCHEDULES=500 takes some minutes.
SCHEDULES = int(os.environ.get("QDRANT_DR_SCHEDULES", "75"))
# Files that archives are made of.
FILES = {f"file-{number}": some_bytes(2500 + 40 * number, number) for number in range(24)}
# Of a run that nobody sees.
ELSEWHERE = {"process": {"host": "another"}, "url": "http://another:6333", "snapshots": [], "asked": None}


class ChunkedWorld(World):
    """Two regions whose backups share packs."""

    def _make(self, region: Repository, backup_id: str) -> None:
        """In the first region, or copied from there to the second one."""
        if region is not self.regions[0]:
            with suppress(BackupNotFound):
                copy_backups(self.regions[0], [region], ["docs"], Choice([backup_id]))
            return
        commit(
            region, store_chunks(region, backup_id, self._archives(Random(backup_id)), layout.backup_time(backup_id))
        )

    def _archives(self, chance: Random) -> tuple[bytes, ...]:
        """Of two shards; neighbours in time have most of their files in common."""
        names = sorted(chance.sample(sorted(FILES), 18))
        return tuple(archive_of({name: FILES[name] for name in names[shard::2]}) for shard in range(2))

    def _rot(self) -> None:
        """Not here: a backup that names a pack that is rotten already is as rotten."""

    def back_up(self) -> None:
        for _step in self.backing_up():
            pass

    def backing_up(self) -> Iterator[None]:
        """A backup in the first region, with a pause before its commit."""
        region, now = self.regions[0], self.stores[0].clock
        backup_id = layout.new_backup_id(now, f"{self.chance.randrange(1 << 24):06x}")
        region.put(layout.started_key("docs", backup_id), json.dumps(ELSEWHERE).encode())
        manifest = store_chunks(region, backup_id, self._archives(self.chance), now)
        yield
        commit(region, manifest)
        region.delete([layout.started_key("docs", backup_id)])

    def prune_during_a_backup(self) -> None:
        """Others go on while a backup is between its last pack and its commit; an hour passes meanwhile."""
        run = self.backing_up()
        next(run)
        with suppress(DrError):
            self.chance.choice([self.prune, self.copy])()
        for store in self.stores:
            store.pass_time(1)
        for _end in run:
            pass


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs for each backup."""
    monkeypatch.setattr(pack_writer, "PACK_SIZE", 8000)


@pytest.mark.parametrize("first", range(0, SCHEDULES, IN_ONE_TEST))
def test_no_schedule_of_faults_costs_a_backup(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        world = ChunkedWorld(seed)
        for _run in range(world.chance.randint(2, 5)):
            works = [world.copy, world.prune, world.back_up, world.prune_during_a_backup, world.verify]
            world.under_faults(world.chance.choice(works))
        world.verify()
        for number, region in enumerate(world.regions):
            assert set(verify_all(region)) >= world.protected(number), f"seed {seed}, {region.name}"


def test_a_clean_prune_leaves_the_packs_that_are_needed_and_no_others() -> None:
    for seed in range(1000, 1020):
        world = ChunkedWorld(seed)
        for _run in range(3):
            world.under_faults(world.chance.choice([world.copy, world.prune, world.back_up]))
        world.verify()
        for store in world.stores:
            store.pass_time(48)
        world.prune()
        for region in world.regions:
            needed = {
                layout.pack_key("docs", name)
                for backup_id in verify_all(region)
                for name in packs_of([region], read_manifest(region, "docs", backup_id)[0])
            }
            assert {item.key for item in region.list(layout.packs_prefix("docs"))} == needed, f"seed {seed}"
