# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role: its argument specs equal its defaults, its README and the options of the modules that it calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.argspec_repository import REPOSITORY_SUBSPEC

ROOT = Path(__file__).resolve().parent.parent.parent
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PYTHON_TYPES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "path": str, "str": str}
SHOWN = {True: "true", False: "false", "": '""'}


def load(role: str, path: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / path).read_text(encoding="utf-8"))


def options(role: str) -> dict[str, dict[str, Any]]:
    """Those of all entry points."""
    found: dict[str, dict[str, Any]] = {}
    for entry_point in load(role, "meta/argument_specs.yml")["argument_specs"].values():
        for name, option in entry_point["options"].items():
            assert found.setdefault(name, option) == option, name
    return found


def repositories(role: str) -> list[dict[str, Any]]:
    """The suboptions of each option that is a repository: those with a bucket."""
    return [option["options"] for option in options(role).values() if "bucket" in option.get("options", {})]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_the_argument_specs(role: str) -> None:
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert load(role, "defaults/main.yml") == specified
    assert all(option.get("required", False) is ("default" not in option) for option in options(role).values())


@pytest.mark.parametrize("role", ROLES)
def test_defaults_have_the_specified_types(role: str) -> None:
    for name, option in options(role).items():
        if "default" in option:
            assert isinstance(option["default"], PYTHON_TYPES[option["type"]]), name
            assert isinstance(option["default"], bool) == (option["type"] == "bool"), name


@pytest.mark.parametrize("role", ROLES)
def test_variables_have_the_prefix_of_the_role(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in options(role))
    assert all(name.startswith(f"__{role}_") for name in load(role, "vars/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_repository_options_are_those_of_the_modules(role: str) -> None:
    for suboptions in repositories(role):
        assert {name: (spec["type"], spec.get("required", False)) for name, spec in suboptions.items()} == {
            name: (spec["type"], spec.get("required", False)) for name, spec in REPOSITORY_SUBSPEC.items()
        }
        assert {name: spec.get("choices") for name, spec in suboptions.items()} == {
            name: spec.get("choices") for name, spec in REPOSITORY_SUBSPEC.items()
        }


@pytest.mark.parametrize("role", ROLES)
def test_readme_has_every_variable_with_its_default(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line.split(" | ")[2] for line in readme.splitlines() if line.startswith(f"| `{role}_")}
    assert list(rows) == list(options(role))
    for name, option in options(role).items():
        assert rows[name] == ("**required**" if option.get("required") else f"`{shown(option['default'])}`")


def shown(default: Any) -> str:
    if isinstance(default, list):
        return f"[{', '.join(default)}]"
    return SHOWN[default] if isinstance(default, (bool, str)) and default in SHOWN else str(default)
