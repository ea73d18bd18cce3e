# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are known to have ended: this host's, also those from before it was started again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import liveness
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.liveness import has_ended, this_process

BEFORE = {"kernel": "11111111-2222-3333-4444-555555555555/pid:[4026531836]"}


@pytest.fixture(autouse=True)
def machine_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file with the id of this host."""
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    monkeypatch.setattr(liveness, "_MACHINE_ID", str(path))
    return path


def test_a_process_that_runs_has_not_ended_and_one_that_is_gone_has() -> None:
    assert has_ended(this_process()) is False
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True)
    assert has_ended({**this_process(), "pid": int(gone.stdout)}) is True
    assert has_ended({**this_process(), "start": 1}) is True, "another process has its id now"


def test_what_ran_before_this_host_was_started_again_has_ended() -> None:
    assert has_ended({**this_process(), **BEFORE}) is True


@pytest.mark.parametrize(
    "other", [{"host": "clone"}, {"machine": "0" * 16}, {"machine": ""}, {"kernel": ""}, {"kernel": None}]
)
def test_nothing_is_known_of_another_host(other: dict[str, Any]) -> None:
    assert has_ended({**this_process(), **BEFORE, **other}) is None


@pytest.mark.parametrize("content", ["", "uninitialized\n", None])
def test_a_host_without_an_id_does_not_tell_itself_from_others(machine_id: Path, content: str | None) -> None:
    if content is None:
        machine_id.unlink()
    else:
        machine_id.write_text(content, encoding="ascii")
    assert has_ended({**this_process(), **BEFORE}) is None
    assert has_ended(this_process()) is False


def test_the_id_of_the_host_is_not_told(machine_id: Path) -> None:
    assert machine_id.read_text(encoding="ascii").strip() not in str(this_process())
