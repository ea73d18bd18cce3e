#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_rewrap
short_description: Rotate the key of backups and archived logs that are encrypted before they are sent
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Every backup has data keys of its own, which are wrapped by the key in C(client_encryption). Where that key does not
    open a backup and one of C(old_keys) does, this module wraps its data keys again, with the current key, and stores
    that beside the backup. Each repository is done with its own key, so that a restore from it alone needs no old one.
  - The same is done for the data keys of the archived logs, of which there is one for each collection, node and day.
    Start the archivers with the current key first.
  - No archive is read or changed, and so is no manifest. A second run changes nothing.
  - "B(Rewrapping does not help against a key that has leaked): the wraps by the old key stay in manifests and logs, and
    the data keys stay the same. Make new backups with a new key then, and remove the old ones."
  - While a collection is written to, M(vectorops.qdrant_dr.backup_copy), M(vectorops.qdrant_dr.backup_prune) and
    repairs of M(vectorops.qdrant_dr.backup_verify) are kept out of it by a lock in the repository, and the other way
    round.
  - With a key of AWS KMS, the credentials need C(kms:Encrypt) for it beside C(kms:Decrypt). (KMS rotates the material
    of its keys by itself; that needs no rewrapping.)
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository.regions
attributes:
  check_mode:
    support: full
    details:
      - Says which backups and how many data keys of logs would be wrapped again, and which ones no key opens.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  collections:
    description:
      - Names of the collections whose backups and logs to look at, or V(all) for every one that a repository holds.
    type: list
    elements: str
    default: [all]
    aliases: [collection]
seealso:
  - module: vectorops.qdrant_dr.backup
  - module: vectorops.qdrant_dr.backup_copy
"""

EXAMPLES = r"""
- name: Let the new key open all backups in both regions
  vectorops.qdrant_dr.backup_rewrap:
    repositories:
      - bucket: qdrant-backups-eu
        cluster: production
        region: eu-central-1
        client_encryption: &keys
          key_file: /etc/qdrant-dr/backup-2027.key
          old_keys:
            - key_file: /etc/qdrant-dr/backup-2026.key
      - bucket: qdrant-backups-us
        cluster: production
        region: us-east-1
        client_encryption: *keys
"""

RETURN = r"""
backups:
  description: One entry for each backup that was looked at, in each repository.
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
    backup_id:
      description: The backup's id.
      type: str
      returned: always
    state:
      description:
        - V(rewrapped) if its data keys were, or would be, wrapped with the current key.
        - V(unchanged) if that opened it already; V(not_encrypted) if it needs no key.
      type: str
      returned: always
  sample:
    - {region: qdrant-backups-eu, collection: products, backup_id: 20261122T020000Z-a1b2c3, state: rewrapped}
wal:
  description: One entry for each collection with an encrypted log, in each repository.
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
    data_keys:
      description: How many data keys the log is encrypted with.
      type: int
      returned: always
    rewrapped:
      description: How many of them were, or would be, wrapped with the current key.
      type: int
      returned: always
  sample:
    - {region: qdrant-backups-eu, collection: products, data_keys: 31, rewrapped: 31}
rewrapped:
  description: How many backups were, or would be, wrapped again.
  returned: always, once the options were accepted
  type: int
  sample: 1
seconds:
  description: How long all of it took.
  returned: always, once the options were accepted
  type: float
  sample: 0.4
failures:
  description:
    - What failed, each with C(region), C(collection) (V(none) for all of a region), C(backup_id) (V(none) for all of a
      collection) and C(failure).
  returned: failure, once the options were accepted
  type: list
  elements: dict
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: wrong_key
    detail: "Backup 20261122T020000Z-a1b2c3 of 'products' is encrypted with the key 5d41402abc4b2a76; the key given has
      7d793037a0760186."
    hint: Give that key as client_encryption of a repository, or as one of its old_keys.
  contains:
    code:
      description:
        - Stable name of the kind of failure, such as V(wrong_key) for a backup that no key opens, V(busy) or
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
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.rewrap import rewrap_backups


def rewrap(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Rotate the key as the options say."""
    collections = wanted_collections(params["collections"])
    with opened_regions(params["repositories"]) as regions:
        return rewrap_backups(regions, collections, check=check_mode).as_result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repositories": repositories_option(required=True),
            "collections": {"type": "list", "elements": "str", "default": [ALL], "aliases": ["collection"]},
        },
        supports_check_mode=True,
    )
    try:
        result = rewrap(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
