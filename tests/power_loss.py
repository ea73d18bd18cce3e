# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of this host from before it lost its power, as its records tell of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import liveness


def process_before_a_boot(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """Its identity; the host has an id from now on, whether or not it has one of its own."""
    (folder / "machine-id").write_text(f"{uuid.uuid4().hex}\n", encoding="ascii")
    monkeypatch.setattr(liveness, "_MACHINE_ID", str(folder / "machine-id"))
    here = liveness.this_process()
    return {**here, "kernel": f"{uuid.uuid4()}/{here['kernel'].partition('/')[2]}"}
