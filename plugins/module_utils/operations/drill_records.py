# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills that a repository has records of."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import ObjectNotFound
from ..formats import layout
from ..formats.drill_glance import DrillGlance
from ..stores.repository import Repository


def drills_of(repository: Repository, collection: str) -> Iterator[DrillGlance]:
    """The drills of a collection, newest first; what has no readable record counts as none. Raises StoreError."""
    ids = filter(layout.is_backup_id, repository.folders(layout.drills_prefix(collection)))
    for drill_id in sorted(ids, reverse=True):
        try:
            data = repository.get(layout.drill_key(collection, drill_id))
        except ObjectNotFound:
            continue
        glance = DrillGlance.parse(data, drill_id)
        if glance is not None:
            yield glance
