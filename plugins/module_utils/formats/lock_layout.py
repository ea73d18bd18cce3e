# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of locks in the repository. All keys are relative to ``<prefix>/<cluster>/``."""

from __future__ import annotations

import re

# Beside the collections' folders; the catalogue leaves it out.
LOCKS_FOLDER = ".locks"
_KEY = re.compile(r"\.locks/[^/]+/([0-9]{10})\.json")


def locks_prefix(name: str) -> str:
    """The folder of all generations of a lock."""
    return f"{LOCKS_FOLDER}/{name}/"


def lock_key(name: str, generation: int) -> str:
    """The object of one generation of a lock; only the highest one counts."""
    return f"{locks_prefix(name)}{generation:010d}.json"


def lock_generation(key: str) -> int | None:
    """The generation that a key names, None if it is no lock's."""
    found = _KEY.fullmatch(key)
    return int(found.group(1)) if found else None
