#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_recover
short_description: Remove what killed recovery drills have left, and complete their records
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - A drill that was killed cannot clean up, nor say so. This module reads the journals that
    M(vectorops.qdrant_dr.drill) has kept on this host, removes the scratch collections of those whose process has
    ended, and the directories of their ephemeral targets, and returns their records, which say V(FAIL) and the stage.
  - A drill that ended, but whose report nobody has stored, is returned as it is.
  - It also reads those of M(vectorops.qdrant_dr.failover). Of a failover or a failback that was killed nothing is
    removed, since what it has restored may serve already. The record names it. What bears the mark of a restore serves
    nobody, and the next run to the same name removes it.
  - The journals stay. Store the reports by M(vectorops.qdrant_dr.drill_report), then remove the files, as the role
    C(vectorops.qdrant_dr.qdrant_drill) does.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  journal:
    description: The directory of the journals on this host. One that does not exist has none.
    type: path
    required: true
  cluster:
    description: Only drills of the cluster with this name in the repositories. By default of all.
    type: str
notes:
  - O(url) is a node of the target of the killed drills. Of a drill that went to another one, only the record is
    returned; the next drill there removes what is left.
seealso:
  - module: vectorops.qdrant_dr.drill
  - module: vectorops.qdrant_dr.drill_report
  - module: vectorops.qdrant_dr.failover
"""

EXAMPLES = r"""
- name: See whether a drill was killed
  vectorops.qdrant_dr.drill_recover:
    url: https://standby.example.org:6333
    api_key: "{{ standby_key }}"
    journal: ~/.local/state/qdrant-dr/drills
  register: killed

- name: Store their reports
  vectorops.qdrant_dr.drill_report:
    record: "{{ item }}"
    repositories:
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
  loop: "{{ killed.records }}"
  loop_control:
    label: "{{ item.drill_id }}"
"""

RETURN = r"""
records:
  description:
    - The records of the drills that are over and have no report, oldest first, as M(vectorops.qdrant_dr.drill) returns
      them. Of one that was killed C(verdict) is V(FAIL), C(failure.code) V(interrupted), and C(failed_stage) the stage.
  returned: success
  type: list
  elements: dict
  sample:
    - drill_id: 20261122T020000Z-a1b2c3
      collection: products
      verdict: FAIL
      failed_stage: restore
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: invalid_input
    detail: "url is 'standby', which is no address."
    hint: Give one such as https://standby.example.org:6333.
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

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_journal import close_journals
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant


def recover(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Clean up after the drills that were killed, as the options say."""
    with Qdrant(qdrant_connection(params)) as node:
        records = list(close_journals(Path(params["journal"]), node, params["cluster"], dry=check_mode))
    return {"changed": bool(records), "records": records}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**QDRANT_SPEC, "journal": {"type": "path", "required": True}, "cluster": {"type": "str"}},
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        result = recover(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
