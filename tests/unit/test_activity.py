# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last sign of life of a backup, by the times that a store gives: a real one knows only its own present."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import activity
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import ObjectInfo

BACKUP = "20261122T020000Z-a1b2c3"
BEGUN = layout.backup_time(BACKUP)


class Listed:
    """A repository that only lists: objects (key -> hours after the begin) and uploads (with those of their parts)."""

    def __init__(self, objects: dict[str, float], uploads: dict[str, tuple[float, float | None]]) -> None:
        self.objects, self.open = objects, uploads

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = {key: hours for key, hours in self.objects.items() if key.startswith(prefix)}
        return (ObjectInfo(key, 1, "", last_modified=after(hours)) for key, hours in found.items())

    def uploads(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        return ((key, key, after(begun)) for key, (begun, _part) in self.open.items() if key.startswith(prefix))


def after(hours: float) -> datetime:
    return BEGUN + timedelta(hours=hours)


SHARD = f"docs/backups/{BACKUP}/shards/0.snapshot"


@pytest.mark.parametrize(
    ("objects", "uploads", "hours"),
    [
        ({}, {}, 0),
        ({f"docs/started/{BACKUP}.json": 1}, {}, 1),
        ({f"docs/started/{BACKUP}/n1.json": 2, f"docs/started/{BACKUP}/n0.json": 1}, {}, 2),
        ({SHARD: 3, f"docs/started/{BACKUP}.json": 1}, {}, 3),
        ({SHARD: 3}, {f"{SHARD}1": (4, None)}, 4),
        ({SHARD: 3}, {f"{SHARD}1": (4, 30), f"{SHARD}2": (5, 29)}, 30),
        (
            {f"docs/backups/{BACKUP[:-1]}4/shards/0": 9, f"docs/started/{BACKUP[:-1]}4.json": 9},
            {f"docs/backups/{BACKUP[:-1]}4/shards/1": (9, 9)},
            0,
        ),
    ],
    ids=["nothing there", "marker", "markers of nodes", "object", "open upload", "part", "of another backup"],
)
def test_the_last_sign_of_life_counts(
    monkeypatch: pytest.MonkeyPatch,
    objects: dict[str, float],
    uploads: dict[str, tuple[float, float | None]],
    hours: float,
) -> None:
    def part_time(_repository: Any, key: str, _upload_id: str) -> datetime | None:
        part = uploads[key][1]
        return None if part is None else after(part)

    monkeypatch.setattr(activity, "last_part_time", part_time)
    listed: Any = Listed(objects, uploads)
    assert activity.last_activity(listed, "docs", BACKUP) == after(hours)
