# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong for a while, told once."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DrError


class Troubles:
    """Tells each trouble when it comes, and again only after it was over. ``count``: how many there were."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._now: dict[str, str] = {}
        self.count = 0

    def note(self, name: str, text: str = "") -> None:
        """``text``: what is wrong with ``name``; empty where nothing is."""
        self.count += bool(text)
        if text != self._now.get(name, ""):
            if text:
                self._report(text)
            self._now[name] = text

    def attempt(self, name: str, do: Callable[[], object]) -> None:
        """Do what can fail for a while."""
        try:
            do()
        except DrError as error:
            self.note(name, f"{error.detail} {error.hint}")
        else:
            self.note(name)
