#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_report
short_description: Write the report of a recovery drill
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Writes the record of a drill as a page of HTML that needs nothing else, as Markdown and as JSON, each with its
    SHA-256, into repositories and into a local directory.
  - In each repository this is below C(prefix/cluster/collection/drills/drill_id/). The record is stored last, and only
    where there is none yet. Nothing of a drill is ever changed, and no prune removes one. A bucket that locks new
    objects locks these as well.
  - The record is completed by the drills of the collection before it. Findings that are still open are carried over,
    and their figures make the charts.
  - With O(state=index) it writes the page that lists the drills of all collections instead.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.drills
requirements:
  - Jinja2 >= 3.1 (the controller has it)
  - cryptography >= 42 with O(signature_key)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  record:
    description:
      - The record of the drill, as docs/drill_report.md describes it. Required with O(state=present).
    type: dict
  state:
    description:
      - V(present) writes the report of the drill in O(record).
      - V(index) writes C(prefix/cluster/drills.html), which lists all drills of the cluster, and has filters. Without
        O(repositories) it lists those whose reports are in O(directory), and the collections that had a backup when the
        newest of them was done.
    type: str
    choices: [present, index]
    default: present
  directory:
    description:
      - A directory on the host that runs the module, for the same files in the same folders
        (C(collection/drills/drill_id/), and C(drills.html)).
    type: path
  close:
    description: Ids of open findings that this drill closes.
    type: list
    elements: str
    default: []
  signature_key:
    description:
      - A file with a private key of Ed25519 in PEM format, without a passphrase. With it, the signature of
        C(record.json) is stored as C(record.json.sig).
      - To verify it, run C(openssl pkeyutl -verify -pubin -inkey drill.pub -rawin -in record.json -sigfile
        record.json.sig).
    type: path
  days:
    description: With O(state=index), within how many days each collection that has a backup should be drilled.
    type: int
    default: 30
seealso:
  - module: vectorops.qdrant_dr.drill_info
"""

EXAMPLES = r"""
- name: Write the report of a drill
  vectorops.qdrant_dr.drill_report:
    record: "{{ drill_record }}"
    directory: reports
    repositories:
      - {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
      - {bucket: qdrant-backups-us, cluster: production, region: us-east-1}
  delegate_to: localhost

- name: List all drills on one page
  vectorops.qdrant_dr.drill_report:
    state: index
    directory: reports
    repositories:
      - {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
  delegate_to: localhost
"""

RETURN = r"""
drill_id:
  description: The drill's id.
  returned: with O(state=present), once the record was accepted
  type: str
  sample: 20261122T020000Z-a1b2c3
collection:
  description: The collection's name.
  returned: with O(state=present), once the record was accepted
  type: str
  sample: products
verdict:
  description: The verdict of the completed record. V(PASS) becomes V(PASS WITH FINDINGS) by an open finding.
  returned: with O(state=present), once the record was accepted
  type: str
  sample: PASS WITH FINDINGS
open_findings:
  description: The findings that are not closed, with those that were carried over.
  returned: with O(state=present), once the record was accepted
  type: list
  elements: dict
  sample: []
record:
  description: The completed record, as it is stored.
  returned: with O(state=present), once the record was accepted
  type: dict
regions:
  description: The repositories that hold the record, or the page with O(state=index).
  returned: success, or failure of some of them
  type: list
  elements: dict
  contains:
    region:
      description: Name of the repository.
      type: str
      returned: always
    url:
      description: The URL of the record, or of the page.
      type: str
      returned: always
    stored:
      description: Whether it was stored by this run, or would be in check mode. Otherwise it was there.
      type: bool
      returned: always
  sample:
    - region: qdrant-backups-eu
      url: s3://qdrant-backups-eu/production/products/drills/20261122T020000Z-a1b2c3/record.json
      stored: true
files:
  description: Paths of the local files, or what they would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [reports/products/drills/20261122T020000Z-a1b2c3/report.html]
sha256:
  description: SHA-256 of each file, by its name.
  returned: success
  type: dict
  sample:
    record.json: 3ee87790f84c9010bf7c633b952b6a57b2ac027d93bd0b0269c97a6b584ddacf
drills:
  description: How many drills are listed.
  returned: success with O(state=index)
  type: int
  sample: 36
due:
  description: Collections without a drill within O(days), those first whose last one is the longest ago.
  returned: success with O(state=index)
  type: list
  elements: str
  sample: [articles]
damaged:
  description: Records that cannot be used - their C(region), C(collection), C(drill_id), and the C(reason).
  returned: success with O(state=index)
  type: list
  elements: dict
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: object_exists
    detail: "s3://backups/production/products/drills/20261122T020000Z-a1b2c3/record.json is there already, with another
      content."
    hint: Nothing was overwritten.
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

from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    opened_regions,
    repositories_option,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_report import (
    ReportOptions,
    report_drill,
    report_index,
)


def write(params: dict[str, Any], check: bool, now: datetime) -> dict[str, Any]:
    """Write the report, or the index, as the options say."""
    directory = None if params["directory"] is None else Path(params["directory"])
    if directory is None and not params["repositories"]:
        raise InvalidInput("There is nowhere to write to.", "Give repositories, or a directory, or both.")
    with ExitStack() as stack:
        regions = stack.enter_context(opened_regions(params["repositories"])) if params["repositories"] else []
        if params["state"] == "index":
            if params["days"] < 1:
                raise InvalidInput(f"days is {params['days']}.", "Give 1 or more.")
            return report_index(regions, directory, params["days"], now, check)
        key = params["signature_key"]
        options = ReportOptions(params["close"], directory, None if key is None else Path(key))
        return report_drill(regions, params["record"], options, check)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repositories": repositories_option(),
            "record": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "index"], "default": "present"},
            "directory": {"type": "path"},
            "close": {"type": "list", "elements": "str", "default": []},
            "signature_key": {"type": "path", "no_log": False},
            "days": {"type": "int", "default": 30},
        },
        required_if=[("state", "present", ["record"])],
        supports_check_mode=True,
    )
    try:
        result = write(module.params, module.check_mode, datetime.now(timezone.utc))
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
