#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sla_status
short_description: Judge backups, archived logs, copies, verifications and drills by service levels
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Looks at what all repositories hold of each collection, and judges it by its service level. It is
    C(qdrant-dr status --check) for playbooks.
  - Critical is what is older than the level allows, a verification that found damage, and a drill that failed. A
    warning is what will be critical soon, a region that cannot be read or has no recent backup that was verified, and
    what was never verified or drilled.
  - The module does not fail because of what it finds. Look at RV(status).
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
  sla:
    description:
      - The name of a tier for all collections (V(prototype), V(standard), V(customer_facing), V(high_availability),
        V(mission_critical)), or C(rpo_seconds) and C(rto_seconds), in seconds or as durations such as V(15m).
      - Or a list of entries with C(sla), which is one of these, and C(collections), names or patterns such as
        V(products_*). The first that fits counts. Without C(collections), an entry is for all.
    type: raw
    required: true
  collections:
    description: Names of collections, or V(all) alone for all that have backups in the first repository that answers.
    type: list
    elements: str
    default: [all]
seealso:
  - module: vectorops.qdrant_dr.sla_plan
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.wal_archive_info
"""

EXAMPLES = r"""
- name: Judge all collections
  vectorops.qdrant_dr.sla_status:
    sla: customer_facing
    repositories:
      - {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
      - {bucket: qdrant-backups-us, cluster: production, region: us-east-1}
  register: watched

- name: Stop if one is critical
  ansible.builtin.assert:
    that: watched.status < 2
    fail_msg: "{{ watched.line }}"
"""

RETURN = r"""
status:
  description: V(0) if all is well, V(1) for a warning, V(2) for what is critical.
  returned: success
  type: int
  sample: 0
line:
  description: One sentence that names all that is wrong, what is critical first.
  returned: success
  type: str
  sample: "OK: 2 collections, the oldest backup is 3h 12m old (products)"
collections:
  description: What was seen, by the collection's name.
  returned: success
  type: dict
  sample:
    products:
      newest: 20261122T020000Z-a1b2c3
      age_seconds: 11520.0
      wal_age_seconds: 4.2
      wal_continued: true
      redundancy: 2
      verified_age_seconds: 3600.0
      verification: good
      drill: {drill_id: 20261101T100000Z-d4e5f6, age_seconds: 1800000.0, verdict: PASS}
      findings: []
  contains:
    newest:
      description: Id of the newest committed backup, in whatever region, or null.
      type: str
      returned: always
    age_seconds:
      description: Seconds since the snapshot of that backup began, or null.
      type: float
      returned: always
    wal_age_seconds:
      description: Seconds since the end of what can be restored with the archived log; null where there is none.
      type: float
      returned: always
    wal_continued:
      description: Whether what is written now adds to that.
      type: bool
      returned: always
    ranges:
      description: The ranges of time that can be restored to, by region.
      type: dict
      returned: always
    gaps:
      description: The gaps of the archived log, by region.
      type: dict
      returned: always
    regions:
      description:
        - For each repository its C(name), whether it is C(reachable) or the C(reason) why not, the C(age) of what can
          be restored from there, its C(lag) behind the best region, and C(verified_age), since a good verification.
      type: list
      elements: dict
      returned: always
    redundancy:
      description: In how many regions a recent backup was found good.
      type: int
      returned: always
    verified_age_seconds:
      description: Seconds since a backup was last verified, or null.
      type: float
      returned: always
    verification:
      description: What that found.
      type: str
      returned: always
    drill:
      description: The last drill, or null.
      type: dict
      returned: always
    limits:
      description: The ages, in seconds, that it was judged by. Null for what is not judged.
      type: dict
      returned: always
    findings:
      description: What is wrong - C(level) (V(1) or V(2)), C(what) and C(text).
      type: list
      elements: dict
      returned: always
unreachable_regions:
  description: Repositories that could not be read, and why.
  returned: success
  type: list
  elements: dict
  contains:
    region:
      description: Name of the repository.
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: invalid_input
    detail: sla is 'gold', which is no tier.
    hint: >-
      Give one of prototype, standard, customer_facing, high_availability, mission_critical, or rpo_seconds and
      rto_seconds, or a list of entries with sla and, but for the last, collections.
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
    opened_regions,
    repositories_option,
    repository_option,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import SlaPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.watch import watch_levels


def watched(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Look as the options say."""
    policy, names = SlaPolicy.parse(params["sla"], "sla"), wanted_collections(params["collections"])
    with opened_regions([params["repository"]] if params["repository"] else params["repositories"]) as regions:
        return {"changed": False, **watch_levels(regions, policy, names, now)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(),
            "repositories": repositories_option(),
            "sla": {"type": "raw", "required": True},
            "collections": {"type": "list", "elements": "str", "default": ["all"]},
        },
        mutually_exclusive=[("repository", "repositories")],
        required_one_of=[("repository", "repositories")],
        supports_check_mode=True,
    )
    try:
        result = watched(module.params, datetime.now(timezone.utc))
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
