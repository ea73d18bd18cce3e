#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sla_plan
short_description: Compute whether collections can meet their service levels
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Computes for each collection how much would be lost at worst (RPO) and how long a recovery would take (RTO), with
    their parts; what a month of storage, transfer and requests costs; and up to which size its service level holds.
  - Sizes, growth and the rate of backups come from the backups in the first repository, how much is written from
    O(state_path), and all other rates from the records of drills. What was never measured is assumed, and marked so.
  - Fails with the code C(sla_not_met), naming the arithmetic, if a collection cannot meet its level. Nothing is run.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.info
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  sla:
    description:
      - The name of a tier for all collections (V(prototype), V(standard), V(customer_facing), V(high_availability),
        V(mission_critical)), or C(rpo_seconds) and C(rto_seconds), in seconds or as durations such as V(15m).
      - Or a list of entries with C(sla), which is one of these, and C(collections), names or patterns such as
        V(products_*). The first that fits counts. Without C(collections), an entry is for all.
    type: raw
    required: true
  collections:
    description: Names of collections, or V(all) alone for all that have backups.
    type: list
    elements: str
    default: [all]
  schedule:
    description: What counts in place of what the level asks for.
    type: dict
    suboptions:
      wal_archive:
        description: Whether the write-ahead log is archived.
        type: bool
      backup_interval:
        description: Between two backups, in seconds or with a unit.
        type: str
      copy_interval:
        description: Between two copies to other regions.
        type: str
      seal_interval:
        description: For which a chunk of the log waits for more entries.
        type: str
      randomized_delay:
        description: By which timers spread their starts.
        type: str
  rates:
    description: Rates in MB/s (10^6 bytes) that count in place of what was measured or is assumed.
    type: dict
    suboptions:
      backup:
        description: From Qdrant to the repository.
        type: float
      copy:
        description: From one repository to another.
        type: float
      restore:
        description: From a repository to Qdrant, until it has loaded what it was sent.
        type: float
      replay:
        description: Of archived log entries in a restore to a moment.
        type: float
      log:
        description: How much is written to the collection, on average.
        type: float
  state_path:
    description:
      - The directory on the host in which the archiver of the log keeps its state, such as
        V(/var/lib/qdrant-dr/state). What it has recorded says how much is written to the collections of this node, in a
        day and at most.
      - A record that is not there, or that the user may not read, counts as none.
    type: path
  size_gb:
    description: Size of a backup in GB (10^9 bytes), in place of the newest one's. A collection needs no backup then.
    type: float
  prices:
    description: Prices in place of those of Amazon S3 in us-east-1.
    type: dict
    suboptions:
      storage_per_gb_month:
        description: Of one GB for a month.
        type: float
      transfer_per_gb:
        description: Of one GB that is sent to another region.
        type: float
      puts_per_1000:
        description: Of 1,000 requests that write.
        type: float
      currency:
        description: What they are in.
        type: str
      dated:
        description: When they were true.
        type: str
  keep_days:
    description: Days for which a backup of each day is kept.
    type: int
    default: 30
  require_backups:
    description:
      - Whether it is an error that a collection has no backup, and O(size_gb) is not given, so that its size is not
        known. Otherwise it is named in RV(unknown).
    type: bool
    default: true
seealso:
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.wal_archive_info
"""

EXAMPLES = r"""
- name: Refuse to go on if a level cannot be met
  vectorops.qdrant_dr.sla_plan:
    sla:
      - collections: [products_*]
        sla: customer_facing
      - sla: {rpo_seconds: 24h, rto_seconds: 8h}
    repository:
      bucket: qdrant-backups
      cluster: production
      region: eu-central-1
  register: plan

- name: Show the arithmetic
  ansible.builtin.debug:
    var: plan.report

- name: Plan a collection that does not exist yet
  vectorops.qdrant_dr.sla_plan:
    collections: [embeddings]
    sla: standard
    size_gb: 800
    rates: {restore: 400, backup: 600}
    repository: {bucket: qdrant-backups, cluster: production}
"""

RETURN = r"""
plans:
  description: One entry for each collection that has a level.
  returned: success, and failure with the code C(sla_not_met)
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    sla:
      description: Its level - C(tier), which is null for own numbers, C(rpo_seconds) and C(rto_seconds).
      type: dict
      returned: always
    met:
      description: Whether it can be met.
      type: bool
      returned: always
    shortfalls:
      description: Why it cannot, a sentence with the arithmetic for each reason.
      type: list
      elements: str
      returned: always
    rpo:
      description:
        - What is lost at worst when the cluster is - C(seconds), and C(parts) with C(name), C(seconds) and C(reason).
      type: dict
      returned: always
    rto:
      description: How long a recovery takes at worst, likewise.
      type: dict
      returned: always
    region_rpo:
      description: What is lost at worst when the first region is, too, likewise; null for a single repository.
      type: dict
      returned: always
    region_met:
      description: Whether RV(plans[].region_rpo) is within the RPO; null for a single repository.
      type: bool
      returned: always
    size:
      description: Bytes of a backup.
      type: float
      returned: always
    growth_per_day:
      description: Bytes that a backup becomes larger in a day, by the last 30 backups.
      type: float
      returned: always
    written_per_day:
      description: Bytes that are written to the log in a day.
      type: float
      returned: always
    rates:
      description: For each stage C(mb_per_second), whether it was C(measured), and its C(source).
      type: dict
      returned: always
    largest_size:
      description: The largest size of a backup, in bytes, at which the level holds; null if it holds at none.
      type: float
      returned: always
    days_left:
      description: Days until the collection has grown beyond that; null if it does not grow.
      type: float
      returned: always
    costs:
      description:
        - Bytes, requests and money of a month, in all regions. What incremental backups would store is an estimate.
      type: dict
      returned: always
  sample:
    - collection: products
      sla: {tier: standard, rpo_seconds: 3600.0, rto_seconds: 14400.0}
      met: true
      shortfalls: []
      rpo:
        seconds: 62.0
        parts:
          - {name: poll, seconds: 1.0, reason: the archiver looks at the log}
          - {name: seal, seconds: 60.0, reason: a chunk is filled}
          - {name: upload, seconds: 1.0, reason: the chunk is stored}
report:
  description: The plans in lines for people.
  returned: as RV(plans)
  type: list
  elements: str
unplanned:
  description: Names of collections that no level is for.
  returned: as RV(plans)
  type: list
  elements: str
  sample: []
unknown:
  description: Names of collections that have no backup. Always empty with O(require_backups=true).
  returned: as RV(plans)
  type: list
  elements: str
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: sla_not_met
    detail: >-
      products cannot meet standard (RPO 3600 s, RTO 14400 s). The RTO would be 8h 36m, and may be 4h 0m: find 1m 0s (to
      find the backup, check the target and ask the first question, which is assumed) + restore 7h 56m (2 TB at 70 MB/s,
      which is assumed) + replay 38m 54s (46.7 GB at 20 MB/s, which is assumed). It holds up to 933 GB.
    hint: >-
      Choose another level, back up more often or archive the log, or give the rates that your hosts reach.
  contains:
    code:
      description: Stable name of the kind of failure.
      type: str
      returned: always
    detail:
      description: What is wrong.
      type: str
      returned: always
    hint:
      description: What to do next; may be empty.
      type: str
      returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    opened_regions,
    repositories_option,
    repository_option,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import SlaPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.plan import make_plans
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.plan_options import PLAN_OPTIONS, plan_request


def planned(params: dict[str, Any]) -> dict[str, Any]:
    """Plan as the options say."""
    request = plan_request(
        params, SlaPolicy.parse(params["sla"], "sla"), wanted_collections(params["collections"]), params["state_path"]
    )
    with opened_regions([params["repository"]] if params["repository"] else params["repositories"]) as regions:
        return {"changed": False, **make_plans(regions, request)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(),
            "repositories": repositories_option(),
            "sla": {"type": "raw", "required": True},
            "collections": {"type": "list", "elements": "str", "default": ["all"]},
            "state_path": {"type": "path"},
            **PLAN_OPTIONS,
        },
        mutually_exclusive=[("repository", "repositories")],
        required_one_of=[("repository", "repositories")],
        supports_check_mode=True,
    )
    try:
        result = planned(module.params)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
