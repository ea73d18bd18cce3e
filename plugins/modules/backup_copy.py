#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_copy
short_description: Copy backups to other buckets, regions or stores, and prove them there
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Copies committed backups from one repository to any number of others, each with its own endpoint and credentials.
  - Where source and destination share an endpoint, the store copies by itself. Otherwise, or if it cannot, the bytes
    pass through the host that runs the module, part by part and in constant memory. Each part is checked against the
    manifest before it is sent.
  - Every object is then read back from the destination and compared with the manifest, and its encryption is looked
    at. The manifest follows last. Until then the copy does not count as a backup.
  - Then the archived logs (WAL) follow, as far as the backups there need them, so that each destination can restore to
    a moment by itself. Each object is proved before it is sent; one that is damaged in O(source) is not copied, and the
    module fails. What M(vectorops.qdrant_dr.backup_prune) has removed at a destination does not come back.
  - A copy that was interrupted goes on at the first object that is missing or wrong at the destination.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.copy
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  collections:
    description:
      - Names of the collections whose backups to copy.
      - Without it, those of all collections in O(source) are copied.
    type: list
    elements: str
    aliases: [collection]
  backup_id:
    description: Copy this backup. O(collections) must then name its collection.
    type: str
  newest:
    description:
      - Copy this many of the newest backups of each collection.
      - V(1), if neither this nor O(daily), O(backup_id) or O(all) is given.
    type: int
  daily:
    description:
      - Copy the newest backup of each of this many of the last days (UTC) that have one, for a region that needs no
        more than that.
    type: int
  all:
    description: Copy all backups.
    type: bool
    default: false
  rpo:
    description:
      - How old the newest backup in a destination may be, by the destination's name, in seconds or with a unit such as
        V(12h).
      - The module does not fail when it is older. Look at RV(lag[].rpo_met).
    type: dict
    default: {}
  wal:
    description:
      - Whether to copy the archived logs of the collections whose backups this is about.
      - Just the records of how far the archivers have come are no change.
    type: bool
    default: true
seealso:
  - module: vectorops.qdrant_dr.backup
  - module: vectorops.qdrant_dr.backup_info
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: Have the newest backup of every collection in a second region
  vectorops.qdrant_dr.backup_copy:
    source:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
    destinations:
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
        encryption: aws:kms
        kms_key_id: alias/qdrant-backups

- name: Copy one backup to a store of another provider
  vectorops.qdrant_dr.backup_copy:
    collections: [products]
    backup_id: 20261122T020000Z-a1b2c3
    source: {bucket: qdrant-backups-eu, cluster: production, region: eu-central-1}
    destinations:
      - bucket: qdrant
        cluster: production
        endpoint_url: https://s3.example.com:9000
        access_key: "{{ example_access_key }}"
        secret_key: "{{ example_secret_key }}"
"""

RETURN = r"""
copied:
  description: What was copied, or would be in check mode.
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
    destination:
      description: Name of the destination.
      type: str
      returned: always
    bytes:
      description: Bytes that were copied.
      type: int
      returned: always
    objects:
      description: Number of shard archives that were copied.
      type: int
      returned: always
    objects_kept:
      description: Number of shard archives that an earlier, interrupted copy had brought, and that were right.
      type: int
      returned: always
    methods:
      description: How they were copied - V(server) by the store itself, V(stream) through this host.
      type: list
      elements: str
      returned: always
    keys_copied:
      description:
        - Whether wraps of data keys were copied that M(vectorops.qdrant_dr.backup_rewrap) made in O(source).
        - They are copied, too, where the backup itself is there already. None is ever overwritten by another.
      type: bool
      returned: always
    leftovers_removed:
      description: What an earlier, interrupted copy had left at the destination and was removed.
      type: list
      elements: str
      returned: not in check mode
    seconds:
      description: How long this took.
      type: float
      returned: always
  sample:
    - collection: products
      backup_id: 20261122T020000Z-a1b2c3
      destination: qdrant-backups-us
      bytes: 171234567
      objects: 4
      objects_kept: 0
      methods: [server]
      keys_copied: false
      leftovers_removed: []
      seconds: 3.1
unchanged:
  description: Copies that were there already.
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
    destination:
      description: Name of the destination.
      type: str
      returned: always
  sample: []
lag:
  description: How old the newest backup of each collection is in each destination, after what was copied.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    destination:
      description: Name of the destination.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    newest:
      description: Id of the newest committed backup there; V(none) if there is none.
      type: str
      returned: always
    age_seconds:
      description: Seconds since its snapshot began.
      type: float
      returned: always
    rpo_met:
      description: Whether that is within O(rpo); V(none) if there is none for this destination.
      type: bool
      returned: always
  sample:
    - destination: qdrant-backups-us
      collection: products
      newest: 20261122T020000Z-a1b2c3
      age_seconds: 4210.5
      rpo_met: true
wal:
  description:
    - What was copied of the archived logs, or would be in check mode, and what each destination can be restored to now;
      one entry for each destination and collection that O(source) has archived logs of.
  returned: always, once the options were accepted
  type: list
  elements: dict
  contains:
    destination:
      description: Name of the destination.
      type: str
      returned: always
    collection:
      description: The collection's name.
      type: str
      returned: always
    objects:
      description: Number of objects that were copied.
      type: int
      returned: always
    bytes:
      description: Their bytes.
      type: int
      returned: always
    restorable_until:
      description: The last moment (UTC) that the destination can be restored to; V(none) where it has a backup at most.
      type: str
      returned: always
    lag_seconds:
      description: Seconds since then; V(none) with it.
      type: float
      returned: always
  sample:
    - destination: qdrant-backups-us
      collection: products
      objects: 120
      bytes: 8123456
      restorable_until: "2026-11-22T09:41:07.220Z"
      lag_seconds: 31.9
failures:
  description: Copies that failed. The others are complete.
  returned: failure, once the options were accepted
  type: list
  elements: dict
  contains:
    collection:
      description: The collection's name.
      type: str
      returned: always
    backup_id:
      description: The backup's id; missing if O(source) has none.
      type: str
      returned: sometimes
    destination:
      description: Name of the destination; missing if the backup could not be found or read in O(source).
      type: str
      returned: sometimes
    failure:
      description: The C(code), C(detail) and C(hint) of this one.
      type: dict
      returned: always
  sample: []
bytes:
  description: Sum of all bytes that were copied, or would be in check mode.
  returned: always, once the options were accepted
  type: int
  sample: 171234567
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
    detail: "No source has a good copy of part 3 of 11 of products/backups/20261122T020000Z-a1b2c3/shards/0.snapshot."
    hint: Add a further source that holds this backup, or use another backup.
  contains:
    code:
      description: Stable name of the kind of failure; V(partly_failed) if several copies failed.
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

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    collection_names,
    repositories_option,
    repository_option,
    store_location,
    store_locations,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.layout import backup_time
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.times import parse_duration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.regions import opened


def choice_of(params: dict[str, Any]) -> Choice:
    """Which backups the options choose. Raises InvalidInput."""
    if params["backup_id"] is not None:
        if len(params["collections"] or []) != 1:
            raise InvalidInput("A backup id belongs to one collection.", "Name it, and no other, in collections.")
        backup_time(params["backup_id"])
        return Choice(backup_ids=[params["backup_id"]])
    if params["all"]:
        return Choice(newest=None)
    for name in ("newest", "daily"):
        if params[name] is not None and params[name] < 1:
            raise InvalidInput(f"{name} is {params[name]}.", "Give 1 or more.")
    return Choice(newest=1 if params["newest"] is None else params["newest"], days=params["daily"])


def copy(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Copy as the options say."""
    choice = choice_of(params)
    names = None if params["collections"] is None else collection_names(params["collections"])
    if not params["destinations"]:
        raise InvalidInput("destinations is empty.", "Name at least one repository.")
    locations = store_locations(params["destinations"])
    rpos = {name: parse_duration(value, f"rpo of {name}") for name, value in params["rpo"].items()}
    with opened([store_location(params["source"]), *locations]) as (source, *destinations):
        report = copy_backups(source, destinations, names, choice, check=check_mode, rpos=rpos, wal=params["wal"])
    return {"changed": report.changed, **report.as_result()}


def is_change(result: Mapping[str, Any]) -> bool:
    """Whether a run that failed has copied something."""
    return bool(result.get("copied")) or any(entry["objects"] for entry in result.get("wal", []))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": repository_option(required=True),
            "destinations": repositories_option(required=True),
            "collections": {"type": "list", "elements": "str", "aliases": ["collection"]},
            "backup_id": {"type": "str"},
            "newest": {"type": "int"},
            "daily": {"type": "int"},
            "all": {"type": "bool", "default": False},
            "rpo": {"type": "dict", "default": {}},
            "wal": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("backup_id", "newest", "daily")],
        supports_check_mode=True,
    )
    try:
        if module.params["all"] and any(module.params[name] for name in ("backup_id", "newest", "daily")):
            raise InvalidInput("all does not go with backup_id, newest or daily.", "Give one of them.")
        result = copy(module.params, module.check_mode)
    except DrError as error:
        changed = is_change(error.result) and not module.check_mode
        result = {"changed": changed, **error.result}
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
