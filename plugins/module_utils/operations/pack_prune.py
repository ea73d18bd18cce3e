# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packs no backup needs any more.

A backup that is being made may name packs of the newest one before it. So packs go only while none is at work: one that
begins later reads the catalogue later, and finds only backups whose packs stay. One that commits meanwhile has packs of
its own, which are younger than the time of grace.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..errors import DamagedBackup, DamagedManifest, ObjectNotFound, StoreUnreachable
from ..formats import layout
from ..stores.location import ObjectInfo
from ..stores.repository import Repository
from .backup_objects import packs_of
from .catalogue import read_manifest
from .holdings import read_backups


def surplus_packs(
    region: Repository, collection: str, gone: Sequence[str], now: datetime, grace: float
) -> tuple[list[ObjectInfo], str | None]:
    """The packs that no committed backup needs and that are older than ``grace`` (seconds), the oldest first; and why
    none of them may go.

    ``gone``: backups that this run has removed, or would remove. ``now``: aware. The caller has looked before that no
    backup is at work.
    """
    packs = list(region.list(layout.packs_prefix(collection)))
    if not packs:
        return [], None
    needed: set[str] = set()
    # A listing that lacks a manifest must not cost its packs: whatever has a folder is asked for.
    for backup_id in sorted(read_backups(region, collection).folders.keys() - set(gone)):
        try:
            manifest = read_manifest(region, collection, backup_id)[0]
            needed |= {layout.pack_key(collection, name) for name in packs_of([region], manifest)}
        except ObjectNotFound:
            continue
        except (DamagedBackup, DamagedManifest, StoreUnreachable) as error:
            return [], f"the packs of {backup_id} are not known: {error.detail}"
    old = now - timedelta(seconds=grace)
    surplus = [item for item in packs if item.key not in needed and (item.last_modified or now) <= old]
    return sorted(surplus, key=lambda item: item.last_modified or now), None
