#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_verify
short_description: Verify backups in all regions, and repair what another region has good
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Compares what the repositories hold with the manifests of the backups, in all regions at once.
  - Each finding names the object, the part, the region, and which other regions have it good. The module fails if
    something is damaged and was not repaired, after everything was looked at.
  - A region that does not have a backup is no finding, since M(vectorops.qdrant_dr.backup_copy) may not have been run
    yet. Its verdict is V(absent).
  - The outcome is kept beside each backup in each region, in C(verified/<backup_id>.json). Credentials that may only
    read get a warning instead.
  - To prove that a backup can be restored, restore it.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.regions
attributes:
  check_mode:
    support: full
    details:
      - Verifies as always, which only reads, and says what would be repaired. The outcome is not kept.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run keeps its outcome beside the backups, which is a change.
options:
  collections:
    description: Names of the collections whose backups to verify, or V(all) for every one that a region holds.
    type: list
    elements: str
    default: [all]
    aliases: [collection]
  backup_id:
    description: Verify this backup. O(collections) must then name its collection.
    type: str
  newest:
    description:
      - Verify this many of the newest backups of each collection that each repository holds.
      - Without this and O(backup_id), all are verified.
    type: int
  level:
    description:
      - V(exists) looks at the manifest, and at size, sidecar and encryption of every object. It reads no content.
      - V(content) also reads every part and compares its SHA-256 with the manifest, and that of the whole object.
    type: str
    choices: [exists, content]
    default: content
  sample_percent:
    description:
      - Verify this share of the chosen backups, rounded up; those whose last verification of this O(level) in any
        region is the longest ago. A new backup counts as verified when it was begun.
      - A run each day with V(10) thus reads everything within 10 days.
    type: float
    default: 100.0
  repair:
    description:
      - Write what is bad or missing anew, in the same place, from the healthy parts of all regions. Each part is
        proved before it is sent, and the object when it is stored. In a bucket with versioning, what was there stays
        as an older version.
      - An object that is not encrypted as O(repositories[].encryption) demands is written anew as well.
      - If a part is bad in every region, the object stays as it is.
      - The record of a data key of an archived log that no region has is made anew from a chunk that was read. It then
        has the wrap of the chunks, and none that a rotation has added.
      - A damaged manifest is replaced by that of another region, if all that are valid are the same, and the one that
        was verified here before was no other.
    type: bool
    default: false
  wal:
    description:
      - Whether to verify the archived logs (WAL) of these collections as well - that each timeline has its record and
        no gap, and with O(level=content) that each chunk is whole and continues the one before. Entries that were never
        archived begin another timeline, and are no finding.
      - With O(sample_percent), a share of the chunks is read that changes each day, so that daily runs read all. With
        O(newest) or O(backup_id), none is read.
    type: bool
    default: true
seealso:
  - module: vectorops.qdrant_dr.backup_copy
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: Read a tenth of all backups each day, and repair what is damaged
  vectorops.qdrant_dr.backup_verify:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
    sample_percent: 10
    repair: true

- name: See that the newest backup of a collection is there
  vectorops.qdrant_dr.backup_verify:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
    collections: [products]
    newest: 1
    level: exists
"""

RETURN = r"""
backups:
  description: The backups that were verified.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup's id.
      type: str
      returned: always
    level:
      description: The level of the verification.
      type: str
      returned: always
    regions:
      description: One entry for each repository, in their order.
      type: list
      elements: dict
      returned: always
      contains:
        region:
          description: Name of the repository.
          type: str
          returned: always
        verdict:
          description:
            - V(good), V(repaired) (in check mode - would be), V(damaged), V(absent) or V(unreachable).
          type: str
          returned: always
        bytes_read:
          description: Bytes of shard archives that were read and found right.
          type: int
          returned: always
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      level: content
      regions:
        - {region: qdrant-backups-eu, verdict: good, bytes_read: 171234567}
        - {region: qdrant-backups-us, verdict: repaired, bytes_read: 154457351}
wal:
  description: The archived logs that were looked at, one entry for each collection and repository that has some.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    region:
      description: Name of the repository.
      type: str
      returned: always
    chunks:
      description: Number of chunks that are there.
      type: int
      returned: always
    bytes_read:
      description: Bytes of chunks that were read and found right.
      type: int
      returned: always
    verdict:
      description: V(good), V(repaired) (in check mode - would be), V(damaged) or V(unreachable).
      type: str
      returned: always
  sample:
    - {collection: products, region: qdrant-backups-eu, chunks: 17280, bytes_read: 9123456, verdict: good}
findings:
  description: What is wrong, or was before it was repaired.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup's id; V(none) if this is about an archived log.
      type: str
      returned: always
    region:
      description: Name of the repository.
      type: str
      returned: always
    object:
      description:
        - The object's key below C(prefix/cluster/); the folder of a timeline if entries of it are in no repository.
      type: str
      returned: always
    part:
      description: Number of the part, from 1 on; V(none) if this is about the whole object.
      type: int
      returned: always
    problem:
      description:
        - V(missing), V(size), V(content) or V(encryption).
        - V(conflict) if two regions have different valid manifests.
        - V(chain) if a chunk of an archived log does not continue the one before it.
        - V(digest) if all parts are right, and the whole is not what the manifest says.
        - V(key) if the repository has C(client_encryption), and none of its keys opens the backup, or the archived
          log, by what is there.
      type: str
      returned: always
    reason:
      description: What is wrong, and why it was not repaired if that was tried.
      type: str
      returned: always
    healthy:
      description: Names of the other repositories that have this in a good copy, as far as O(level) can tell.
      type: list
      elements: str
      returned: always
    repaired:
      description: Whether it was repaired, or would be in check mode.
      type: bool
      returned: always
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      region: qdrant-backups-us
      object: products/backups/20261122T020000Z-a1b2c3/shards/0.snapshot
      part: 3
      problem: content
      reason: its bytes do not have the SHA-256 of the manifest
      healthy: [qdrant-backups-eu]
      repaired: true
unreachable_regions:
  description: Repositories that could not be asked to the end, and why.
  returned: always, once the options were accepted
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
chosen:
  description: Number of backups that O(sample_percent) is a share of.
  returned: always, once the options were accepted
  type: int
  sample: 10
bytes_read:
  description: Sum over all backups and regions; what a repair reads is not counted.
  returned: always, once the options were accepted
  type: int
  sample: 325691918
seconds:
  description: How long all of it took.
  returned: always, once the options were accepted
  type: float
  sample: 3.4
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: damaged_backup
    detail: "Damaged, and not repaired: qdrant-backups-us:
      products/backups/20261122T020000Z-a1b2c3/shards/0.snapshot, part 3: its bytes do not have the SHA-256 of the
      manifest."
    hint: "There is a good copy of all of this: run with repair, or see in the findings why that failed."
  contains:
    code:
      description:
        - Stable name of the kind of failure.
        - V(damaged_backup) if anything is damaged and not repaired; otherwise V(store_unreachable) if a region could
          not be asked, or V(backup_not_found).
      type: str
      returned: always
    detail:
      description: All that is wrong.
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
    ALL,
    opened_regions,
    repositories_option,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.layout import backup_time
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.verification import CONTENT, LEVELS
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyRequest,
    verify_backups,
)


def request_of(params: dict[str, Any]) -> VerifyRequest:
    """What the options ask for. Raises InvalidInput."""
    collections = wanted_collections(params["collections"])
    choice = Choice(newest=params["newest"])
    if params["backup_id"] is not None:
        if collections is None or len(collections) != 1:
            raise InvalidInput("A backup id belongs to one collection.", "Name it, and no other, in collections.")
        backup_time(params["backup_id"])
        choice = Choice(backup_ids=[params["backup_id"]])
    elif params["newest"] is not None and params["newest"] < 1:
        raise InvalidInput(f"newest is {params['newest']}.", "Give 1 or more.")
    return VerifyRequest(
        collections, choice, params["level"], params["sample_percent"], params["repair"], wal=params["wal"]
    )


def verify(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Verify as the options say."""
    request = request_of(params)
    with opened_regions(params["repositories"]) as regions:
        return verify_backups(regions, request, check=check_mode).as_result()


def warn(module: AnsibleModule, result: dict[str, Any]) -> None:
    """Tell the warnings that a result holds, and take them out of it."""
    for warning in result.pop("warnings", []):
        module.warn(warning)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repositories": repositories_option(required=True),
            "collections": {"type": "list", "elements": "str", "default": [ALL], "aliases": ["collection"]},
            "backup_id": {"type": "str"},
            "newest": {"type": "int"},
            "level": {"type": "str", "choices": list(LEVELS), "default": CONTENT},
            "sample_percent": {"type": "float", "default": 100.0},
            "repair": {"type": "bool", "default": False},
            "wal": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("backup_id", "newest")],
        supports_check_mode=True,
    )
    try:
        result = verify(module.params, module.check_mode)
    except DrError as error:
        warn(module, error.result)
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    warn(module, result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
