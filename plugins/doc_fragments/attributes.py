# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of every module; a module adds C(support) to each."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vectorops.qdrant_dr.all) in C(module_defaults) to set defaults for all modules.
    support: full
    membership:
      - vectorops.qdrant_dr.all
  check_mode:
    description: Can run in C(check_mode) and say truthfully what would happen, without changing anything.
  diff_mode:
    description: Says in diff mode what has changed, or would change in check mode.
  idempotent:
    description: A second run with nothing to do changes nothing and says so.
  platform:
    description: Where the module runs.
    platforms: posix
    support: full
"""
