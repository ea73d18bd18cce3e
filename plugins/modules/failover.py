#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: failover
short_description: Recover Qdrant collections to the cluster that will serve them, check them, and set their aliases
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - The real thing, on the same road as M(vectorops.qdrant_dr.drill). A failover restores to a standby what a lost
    cluster had; a failback backs the standby up, and brings home what was written since.
  - Every collection is restored to the newest moment that there is, and checked as a drill does, before anything is
    published. Then the aliases of all are switched in one atomic change. What was restored stays.
  - No collection that exists is overwritten. A name that is taken is refused, and O(targets) gives another one.
  - A failover goes nowhere unless the old cluster is fenced, by what O(fence_proof) tells or by the word of the
    operator in O(fence_confirmed).
  - A failback goes nowhere unless home is proven empty (none of its nodes has any of the collections or their
    aliases) or O(fence_proof) tells what proves that it is fenced. A word is not enough.
  - In a failback all points must be the same as in O(source). So its writes have to be stopped before.
  - What breaks is in the record of each collection, with its stage, and nothing is published. What was restored by then
    bears the mark of a restore, and the next run removes it.
  - Use it by the playbooks C(vectorops.qdrant_dr.failover) and C(vectorops.qdrant_dr.failback), which ask for a
    confirmation, run hooks, and store the reports.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.recovering
  - vectorops.qdrant_dr.recovering.cluster
  - vectorops.qdrant_dr.repository.recovery
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run is a recovery. A second one is refused, since the names are taken.
options:
  kind:
    description: Whether it goes to a standby or home.
    type: str
    choices: [failover, failback]
    default: failover
  state:
    description:
      - V(recovered) recovers, checks and sets aliases. It needs O(sources) and O(sla).
      - V(concluded) judges O(records) after users were directed to the target, and touches nothing but O(journal).
    type: str
    choices: [recovered, concluded]
    default: recovered
  collections:
    description:
      - Names of the collections.
      - V(all), alone, stands for all that O(sources) have a backup of, and in a failback for all that O(source) has.
    type: list
    elements: str
    default: [all]
  targets:
    description: Other names for the restored collections, by those of the collections. By default they keep theirs.
    type: dict
    default: {}
  scenario:
    description: What has happened. In a failback, what had happened before.
    type: str
    choices: [collection_lost, node_lost, cluster_lost, region_lost, bad_deploy]
    default: cluster_lost
  failure_at:
    description:
      - When the failure happened, and in a failback when writes were stopped. By default O(declared_at), and with
        O(scenario=bad_deploy) O(to_time).
    type: str
  operator:
    description: Who declares it. By default the user of the module's process.
    type: str
  run_id:
    description: The same for all records of one run. By default each has its own.
    type: str
  commands:
    description: What was called, without secrets. It goes into the records.
    type: list
    elements: str
    default: []
  source:
    description:
      - In a failover a node of the old cluster, to prove that the target is another one. It need not answer.
      - In a failback a node of the cluster that serves now, with a key that may create snapshots of it. Needed then.
  target_kind:
    description: What the target of a failover is, for the records. V(fresh) are hosts that were made for it.
    type: str
    choices: [standby, fresh]
    default: standby
  backup:
    description:
      - Whether a failback first backs O(source) up, and restores just that backup.
      - Otherwise it takes the newest moment that O(sources) have, such as by an archived log.
    type: bool
    default: true
  fence_proof:
    description: What shows that no client reaches the old cluster any more, in words. It goes into the records.
    type: str
  fence_confirmed:
    description: The operator says that the old cluster is fenced. Enough for a failover, where it is a finding.
    type: bool
    default: false
  fence_planned:
    description: With this, check mode plans as if O(fence_proof) had been given. Otherwise it is ignored.
    type: bool
    default: false
  stages:
    description: What was done before, for the records.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it was.
        type: str
        choices: [prepare, fence, stop_writes, backup]
        required: true
      begun:
        description: When it began (ISO 8601).
        type: str
        required: true
      ended:
        description: When it ended.
        type: str
        required: true
      outcome:
        description: Whether it went well.
        type: str
        choices: [done, failed]
        default: done
      detail:
        description: What there is to say of it.
        type: str
        default: ""
  broke:
    description:
      - With O(state=recovered), why O(broke_stage) broke, in a sentence. Then nothing is touched, and there are only
        records of a failure.
      - With O(state=concluded), why users could not be directed to the target.
    type: str
  broke_stage:
    description: The stage of the caller that broke.
    type: str
    choices: [prepare, fence, stop_writes, backup]
    default: prepare
  min_copies:
    default: 1
  records:
    description: What O(state=recovered) returned. Needed with O(state=concluded).
    type: list
    elements: dict
  hook:
    description:
      - With O(state=concluded), what has directed users to the target, in words.
      - Without it nothing had to be done, and the recovery time ended with the aliases.
    type: str
seealso:
  - module: vectorops.qdrant_dr.drill
  - module: vectorops.qdrant_dr.drill_report
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: Recover to the standby what the lost cluster had
  vectorops.qdrant_dr.failover:
    url: https://standby.example.org:6333
    api_key: "{{ standby_key }}"
    sla: high_availability
    reason: The first region is down.
    fence_proof: The security group of the old cluster has no rule any more.
    sources:
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
  register: recovered

- name: Store the reports
  vectorops.qdrant_dr.drill_report:
    record: "{{ item }}"
    repositories:
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
  loop: "{{ recovered.records }}"
  loop_control:
    label: "{{ item.collection }}"
"""

RETURN = r"""
records:
  description:
    - The record of each collection, as M(vectorops.qdrant_dr.drill) returns one, whose C(kind) says what it is.
  returned: success, not in check mode
  type: list
  elements: dict
  sample:
    - drill_id: 20261122T020000Z-a1b2c3
      collection: products
      verdict: PASS
      rto_seconds: 41.2
      rpo_seconds: 1.4
      failed_stage: null
      findings: []
plan:
  description:
    - What would be done. C(names) of the collections, C(collections) with the moment and the aliases of each, and
      C(announcement), the lines that somebody has to confirm.
  returned: success, in check mode
  type: dict
  sample:
    names: [products]
    collections: []
    announcement: [FAILOVER of cluster production]
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: not_fenced
    detail: http://127.0.0.1:6333 still holds products, and nothing proves that it is fenced.
    hint: Nothing was changed. Delete that there, or fence it by a hook that says what proves it.
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

from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import QDRANT_REQUIRED_BY, QDRANT_SPEC
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.failover_options import FAILOVER_SPEC, failover_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_journal import note_concluded
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.failover import conclude, fail_over
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.failover_plan import plan_failover


def run(params: dict[str, Any], check_mode: bool, now: datetime, ansible_version: str) -> dict[str, Any]:
    """Recover or conclude as the options say."""
    if params["state"] == "concluded":
        records = conclude(params["records"], params["hook"], params["broke"], params["min_copies"], now)
        if params["journal"] and not check_mode:
            note_concluded(Path(params["journal"]), records)
        return {"changed": False, "records": records}
    with failover_of(params, now, ansible_version) as (nodes, regions, request):
        if check_mode:
            return {"changed": True, "plan": plan_failover(nodes, regions, request)}
        return {"changed": True, "records": fail_over(nodes, regions, request)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**QDRANT_SPEC, **FAILOVER_SPEC},
        required_by=QDRANT_REQUIRED_BY,
        required_if=[("state", "recovered", ["sources", "sla"]), ("state", "concluded", ["records"])],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode, utc_now(), module.ansible_version)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
