#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_share
short_description: Store one node's share of the backups of a Qdrant cluster
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Takes a snapshot of each collection on the node, reads it once, compares it with the SHA-256 that Qdrant recorded,
    and uploads the shards that the plan gives to this node, as M(vectorops.qdrant_dr.backup) does with all shards.
    Shards that another node provides are passed over.
  - Then it stores a document that says what it has stored. A backup exists only after
    M(vectorops.qdrant_dr.backup_commit).
  - What fails is removed again, so that another node can take the shards over.
  - Run it on the node itself, on all nodes of the cluster in parallel.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A share that is stored, or belongs to a backup that has committed, is left as it is.
options:
  plans:
    description:
      - RV(vectorops.qdrant_dr.backup_plan#module:plans).
      - Plans that need nothing, or nothing of this node, are passed over.
    type: list
    elements: dict
    required: true
  node:
    description: The node's name in the plans.
    type: str
    required: true
  keep_on_node:
    description: Leave the snapshot on the node after the backup.
    type: bool
    default: false
  storage_path:
    description:
      - Qdrant's storage directory on this host.
      - It tells where the write-ahead log must begin, more precisely than the snapshot itself. It is only read.
    type: path
  snapshots_path:
    description:
      - Qdrant's snapshots directory on this host.
      - A snapshot that can be read there is not sent over HTTP.
    type: path
  probes:
    description:
      - How many searches to record for each vector of the collection. One node of a cluster does that for all.
      - V(0) records none.
    type: int
    default: 10
seealso:
  - module: vectorops.qdrant_dr.backup_plan
  - module: vectorops.qdrant_dr.backup_commit
"""

EXAMPLES = r"""
- name: Store the share of this node
  vectorops.qdrant_dr.backup_share:
    plans: "{{ example_plan.plans }}"
    node: "{{ inventory_hostname }}"
    storage_path: /var/lib/qdrant/storage
    snapshots_path: /var/lib/qdrant/snapshots
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
"""

RETURN = r"""
shares:
  description: One entry for each collection whose share is stored.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup that the share is for.
      type: str
      returned: always
    shards:
      description: The numbers of the shards of this node.
      type: list
      elements: int
      returned: always
    changed:
      description: Whether it was stored, or would be in check mode, by this run.
      type: bool
      returned: always
    size:
      description: Bytes of its shard archives.
      type: int
      returned: when it was stored by this run
    warnings:
      description: What is less than it could be.
      type: list
      elements: str
      returned: always
    leftovers_removed:
      description: What interrupted runs had left, and was removed or would be in check mode.
      type: list
      elements: str
      returned: always
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      shards: [0, 3]
      changed: true
      size: 57078189
      warnings: []
      leftovers_removed: []
failures:
  description: The collections whose share is not stored. The shares of the others are.
  returned: failure, once the options were accepted
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
    detail: "products: Qdrant at http://127.0.0.1:6333 cannot be reached: Connection refused."
    hint: Other nodes can store what is missing, if they have it.
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    repository_option,
    store_location,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup_several import store_shares
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import BackupRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository


def share(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Store the node's shares as the options say."""
    if params["probes"] < 0:
        raise InvalidInput(f"probes is {params['probes']}.", "Give 0 or more.")
    options = BackupRequest(
        "",
        keep_on_node=params["keep_on_node"],
        storage_path=params["storage_path"],
        snapshots_path=params["snapshots_path"],
        probes=params["probes"],
    )
    location = store_location(params["repository"])
    with Qdrant(qdrant_connection(params)) as qdrant, Repository(location) as repository:
        repository.check_access()
        return store_shares(qdrant, repository, params["plans"], params["node"], options, check=check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            "repository": repository_option(required=True),
            "plans": {"type": "list", "elements": "dict", "required": True},
            "node": {"type": "str", "required": True},
            "keep_on_node": {"type": "bool", "default": False},
            "storage_path": {"type": "path"},
            "snapshots_path": {"type": "path"},
            "probes": {"type": "int", "default": 10},
        },
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        result = share(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for entry in result["shares"]:
        for warning in entry["warnings"]:
            module.warn(f"{entry['collection']}: {warning}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
