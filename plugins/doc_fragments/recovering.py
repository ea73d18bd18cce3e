# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that a drill, a failover and a failback have."""

from __future__ import annotations


class ModuleDocFragment:
    """Who declared what, to where it is recovered, and what it has to show."""

    DOCUMENTATION = r"""
options:
  to_time:
    description:
      - Go back to this time (ISO 8601 with UTC offset or C(Z)). Without an archived log, that is the newest backup
        that was finished by then.
      - By default, everything that there is comes back.
    type: str
  reason:
    description: Why.
    type: str
    default: ""
  approver:
    description: Who has approved it.
    type: str
  scope:
    description: What the whole run is about, in words.
    type: str
    default: ""
  node_urls:
    description: Addresses of all other nodes of the target's cluster.
    type: list
    elements: str
    default: []
  recall_tolerance:
    description: How far recall may be below what was recorded with the backup, of 1.
    type: float
    default: 0.01
  max_query_seconds:
    description: The longest that the first right answer may take. By default it is only measured.
    type: float
  storage_path:
    description:
      - Qdrant's storage directory on this host, to check that there is room, and to upload two shards at a
        time to a single node where there is for both. It is only read.
    type: path
  ready_timeout:
    description: Seconds to wait for all replicas to be Active and the status to be green.
    type: float
    default: 3600.0
"""
