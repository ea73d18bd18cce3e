# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how much of a backup is stored."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  type:
    description:
      - With V(full), each backup holds all data of the collection.
      - With V(incremental), the shard archives are cut into chunks, and only those are stored that no backup before has
        brought to the repository. Each such backup is complete by itself and needs no other one.
      - With V(auto), a full backup is made where there is none younger than O(full_every), and otherwise an incremental
        one.
    type: str
    choices: [full, incremental, auto]
    default: full
  full_every:
    description:
      - How old the newest full backup may be before V(auto) makes another one. Without it, one full backup is enough.
      - A number of seconds, or a number with one of the units C(s), C(m), C(h), C(d) and C(w).
    type: str
"""
