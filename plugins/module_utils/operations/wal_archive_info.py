# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archives of one region or of several: to which moments each collection can be restored from there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from ..errors import StoreError, StoreUnreachable
from ..stores.repository import Repository
from .catalogue import READERS, collections_of
from .wal_ranges import CollectionArchive, restorable

Json = dict[str, Any]


def read_archives(regions: Sequence[Repository], collection: str | None, now: datetime) -> Json:
    """What the module ``wal_archive_info`` returns, of one collection or (None) of all that have something there.

    Raises StoreUnreachable where no region could be asked; the error of a single one is raised itself.
    """

    def ask(region: Repository) -> list[CollectionArchive] | StoreError:
        try:
            if len(regions) > 1:
                region.require_connection()
            names = [collection] if collection is not None else collections_of(region)
            return [restorable(region, name) for name in names]
        except StoreError as error:
            return error

    with ThreadPoolExecutor(READERS, thread_name_prefix="archive-region") as threads:
        answers = dict(zip((region.name for region in regions), threads.map(ask, regions), strict=True))
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, StoreError)}
    if len(errors) == len(answers) == 1:
        raise next(iter(errors.values()))
    if len(errors) == len(answers):
        reasons = "; ".join(f"{name}: {error.detail}" for name, error in errors.items())
        raise StoreUnreachable(f"No repository could be asked. {reasons}", "Make at least one of them reachable.")
    archives = [each for answer in answers.values() if isinstance(answer, list) for each in answer]
    return {
        "archives": [each.as_result(now) for each in sorted(archives, key=lambda each: each.collection)],
        "unreachable_regions": [{"region": name, "reason": error.detail} for name, error in errors.items()],
    }
