#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backups that repositories hold
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Lists the committed backups of one collection or of all, newest first, of one repository or of all regions.
  - Tells how old the newest one is, and whether that meets a recovery point objective (RPO).
  - What an interrupted backup has left is not listed as a backup, but named as uncommitted.
  - Of several repositories, one that cannot be reached costs one O(repositories[].connect_timeout), is named in
    RV(unreachable_regions), and leaves the others to be listed.
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
  collection:
    description:
      - Name of the collection, as it was when it was backed up.
      - Without it, all collections in the repository are listed.
    type: str
  since:
    description: Only list backups that began at this time or later, in ISO 8601 and in UTC if no zone is given.
    type: str
  until:
    description: Only list backups that began at this time or earlier, in ISO 8601 and in UTC if no zone is given.
    type: str
  limit:
    description: List at most this many backups of each collection.
    type: int
  rpo:
    description:
      - How old the newest backup of a collection may be, in seconds or with a unit (V(15m), V(24h), V(7d)).
      - The module does not fail when it is older. Look at RV(rpo_met).
    type: str
  manifest:
    description:
      - Whether to return the whole manifest of each backup.
      - Where the repository has the key of a backup as C(client_encryption), the recall probes in it are opened, as
        M(vectorops.qdrant_dr.collection_check) takes them.
    type: bool
    default: false
seealso:
  - module: vectorops.qdrant_dr.backup
  - module: vectorops.qdrant_dr.backup_copy
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: Look at the backups of a collection
  vectorops.qdrant_dr.backup_info:
    collection: products
    rpo: 24h
    repository: {bucket: qdrant-backups, cluster: production, region: eu-central-1}
  register: products

- name: See what is left after the first region is lost
  vectorops.qdrant_dr.backup_info:
    collection: products
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
        connect_timeout: 5
      - {bucket: qdrant-backups-us, cluster: production, region: us-east-1}

- name: Stop if the newest one is too old
  ansible.builtin.assert:
    that: products.rpo_met
    fail_msg: "The newest backup is {{ products.freshness[0].age_seconds }} s old."
"""

RETURN = r"""
backups:
  description: The backups, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    backup_id:
      description: The backup's id. Ids sort by time.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    state:
      description: V(committed), or V(damaged) if its manifest cannot be used.
      type: str
      returned: always
    reason:
      description: What is wrong with the manifest.
      type: str
      returned: when RV(backups[].state=damaged)
    type:
      description: The kind of backup.
      type: str
      returned: when RV(backups[].state=committed)
    cluster:
      description: The cluster's name.
      type: str
      returned: when RV(backups[].state=committed)
    qdrant_version:
      description: The version of the Qdrant server that made the snapshot.
      type: str
      returned: when RV(backups[].state=committed)
    window:
      description: When the backup and its snapshot were C(started) and C(finished), in UTC.
      type: dict
      returned: when RV(backups[].state=committed)
    points:
      description: Exact number of points before and after the snapshot.
      type: dict
      returned: when RV(backups[].state=committed)
    aliases:
      description: The collection's aliases.
      type: list
      elements: str
      returned: when RV(backups[].state=committed)
    shards:
      description: Number of shards.
      type: int
      returned: when RV(backups[].state=committed)
    size:
      description: Bytes of all shard archives.
      type: int
      returned: when RV(backups[].state=committed)
    encryption:
      description: The kinds of server-side encryption that were seen on the stored objects.
      type: list
      elements: str
      returned: when RV(backups[].state=committed)
    client_encryption:
      description:
        - The master keys that the backup was encrypted with before it was sent - fingerprints, or ARNs of KMS keys.
          Empty if it was not.
        - Which ones M(vectorops.qdrant_dr.backup_rewrap) has added since is not looked at.
      type: list
      elements: str
      returned: when RV(backups[].state=committed)
    regions:
      description: Names of the repositories that hold it.
      type: list
      elements: str
      returned: always
    manifest_sha256:
      description: The digest of the manifest, the same in every region.
      type: str
      returned: when RV(backups[].state=committed)
    manifest:
      description: The whole manifest.
      type: dict
      returned: when O(manifest=true) and RV(backups[].state=committed)
  sample:
    - backup_id: 20261122T020000Z-a1b2c3
      collection: products
      state: committed
      type: full
      cluster: production
      qdrant_version: 1.16.3
      window:
        started: "2026-11-22T02:00:00.000Z"
        snapshot_started: "2026-11-22T02:00:00.105Z"
        snapshot_finished: "2026-11-22T02:00:09.412Z"
        finished: "2026-11-22T02:00:31.007Z"
      points:
        before: 20000
        after: 20000
      aliases: [shop]
      shards: 4
      size: 171234567
      encryption: [AES256]
      client_encryption: []
      manifest_sha256: 3ee87790f84c9010bf7c633b952b6a57b2ac027d93bd0b0269c97a6b584ddacf
freshness:
  description: For each collection, its newest committed backup, whatever was filtered from RV(backups).
  returned: success
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    newest:
      description: Id of its newest committed backup, or null.
      type: str
      returned: always
    age_seconds:
      description: Seconds since the snapshot of that backup began, or null.
      type: float
      returned: always
    rpo_met:
      description: Whether that is at most O(rpo); null without O(rpo).
      type: bool
      returned: always
  sample:
    - collection: products
      newest: 20261122T020000Z-a1b2c3
      age_seconds: 5025.114
      rpo_met: true
newest:
  description: Id of the newest committed backup of O(collection), or null.
  returned: when O(collection) is set
  type: str
  sample: 20261122T020000Z-a1b2c3
age_seconds:
  description: Seconds since the snapshot of that backup began, or null.
  returned: when O(collection) is set
  type: float
  sample: 5025.114
rpo_met:
  description: Whether every collection has a backup that is new enough.
  returned: when O(rpo) is set
  type: bool
  sample: true
regions:
  description: For each repository and collection, the newest committed backup there, as in RV(freshness).
  returned: success
  type: list
  elements: dict
  contains:
    region:
      description: Name of the repository.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    newest:
      description: Id of its newest committed backup there, or null.
      type: str
      returned: always
    age_seconds:
      description: Seconds since the snapshot of that backup began, or null.
      type: float
      returned: always
    rpo_met:
      description: Whether that is at most O(rpo); null without O(rpo).
      type: bool
      returned: always
  sample:
    - region: qdrant-backups-us
      collection: products
      newest: 20261121T020000Z-d4e5f6
      age_seconds: 91425.114
      rpo_met: false
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
uncommitted:
  description: Backups that have objects and no manifest. They are being made, or their run was interrupted.
  returned: success
  type: list
  elements: dict
  contains:
    region:
      description: Name of the repository.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup's id.
      type: str
      returned: always
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

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    collection_names,
    opened_regions,
    repositories_option,
    repository_option,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_duration, parse_moment
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.regions_catalogue import (
    CatalogueRequest,
    read_catalogue,
)


def request_of(params: dict[str, Any]) -> CatalogueRequest:
    """What the options ask for. Raises InvalidInput."""
    if params["limit"] is not None and params["limit"] < 1:
        raise InvalidInput(f"limit is {params['limit']}.", "Give 1 or more.")
    return CatalogueRequest(
        collection=params["collection"] and collection_names([params["collection"]])[0],
        since=params["since"] and parse_moment(params["since"], "since"),
        until=params["until"] and parse_moment(params["until"], "until"),
        limit=params["limit"],
        manifests=params["manifest"],
        rpo=None if params["rpo"] is None else parse_duration(params["rpo"], "rpo"),
    )


def catalogue(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Read the catalogue as the options say."""
    request = request_of(params)
    with opened_regions([params["repository"]] if params["repository"] else params["repositories"]) as regions:
        found = read_catalogue(regions, request, now)
    result: dict[str, Any] = {"changed": False, **found}
    if request.collection is not None:
        fresh = found["freshness"][0]
        result |= {"newest": fresh["newest"], "age_seconds": fresh["age_seconds"]}
    if request.rpo is not None:
        result["rpo_met"] = all(entry["rpo_met"] for entry in found["freshness"])
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(),
            "repositories": repositories_option(),
            "collection": {"type": "str"},
            "since": {"type": "str"},
            "until": {"type": "str"},
            "limit": {"type": "int"},
            "rpo": {"type": "str"},
            "manifest": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("repository", "repositories")],
        required_one_of=[("repository", "repositories")],
        supports_check_mode=True,
    )
    try:
        result = catalogue(module.params, datetime.now(timezone.utc))
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
