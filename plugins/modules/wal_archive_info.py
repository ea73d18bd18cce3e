#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wal_archive_info
short_description: Tell to which moments collections can be restored
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Reads what the archiver of the role P(vectorops.qdrant_dr.qdrant_wal_archive#role) has stored of the write-ahead
    logs of one collection or of all, and tells the ranges of time that they can be restored to, the gaps between them,
    and how far each archive lags behind.
  - Only repositories are asked, so this works when the cluster is gone.
  - It goes by the names and headers of what is stored. Whether every object in between is whole,
    M(vectorops.qdrant_dr.backup_verify) finds out.
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
      - Name of the collection, as it was when it was archived.
      - Without it, all collections in the repository are looked at.
    type: str
seealso:
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: See what a collection can be restored to
  vectorops.qdrant_dr.wal_archive_info:
    collection: products
    repository:
      bucket: qdrant-backups
      cluster: production
      region: eu-central-1
  register: archive

- name: Stop if more than a minute of work could be lost
  ansible.builtin.assert:
    that:
      - archive.archives[0].rpo_seconds is not none
      - archive.archives[0].rpo_seconds < 60
    fail_msg: "{{ archive.archives[0] }}"
"""

RETURN = r"""
archives:
  description: One entry for each collection and region.
  returned: success
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
    continued:
      description: Whether what is written now adds to a range. If not, the collection needs a new backup.
      type: bool
      returned: always
    rpo_seconds:
      description: Seconds since the end of the last of RV(archives[].ranges), or null where there is none.
      type: float
      returned: always
    ranges:
      description: >-
        The times between which every moment can be restored to. A range begins with a backup, and ends where the
        archive of one of its shards does.
      type: list
      elements: dict
      returned: always
      contains:
        from:
          description: The first moment, in UTC.
          type: str
          returned: always
        until:
          description: The last moment, in UTC.
          type: str
          returned: always
        backup_ids:
          description: Ids of the backups that a restore can begin from, oldest first.
          type: list
          elements: str
          returned: always
    backups:
      description: All committed backups, with the moment that each is of. Each can be restored as it is.
      type: list
      elements: dict
      returned: always
      contains:
        backup_id:
          description: The backup's id.
          type: str
          returned: always
        at:
          description: When its last snapshot was finished, in UTC.
          type: str
          returned: always
    shards:
      description: The newest timeline of each replica that is archived.
      type: list
      elements: dict
      returned: always
      contains:
        shard:
          description: Number of the shard.
          type: int
          returned: always
        replica:
          description: Peer id of the replica's node.
          type: str
          returned: always
        timeline:
          description: Id of the timeline, which is one contiguous run of entries.
          type: str
          returned: always
        reason:
          description: Why it was begun - V(first), V(gap), V(replaced) or V(recreated).
          type: str
          returned: always
        first_index:
          description: Index of its first entry.
          type: int
          returned: always
        last_index:
          description: Index of the last archived entry.
          type: int
          returned: always
        until:
          description: All that was written to the log until then is archived, in UTC.
          type: str
          returned: always
        lag_seconds:
          description: Seconds since then.
          type: float
          returned: always
        lag_entries:
          description: Entries that the archiver had seen and not stored when it last told; null where it never told.
          type: int
          returned: always
    gaps:
      description: Where the archive of a replica was broken off and begun anew.
      type: list
      elements: dict
      returned: always
      contains:
        shard:
          description: Number of the shard.
          type: int
          returned: always
        replica:
          description: Peer id of the replica's node.
          type: str
          returned: always
        timeline:
          description: Id of the timeline that was begun.
          type: str
          returned: always
        previous:
          description: Id of the timeline before.
          type: str
          returned: always
        at:
          description: When it was begun, in UTC.
          type: str
          returned: always
        reason:
          description: V(gap) where entries were lost, V(replaced) or V(recreated) where another log took their place.
          type: str
          returned: always
        detail:
          description: What had happened.
          type: str
          returned: always
        first_index:
          description: Index of the first entry that was lost, or null.
          type: int
          returned: always
        last_index:
          description: Index of the last entry that was lost, or null.
          type: int
          returned: always
    log:
      description: >-
        What the archivers have told of the newest timelines. Of several logs, C(peak_mb_per_second) and what follows
        from it are those of the one that is the nearest to being too short. MB are of 1,048,576 bytes.
      type: dict
      returned: always
      contains:
        peak_mb_per_second:
          description: The highest rate at which it was written to in the last 14 days, a mean of five minutes, or null.
          type: float
          returned: always
        keeps_mb:
          description: What Qdrant keeps of it at least, or null where that was not told.
          type: float
          returned: always
        needs_mb:
          description: What RV(archives[].log.outage_minutes) take at that rate, or null.
          type: float
          returned: always
        outage_minutes:
          description: How long the archiver may be down without a gap, as it was configured.
          type: float
          returned: always
        retention:
          description: V(ok) where that is kept, V(too_short) where not, or null where that is not known.
          type: str
          returned: always
        inexact:
          description: >-
            Of the newest stored object that has any, how many entries Qdrant need not replay exactly before version
            1.19, by class. The classes are those of the role P(vectorops.qdrant_dr.qdrant_wal_archive#role).
          type: dict
          returned: always
        inexact_before:
          description: By when those were written, in UTC, or null.
          type: str
          returned: always
    doubts:
      description: What could not be read, and is therefore not counted.
      type: list
      elements: str
      returned: always
  sample:
    - collection: products
      region: qdrant-backups
      continued: true
      rpo_seconds: 4.812
      ranges:
        - from: "2026-11-22T02:00:09.412873Z"
          until: "2026-11-24T09:31:40.105426Z"
          backup_ids: [20261122T020000Z-a1b2c3, 20261123T020000Z-d4e5f6]
      backups:
        - backup_id: 20261122T020000Z-a1b2c3
          at: "2026-11-22T02:00:09.412Z"
        - backup_id: 20261123T020000Z-d4e5f6
          at: "2026-11-23T02:00:08.731Z"
      shards:
        - shard: 0
          replica: "2320066003870769"
          timeline: 20261121T113002Z-0f9e8d
          reason: first
          first_index: 0
          last_index: 812345
          until: "2026-11-24T09:31:40.105Z"
          lag_seconds: 4.812
          lag_entries: 120
      gaps: []
      log:
        peak_mb_per_second: 0.412
        keeps_mb: 1600
        needs_mb: 1483.2
        outage_minutes: 60.0
        retention: ok
        inexact: {without_payload: 3}
        inexact_before: "2026-11-24T08:02:11.310224Z"
      doubts: []
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
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive_info import read_archives


def archives(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Look at the archives as the options say."""
    collection = params["collection"] and collection_names([params["collection"]])[0]
    with opened_regions([params["repository"]] if params["repository"] else params["repositories"]) as regions:
        return {"changed": False, **read_archives(regions, collection, now)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(),
            "repositories": repositories_option(),
            "collection": {"type": "str"},
        },
        mutually_exclusive=[("repository", "repositories")],
        required_one_of=[("repository", "repositories")],
        supports_check_mode=True,
    )
    try:
        result = archives(module.params, datetime.now(timezone.utc))
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
