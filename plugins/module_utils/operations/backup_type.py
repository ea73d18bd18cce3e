# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup is stored whole, or as chunks of which the repository has most."""

from __future__ import annotations

from datetime import datetime

from ..errors import DamagedManifest, ObjectNotFound
from ..formats import layout
from ..stores.repository import Repository
from .catalogue import committed_ids, read_manifest
from .share import INCREMENTAL

FULL, AUTO = "full", "auto"
TYPES = (FULL, INCREMENTAL, AUTO)


def decided_type(repository: Repository, collection: str, wanted: str, full_every: float | None, now: datetime) -> str:
    """``FULL`` or ``INCREMENTAL``. ``AUTO`` is full where there is no full backup, or none younger than ``full_every``.

    ``full_every``: seconds, None for no limit; ``now``: aware. Raises StoreError.
    """
    if wanted != AUTO:
        return wanted
    for backup_id in sorted(committed_ids(repository, collection), reverse=True):
        age = (now - layout.backup_time(backup_id)).total_seconds()
        if full_every is not None and age > full_every:
            break
        try:
            if read_manifest(repository, collection, backup_id)[0].fields["type"] == FULL:
                return INCREMENTAL
        except (DamagedManifest, ObjectNotFound):
            continue
    return FULL
