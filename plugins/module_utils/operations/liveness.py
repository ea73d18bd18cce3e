# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does something, and whether that process is still there: how leftovers are told from work in progress."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
from typing import Any

_MACHINE_ID = "/etc/machine-id"


def this_process() -> dict[str, Any]:
    """An identity of this process that a later run can check: host, kernel boot, process namespace, id, start time."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> dict[str, Any]:
    """The same of another process here."""
    here = {"host": socket.gethostname(), "machine": _machine(), "kernel": _kernel()}
    return {**here, "pid": pid, "start": _start(pid)}


def has_ended(process: dict[str, Any]) -> bool | None:
    """True if the process has ended, False if it runs, None where that can't be seen from here.

    It can't be seen on another host, in another process namespace, and where /proc hides the processes of others.
    """
    kernel = _kernel()
    if _was_before(process, kernel):
        return True
    if not kernel or process.get("kernel") != kernel or _start(1) is None:
        return None
    start = _start(int(process.get("pid", 0)))
    return start is None or start != process.get("start")


def _was_before(process: dict[str, Any], kernel: str) -> bool:
    """Whether this very host has been started again since then. The name counts, too: hosts that were made from one
    image may have the same machine id."""
    now, then = kernel.partition("/")[0], str(process.get("kernel") or "").partition("/")[0]
    machine = _machine()
    is_here = machine != "" and (process.get("machine"), process.get("host")) == (machine, socket.gethostname())
    return is_here and "" not in (now, then) and now != then


def _machine() -> str:
    """What tells this host from others, "" where nothing does. Source: machine-id(5), which wants it hashed."""
    try:
        with open(_MACHINE_ID, "rb") as file:
            found = file.read().strip()
    except OSError:
        return ""
    is_set = found not in (b"", b"uninitialized")
    return hmac.new(found, b"vectorops.qdrant_dr", hashlib.sha256).hexdigest()[:16] if is_set else ""


def _kernel() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (field 22 of stat in proc(5)), None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
