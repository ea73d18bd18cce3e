#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill
short_description: Restore a Qdrant collection into scratch, measure it, and judge it by its service level
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Does what has to be done in a disaster, on a cluster that is not production, and removes it again. It proves that
    the target is isolated, finds the backup from the buckets alone, restores it to a scratch collection, replays the
    archived log, compares what came back, asks the first query, and then tries what must be refused.
  - The recovery time runs from O(declared_at) to the first right answer. Controls and the cleaning up do not count.
  - The recovery point is O(failure_at) minus the time up to which nothing is missing. Of an archived log that is known;
    a backup alone has at least what was written before its snapshot began.
  - A target that is production is refused before anything is done. It is recognized by addresses, by the ids of
    processes and peers, also by those that the backup is from, and by whether O(source) takes the target's key. That
    is tried with a change of a collection that does not exist and with the deletion of no points from a shard key that
    does not exist, which change nothing.
  - The drill never sets an alias and never writes to a repository. M(vectorops.qdrant_dr.drill_report)
    stores its record.
  - A drill that breaks removes what it has made, and RV(record) names the stage. One that was killed leaves a scratch
    collection with a mark, which the next drill removes, on another host after 24 hours.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.recovering
  - vectorops.qdrant_dr.recovering.node
  - vectorops.qdrant_dr.repository.sources
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run is a drill.
options:
  collection:
    description: Name of the collection in the repository.
    type: str
    required: true
  sla:
    required: true
  scenario:
    description:
      - What is supposed to have happened.
      - With V(region_lost) the first of O(sources) is not reached. With V(first_copy_corrupted) a byte of every part
        that is read from it is flipped. Both need a second one.
      - V(bad_deploy) needs O(to_time).
    type: str
    choices: [collection_lost, node_lost, cluster_lost, region_lost, bad_deploy, first_copy_corrupted]
    default: collection_lost
  failure_at:
    description:
      - When it happened. By default O(declared_at), and with V(bad_deploy) O(to_time).
    type: str
  operator:
    description: Who runs the drill. By default the user of the module's process.
    type: str
  trigger:
    description: Whether somebody has started it, or a schedule.
    type: str
    choices: [manual, scheduled]
    default: manual
  run_id:
    description: The same for all drills of one run. By default that of the drill.
    type: str
  together:
    description: The collections that are drilled in the same run. They count as drilled.
    type: list
    elements: str
    default: []
  broke:
    description:
      - Why the caller could not prepare the drill, such as provision the target, in a sentence. Then nothing is
        touched, and there is only the record of a drill that failed.
    type: str
  commands:
    description: What to call to repeat the drill, without secrets. It goes into the record.
    type: list
    elements: str
    default: []
  target:
    description:
      - Name of the scratch collection. By default that of the collection with C(-drill) behind it.
      - The controls use the same name with C(-control) behind it.
    type: str
  target_kind:
    description:
      - What the target is, for the record.
      - With V(ephemeral) the module starts O(binary) as the target, in place of O(url), on free ports of 127.0.0.1 and
        with a random key, and removes it at the end. It ends with the module, also where that is killed; the next one
        removes what it has left on the disk.
    type: str
    choices: [standby, fresh, ephemeral]
    default: standby
  binary:
    description: The program of Qdrant on this host, for a target that is V(ephemeral).
    type: path
  scratch_path:
    description:
      - The directory on this host where a target that is V(ephemeral) keeps its data, which needs about three times
        the room of the backup. By default the one for temporary files.
    type: path
  source:
    description:
      - A node of production, to prove that the target is another cluster, and to compare with. Only reading is
        needed, with a key that may no more than that. Without it less can be proved, which is a finding.
  source_quiet:
    description:
      - Nothing has been written to O(source) since the moment that comes back, so that count, digest and samples must
        be the same. The digest reads all points of both.
    type: bool
    default: false
  shared_credentials:
    description: Make it a finding, not a failure, that O(source) takes the target's key.
    type: bool
    default: false
  expect_digest:
    description:
      - The digest that the points must have, as M(vectorops.qdrant_dr.collection_check) returned it.
      - Without it, that every part has matched its SHA-256 in the manifest is the proof.
    type: str
  min_copies:
    default: 2
  within_days:
    description: Every collection in O(sources) has to be drilled within so many days. One that was not is a finding.
    type: int
    default: 30
  fail_on_verdict:
    description:
      - Whether the module fails where the verdict is V(FAIL).
      - By default it does not, so that a playbook can store the record first. The role
        C(vectorops.qdrant_dr.qdrant_drill) does so, and fails afterwards.
    type: bool
    default: false
seealso:
  - module: vectorops.qdrant_dr.drill_info
  - module: vectorops.qdrant_dr.drill_recover
  - module: vectorops.qdrant_dr.drill_report
  - module: vectorops.qdrant_dr.restore
  - module: vectorops.qdrant_dr.sla_plan
"""

EXAMPLES = r"""
- name: Drill the loss of the first region on the standby cluster
  vectorops.qdrant_dr.drill:
    url: https://standby.example.org:6333
    api_key: "{{ standby_key }}"
    collection: products
    sla: high_availability
    scenario: region_lost
    sources:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
    source:
      url: https://qdrant.example.org:6333
      api_key: "{{ production_read_key }}"
  register: drilled

- name: Say what came of it
  ansible.builtin.debug:
    msg: "{{ drilled.record.verdict }}: RTO {{ drilled.record.rto_seconds }} s, RPO {{ drilled.record.rpo_seconds }} s"
"""

RETURN = r"""
record:
  description:
    - The whole record of the drill, one JSON document of schema 1. It has, among others, C(verdict) (V(PASS),
      V(PASS WITH FINDINGS) or V(FAIL)), C(rto_seconds), C(rpo_seconds), C(stages), C(isolation), C(integrity),
      C(controls), C(cleanup) and C(findings), and of a drill that broke C(failed_stage) and C(failure).
  returned: success, not in check mode, or failure of the verdict
  type: dict
  sample:
    drill_id: 20261122T020000Z-a1b2c3
    collection: products
    verdict: PASS
    rto_seconds: 41.2
    rpo_seconds: 1.4
    failed_stage: null
    findings: []
plan:
  description: What would be drilled. C(plan) is what M(vectorops.qdrant_dr.restore) returns in check mode.
  returned: success, in check mode
  type: dict
  sample:
    collection: products
    target: products-drill
    isolation: []
    regions: []
    detail: Backup 20261122T020000Z-a1b2c3, 171234567 bytes.
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: drill_failed
    detail: "The drill of products failed: The recovery took 71.0 s, and the RTO allows 60 s."
    hint: The record says more.
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import QDRANT_REQUIRED_BY, QDRANT_SPEC
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.drill_options import (
    DRILL_REQUIRED_IF,
    DRILL_SPEC,
    drill_of,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.clock import utc_now
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import (
    drill,
    plan_drill,
    require_verdict,
)


def run(params: dict[str, Any], check_mode: bool, ansible_version: str) -> dict[str, Any]:
    """Drill as the options say."""
    with drill_of(params, utc_now(), ansible_version) as (nodes, regions, request):
        if check_mode:
            return {"changed": True, "plan": plan_drill(nodes, regions, request)}
        record = drill(nodes, regions, request)
    if params["fail_on_verdict"]:
        require_verdict(record)
    return {"changed": True, "record": record}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**QDRANT_SPEC, **DRILL_SPEC},
        required_by=QDRANT_REQUIRED_BY,
        required_if=DRILL_REQUIRED_IF,
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode, module.ansible_version)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
