# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that a drill, a failover and a failback have."""

from __future__ import annotations

import textwrap

# A node of the cluster that it is about; a module adds the description of the option.
_SOURCE = """
options:
  source:
    type: dict
    suboptions:
      url:
        description: Address of the node.
        type: str
        required: true
      api_key:
        description: Its key.
        type: str
      validate_certs:
        description: Whether the node's TLS certificate must be valid and made for its name.
        type: bool
        default: true
      ca_path:
        description: File or directory on the host with the certificate authorities to trust.
        type: path
      client_cert:
        description: PEM file on the host with the client certificate to show.
        type: path
      client_key:
        description: PEM file on the host with the key of O(source.client_cert).
        type: path
      timeout:
        description: Seconds to wait for an answer.
        type: float
        default: 30.0
"""
_NODE_URLS = """
node_urls:
  description: Addresses of all other nodes of its cluster.
  type: list
  elements: str
  default: []
"""


class ModuleDocFragment:
    """Who declared what, to where it is recovered, and what it has to show. NODE and CLUSTER: the option O(source), for
    one node or for all."""

    DOCUMENTATION = r"""
options:
  sla:
    description:
      - The service level to judge by. A tier's name, RPO and RTO as V({rpo_seconds, rto_seconds}), or a list of
        V({collections, sla}) of which the first that fits counts.
    type: raw
  declared_at:
    description:
      - When it was declared (ISO 8601 with UTC offset or C(Z)). The recovery time counts from then.
      - By default the start of the module.
    type: str
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
  replication_factor:
    description: Replication factor of what is restored. By default the recorded one.
    type: int
  min_copies:
    description: In how many of O(sources) the backup has to be. Fewer are a finding.
    type: int
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
  journal:
    description:
      - A directory on this host, which is made. There it keeps what it has found so far, so that
        M(vectorops.qdrant_dr.drill_recover) can give the record of a run that was killed.
      - The file C(<drill_id>.json) stays. Remove it once the report is stored, as the roles
        C(vectorops.qdrant_dr.qdrant_drill) and C(vectorops.qdrant_dr.qdrant_failover) do.
    type: path
  prices:
    description:
      - Prices for the cost in the record, in place of those of Amazon S3 in us-east-1. The record names them, and their
        date.
    type: dict
    suboptions:
      storage_per_gb_month:
        description: Of one GB (10^9 bytes) for a month.
        type: float
      transfer_per_gb:
        description: Of one GB that is sent to another region.
        type: float
      puts_per_1000:
        description: Of 1,000 requests that write or list.
        type: float
      gets_per_1000:
        description: Of 1,000 requests that read.
        type: float
      currency:
        description: What they are in.
        type: str
      dated:
        description: When they were true.
        type: str
"""


# Set from outside, because ansible-test takes every assignment inside of that class for literal YAML.
ModuleDocFragment.NODE = _SOURCE
ModuleDocFragment.CLUSTER = _SOURCE.rstrip() + textwrap.indent(_NODE_URLS, " " * 6)
