#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot
short_description: Create and delete a Qdrant node's own snapshots
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Creates a snapshot of a collection on one node, or deletes snapshots by name or age.
  - One snapshot is created at a time, and never in the same second as an existing one, because Qdrant overwrites
    a snapshot of the same name.
  - When Qdrant does not answer in O(operation_timeout), the module looks for the snapshot and never asks a second time.
  - A snapshot on the node does not survive the node. Use M(vectorops.qdrant_dr.backup) for a backup.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(state=present) a new snapshot is created on every run unless O(max_age) is set.
options:
  collection:
    description: Name of the collection.
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that there is a snapshot, as new as O(max_age) says.
      - V(absent) deletes the snapshots that O(name) or O(older_than) says.
    type: str
    choices:
      - present
      - absent
    default: present
  max_age:
    description:
      - With O(state=present), create a snapshot only when there is none that is at most this many seconds old.
      - Without it, every run creates a snapshot.
    type: int
  name:
    description: With O(state=absent), the name of the snapshot to delete.
    type: str
  older_than:
    description: With O(state=absent), delete the collection's snapshots that are older than this many seconds.
    type: int
seealso:
  - module: vectorops.qdrant_dr.snapshot_info
  - module: vectorops.qdrant_dr.backup
"""

EXAMPLES = r"""
- name: Have a snapshot that is at most one hour old
  vectorops.qdrant_dr.snapshot:
    url: https://qdrant.example.com:6333
    api_key: "{{ qdrant_api_key }}"
    collection: products
    max_age: 3600

- name: Delete snapshots that are older than a week
  vectorops.qdrant_dr.snapshot:
    collection: products
    state: absent
    older_than: 604800
"""

RETURN = r"""
snapshot:
  description:
    - The snapshot that was created, or that is new enough.
    - Null in check mode when one would be created.
  returned: O(state=present)
  type: dict
  sample:
    name: products-1022255288373178-2026-11-22-10-32-45.snapshot
    size: 83456
    creation_time: "2026-11-22T10:32:45"
    checksum: 3ee87790f84c9010bf7c633b952b6a57b2ac027d93bd0b0269c97a6b584ddacf
  contains:
    name:
      description: Its name on the node.
      type: str
      returned: always
    size:
      description: Its size in bytes.
      type: int
      returned: always
    creation_time:
      description: When its file was created, in UTC.
      type: str
      returned: always
    checksum:
      description: SHA-256 of its file in hex, or null when Qdrant keeps snapshots on S3.
      type: str
      returned: always
seconds:
  description: How long the creation took.
  returned: when a snapshot was created
  type: float
  sample: 4.2
polled:
  description: Whether the snapshot had to be looked for, because Qdrant did not answer in time.
  returned: when a snapshot was created
  type: bool
  sample: false
deleted:
  description: Names of the snapshots that were deleted, or would be in check mode, oldest first.
  returned: O(state=absent)
  type: list
  elements: str
  sample:
    - products-1022255288373178-2026-11-01-02-00-00.snapshot
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

from datetime import timedelta
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import (
    create_snapshot,
    delete_snapshots,
    newest_snapshot,
    old_snapshots,
    refuse_alias,
    server_now,
    snapshot_time,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant


def present(qdrant: Qdrant, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Have a snapshot that is new enough."""
    collection, max_age = params["collection"], params["max_age"]
    refuse_alias(qdrant.aliases(), collection)
    existing = qdrant.snapshots(collection)
    newest = newest_snapshot(existing)
    if newest and max_age is not None:
        taken = snapshot_time(newest)
        if taken and server_now(qdrant) - taken <= timedelta(seconds=max_age):
            return {"changed": False, "snapshot": newest, "diff": _diff(existing, existing)}
    if check_mode:
        return {"changed": True, "snapshot": None, "diff": _diff(existing, [*existing, {"name": "a new snapshot"}])}
    snapshot, info = create_snapshot(qdrant, collection)
    return {
        "changed": True,
        "snapshot": snapshot,
        "seconds": info["seconds"],
        "polled": info["polled"],
        "diff": _diff(existing, [*existing, snapshot]),
    }


def absent(qdrant: Qdrant, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Delete one snapshot by name, or all that are too old."""
    collection = params["collection"]
    existing = qdrant.snapshots(collection)
    if params["name"] is not None:
        names = [item["name"] for item in existing if item["name"] == params["name"]]
    else:
        names = [item["name"] for item in old_snapshots(existing, server_now(qdrant), params["older_than"])]
    deleted = names if check_mode else delete_snapshots(qdrant, collection, names)
    left = [item for item in existing if item["name"] not in deleted]
    return {"changed": bool(deleted), "deleted": deleted, "diff": _diff(existing, left)}


def _diff(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, str]:
    return {
        name: "".join(sorted(item["name"] + "\n" for item in items))
        for name, items in [("before", before), ("after", after)]
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            "collection": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "max_age": {"type": "int"},
            "name": {"type": "str"},
            "older_than": {"type": "int"},
        },
        required_by=QDRANT_REQUIRED_BY,
        required_if=[("state", "absent", ("name", "older_than"), True)],
        mutually_exclusive=[("max_age", "name", "older_than")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["state"] == "present" and (params["name"] is not None or params["older_than"] is not None):
            raise InvalidInput("name and older_than go with state=absent; Qdrant names new snapshots itself.")
        act = present if params["state"] == "present" else absent
        result = act(Qdrant(qdrant_connection(params)), params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
