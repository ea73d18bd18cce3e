#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a Qdrant collection from verified backups, and prove what came back
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Chooses a backup, looks at the target and says all that speaks against it at once, creates the collection from its
    recorded configuration, and streams one shard archive after another to it. Each part is compared with the manifest
    before its bytes are sent. One that is damaged or missing is read once more, then taken from the next source.
  - What was encrypted before it was sent is opened on the host that runs the module. Without the right key nothing is
    begun.
  - Then it waits until all replicas are Active and the status is green, compares counts, recall, payload indexes and,
    if given, the digest, and only then sets the aliases, in one atomic change.
  - Shard keys come back with the numbers that their shards had, because Qdrant looks for a point by these numbers.
    Where keys before them had been deleted, temporary shard keys use up the numbers while the collection is created.
    A key that cannot get its numbers is refused.
  - A collection with strict mode gets its limits back once it has passed, because they may forbid the checks.
  - With O(to_time), O(to_index) or O(to=latest) the archived write-ahead log after the backup is replayed, too.
    Like the backup it is read and proved while it is sent; what its entries do, the archive tells before.
  - The data passes through the host that runs the module in constant memory and never touches its disk.
  - A restore that fails removes the collection that it had created. One that was killed is removed by the next run,
    on another host after 24 hours. Until it has passed, the collection bears a mark in its metadata and as an alias.
    Qdrant before 1.16 has no such metadata; there, a kill right after the creation leaves an empty collection behind.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.repository.sources
  - vectorops.qdrant_dr.moment
  - vectorops.qdrant_dr.restoring
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - A target that exists is an error, unless O(overwrite) is set.
options:
  collection:
    description: Name of the collection in the repository.
    type: str
    required: true
  target:
    description:
      - Name of the collection to create.
      - By default the name that the collection had.
    type: str
  aliases:
    description:
      - V(recorded) sets the aliases that the collection had, V(none) sets none; otherwise a list of names.
      - An alias that exists is switched to the restored collection.
    type: list
    elements: str
    default: [recorded]
  overwrite:
    description:
      - Replace the collection that exists under the target's name.
      - It is deleted after every part of the backup was read and found right, and at once after its safety backup. What
        is written to it between the two is lost, so stop the writers.
      - Its aliases are set again, whatever O(aliases) says.
    type: bool
    default: false
  safety_backup:
    description: With O(overwrite), first back up what is replaced to the first of O(sources).
    type: bool
    default: true
  replication_factor:
    description: Replication factor of the restored collection. By default the recorded one.
    type: int
  digest:
    description: Whether to read all points back and compute their digest.
    type: bool
    default: true
  expect_digest:
    description: The digest that the restored points must have, as M(vectorops.qdrant_dr.collection_check) returned it.
    type: str
seealso:
  - module: vectorops.qdrant_dr.backup
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.collection_check
"""

EXAMPLES = r"""
- name: Bring a lost collection back
  vectorops.qdrant_dr.restore:
    collection: products
    sources: &sources
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1

- name: Bring back how it was just before the bad deployment
  vectorops.qdrant_dr.restore:
    collection: products
    target: products-before-deploy
    to_time: "2026-11-22T10:00:00Z"
    sources: *sources

- name: Restore yesterday's state beside the live collection, and do not touch its aliases
  vectorops.qdrant_dr.restore:
    collection: products
    target: products-yesterday
    before: "2026-11-21T23:59:59Z"
    aliases: [none]
    sources: *sources
"""

RETURN = r"""
collection:
  description: Name of the collection in the repository.
  returned: success
  type: str
  sample: products
target:
  description: Name of the restored collection.
  returned: success
  type: str
  sample: products
backup_id:
  description: The backup that was restored, or would be in check mode.
  returned: success
  type: str
  sample: 20261122T020000Z-a1b2c3
aliases:
  description: The aliases that were set, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [products-live]
size:
  description: Bytes of the backup's shard archives.
  returned: success
  type: int
  sample: 171234567
shards:
  description: Number of shards.
  returned: success
  type: int
  sample: 4
replaces_existing:
  description: Whether an existing collection was replaced.
  returned: success
  type: bool
  sample: false
leftovers_removed:
  description: What an interrupted restore had left, and was removed.
  returned: success
  type: list
  elements: str
  sample: []
safety_backup:
  description: Id of the backup that was made of the replaced collection.
  returned: success, not in check mode, or failure once the restore had begun
  type: str
  sample: null
replaced_aliases:
  description: The aliases of the collection that was replaced, for those who set them again.
  returned: failure once the restore had begun
  type: list
  elements: str
  sample: [products-live]
restored_from:
  description: Names of the sources that parts came from.
  returned: success, not in check mode
  type: list
  elements: str
  sample: [qdrant-backups-eu]
served:
  description: Number of C(parts) and C(bytes) that came from each source.
  returned: success, not in check mode
  type: dict
  sample:
    qdrant-backups-eu:
      parts: 11
      bytes: 171234567
damaged:
  description: Each damaged or missing part, with the source that had it right.
  returned: success, not in check mode, or failure for lack of a good copy
  type: list
  elements: dict
  contains:
    object:
      description: Key of the object below the repository's root.
      type: str
      returned: always
    part:
      description: Number of the part, from 1 on.
      type: int
      returned: always
    source:
      description: Name of the source with the bad copy.
      type: str
      returned: always
    reason:
      description: What was wrong with it.
      type: str
      returned: always
    served_by:
      description: Name of the source that the part was taken from.
      type: str
      returned: always
  sample: []
notes:
  description: Sources and manifests that could not be used, with the reason. Each is a warning, too.
  returned: success
  type: list
  elements: dict
  sample: []
moment:
  description:
    - Of a restore to a moment, how far each shard was restored. C(base_index) is the last entry of its log that the
      backup has, C(index) the last one that was restored. That was written between C(written_after) and
      C(written_before), and the first one that was left out between C(next_written_after) and C(next_written_before).
      C(ambiguous) says that the clock of the archiver's host went back, so that the time stood there more than once.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: list
  elements: dict
  sample:
    - shard: 0
      base_index: 4100
      index: 5217
      timeline: 20261122T020000Z-a1b2c3
      written_after: "2026-11-22T09:59:58.101000Z"
      written_before: "2026-11-22T09:59:59.102000Z"
      next_written_after: "2026-11-22T09:59:59.102000Z"
      next_written_before: "2026-11-22T10:00:00.103000Z"
      ambiguous: false
apart_seconds:
  description:
    - How many seconds the shards may be apart. What was written to two shards within this time may be in one of them
      only.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: float
  sample: 0.0
entries_replayed:
  description: How many entries were added to the backup.
  returned: success with O(to_time), O(to_index) or O(to=latest)
  type: int
  sample: 1117
inexact:
  description:
    - How many entries this Qdrant may not replay exactly, by class. C(partial_vectors) are upserts that lack some of
      the named vectors, C(without_payload) upserts of points without a payload. A point that such an upsert changes
      keeps what it lacks if Qdrant has indexed the point by then, and loses it otherwise. C(conditional) are upserts
      with a condition that were written while the snapshot was taken.
  returned: success with O(to_time), O(to_index) or O(to=latest), or failure of the check
  type: dict
  sample: {}
verified:
  description:
    - What of the archived log was read and proved to make the plan, that is, number of C(chunks), and of the C(entries)
      in them.
  returned: success in check mode
  type: dict
  sample: {chunks: 1, entries: 80}
unverified:
  description:
    - What only the restore itself reads and proves, before it sends it. The C(shards) of the backup have
      C(shard_bytes). Of the other C(chunks), with so many C(entries), only the headers were read, which tell what the
      entries do. M(vectorops.qdrant_dr.backup_verify) reads all of it.
  returned: success in check mode
  type: dict
  sample: {shards: 1, shard_bytes: 171234567, chunks: 12, entries: 1040}
check:
  description:
    - What M(vectorops.qdrant_dr.collection_check) returns of the restored collection, and its C(payload_indexes).
    - After entries were replayed, C(expected_points) has the least and the most points that there may be, of C(all) and
      C(by_shard), and says what of the entries leaves that C(tolerance). A number outside fails the check, but where
      the backup itself need not have been counted right; then C(unmeasured) tells.
  returned: success, not in check mode, or failure of the check
  type: dict
  sample:
    points: 20000
    digest: qdr1-c4fe35b444669f519133f260586aa8e62634444151f6463893c9926b7f09c869
    recall_at_10: 1.0
    findings: []
stages:
  description: Seconds of the C(upload) and of the wait until the collection was C(ready).
  returned: success, not in check mode
  type: dict
  sample:
    upload: 12.1
    ready: 0.4
seconds:
  description: How long all of it took.
  returned: success, not in check mode
  type: float
  sample: 13.9
mib_per_second:
  description: MiB uploaded per second.
  returned: success, not in check mode
  type: float
  sample: 61.2
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: target_exists
    detail: "The collection products exists on http://127.0.0.1:6333."
    hint: Restore to another name, such as products-20261122T020000Z-a1b2c3, or set overwrite to replace it.
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
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import plan_restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.restore_options import (
    MOMENT_EXCLUSIVE,
    RESTORING_SPEC,
    nodes_and_sources,
    request_of,
)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restore as the options say."""
    request = request_of(params)
    with nodes_and_sources(params) as (nodes, sources):
        if check_mode:
            plan = plan_restore(nodes, sources, request)
            return {"changed": True, **plan.describe(), **plan.proof()}
        return restore(nodes, sources, request)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            **RESTORING_SPEC,
            "collection": {"type": "str", "required": True},
            "target": {"type": "str"},
            "aliases": {"type": "list", "elements": "str", "default": ["recorded"]},
            "overwrite": {"type": "bool", "default": False},
            "safety_backup": {"type": "bool", "default": True},
            "replication_factor": {"type": "int"},
            "digest": {"type": "bool", "default": True},
            "expect_digest": {"type": "str"},
        },
        required_by=QDRANT_REQUIRED_BY,
        mutually_exclusive=MOMENT_EXCLUSIVE,
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for note in result["notes"]:
        module.warn(f"{note['source']}, {note['object']}: {note['reason']}")
    for sentence in result.get("check", {}).get("unmeasured", []):
        module.warn(sentence)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
