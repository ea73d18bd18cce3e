# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the collection as a process of its own: `python tests/module_process.py NAME`, arguments on stdin.

The process ends as a module does on a host: one JSON document on standard output, and a status.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    sys.path.insert(0, str(ROOT / "build" / "collections"))
    from ansible.module_utils.testing import patch_module_args

    module = importlib.import_module(f"ansible_collections.vectorops.qdrant_dr.plugins.modules.{sys.argv[1]}")
    with patch_module_args(json.load(sys.stdin)):
        module.main()


if __name__ == "__main__":
    main()
