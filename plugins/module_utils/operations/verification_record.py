# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of the verifications of a backup, in one repository."""

from __future__ import annotations

from ..errors import StoreError
from ..formats import layout
from ..formats.verification import VerificationRecord
from ..stores.repository import Repository


def read_record(region: Repository, collection: str, backup_id: str) -> VerificationRecord:
    """The record; an empty one where there is none yet, or the region does not give it."""
    try:
        return VerificationRecord.parse(region.get(layout.verified_key(collection, backup_id)))
    except StoreError:
        return VerificationRecord()
