# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several repositories at once, each in a region of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from .location import StoreLocation
from .repository import Repository


@contextmanager
def opened(locations: Iterable[StoreLocation]) -> Iterator[list[Repository]]:
    """The repositories at these locations, in their order, closed at the end. Nothing is contacted yet."""
    with ExitStack() as stack:
        yield [stack.enter_context(Repository(location)) for location in locations]
