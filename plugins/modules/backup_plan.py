#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_plan
short_description: Plan which node of a Qdrant cluster backs up which shards
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Chooses one Active replica for every shard, so that the work of the busiest node is small. What it costs a node to
    create a snapshot of shards that others provide is weighed.
  - Refuses, with all reasons, where a shard has no Active replica, the nodes are not one cluster with a quorum, names
    or versions do not fit, or shards are being transferred.
  - Nothing is changed. M(vectorops.qdrant_dr.backup_share) carries a plan out, M(vectorops.qdrant_dr.backup_commit)
    makes it a backup.
extends_documentation_fragment:
  - vectorops.qdrant_dr.backup_type
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - Nothing is ever changed.
  idempotent:
    support: full
options:
  nodes:
    description: RV(vectorops.qdrant_dr.node_info#module:node) of every node that answered.
    type: list
    elements: dict
    required: true
  collections:
    description:
      - Names of the collections.
      - V(all), alone, stands for all collections that any of the nodes knows.
    type: list
    elements: str
    default: [all]
  exclude:
    description: Names of nodes that shall store nothing.
    type: list
    elements: str
    default: []
  max_age:
    description:
      - Plan no backup of a collection that has a committed one younger than this.
      - A number of seconds, or a number with one of the units C(s), C(m), C(h), C(d) and C(w).
    type: str
  missing:
    description:
      - Plan a further attempt for these shards of backups that have begun, instead of new backups of O(collections).
      - This is RV(vectorops.qdrant_dr.backup_commit#module:missing).
      - The nodes that should have stored them are left out.
    type: dict
  plans:
    description: With O(missing), RV(all_plans) of the attempt before.
    type: list
    elements: dict
    default: []
seealso:
  - module: vectorops.qdrant_dr.node_info
  - module: vectorops.qdrant_dr.backup_share
  - module: vectorops.qdrant_dr.backup_commit
"""

EXAMPLES = r"""
- name: Plan the backup of all collections of a cluster
  vectorops.qdrant_dr.backup_plan:
    nodes: "{{ ansible_play_hosts | map('extract', hostvars) | map(attribute='example_facts.node') }}"
    collections: [all]
    max_age: 24h
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
  run_once: true
  register: example_plan
"""

RETURN = r"""
plans:
  description: One plan for each collection that can be backed up.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    needed:
      description: Whether a backup is needed.
      type: bool
      returned: always
    reason:
      description: Why, or why not.
      type: str
      returned: always
    backup_id:
      description: The backup to be made, or in whose favour none is made.
      type: str
      returned: always
    attempt:
      description: V(0), or how often missing shards were given to other nodes.
      type: int
      returned: always
    started:
      description: When this attempt was planned, in UTC.
      type: str
      returned: always
    type:
      description: V(full) or V(incremental), which V(auto) was decided to be.
      type: str
      returned: always
    shares:
      description: The shards that each node has to store.
      type: dict
      returned: always
    all_shards:
      description: The numbers of all shards of the collection.
      type: list
      elements: int
      returned: always
    warnings:
      description: What is not as it should be, such as a clock that is minutes off.
      type: list
      elements: str
      returned: always
  sample:
    - collection: products
      needed: true
      reason: there is no committed backup yet
      backup_id: 20261122T020000Z-a1b2c3
      attempt: 0
      started: "2026-11-22T02:00:00.000Z"
      type: full
      shares:
        qdrant-1: [0, 3]
        qdrant-2: [1, 2]
      all_shards: [0, 1, 2, 3]
      warnings: []
all_plans:
  description: RV(plans) behind those of the attempts before, which is what M(vectorops.qdrant_dr.backup_commit) takes.
  returned: always, once the options were accepted
  type: list
  elements: dict
  sample: []
failures:
  description: The collections that cannot be backed up now. The others have their plan.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    failure:
      description: The C(code), C(detail) and C(hint) of this one.
      type: dict
      returned: always
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: partly_failed
    detail: "products: products cannot be backed up: shard 3 has no Active replica on a usable node (qdrant-2: Dead)."
    hint: The other collections have their plan.
  contains:
    code:
      description: Stable name of the kind of failure; V(partly_failed) where RV(failures) says which.
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
    repository_option,
    store_location,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.backup_options import TYPE_SPEC, type_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_duration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup import PlanRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup_several import (
    further_requests,
    plan_several,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository


def requests_of(params: dict[str, Any]) -> list[PlanRequest]:
    """One request for each collection that the options name. Raises InvalidInput."""
    exclude = frozenset(params["exclude"])
    if params["missing"] is not None:
        return further_requests(params["plans"], params["missing"], exclude)
    max_age = None if params["max_age"] is None else parse_duration(params["max_age"], "max_age")
    names = wanted_collections(params["collections"])
    if names is None:
        names = sorted({name for node in params["nodes"] for name in node.get("collections", {})})
    return [PlanRequest(name, max_age, exclude, **type_of(params)) for name in names]


def plan(params: dict[str, Any]) -> dict[str, Any]:
    """Plan as the options say."""
    requests = requests_of(params)
    with Repository(store_location(params["repository"])) as repository:
        repository.check_access()
        return plan_several(repository, params["nodes"], requests, params["plans"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(required=True),
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "collections": {"type": "list", "elements": "str", "default": ["all"]},
            "exclude": {"type": "list", "elements": "str", "default": []},
            **TYPE_SPEC,
            "max_age": {"type": "str"},
            "missing": {"type": "dict"},
            "plans": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        result = plan(module.params)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for entry in result["plans"]:
        for warning in entry["warnings"]:
            module.warn(f"{entry['collection']}: {warning}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
