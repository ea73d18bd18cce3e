#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Read what a Qdrant node says of itself, its cluster and its shards
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Reads the version, the cluster's members and leader, and for each collection the shards of this node, their states
    and sizes, and how many shards are being transferred.
  - The results of all nodes of a cluster are what M(vectorops.qdrant_dr.backup_plan) plans with.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
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
  name:
    description:
      - What to call the node in plans, backups and messages.
      - Each node of a cluster needs its own. The name of the host in the inventory is a good one.
    type: str
    required: true
  collections:
    description:
      - The collections to look at; those that the node does not know are left out.
      - V(all), alone, stands for all collections of the node.
    type: list
    elements: str
    default: [all]
  wait_for_transfers:
    description:
      - So many seconds to wait until no shard of these collections is being transferred.
      - What is so after that time is returned all the same.
    type: float
    default: 0.0
seealso:
  - module: vectorops.qdrant_dr.backup_plan
  - module: vectorops.qdrant_dr.collection_check
"""

EXAMPLES = r"""
- name: Read what each node says
  vectorops.qdrant_dr.node_info:
    name: "{{ inventory_hostname }}"
    collections: [products]
  register: example_facts
"""

RETURN = r"""
node:
  description: What the node says of itself.
  returned: success
  type: dict
  contains:
    name:
      description: What it was called.
      type: str
      returned: always
    url:
      description: Its address as the host sees it.
      type: str
      returned: always
    version:
      description: Its version of Qdrant.
      type: str
      returned: always
    peer_id:
      description: Its number in the cluster.
      type: str
      returned: always
    peers:
      description: The numbers of all members of the cluster; empty on a standalone node.
      type: list
      elements: str
      returned: always
    leader:
      description: The number of the leader that it sees; null where there is none.
      type: int
      returned: always
    unreachable:
      description: Members that it could not reach.
      type: list
      elements: str
      returned: always
    collections:
      description:
        - For each collection the C(shards) here (number, then C(state), C(points), C(bytes), C(shard_key)),
          C(all_shards) of the cluster, C(remote_faults) (replicas elsewhere that this node does not see Active), the
          number of C(transfers), and the C(config_sha256).
        - Or C(error), where the node cannot tell, as when it needs a shard that no reachable node has, or where
          the name is an alias.
      type: dict
      returned: always
  sample:
    name: qdrant-1
    url: http://127.0.0.1:6333
    version: 1.16.3
    peer_id: "1022255288373178"
    peers: ["1022255288373178", "4410998134770231"]
    leader: 1022255288373178
    unreachable: []
    collections: {}
transfers:
  description: How many shards of these collections are being transferred.
  returned: success
  type: int
  sample: 0
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: qdrant_unreachable
    detail: "Qdrant at http://127.0.0.1:6333 cannot be reached: Connection refused."
    hint: Check that Qdrant runs there and that url names its HTTP port (6333 by default).
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import wanted_collections
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.node_facts import (
    read_settled_node,
    transfers,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant


def read(params: dict[str, Any]) -> dict[str, Any]:
    """The facts of the node."""
    if not params["name"]:
        raise InvalidInput("name is empty.", "Call the node as the inventory does.")
    with Qdrant(qdrant_connection(params)) as qdrant:
        names = wanted_collections(params["collections"])
        node = read_settled_node(qdrant, params["name"], names, params["wait_for_transfers"])
    return {"node": node, "transfers": transfers(node)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            "name": {"type": "str", "required": True},
            "collections": {"type": "list", "elements": "str", "default": ["all"]},
            "wait_for_transfers": {"type": "float", "default": 0.0},
        },
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        result = read(module.params)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
