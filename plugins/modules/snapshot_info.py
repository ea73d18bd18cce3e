#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot_info
short_description: List a Qdrant node's own snapshots
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Lists the snapshots that lie on one node, newest first.
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
  collection:
    description: Name of the collection; by default the snapshots of all collections are listed.
    type: str
seealso:
  - module: vectorops.qdrant_dr.snapshot
  - module: vectorops.qdrant_dr.backup_info
"""

EXAMPLES = r"""
- name: See what lies on the node
  vectorops.qdrant_dr.snapshot_info:
    collection: products
  register: products

- name: Fail when the newest snapshot is older than a day
  ansible.builtin.assert:
    that:
      - products.snapshots | length > 0
      - products.snapshots[0].age_seconds < 86400
"""

RETURN = r"""
snapshots:
  description: The snapshots, newest first.
  returned: success
  type: list
  elements: dict
  sample:
    - collection: products
      name: products-1022255288373178-2026-11-22-10-32-45.snapshot
      size: 83456
      created: "2026-11-22T10:32:45Z"
      age_seconds: 17
      checksum: 3ee87790f84c9010bf7c633b952b6a57b2ac027d93bd0b0269c97a6b584ddacf
  contains:
    collection:
      description: Name of its collection.
      type: str
      returned: always
    name:
      description: Its name on the node.
      type: str
      returned: always
    size:
      description: Its size in bytes.
      type: int
      returned: always
    created:
      description: When it was created, in UTC; null when Qdrant does not tell.
      type: str
      returned: always
    age_seconds:
      description: Its age by the node's clock; null when Qdrant does not tell.
      type: int
      returned: always
    checksum:
      description: SHA-256 of its file in hex, or null when Qdrant keeps snapshots on S3.
      type: str
      returned: always
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

from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.snapshot import server_now, snapshot_time
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant


def list_snapshots(qdrant: Qdrant, collection: str | None) -> list[dict[str, Any]]:
    """Return the snapshots of one collection or of all, newest first."""
    now = server_now(qdrant)
    names = qdrant.collections() if collection is None else [collection]
    found = [_entry(name, item, now) for name in names for item in qdrant.snapshots(name)]
    return sorted(found, key=lambda entry: (entry["created"] or "", entry["name"]), reverse=True)


def _entry(collection: str, snapshot: dict[str, Any], now: datetime) -> dict[str, Any]:
    created = snapshot_time(snapshot)
    return {
        "collection": collection,
        "name": snapshot["name"],
        "size": snapshot["size"],
        "created": created and created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "age_seconds": created and max(0, int((now - created).total_seconds())),
        "checksum": snapshot.get("checksum"),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={**QDRANT_SPEC, "collection": {"type": "str"}},
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        snapshots = list_snapshots(Qdrant(qdrant_connection(module.params)), module.params["collection"])
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(changed=False, snapshots=snapshots)


if __name__ == "__main__":
    main()
