# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: longest_gap
short_description: The longest time between two runs of a calendar of systemd
version_added: 0.1.0
author:
  - VectorOps contributors (@vectorops)
description:
  - Reads what C(systemd-analyze calendar --iterations=N) has printed with the time zone UTC.
options:
  _input:
    description: What was printed.
    type: str
    required: true
seealso:
  - plugin: vectorops.qdrant_dr.sla_targets
    plugin_type: filter
"""

EXAMPLES = r"""
- name: List the next runs
  ansible.builtin.command: systemd-analyze calendar --iterations=100 "Mon..Fri 02:00"
  environment: {TZ: UTC, LC_ALL: C}
  register: runs
  changed_when: false

- name: See how old a backup may become
  ansible.builtin.debug:
    msg: "{{ runs.stdout | vectorops.qdrant_dr.longest_gap }} s"
"""

RETURN = r"""
_value:
  description: Seconds; null where fewer than two runs are listed.
  type: float
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.calendars import longest_gap


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By their names."""
        return {"longest_gap": longest_gap}
