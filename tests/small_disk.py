# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real file system that can be full, which only the program sees that is started on it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def on_a_small_disk(folder: Path, options: str) -> list[str]:
    """What to put before a command, so that it has a tmpfs of its own, with these mount options, at ``folder``."""
    folder.mkdir()
    mounted = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return [*_private_mounts().split(), "sh", "-c", mounted, str(folder)]


def _private_mounts() -> str:
    """The command for a private mount namespace: root needs no more, other users need one for users, too."""
    answers = {}
    for command in ("unshare --mount", "unshare --map-root-user --mount"):
        tried = subprocess.run(f"{command} true", shell=True, capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return command
        answers[command] = tried.stderr.strip()
    pytest.fail(f"A full disk takes a mount namespace, which takes root, or users who may have namespaces: {answers}")
