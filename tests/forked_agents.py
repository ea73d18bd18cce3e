# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the host agent, one after another, that are killed: without the second that each interpreter takes to
begin, and at a chosen effect.

One process imports what the agent needs, and forks for each command. A fork runs the command from its beginning, with
memory, files and threads of its own. What it is to die at it does not do any more: it sends itself SIGKILL before.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.agent_process import START, Agent

# An effect is a request (its first line), the body of one, or the path of a file that is written, renamed or removed.
_FORK = """
import http.client, json, os, re, signal
import botocore.session, httpx
botocore.session.Session().create_client("s3", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-")

def effect(event, details):
    if event == "http.client.send":
        data = details[1] if isinstance(details[1], bytes) else b""
        return "send " + data[:400].split(b"\\r\\n")[0].decode("latin-1")
    if event == "open" and isinstance(details[0], str) and details[2] & os.O_CREAT:
        return f"write {details[0]}"
    return f"{event} {details[0]}" if event in ("os.rename", "os.remove") else None

def die_at(pattern, number):
    left = [number]
    def watch(event, details):
        text = effect(event, details)
        if text is not None and (left[0] < number or re.search(pattern, text)):
            left[0] -= 1
            if left[0] == 0:
                tell({"killed_at": text})
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)

told = os.dup(1)
os.dup2(2, 1)
def tell(what):
    os.write(told, json.dumps(what).encode() + b"\\n")
for line in sys.stdin:
    arguments, pattern, number = json.loads(line)
    child = os.fork()
    if child == 0:
        tell({"pid": os.getpid()})
        die_at(pattern, number)
        os._exit(main(arguments))
    tell({"ended": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})
"""


class ForkedAgents:
    """Runs commands of an agent, one at a time."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()

    def __enter__(self) -> ForkedAgents:
        code = START.replace("sys.exit(main())", _FORK)
        self._said = (self._agent.folder / "forked.log").open("w", encoding="utf-8")
        self._process = self._agent.python(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._process.communicate()
        self._said.close()

    def killed(self, *arguments: str, pattern: str, number: int, seconds: float) -> str | None:
        """Run a command until it is dead: at the effect that comes ``number`` - 1 after the first one that matches
        ``pattern``, which is returned; or after ``seconds``, then None."""
        assert self._process.stdin is not None
        whole = [*arguments, "--config", str(self._agent.folder / "config.json")]
        self._process.stdin.write(json.dumps([whole, pattern, number]) + "\n")
        self._process.stdin.flush()
        pid = self._told.get(timeout=60)["pid"]
        try:
            told = self._told.get(timeout=seconds)
        except queue.Empty:
            os.kill(pid, signal.SIGKILL)
            told = self._told.get(timeout=60)
        killed_at = told.get("killed_at")
        if killed_at is not None:
            told = self._told.get(timeout=60)
        assert told == {"ended": -signal.SIGKILL}, self.said
        return killed_at

    @property
    def said(self) -> str:
        """All that the commands have written for people."""
        return Path(self._said.name).read_text(encoding="utf-8")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.put(json.loads(line))
