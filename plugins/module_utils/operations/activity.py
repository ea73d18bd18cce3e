# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When somebody last worked on a backup, as its repository shows."""

from __future__ import annotations

from datetime import datetime

from ..formats import layout
from ..stores.repository import Repository
from ..stores.upload_parts import last_part_time


def last_activity(repository: Repository, collection: str, backup_id: str) -> datetime:
    """The latest of: its begin, its markers, its objects, the begin of open uploads and their newest parts.

    A large backup goes on for days, so its age says nothing. Reads lists only; one more for each open upload.
    """
    prefix = layout.backup_prefix(collection, backup_id)
    keys = (prefix, layout.started_key(collection, backup_id), layout.share_markers_prefix(collection, backup_id))
    times = [layout.backup_time(backup_id)]
    times += [item.last_modified for key in keys for item in repository.list(key) if item.last_modified]
    for key, upload_id, begun in repository.uploads(prefix):
        times += [begun, last_part_time(repository, key, upload_id) or begun]
    return max(times)
