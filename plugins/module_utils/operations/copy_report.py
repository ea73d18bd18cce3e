# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of copies has done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import DrError


@dataclass
class CopyReport:
    """What was done, or in check mode would be. Entries are as the module ``backup_copy`` documents them."""

    copied: list[dict[str, Any]] = field(default_factory=list)
    unchanged: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    lag: list[dict[str, Any]] = field(default_factory=list)
    wal: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, error: DrError, **names: Any) -> DrError:
        """Add a failure to the report; returns its error."""
        self.failed.append({**names, "failure": error.failure()})
        return error

    @property
    def changed(self) -> bool:
        """Whether anything was copied, or would be."""
        return bool(self.copied) or any(entry["objects"] for entry in self.wal)

    def as_result(self) -> dict[str, Any]:
        """The report as modules return it."""
        return {
            "copied": self.copied,
            "unchanged": self.unchanged,
            "lag": self.lag,
            "wal": self.wal,
            "bytes": sum(entry["bytes"] for entry in [*self.copied, *self.wal]),
            "seconds": round(self.seconds, 3),
        }
