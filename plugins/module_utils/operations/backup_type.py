# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup is stored whole, or as chunks of which the repository has most."""

from __future__ import annotations

from datetime import datetime

from ..formats import layout
from ..formats.manifest import FULL, INCREMENTAL
from ..stores.repository import Repository
from .catalogue import committed_ids, newest_committed

AUTO = "auto"
TYPES = (FULL, INCREMENTAL, AUTO)


def decided_type(repository: Repository, collection: str, wanted: str, full_every: float | None, now: datetime) -> str:
    """``FULL`` or ``INCREMENTAL``. ``AUTO`` is full where there is no full backup, or none younger than ``full_every``.

    ``full_every``: seconds, None for no limit; ``now``: aware. Raises StoreError.
    """
    if wanted != AUTO:
        return wanted
    young = {
        backup_id
        for backup_id in committed_ids(repository, collection)
        if full_every is None or (now - layout.backup_time(backup_id)).total_seconds() <= full_every
    }
    full = newest_committed(repository, collection, young, lambda manifest: manifest.fields["type"] == FULL)
    return FULL if full is None else INCREMENTAL
