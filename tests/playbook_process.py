# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of the collection as its users run it: ansible-playbook on localhost, with a file of variables."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOK_SECONDS = 240


def playbook_command(folder: Path, playbook: str, variables: dict[str, Any], arguments: tuple[str, ...]) -> list[str]:
    """What runs it; ``folder`` takes its files."""
    (folder / "vars.json").write_text(json.dumps(variables), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), f"vectorops.qdrant_dr.{playbook}"]
    return [*command, "-i", "localhost,", "-c", "local", "-e", f"@{folder}/vars.json", *arguments]


def playbook_environment(folder: Path) -> dict[str, str]:
    """The whole environment of a run."""
    env = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return env | {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(folder),
        "USER": "ada",
    }


def run_playbook(folder: Path, playbook: str, variables: dict[str, Any], *arguments: str) -> tuple[int, str]:
    """Status and output of a run that nobody can answer; ``folder`` takes its files."""
    done = run_in(folder, playbook_command(folder, playbook, variables, arguments))
    return done.returncode, done.stdout + done.stderr


def run_in(
    folder: Path, command: list[str], seconds: float = PLAYBOOK_SECONDS, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook as a user whose files are in ``folder``, and who does not answer."""
    return subprocess.run(
        command,
        env=playbook_environment(folder) | (environment or {}),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def run_on_a_terminal(
    folder: Path, playbook: str, variables: dict[str, Any], answers: dict[str, str]
) -> tuple[int, str]:
    """The same on a terminal, where each question that ends with a key of ``answers`` gets its value typed."""
    command, env = playbook_command(folder, playbook, variables, ()), playbook_environment(folder)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, env)
    output, left, deadline = b"", dict(answers), time.monotonic() + PLAYBOOK_SECONDS
    os.set_blocking(terminal, False)
    status: int | None = None
    while status is None:
        try:
            output += os.read(terminal, 65536)
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:  # Linux says so when the other end is closed.
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for question in [each for each in left if each.encode() in output]:
            os.write(terminal, f"{left.pop(question)}\r".encode())
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return status, output.decode(errors="replace")
