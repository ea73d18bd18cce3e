#!/usr/bin/python
# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: collection_check
short_description: Check a Qdrant collection for replicas, counts, digest and recall
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Looks at a collection on one or more nodes and says whether it is healthy.
  - Checks that all replicas are active, none missing and none too many, no shard is being transferred, the status is
    green and the optimizer is ok, and that all nodes count the same points.
  - The digest covers every id, vector and payload, whatever their order. It finds what a count misses, and reads every
    point once from each node.
  - Recall is the share of recorded nearest neighbours that a search finds now.
extends_documentation_fragment:
  - vectorops.qdrant_dr.attributes
  - vectorops.qdrant_dr.qdrant
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - Nothing is ever changed.
  idempotent:
    support: full
options:
  collection:
    description: Name of the collection.
    type: str
    required: true
  urls:
    description: Addresses of all nodes that serve the collection, instead of O(url). All take the same key.
    type: list
    elements: str
  wait:
    description: Seconds to wait until all replicas are active and the status is green, before anything is judged.
    type: int
    default: 0
  expect_points:
    description: Exact number of points that every node must count.
    type: int
  expect_digest:
    description: Digest that every node must give, as RV(digest) of an earlier check.
    type: str
  digest:
    description: Whether to read every point for the digest. O(expect_digest) reads them in any case.
    type: bool
    default: true
  probes:
    description:
      - Recall probes as a backup's manifest holds them.
      - M(vectorops.qdrant_dr.backup_info) opens those of a backup that was encrypted before it was sent.
    type: dict
  min_recall:
    description:
      - Lowest recall@10 of an exact search.
      - The search that users get may stay below it as far as it did when the probes were recorded.
    type: float
    default: 0.99
  compare:
    description:
      - Another collection that must have the same points.
      - Its nearest neighbours are the probes when O(probes) is not set.
    type: dict
    suboptions:
      url:
        description: Address of its node; by default that of the collection to be checked.
        type: str
      api_key:
        description: Key of its node. The key of the collection to be checked is sent only to its own nodes.
        type: str
      collection:
        description: Its name.
        type: str
        required: true
  fail_when_unhealthy:
    description: Whether the task fails when there are findings.
    type: bool
    default: true
seealso:
  - module: vectorops.qdrant_dr.restore
"""

EXAMPLES = r"""
- name: Check a collection on all nodes of a cluster
  vectorops.qdrant_dr.collection_check:
    urls:
      - https://qdrant-1.example.com:6333
      - https://qdrant-2.example.com:6333
    api_key: "{{ qdrant_api_key }}"
    collection: products
    wait: 60

- name: Prove that a restored collection equals the original
  vectorops.qdrant_dr.collection_check:
    collection: products-restored
    compare:
      collection: products
"""

RETURN = r"""
healthy:
  description: Whether there are no findings.
  returned: success, or failure with RV(failure.code=check_failed)
  type: bool
  sample: true
findings:
  description: What is wrong, one sentence each.
  returned: success, or failure with RV(failure.code=check_failed) or RV(failure.code=timeout)
  type: list
  elements: str
  sample: []
points:
  description: Exact number of points; null where nodes disagree.
  returned: success, or failure with RV(failure.code=check_failed)
  type: int
  sample: 1797
points_by_node:
  description: Exact number of points on each node.
  returned: success, or failure with RV(failure.code=check_failed)
  type: dict
  sample:
    "127.0.0.1:6333": 1797
digest:
  description: Digest over every id, vector and payload; null without O(digest) or where nodes disagree.
  returned: success, or failure with RV(failure.code=check_failed)
  type: str
  sample: qdr1-5f2b6c0d3e9a8c41b7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4
digest_by_node:
  description: Digest of each node.
  returned: success, or failure with RV(failure.code=check_failed)
  type: dict
  sample:
    "127.0.0.1:6333": qdr1-5f2b6c0d3e9a8c41b7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4
replicas:
  description: Every replica that the first node knows of.
  returned: success, or failure with RV(failure.code=check_failed)
  type: list
  elements: dict
  sample:
    - shard: 0
      shard_key: null
      peer_id: 1022255288373178
      state: Active
  contains:
    shard:
      description: Number of the shard.
      type: int
      returned: always
    shard_key:
      description: Its key with custom sharding, else null.
      type: raw
      returned: always
    peer_id:
      description: The node that has the replica.
      type: int
      returned: always
    state:
      description: Its state.
      type: str
      returned: always
recall_at_10:
  description: Share of the recorded neighbours that the served search finds, on the worst node; null without probes.
  returned: success, or failure with RV(failure.code=check_failed)
  type: float
  sample: 1.0
exact_recall_at_10:
  description: Share of the recorded neighbours that an exact search finds, on that node; null without probes.
  returned: success, or failure with RV(failure.code=check_failed)
  type: float
  sample: 1.0
baseline_recall_at_10:
  description: Share that the served search found when the probes were recorded; null without probes.
  returned: success, or failure with RV(failure.code=check_failed)
  type: float
  sample: 1.0
ann_vs_exact:
  description: Share of an exact search's neighbours that the served search finds now; null without probes.
  returned: success, or failure with RV(failure.code=check_failed)
  type: float
  sample: 1.0
recall_by_vector:
  description: The same four numbers for each named vector; the unnamed one is the empty name.
  returned: success, or failure with RV(failure.code=check_failed)
  type: dict
  sample: {}
unmeasured:
  description: What the collection's strict mode did not let this find out, one sentence each. Each is a warning, too.
  returned: success, or failure with RV(failure.code=check_failed)
  type: list
  elements: str
  sample: []
failure:
  description: What went wrong, for a playbook to branch on.
  returned: failure
  type: dict
  sample:
    code: qdrant_unreachable
    detail: "Qdrant at http://127.0.0.1:6333 cannot be reached: Connection refused."
    hint: Check that Qdrant runs there and that url names its HTTP port (6333 by default).
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

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec import (
    QDRANT_REQUIRED_BY,
    QDRANT_SPEC,
    qdrant_connection,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import CheckFailed, DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import check_collection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.readiness import wait_until_ready
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Wait if asked to, then judge the collection."""
    qdrants = [Qdrant(qdrant_connection(params, url=url)) for url in params["urls"] or [params["url"]]]
    if params["wait"]:
        wait_until_ready(qdrants, params["collection"], params["wait"])
    return check_collection(
        qdrants,
        params["collection"],
        expect_points=params["expect_points"],
        expect_digest=params["expect_digest"],
        digest=params["digest"],
        probes=params["probes"],
        min_recall=params["min_recall"],
        compare_with=_other(params, qdrants[0]),
    )


def _other(params: dict[str, Any], own: Qdrant) -> tuple[Qdrant, str] | None:
    compare = params["compare"]
    if compare is None:
        return None
    if compare["url"] is None:
        return own, compare["collection"]
    return Qdrant(qdrant_connection(params, url=compare["url"], api_key=compare["api_key"])), compare["collection"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **QDRANT_SPEC,
            "collection": {"type": "str", "required": True},
            "urls": {"type": "list", "elements": "str"},
            "wait": {"type": "int", "default": 0},
            "expect_points": {"type": "int"},
            "expect_digest": {"type": "str"},
            "digest": {"type": "bool", "default": True},
            "probes": {"type": "dict"},
            "min_recall": {"type": "float", "default": 0.99},
            "compare": {
                "type": "dict",
                "options": {
                    "url": {"type": "str"},
                    "api_key": {"type": "str", "no_log": True},
                    "collection": {"type": "str", "required": True},
                },
            },
            "fail_when_unhealthy": {"type": "bool", "default": True},
        },
        required_by=QDRANT_REQUIRED_BY,
        supports_check_mode=True,
    )
    try:
        result = check(module.params)
        if module.params["fail_when_unhealthy"] and not result["healthy"]:
            raise CheckFailed(
                f"The collection {module.params['collection']} is not healthy: {'; '.join(result['findings'])}.",
                **result,
            )
    except DrError as error:
        module.fail_json(msg=f"{error.detail} {error.hint}".strip(), failure=error.failure(), **error.result)
    for sentence in result["unmeasured"]:
        module.warn(sentence)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
