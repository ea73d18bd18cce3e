# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sla_targets
short_description: What a service level asks of schedules and alarms
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Derives from service levels how often to back up and to copy, whether to archive the write-ahead log, and when to
    raise an alarm. Each number comes with the sentence that says where it is from.
  - For several collections it is what meets the levels of all of them.
options:
  _input:
    description:
      - The name of a tier, C(rpo_seconds) and C(rto_seconds), or a list of C(collections) and C(sla), as
        M(vectorops.qdrant_dr.sla_plan) takes them. None, or an empty string, for no level.
    type: raw
    required: true
  collections:
    description: Names of collections, or V(all) alone for all that may come.
    type: list
    elements: str
    default: [all]
  explicit:
    description:
      - What was set by hand, by the names of the result. It counts, but is refused if the level cannot be met with it.
      - Empty strings and none count as not set.
    type: dict
    default: {}
  names:
    description: How errors call what is in O(explicit).
    type: dict
    default: {}
seealso:
  - plugin: vectorops.qdrant_dr.sla_plan
    plugin_type: module
"""

EXAMPLES = r"""
- name: See what a tier asks for
  ansible.builtin.debug:
    msg: "{{ 'customer_facing' | vectorops.qdrant_dr.sla_targets }}"

- name: Set a schedule by hand that the level allows
  ansible.builtin.debug:
    msg: "{{ qdrant_sla | vectorops.qdrant_dr.sla_targets(['products'], {'max_age': '20h'}) }}"
"""

RETURN = r"""
_value:
  description:
    - Seconds for C(backup_interval), C(max_age), C(copy_interval), C(randomized_delay), C(seal_interval), C(heartbeat)
      and the ages of alarms; C(wal_archive); the calendars C(backup_on_calendar) and C(copy_on_calendar); C(sla); and
      C(reasons).
    - Empty if no level is for these collections.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import SlaPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla_targets import settle, targets

ALL = "all"


def sla_targets(
    sla: Any,
    collections: Sequence[str] = (ALL,),
    explicit: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What ``sla`` asks for. Raises AnsibleFilterError for what cannot be right, in one sentence and a hint."""
    if sla is None or sla == "":
        return {}
    try:
        level = SlaPolicy.parse(sla).strictest(None if ALL in collections else collections)
        return {} if level is None else settle(targets(level), explicit or {}, names or {})
    except DrError as error:
        raise AnsibleFilterError(f"{error.detail} {error.hint}".strip()) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By their names."""
        return {"sla_targets": sla_targets}
