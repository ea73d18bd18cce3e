#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Remove backups that no retention rule keeps
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Keeps what at least one rule keeps, in each repository by itself, and removes the other backups. The manifest goes
    first, so that what is left of an interrupted run is no backup any more, and goes with the next run.
  - A count of backups, days or weeks never pushes out what O(keep_within) keeps, nor the newest backup from before its
    span. Backups that are dated in the future are kept, and are let into no count.
  - The time is that of the store, in UTC. Weeks are those of ISO 8601.
  - Of the archived logs (WAL) stays what the backups that stay can be continued with - of each shard, the entries from
    the oldest such backup on. What lies before goes, oldest first, so that the rest has no gap. Nothing of them goes
    where that cannot be told, such as while a backup does not name the replica that it is of.
  - What is locked in the store (object lock, legal hold) stays, and is reported with the end of its lock. In a bucket
    with versioning, old versions go too.
  - Also removes what belongs to no backup and was not touched for O(grace) - objects and multipart uploads of runs that
    died, and records of verifications and of data keys. What a run is at work on is left alone.
  - While a collection is pruned, M(vectorops.qdrant_dr.backup_copy) and repairs of M(vectorops.qdrant_dr.backup_verify)
    are kept out of it by a lock in the repository, and the other way round.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.regions
attributes:
  check_mode:
    support: full
    details:
      - Says what would be removed, how many bytes that is, and what is locked.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  collections:
    description: Names of the collections whose backups to prune, or V(all) for every one that a repository holds.
    type: list
    elements: str
    default: [all]
    aliases: [collection]
  keep_last:
    description: Keep this many of the newest backups of each collection.
    type: int
    default: 0
  keep_within:
    description:
      - Keep all backups that are younger than this, such as V(30d), and the newest one that is older. So there is a
        backup for every moment of that span.
    type: str
  keep_wal_within:
    description:
      - Keep what of the archived logs makes every moment of this span restorable, such as V(7d), and remove what only
        older moments need. That takes the newest backup from before the span, so O(keep_within) should not be shorter.
      - Without it, they are kept as far back as the oldest backup that stays.
    type: str
  keep_hourly:
    description: Keep the newest backup of each of this many of the last hours that have one.
    type: int
    default: 0
  keep_daily:
    description: Keep the newest backup of each of this many of the last days that have one.
    type: int
    default: 0
  keep_weekly:
    description: Keep the newest backup of each of this many of the last weeks that have one.
    type: int
    default: 0
  keep_monthly:
    description: Keep the newest backup of each of this many of the last months that have one.
    type: int
    default: 0
  keep_yearly:
    description: Keep the newest backup of each of this many of the last years that have one.
    type: int
    default: 0
  min_redundancy:
    description: Never go below this many backups of a collection in a repository.
    type: int
    default: 1
  overrides:
    description:
      - Other rules for some collections or repositories. The first that fits takes the place of all rules above.
      - Where none fits and no rule stands above, a collection is left alone.
    type: list
    elements: dict
    default: []
    suboptions:
      collections:
        description: Patterns of names, such as V(logs-*). Without them, it is for all.
        type: list
        elements: str
      regions:
        description: Names of repositories. Without them, it is for all.
        type: list
        elements: str
      keep_last:
        description: As O(keep_last).
        type: int
        default: 0
      keep_within:
        description: As O(keep_within).
        type: str
      keep_wal_within:
        description: As O(keep_wal_within).
        type: str
      keep_hourly:
        description: As O(keep_hourly).
        type: int
        default: 0
      keep_daily:
        description: As O(keep_daily).
        type: int
        default: 0
      keep_weekly:
        description: As O(keep_weekly).
        type: int
        default: 0
      keep_monthly:
        description: As O(keep_monthly).
        type: int
        default: 0
      keep_yearly:
        description: As O(keep_yearly).
        type: int
        default: 0
      min_redundancy:
        description: As O(min_redundancy).
        type: int
        default: 1
  grace:
    description: Leave alone what belongs to no backup for this long after it was last touched.
    type: str
    default: 24h
  require_verified:
    description:
      - Refuse to remove anything of a collection whose newest backup was not found good in this repository by
        M(vectorops.qdrant_dr.backup_verify) with level V(content).
    type: bool
    default: true
  max_delete_percent:
    description: Refuse to remove more than this share of the backups of a collection in a repository.
    type: float
    default: 50.0
  price_per_gb_month:
    description: What the store takes for 10^9 bytes a month, in any currency, to say what is saved.
    type: float
seealso:
  - module: vectorops.qdrant_dr.backup_verify
  - module: vectorops.qdrant_dr.backup_info
"""

EXAMPLES = r"""
- name: Keep a month of days, a year of months, and never fewer than 7
  vectorops.qdrant_dr.backup_prune:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
    keep_within: 7d
    keep_daily: 30
    keep_monthly: 12
    min_redundancy: 7

- name: See what would go where the second region keeps less
  vectorops.qdrant_dr.backup_prune:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
    keep_daily: 30
    overrides:
      - regions: [qdrant-backups-us]
        keep_last: 3
        keep_within: 48h
    price_per_gb_month: 0.023
  check_mode: true
  diff: true
"""

RETURN = r"""
pruned:
  description: One entry for each repository and collection.
  returned: always, once the options were accepted
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
    kept:
      description: The backups that stay, newest first, each with the C(reasons) that keep it.
      type: list
      elements: dict
      returned: always
    removed:
      description: The backups that went, or would go, oldest first, each with its C(objects) and C(bytes).
      type: list
      elements: dict
      returned: always
    locked:
      description:
        - What no rule keeps and the store does not let go, each with C(until), V(none) if that is not known, and with
          C(legal_hold). C(committed) tells backups from leftovers.
      type: list
      elements: dict
      returned: always
    swept:
      description: What belonged to no backup and was removed, or would be.
      type: list
      elements: str
      returned: always
    wal:
      description: What of the archived logs went, or would go.
      type: dict
      returned: always
      contains:
        objects:
          description: The number of objects.
          type: int
          returned: always
        bytes:
          description: Their bytes.
          type: int
          returned: always
        timelines:
          description: The folders of timelines that went whole, since no backup goes on in them.
          type: list
          elements: str
          returned: always
        locked:
          description:
            - The folders of timelines of which the store does not let go everything, each as C(timeline), with C(until)
              and C(legal_hold) as in RV(pruned[].locked).
          type: list
          elements: dict
          returned: always
        kept_because:
          description: Why it could not be told what is needed, and nothing of the logs went. V(none) otherwise.
          type: str
          returned: always
    packs:
      description: What of the packs of incremental backups went, or would go, since no backup needs it.
      type: dict
      returned: always
      contains:
        objects:
          description: The number of packs.
          type: int
          returned: always
        bytes:
          description: Their bytes.
          type: int
          returned: always
        kept_because:
          description: Why packs stay that no backup needs, such as one at work that may need them. V(none) otherwise.
          type: str
          returned: always
    bytes:
      description: The bytes of all that went, or would go.
      type: int
      returned: always
  sample:
    - region: qdrant-backups-eu
      collection: products
      kept:
        - {backup_id: 20261122T020000Z-a1b2c3, reasons: ["keep_last: 1 of 1"]}
      removed:
        - {backup_id: 20261121T020000Z-d4e5f6, objects: 5, bytes: 171234567}
      locked: []
      swept: []
      wal: {objects: 0, bytes: 0, timelines: [], locked: [], kept_because: null}
      packs: {objects: 0, bytes: 0, kept_because: null}
      bytes: 171234567
removed:
  description: How many backups went, or would go, in all repositories.
  returned: always, once the options were accepted
  type: int
  sample: 1
bytes:
  description: The bytes of all that went, or would go.
  returned: always, once the options were accepted
  type: int
  sample: 171234567
monthly_saving:
  description: What these bytes cost a month at O(price_per_gb_month); V(none) without that.
  returned: always, once the options were accepted
  type: float
  sample: 0.01
seconds:
  description: How long all of it took.
  returned: always, once the options were accepted
  type: float
  sample: 1.7
failures:
  description: What failed, each with C(region), C(collection) (V(none) for all of a region) and C(failure).
  returned: failure, once the options were accepted
  type: list
  elements: dict
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: prune_refused
    detail: "The policy would remove 6 of 8 backups of 'products' in qdrant-backups-eu, which is 75% and more than 50%."
    hint: Look at them in check mode; if they are meant to go, raise max_delete_percent for this run.
  contains:
    code:
      description:
        - Stable name of the kind of failure, such as V(prune_refused), V(damaged_manifest), V(busy) or
          V(store_unreachable); V(partly_failed) if several failed.
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
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.prune_options import PRUNE_OPTIONS, prune_request


def diff_of(pruned: list[dict[str, Any]]) -> dict[str, str]:
    """The backups before and after, a line each."""
    lines: dict[str, list[str]] = {"before": [], "after": []}
    for entry in pruned:
        where = f"{entry['region']}: {entry['collection']}"
        locked = [each["backup_id"] for each in entry["locked"] if each["committed"]]
        kept = [f"{where} {backup_id}" for backup_id in [each["backup_id"] for each in entry["kept"]] + locked]
        gone = [f"{where} {each['backup_id']} ({each['bytes']} bytes)" for each in entry["removed"]]
        swept = [f"{where}: {name}" for name in entry["swept"]]
        if entry["wal"]["objects"]:
            swept.append(
                f"{where}: {entry['wal']['objects']} objects of the WAL archive ({entry['wal']['bytes']} bytes)"
            )
        lines["before"] += sorted(kept + gone) + swept
        lines["after"] += sorted(kept)
    return {name: "".join(f"{line}\n" for line in text) for name, text in lines.items()}


def prune(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Prune as the options say."""
    request = prune_request(params, wanted_collections(params["collections"]))
    with opened_regions(params["repositories"]) as regions:
        return prune_backups(regions, request, check=check_mode).as_result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repositories": repositories_option(required=True),
            "collections": {"type": "list", "elements": "str", "default": [ALL], "aliases": ["collection"]},
            **PRUNE_OPTIONS,
        },
        supports_check_mode=True,
    )
    try:
        result = prune(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    if module._diff:
        result["diff"] = diff_of(result["pruned"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
