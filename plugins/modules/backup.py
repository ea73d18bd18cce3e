#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up Qdrant collections to S3, every byte proved by SHA-256
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Takes a snapshot of each collection on the node, reads it once, and in that one pass compares it with the SHA-256
    that Qdrant recorded, checks its structure, splits it into shard archives and uploads them. The store checks the
    checksum of every part. Nothing is written to a disk in between, and memory does not grow with the collection.
  - A manifest is written last. Without it a backup does not exist. It holds what a restore needs and what proves it.
  - Each shard archive keeps the entries of the write-ahead log that make it exact, also for writes that were going on
    while the snapshot was taken.
  - With C(client_encryption) in O(repository), shard archives and recall probes are encrypted before they are sent, in
    the same pass.
  - What an interrupted run left in the repository or on the node is removed by the next one.
  - Run it on the node itself, so that the data goes straight from there to the store.
extends_documentation_fragment:
  - vectorops.qdrant_dr.backup_type
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
  - vectorops.qdrant_dr.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Without O(max_age), each run makes a backup.
options:
  collections:
    description:
      - Names of the collections.
      - V(all), alone, stands for all collections of the node.
    type: list
    elements: str
    required: true
    aliases: [collection]
  max_age:
    description:
      - Make no backup of a collection that has a committed one younger than this.
      - A number of seconds, or a number with one of the units C(s), C(m), C(h), C(d) and C(w).
    type: str
  keep_on_node:
    description: Leave the snapshot on the node after the backup.
    type: bool
    default: false
  storage_path:
    description:
      - Qdrant's storage directory on this host.
      - It tells where the write-ahead log must begin, more precisely than the snapshot itself. It is only read.
      - Without it that place is derived from the snapshot; the manifest says so.
    type: path
  snapshots_path:
    description:
      - Qdrant's snapshots directory on this host.
      - A snapshot that can be read there is not sent over HTTP.
    type: path
  probes:
    description:
      - How many searches to record for each vector of the collection, so that a restore can measure its recall.
      - V(0) records none.
    type: int
    default: 10
  require_bucket_check:
    description:
      - First run M(vectorops.qdrant_dr.bucket_check) with what it requires by default, and back nothing up if a
        required check does not pass.
      - Once for all collections, before anything is touched; not in check mode.
      - If it refuses, its return values are returned as well.
    type: bool
    default: false
seealso:
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.backup_copy
  - module: vectorops.qdrant_dr.bucket_check
  - module: vectorops.qdrant_dr.restore
notes:
  - Nodes of a cluster that do not hold every shard of a collection are refused. The role C(qdrant_backup) backs such a
    cluster up with M(vectorops.qdrant_dr.backup_plan), M(vectorops.qdrant_dr.backup_share) and
    M(vectorops.qdrant_dr.backup_commit).
"""

EXAMPLES = r"""
- name: Have a backup of every collection that is not older than a day
  vectorops.qdrant_dr.backup:
    collections: [all]
    max_age: 24h
    storage_path: /var/lib/qdrant/storage
    snapshots_path: /var/lib/qdrant/snapshots
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1

- name: Back up one collection to a store of one's own, with a KMS key
  vectorops.qdrant_dr.backup:
    collections: [products]
    repository:
      bucket: qdrant
      cluster: production
      endpoint_url: https://s3.example.com:9000
      access_key: "{{ example_access_key }}"
      secret_key: "{{ example_secret_key }}"
      encryption: aws:kms
      kms_key_id: alias/qdrant-backups
"""

RETURN = r"""
backups:
  description: One entry for each collection that has the backup it needs.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup that was made, or in whose favour none was made.
      type: str
      returned: not in check mode, unless there is a backup
    created:
      description: Whether it was made, or would be in check mode, by this run.
      type: bool
      returned: always
    reason:
      description: Why a backup was needed or not.
      type: str
      returned: always
    size:
      description: Bytes of its shard archives.
      type: int
      returned: not in check mode
    shards:
      description: Number of its shards.
      type: int
      returned: when it was made
    points:
      description: Exact number of points C(before) and C(after) the snapshot.
      type: dict
      returned: when it was made
    snapshots:
      description:
        - Name, size and SHA-256 of Qdrant's snapshot, when it was C(started) and C(finished), and whether it was
          C(read_from) C(file) or C(http).
      type: list
      elements: dict
      returned: when it was made
    encryption:
      description: The encryption that the stored objects show.
      type: list
      elements: str
      returned: when it was made
    client_encryption:
      description: The master keys that it was encrypted with before it was sent; empty if it was not.
      type: list
      elements: str
      returned: when it was made
    manifest_sha256:
      description: SHA-256 of the manifest, the same in every region.
      type: str
      returned: when it was made
    seconds:
      description: How long it took.
      type: float
      returned: when it was made
    mib_per_second:
      description: Stored MiB per second, the creation of the snapshot included.
      type: float
      returned: when it was made
    warnings:
      description: What is less than it could be.
      type: list
      elements: str
      returned: not in check mode
    leftovers_removed:
      description: What interrupted runs had left, and was removed or would be in check mode.
      type: list
      elements: str
      returned: always
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      created: true
      reason: the newest backup is 90000 s old, older than max_age 86400 s
      size: 171234567
      shards: 4
failures:
  description: The collections that failed. The others have their backup.
  returned: failure, once the options were accepted
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
    code: qdrant_not_found
    detail: "The collection products does not exist."
    hint: Check the name.
  contains:
    code:
      description: Stable name of the kind of failure; V(partly_failed) where several collections were asked for.
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    repository_option,
    store_location,
    wanted_collections,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.backup_options import TYPE_SPEC, type_of
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_duration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup_several import back_up_several
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository


def requests_of(params: dict[str, Any], existing: list[str]) -> list[BackupRequest]:
    """One request for each collection that the options name. Raises InvalidInput."""
    names = wanted_collections(params["collections"])
    if params["probes"] < 0:
        raise InvalidInput(f"probes is {params['probes']}.", "Give 0 or more.")
    max_age = None if params["max_age"] is None else parse_duration(params["max_age"], "max_age")
    return [
        BackupRequest(
            name,
            max_age=max_age,
            keep_on_node=params["keep_on_node"],
            storage_path=params["storage_path"],
            snapshots_path=params["snapshots_path"],
            probes=params["probes"],
            **type_of(params),
        )
        for name in (existing if names is None else names)
    ]


def backup(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Back up as the options say."""
    location = store_location(params["repository"])
    with Qdrant(qdrant_connection(params)) as qdrant, Repository(location) as repository:
        existing = qdrant.collections() if params["collections"] == ["all"] else []
        required = params["require_bucket_check"]
        return back_up_several(qdrant, repository, requests_of(params, existing), check_mode, required)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            "repository": repository_option(required=True),
            "collections": {"type": "list", "elements": "str", "required": True, "aliases": ["collection"]},
            **TYPE_SPEC,
            "max_age": {"type": "str"},
            "keep_on_node": {"type": "bool", "default": False},
            "storage_path": {"type": "path"},
            "snapshots_path": {"type": "path"},
            "probes": {"type": "int", "default": 10},
            "require_bucket_check": {"type": "bool", "default": False},
        },
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        result = backup(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for entry in result["backups"]:
        for warning in entry.get("warnings", []):
            module.warn(f"{entry['collection']}: {warning}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
