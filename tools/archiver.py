# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the WAL archiver as its service starts it, and the memory that it takes; for tests and benchmarks."""

from __future__ import annotations

import re
from pathlib import Path

_ROLE = Path(__file__).resolve().parent.parent / "roles" / "qdrant_wal_archive"


def service_environment() -> dict[str, str]:
    """The variables that the role's unit sets."""
    unit = (_ROLE / "templates" / "qdrant-dr-archive-wal.service.j2").read_text(encoding="utf-8")
    settings = " ".join(re.findall(r"^Environment=(.*)$", unit, re.MULTILINE)).split()
    return dict(setting.split("=", 1) for setting in settings)


def peak_rss_mib(pid: int) -> float:
    """The most memory that a process has had (VmHWM of proc(5)), in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)
