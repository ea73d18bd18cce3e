# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that name a moment to restore to."""

from __future__ import annotations


class ModuleDocFragment:
    """The moment of a restore."""

    DOCUMENTATION = r"""
options:
  to_time:
    description:
      - Restore the state of this time (ISO 8601 with UTC offset or C(Z)), from a backup and the archived write-ahead
        log of each shard.
      - Nothing that was written after it comes back. The log knows between which two times each entry was written;
        what may have been written after this time is left out.
    type: str
  to_index:
    description:
      - Restore each shard up to this index of its log (inclusive), by shard number.
      - C(qdrant-dr wal show) lists the entries with their indexes.
    type: dict
  to:
    description:
      - V(backup) restores a backup as it is, V(latest) adds all that was archived after it.
    type: str
    choices: [backup, latest]
    default: backup
  strict:
    description:
      - Refuse to restore to a moment where the log has operations that this Qdrant may not replay exactly.
      - Without it they are counted in RV(inexact). From Qdrant 1.19 on there are none.
    type: bool
    default: false
"""
