# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of the host agent have in common: what they say, and the lock that lets one run at a time in."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .errors import StoreUnreachable
from .operations.repository_lock import RepositoryLock
from .stores.repository import Repository

DONE, FOUND = 0, 65

Json = dict[str, Any]
# The exit code, the whole result with its warnings, and what to print of it.
Answer = tuple[int, Json, list[str]]


def say(text: str) -> None:
    """One line for people, or for the journal."""
    sys.stderr.write(f"qdrant-dr: {' '.join(text.split())}\n")


@contextlib.contextmanager
def one_run(regions: Sequence[Repository], name: str, life: float, check: bool) -> Iterator[list[str]]:
    """The lock of this kind of run, in the first of ``regions`` that can be reached; yields the list of warnings.

    ``life``: seconds after which a lock that is not renewed expires. Check mode changes nothing and takes none.
    """
    warnings: list[str] = []
    if check:
        yield warnings
        return
    with RepositoryLock(_first_reachable(regions), name, life) as lock:
        yield warnings
        if not lock.held:
            warnings.append(f"the lock {name!r} could not be renewed in time: another run may have begun meanwhile")


def _first_reachable(regions: Sequence[Repository]) -> Repository:
    for region in regions[:-1]:
        with contextlib.suppress(StoreUnreachable):
            region.require_connection()
            return region
    return regions[-1]
