# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies, verifications and prunes on stores that fail at random, and are killed at random: what is protected stays.

Invariants 1 and 4 of the design, over 500 schedules of faults (see fake_store.py for why it is a fake).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from random import Random

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import (
    RetentionPolicy,
    reasons_to_keep,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.faults.fake_store import FakeStore, Killed, Schedule
from tests.made_backups import make_backup, some_bytes
from tests.proofs import verify_all

SCHEDULES, IN_ONE_TEST = 500, 25
START = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
DAYS = [layout.new_backup_id(START - timedelta(days=9 - number), f"{number:06x}") for number in range(9)]
PART = 64
SHARDS = (some_bytes(150, 1), some_bytes(40, 2))
POLICIES = [
    RetentionPolicy(keep_last=2),
    RetentionPolicy(keep_last=1, keep_within=3 * 86400.0),
    RetentionPolicy(keep_daily=4, min_redundancy=2),
    RetentionPolicy(keep_weekly=2, keep_last=1),
]
GRACE = 6 * 3600.0
MOST_RUNS, LONGEST = 5, timedelta(days=5)


class World:
    """Two regions with backups, and what is done to them by one schedule."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.policy = self.chance.choice(POLICIES)
        self.stores = [FakeStore(START), FakeStore(START)]
        self.regions = [store.repository(name) for store, name in zip(self.stores, ("primary", "standby"), strict=True)]
        for region in self.regions:
            for backup_id in sorted(self.chance.sample(DAYS, self.chance.randint(3, len(DAYS)))):
                self._make(region, backup_id)
        self._rot()

    def _make(self, region: Repository, backup_id: str) -> None:
        make_backup(region, backup_id=backup_id, shards=SHARDS, part_size=PART)

    def _rot(self) -> None:
        """A bit flips in a backup that both regions have and keep, whatever is copied to them: each heals the other."""
        both = self.ever(0) & self.ever(1) & self.kept_of(set(DAYS), START + LONGEST)
        if both and self.chance.random() < 0.5:
            backup_id, store = self.chance.choice(sorted(both)), self.chance.choice(self.stores)
            stored = store.objects[f"production/docs/{layout.shard_key(backup_id, 0)}"]
            stored.data = stored.data[:100] + bytes([stored.data[100] ^ 4]) + stored.data[101:]

    def ever(self, number: int) -> set[str]:
        """The backups that were ever committed in a region."""
        return {key.split("/")[3] for key in self.stores[number].ever if key.endswith(layout.MANIFEST)}

    def kept_of(self, backup_ids: set[str], now: datetime) -> set[str]:
        """Those of these that the policy keeps; it has kept them at all times before, too."""
        reasons = reasons_to_keep({each: layout.backup_time(each) for each in backup_ids}, self.policy, now)
        return {backup_id for backup_id, why in reasons.items() if why}

    def protected(self, number: int) -> set[str]:
        """What a region must not have lost."""
        return self.kept_of(self.ever(number), self.stores[number].clock)

    def copy(self) -> None:
        source, destination = self.chance.sample(self.regions, 2)
        copy_backups(source, [destination], None, Choice(newest=self.chance.randint(1, 4)))

    def prune(self) -> None:
        limits = PruneLimits(GRACE, require_verified=self.chance.random() < 0.2, max_delete_percent=100)
        prune_backups(self.regions, PruneRequest(None, self.policy, limits))

    def verify(self) -> None:
        verify_backups(self.regions, VerifyRequest(None, Choice(newest=None), "content", repair=True))

    def under_faults(self, work: Callable[[], None]) -> None:
        """One run that may fail, or be killed at any of its requests; some time goes by after it."""
        kill_at = self.chance.randint(1, 120) if self.chance.random() < 0.4 else None
        for store in self.stores:
            store.schedule = Schedule(self.chance.randrange(1 << 30), self.chance.choice([0.0, 0.05, 0.2]), kill_at)
        with suppress(DrError, Killed):
            work()
        for store in self.stores:
            store.schedule = Schedule(0, 0.0)
            # Long enough for a lock to expire; sometimes for what lies around to be called a leftover.
            store.pass_time(self.chance.choice([1, 1, 24]))


@pytest.mark.parametrize("first", range(0, SCHEDULES, IN_ONE_TEST))
def test_no_schedule_of_faults_costs_a_backup(first: int) -> None:
    for seed in range(first, first + IN_ONE_TEST):
        world = World(seed)
        for _run in range(world.chance.randint(2, MOST_RUNS)):
            world.under_faults(world.chance.choice([world.copy, world.prune, world.prune, world.verify]))
        world.verify()
        for number, region in enumerate(world.regions):
            assert set(verify_all(region)) >= world.protected(number), f"seed {seed}, {region.name}"


def test_after_all_faults_a_clean_run_leaves_what_the_policy_keeps_and_nothing_else() -> None:
    for seed in range(1000, 1040):
        world = World(seed)
        for _run in range(3):
            world.under_faults(world.chance.choice([world.copy, world.prune]))
        world.verify()
        for store in world.stores:
            store.pass_time(48)
        world.prune()
        for number, region in enumerate(world.regions):
            left = set(verify_all(region))
            assert left == world.protected(number), f"seed {seed}, {region.name}"
            assert {key.split("/")[2] for key in held(region) if key.startswith("docs/backups/")} == left
            assert list(region.uploads()) == []


def held(region: Repository) -> list[str]:
    return [item.key for item in region.list()]
