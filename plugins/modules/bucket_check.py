#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_check
short_description: Prove what an S3 store really does with what backups ask of it
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Some stores answer 200 to what they do not know, and ignore it. This module puts small objects, does to them what a
    store must refuse, and judges by what it then sees.
  - The probes, 11 MiB in all, stand below C(prefix/cluster/.probe/) and are removed again, also after an error. Those
    of a check that was killed are removed by the next one, when they are older than an hour.
  - In a bucket with object lock, two probes are locked for one minute in governance mode, in one with a default
    retention all of them, instead of for its time. Nothing is unlocked; the next check removes them. If these
    credentials may not set a lock, the default retention applies. RV(leftovers) names what is left.
  - A store that also lies about what it holds, such as about encryption at rest, can still deceive.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.repository
attributes:
  check_mode:
    support: full
    details:
      - Writes nothing. Clock, plain HTTP, the settings of versioning and object lock, and listing without credentials
        are looked at; they can show that a check fails. What only an object can show is V(not_checked), and no failure.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  required:
    description:
      - The checks that must pass, by their names or the names of their groups, or V(all). Others that do not pass are
        warnings. An empty list requires none.
      - Without it, what a backup with the settings of O(repository) relies on is required - V(encryption_asked)
        unless O(repository.encryption=none), V(checksum_sha256) and V(checksum_sha256_part), or those of MD5 with
        O(repository.checksum_mode=when_required), V(anonymous_refused), V(conditional_write), V(range_read),
        V(listing_complete) and V(clock_skew).
      - V(encryption) stands for V(encryption_asked) and V(encryption_default); V(checksums) for all that begin with
        C(checksum_); V(immutability) for V(versioning) and V(object_lock); V(access) for V(anonymous_refused) and
        V(plain_http_refused); V(behaviour) for the rest.
      - A check that these credentials have no right for is V(not_checked), which does not pass. A writer that may not
        delete cannot have V(delete_effective) required.
    type: list
    elements: str
    choices:
      - encryption_asked
      - encryption_default
      - checksum_sha256
      - checksum_sha256_part
      - checksum_md5
      - checksum_md5_part
      - checksum_crc32
      - checksum_crc32c
      - versioning
      - object_lock
      - anonymous_refused
      - plain_http_refused
      - conditional_write
      - range_read
      - multipart_copy
      - listing_complete
      - delete_effective
      - clock_skew
      - encryption
      - checksums
      - immutability
      - access
      - behaviour
      - all
  max_clock_skew:
    description: How many seconds the clocks of the store and of this host may be apart.
    type: float
    default: 60.0
seealso:
  - module: vectorops.qdrant_dr.backup
notes:
  - To see whether plain HTTP is refused, one signed request to list is sent over it, where its signature can be seen.
"""

EXAMPLES = r"""
- name: See that the store does what backups rely on
  vectorops.qdrant_dr.bucket_check:
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1

- name: Accept a bucket only if nobody can delete from it, read it or listen
  vectorops.qdrant_dr.bucket_check:
    repository:
      bucket: qdrant-backups-eu
      cluster: production
      region: eu-central-1
    required: [encryption, checksum_sha256, checksum_sha256_part, immutability, access, conditional_write]
"""

RETURN = r"""
verdict:
  description:
    - V(passed) if all required checks did, V(failed) if one did not.
    - V(not_checked) if some of them could not be checked in check mode, and none failed.
  returned: always, once the store has answered
  type: str
  sample: passed
checks:
  description: The table of all checks.
  returned: always, once the store has answered
  type: list
  elements: dict
  contains:
    check:
      description: Its stable name, one of those that O(required) takes.
      type: str
      returned: always
    group:
      description: The group that it is in.
      type: str
      returned: always
    required:
      description: Whether it must pass.
      type: bool
      returned: always
    wanted:
      description: What a store must do to pass.
      type: str
      returned: always
    found:
      description: What it did, in a few words.
      type: str
      returned: always
    verdict:
      description:
        - V(passed), V(failed), V(unsupported) if the store says that it does not know this, or V(not_checked) if these
          credentials lack the right, the store did not answer, or check mode forbids it.
      type: str
      returned: always
    detail:
      description: What was seen, in a sentence.
      type: str
      returned: always
  sample:
    - check: conditional_write
      group: behaviour
      required: true
      wanted: a put with If-None-Match leaves an object that is there
      found: overwritten
      verdict: failed
      detail: "A put with If-None-Match: * replaced an object that was there."
leftovers:
  description: Probes that could not be removed.
  returned: always, once the store has answered
  type: list
  elements: dict
  contains:
    key:
      description: The object's key below C(prefix/cluster/), or C(multipart upload of) it.
      type: str
      returned: always
    version_id:
      description: Its version; V(none) if the store lists no versions.
      type: str
      returned: always
    locked_until:
      description: When its lock ends, in UTC; V(none) if it shows no lock.
      type: str
      returned: always
    reason:
      description: Why it could not be removed.
      type: str
      returned: always
  sample: []
seconds:
  description: How long all of it took.
  returned: always, once the store has answered
  type: float
  sample: 1.8
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: bucket_unfit
    detail: "s3://qdrant-backups-eu/production/ does not do what is required. conditional_write (failed, found:
      overwritten): A put with If-None-Match: * replaced an object that was there."
    hint: "Change the bucket's settings or the store, or require less; checks has the whole table."
  contains:
    code:
      description:
        - Stable name of the kind of failure.
        - V(bucket_unfit) if a required check did not pass; V(bucket_not_found), V(store_denied) or
          V(store_unreachable) if nothing could be checked.
      type: str
      returned: always
    detail:
      description: All required checks that did not pass, with what was found.
      type: str
      returned: always
    hint:
      description: What to do next.
      type: str
      returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import (
    repository_option,
    store_location,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, InvalidInput
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.bucket_verdict import ALL, GROUPS, NAMES
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.bucket_check import (
    MAX_CLOCK_SKEW,
    check_bucket,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository


def bucket_check(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Check the bucket as the options say."""
    limit = params["max_clock_skew"]
    if limit < 0:
        raise InvalidInput(f"max_clock_skew is {limit:g}.", "Give 0 seconds or more.")
    with Repository(store_location(params["repository"])) as repository:
        return check_bucket(repository, params["required"], limit, check=check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": repository_option(required=True),
            "required": {"type": "list", "elements": "str", "choices": [*NAMES, *GROUPS, ALL]},
            "max_clock_skew": {"type": "float", "default": MAX_CLOCK_SKEW},
        },
        supports_check_mode=True,
    )
    try:
        result = bucket_check(module.params, module.check_mode)
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
