#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_commit
short_description: Commit the backups of a Qdrant cluster whose shards are all stored
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Puts the shares that the nodes have stored together, checks that every shard is there exactly once, of the same
    configuration and version, that every object is in the store, and writes the manifest. Before, the backup does not
    exist.
  - What nodes that were given up have left in the backup's folder is removed.
  - It needs the repository alone, and runs on any host.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  plans:
    description:
      - RV(vectorops.qdrant_dr.backup_plan#module:all_plans) of the last attempt.
      - Plans that need no backup are passed over.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) commits each backup whose shards are all stored.
      - V(absent) removes what the backups that did not commit have stored. Committed ones stay.
    type: str
    choices: [present, absent]
    default: present
  allow_missing:
    description: Whether missing shards are no error, because other nodes can still store them.
    type: bool
    default: false
seealso:
  - module: vectorops.qdrant_dr.backup_plan
  - module: vectorops.qdrant_dr.backup_share
  - module: vectorops.qdrant_dr.backup_info
"""

EXAMPLES = r"""
- name: Commit what is whole
  vectorops.qdrant_dr.backup_commit:
    plans: "{{ example_plan.all_plans }}"
    allow_missing: true
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
  run_once: true
  register: example_commit

- name: Remove what did not become a backup
  vectorops.qdrant_dr.backup_commit:
    plans: "{{ example_plan.all_plans }}"
    state: absent
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
  run_once: true
"""

RETURN = r"""
backups:
  description: The committed backups of the plans.
  returned: with O(state=present), once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup.
      type: str
      returned: always
    created:
      description: Whether it was committed, or would be in check mode, by this run.
      type: bool
      returned: always
    reason:
      description: Why the backup was needed.
      type: str
      returned: always
    size:
      description: Bytes of its shard archives.
      type: int
      returned: when it is committed
    shards:
      description: Number of its shards.
      type: int
      returned: when it is committed
    points:
      description: Exact number of points C(before) and C(after) the snapshots.
      type: dict
      returned: when it is committed
    window:
      description: When it was C(started) and C(finished), and between which times its snapshots were taken, in UTC.
      type: dict
      returned: when it is committed
    encryption:
      description: The encryption that the stored objects show.
      type: list
      elements: str
      returned: when it is committed
    client_encryption:
      description: The master keys that it was encrypted with before it was sent; empty if it was not.
      type: list
      elements: str
      returned: when it is committed
    manifest_sha256:
      description: SHA-256 of the manifest, the same in every region.
      type: str
      returned: when it is committed
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      created: true
      reason: there is no committed backup yet
      size: 171234567
      shards: 4
missing:
  description: The shards that no node has stored, for each collection that lacks some.
  returned: with O(state=present), once the options were accepted
  type: dict
  sample: {}
removed:
  description: What was removed, or would be in check mode.
  returned: with O(state=absent)
  type: list
  elements: str
  sample: []
failures:
  description: The collections whose backup did not commit.
  returned: with O(state=present), once the options were accepted
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
    detail: "products: no node has stored shard 3."
    hint: The other backups are committed.
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
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.cluster_backup_several import (
    abandon_several,
    commit_several,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository


def settle(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Commit or remove, as the options say."""
    with Repository(store_location(params["repository"])) as repository:
        if params["state"] == "absent":
            return abandon_several(repository, params["plans"], check=check_mode)
        return commit_several(repository, params["plans"], params["allow_missing"], check=check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(required=True),
            "plans": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "allow_missing": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = settle(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
