# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that mean something else to Ansible are no return values: it would take a lost region for a lost host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

MODULES = sorted((Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py"))
TAKEN = {"unreachable", "skipped", "rescued", "ignored", "ansible_facts", "results", "invocation", "_ansible_no_log"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_return_value_has_a_name_that_ansible_acts_on(module: Path) -> None:
    documented = re.search(r'^RETURN = r?"""(.*?)"""', module.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert documented
    assert set(yaml.safe_load(documented[1])) & TAKEN == set()
