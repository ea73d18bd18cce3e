#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_info
short_description: List the recovery drills that repositories hold
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Lists the recorded drills of one collection or of all, newest first, from the union of all repositories.
  - Tells which protected collections are due for a drill.
  - A record that is not as it was written, by the SHA-256 beside it, is no drill, and named in RV(damaged).
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
  collection:
    description: Name of the collection. Without it, the drills of all are listed.
    type: str
  limit:
    description: List at most this many drills of each collection, the newest ones.
    type: int
  days:
    description: Within how many days each protected collection should be drilled.
    type: int
    default: 30
  every_days:
    description:
      - How often there is a run that drills, in days. A run then takes RV(turn), the share C(every_days / days) of the
        protected collections.
    type: int
  protected:
    description:
      - Names of the collections that should be drilled, or V(all) alone.
      - By default those that have a committed backup; with O(collection) only that one.
    type: list
    elements: str
  record:
    description: Whether to return the whole record of each drill.
    type: bool
    default: false
seealso:
  - module: vectorops.qdrant_dr.drill_report
  - module: vectorops.qdrant_dr.backup_info
"""

EXAMPLES = r"""
- name: See which collections the weekly run has to drill
  vectorops.qdrant_dr.drill_info:
    days: 30
    every_days: 7
    limit: 1
    repositories:
      - {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
  register: drills

- name: Find the collections that are due for a drill
  vectorops.qdrant_dr.drill_info:
    days: 30
    repositories:
      - {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
      - {bucket: qdrant-backups-us, cluster: production, region: us-east-1}
  register: drills

- name: Drill the two that were not drilled for the longest time
  ansible.builtin.debug:
    msg: "{{ drills.due[:2] }}"
"""

RETURN = r"""
turn:
  description:
    - The protected collections that a run has to drill now, so that each is drilled within O(days). These are first
      those that never were, then those whose last drill is the longest ago.
  returned: success with O(every_days)
  type: list
  elements: str
  sample: [articles]
drills:
  description: The drills, and among them failovers and failbacks, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    drill_id:
      description: The drill's id. Ids sort by the time of the declaration.
      type: str
      returned: always
    kind:
      description:
        - V(drill), V(failover) or V(failback). Only the first counts as a drill, and into O(limit).
      type: str
      returned: always
    run_id:
      description: The same for all drills of one run.
      type: str
      returned: always
    cluster:
      description: The cluster's name.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    declared_at:
      description: When the drill was declared, in UTC.
      type: str
      returned: always
    scenario:
      description: What was simulated.
      type: str
      returned: always
    trigger:
      description: V(manual) or V(scheduled).
      type: str
      returned: always
    operator:
      description: Who declared it.
      type: str
      returned: always
    verdict:
      description: V(PASS), V(PASS WITH FINDINGS) or V(FAIL).
      type: str
      returned: always
    rto_seconds:
      description: Seconds from the declaration to the first correct answer, or null.
      type: float
      returned: always
    rpo_seconds:
      description: Seconds of writes that were lost, or null.
      type: float
      returned: always
    sla:
      description: The C(tier), C(rpo_seconds) and C(rto_seconds) that it was judged against.
      type: dict
      returned: always
    open_findings:
      description: The findings that are not closed.
      type: list
      elements: dict
      returned: always
    record_sha256:
      description: SHA-256 of C(record.json).
      type: str
      returned: always
    regions:
      description: Names of the repositories that hold it.
      type: list
      elements: str
      returned: always
    record:
      description: The whole record.
      type: dict
      returned: when O(record=true)
  sample:
    - drill_id: 20261122T020000Z-a1b2c3
      kind: drill
      run_id: 20261122T020000Z-a1b2c3
      cluster: production
      collection: products
      declared_at: "2026-11-22T02:00:00.000000Z"
      scenario: region_lost
      trigger: scheduled
      operator: Ada Lovelace
      verdict: PASS
      rto_seconds: 41.22
      rpo_seconds: 1.4
      sla: {tier: high_availability, rpo_seconds: 60, rto_seconds: 900}
      open_findings: []
      record_sha256: 3ee87790f84c9010bf7c633b952b6a57b2ac027d93bd0b0269c97a6b584ddacf
      regions: [qdrant-backups-eu, qdrant-backups-us]
due:
  description: Protected collections without a drill within O(days), those first whose last one is the longest ago.
  returned: success
  type: list
  elements: str
  sample: [articles]
coverage:
  description:
    - C(protected) collections, the date of the last drill of each within O(days) as C(drilled_within) (or null), and
      C(days).
  returned: success
  type: dict
  sample:
    protected: [articles, products]
    drilled_within: {articles: null, products: "2026-11-22"}
    days: 30
damaged:
  description: Records that cannot be used - their C(region), C(collection), C(drill_id), and the C(reason).
  returned: success
  type: list
  elements: dict
  sample: []
unreachable_regions:
  description: Repositories that could not be read, each with its C(region) and the C(reason).
  returned: success
  type: list
  elements: dict
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: bucket_not_found
    detail: "Cannot list bucket 'backups' at AWS S3 (eu-central-1): the bucket 'backups' does not exist there."
    hint: Create the bucket, or correct bucket, endpoint_url or region.
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

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    collection_names,
    opened_regions,
    repositories_option,
    repository_option,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drills import DrillQuery, list_drills


def query_of(params: dict[str, Any]) -> DrillQuery:
    """What the options ask for. Raises InvalidInput."""
    for name in ("limit", "days"):
        if params[name] is not None and params[name] < 1:
            raise InvalidInput(f"{name} is {params[name]}.", "Give 1 or more.")
    collection = params["collection"] and collection_names([params["collection"]])[0]
    protected = None if params["protected"] is None else wanted_collections(params["protected"])
    return DrillQuery(collection, params["limit"], params["days"], protected, params["record"], params["every_days"])


def drills(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """List the drills as the options say."""
    query = query_of(params)
    with opened_regions([params["repository"]] if params["repository"] else params["repositories"]) as regions:
        return {"changed": False, **list_drills(regions, query, now)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(),
            "repositories": repositories_option(),
            "collection": {"type": "str"},
            "limit": {"type": "int"},
            "days": {"type": "int", "default": 30},
            "every_days": {"type": "int"},
            "protected": {"type": "list", "elements": "str"},
            "record": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("repository", "repositories")],
        required_one_of=[("repository", "repositories")],
        supports_check_mode=True,
    )
    try:
        result = drills(module.params, datetime.now(timezone.utc))
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
