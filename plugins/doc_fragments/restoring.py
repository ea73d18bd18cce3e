# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that every restore has."""

from __future__ import annotations


class ModuleDocFragment:
    """Which backup a restore takes, and when the restored collection counts as healthy."""

    DOCUMENTATION = r"""
options:
  backup_id:
    description: Restore this backup. By default the newest one.
    type: str
  before:
    description: Restore the newest backup that was finished at or before this time (ISO 8601 with UTC offset or C(Z)).
    type: str
  node_urls:
    description:
      - Addresses of all other nodes of the target's cluster. A restore is finished when each of them says so.
      - A node that is lost for good has to be removed from the cluster before.
    type: list
    elements: str
    default: []
  storage_path:
    description:
      - Qdrant's storage directory on this host, to check that there is room, and to upload two shards at a
        time to a single node where there is for both. It is only read.
    type: path
  min_recall:
    description: The lowest recall of exact searches for the recorded probes that passes.
    type: float
    default: 0.99
  ready_timeout:
    description: Seconds to wait for all replicas to be Active and the status to be green.
    type: float
    default: 3600.0
"""
