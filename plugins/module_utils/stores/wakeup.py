# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sleep that ends early: by another thread, or by a signal handler, which may take no lock."""

from __future__ import annotations

import contextlib
import os
import select

_DRAIN = 4096


class Wakeup:
    """``wait`` returns when ``set`` was called since the last ``wait``."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        """End a wait, now or the next one."""
        # A full pipe ends the wait anyway.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> None:
        """Sleep for so long at most."""
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, _DRAIN)
