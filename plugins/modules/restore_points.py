#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_points
short_description: Bring single points of a Qdrant collection back from a backup or a moment
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Brings back the points that a list of ids or a filter chooses, with all their vectors and their payload, and touches
    nothing else. So one customer whose points were deleted by mistake comes back, while all others go on as they are.
  - Restores the backup or the moment into a scratch collection on the same server, as M(vectorops.qdrant_dr.restore)
    does and with the same proofs, writes the chosen points from there to the live collection, reads them back, compares
    them, and deletes the scratch collection, also after an error. It needs room for that collection meanwhile, with one
    replica of each shard.
  - A filter chooses among the points as they were then, by their payload of then.
  - Until it is deleted the scratch collection bears the mark of a restore. What a killed run leaves is removed by the
    next one, on another host after 24 hours.
  - Payload indexes and settings of the live collection stay as they are. Its vectors must have the sizes, types and
    distances that they have in the backup.
  - In a collection with shard keys a point comes back to the shard key that it had.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.repository.sources
  - vectorops.qdrant_dr.moment
  - vectorops.qdrant_dr.restoring
attributes:
  check_mode:
    support: full
    details:
      - Lists what would change. To know that, it makes the scratch collection, too, and deletes it again, so it takes
        as long as a run. Nothing else is touched but what a killed run has left.
  diff_mode:
    support: full
    details:
      - Shows ids with a digest of the whole point, and no payload.
  idempotent:
    support: full
options:
  collection:
    description: Name of the live collection, or an alias of it.
    type: str
    required: true
  ids:
    description:
      - Ids of the points to bring back, numbers and UUIDs.
      - Exactly one of O(ids) and O(filter) is required.
    type: list
    elements: raw
  filter:
    description:
      - A filter of Qdrant. The points that match it in the backup or at the moment are brought back.
    type: dict
  mode:
    description:
      - V(only_missing) leaves points alone that are in the live collection. From Qdrant 1.16 on that is also true of
        those that another client writes in the moment in which they are brought back.
      - V(overwrite) also puts points back that are there and differ.
    type: str
    choices: [only_missing, overwrite]
    default: only_missing
  recorded_as:
    description: Name of the collection in the repository, where it is not that of the live collection.
    type: str
  scratch:
    description: Name of the scratch collection. By default that of the live collection with C(-restore-points).
    type: str
  keep_scratch:
    description:
      - Leave the scratch collection for people to look at. The next run removes it.
      - In check mode, or where its restore fails, it goes all the same.
    type: bool
    default: false
  batch_size:
    description:
      - Points to write at once. Large points and the limits of strict mode make it fewer.
    type: int
    default: 100
seealso:
  - module: vectorops.qdrant_dr.restore
  - module: vectorops.qdrant_dr.backup_info
"""

EXAMPLES = r"""
- name: Bring one customer back as they were before the mistake
  vectorops.qdrant_dr.restore_points:
    collection: products-live
    to_time: "2026-11-22T10:00:00Z"
    filter:
      must:
        - key: customer
          match:
            value: acme
    sources: &sources
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1

- name: Put three points back as the newest backup has them, whatever they are now
  vectorops.qdrant_dr.restore_points:
    collection: products
    ids: [17, 18, 5c56c793-69f3-4fbf-87e6-c4bf54c28c26]
    mode: overwrite
    sources: *sources
"""

RETURN = r"""
collection:
  description: Name of the live collection.
  returned: success
  type: str
  sample: products
backup_id:
  description: The backup that the points came from.
  returned: success
  type: str
  sample: 20261122T020000Z-a1b2c3
restored:
  description: How many points were written to the live collection, or would be in check mode.
  returned: success, or failure once points were compared
  type: int
  sample: 214
unchanged:
  description: How many were there already, just as they were then.
  returned: success, or failure once points were compared
  type: int
  sample: 0
kept:
  description: How many were there otherwise than then, and were left so by O(mode=only_missing).
  returned: success, or failure once points were compared
  type: int
  sample: 3
missing:
  description: How many of O(ids) the backup or the moment does not have.
  returned: success, or failure once points were compared
  type: int
  sample: 0
points:
  description: The ids of the first 1000 points of each of these kinds.
  returned: success, or failure once points were compared
  type: dict
  sample:
    restored: [17, 18]
    unchanged: []
    kept: [5c56c793-69f3-4fbf-87e6-c4bf54c28c26]
    missing: []
differing:
  description: The ids of the points that did not read back as they were written.
  returned: failure with RV(failure.code=check_failed) once points were written
  type: list
  elements: raw
  sample: []
scratch:
  description: Name of the scratch collection, if it is still there.
  returned: success
  type: str
  sample: null
leftovers_removed:
  description: What an interrupted run had left, and was removed.
  returned: success
  type: list
  elements: str
  sample: []
served:
  description: Number of C(parts) and C(bytes) that came from each source.
  returned: success
  type: dict
  sample:
    qdrant-backups-eu:
      parts: 11
      bytes: 171234567
damaged:
  description: Each damaged or missing part, with the source that had it right, as M(vectorops.qdrant_dr.restore) says.
  returned: success
  type: list
  elements: dict
  sample: []
notes:
  description: Sources and manifests that could not be used, with the reason. Each is a warning, too.
  returned: success
  type: list
  elements: dict
  sample: []
moment:
  description: How far each shard was restored, as M(vectorops.qdrant_dr.restore) says.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: list
  elements: dict
  sample:
    - shard: 0
      base_index: 4100
      index: 5217
      timeline: 20261122T020000Z-a1b2c3
      written_after: "2026-11-22T09:59:58.101Z"
      written_before: "2026-11-22T09:59:59.102Z"
      next_written_after: "2026-11-22T09:59:59.102Z"
      next_written_before: "2026-11-22T10:00:00.103Z"
      ambiguous: false
apart_seconds:
  description: How many seconds the shards may be apart.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: float
  sample: 0.0
entries_replayed:
  description: How many entries of the log were added to the backup.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: int
  sample: 1117
inexact:
  description: How many entries this Qdrant may not replay exactly, by class.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: dict
  sample: {}
seconds:
  description: How long all of it took.
  returned: success
  type: float
  sample: 13.9
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: preflight_failed
    detail: "products cannot take points of backup 20261122T020000Z-a1b2c3: vector 'text' is absent there."
    hint: Nothing was changed. Restore the whole collection to another name, and read the points there.
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import QDRANT_REQUIRED_BY, QDRANT_SPEC
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_points import restore_points
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.restore_options import (
    MOMENT_EXCLUSIVE,
    RESTORING_SPEC,
    nodes_and_sources,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.restore_points_options import points_request_of


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring points back as the options say."""
    request = points_request_of(params)
    with nodes_and_sources(params) as (nodes, sources):
        return restore_points(nodes, sources, request, only_look=check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            **RESTORING_SPEC,
            "collection": {"type": "str", "required": True},
            "ids": {"type": "list", "elements": "raw"},
            "filter": {"type": "dict"},
            "mode": {"type": "str", "choices": ["only_missing", "overwrite"], "default": "only_missing"},
            "recorded_as": {"type": "str"},
            "scratch": {"type": "str"},
            "keep_scratch": {"type": "bool", "default": False},
            "batch_size": {"type": "int", "default": 100},
        },
        required_by=QDRANT_REQUIRED_BY,
        mutually_exclusive=[*MOMENT_EXCLUSIVE, ("ids", "filter")],
        required_one_of=[("ids", "filter")],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for note in result["notes"]:
        module.warn(f"{note['source']}, {note['object']}: {note['reason']}")
    if result["scratch"] and (module.check_mode or not module.params["keep_scratch"]):
        module.warn(f"The scratch collection {result['scratch']} could not be deleted; the next run removes it.")
    diff = result.pop("diff")
    if module._diff:
        result["diff"] = diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
