#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_due
short_description: Tell which collections are due for a recovery drill
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Reads the records of drills in the repositories of all regions, and tells which collections a run has to take, so
    that each is drilled within so many days. These are first those that never were, then those whose last drill is the
    longest ago.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.regions
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
  collections:
    description: Names of the collections, or V(all) for every one that has a backup.
    type: list
    elements: str
    default: [all]
  within_days:
    description: Every collection has to be drilled within so many days.
    type: int
    default: 30
  every_days:
    description: How often there is a run, in days. So a run takes the share C(every_days / within_days) of them.
    type: int
    default: 1
seealso:
  - module: vectorops.qdrant_dr.drill
  - module: vectorops.qdrant_dr.drill_info
"""

EXAMPLES = r"""
- name: See which collections the weekly run has to drill
  vectorops.qdrant_dr.drill_due:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
    within_days: 30
    every_days: 7
  register: drills
"""

RETURN = r"""
due:
  description: The collections that this run has to drill.
  returned: success
  type: list
  elements: str
  sample: [products]
late:
  description: The collections that were not drilled within the days.
  returned: success
  type: list
  elements: str
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    opened_regions,
    repositories_option,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_history import due_collections
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.share import utc_now


def chosen(params: dict[str, Any]) -> dict[str, Any]:
    """Look at the records as the options say."""
    names = wanted_collections(params["collections"])
    with opened_regions(params["repositories"]) as regions:
        found = due_collections(regions, names, params["within_days"], params["every_days"], utc_now())
    return {"changed": False, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repositories": repositories_option(required=True),
            "collections": {"type": "list", "elements": "str", "default": ["all"]},
            "within_days": {"type": "int", "default": 30},
            "every_days": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    try:
        result = chosen(module.params)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
