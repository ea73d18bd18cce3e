# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: runs all benchmarks, or the one that is named."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "full_backup",
    "restore",
    "drill",
    "fleet",
    "storage",
    "wal",
    "wal_archive",
    "pitr",
    "incremental_cutting",
)


def main() -> None:
    """Run the benchmarks named on the command line, all of them without a name."""
    wanted = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.")
    for name in wanted:
        print(f"{name}:", flush=True)
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main()
