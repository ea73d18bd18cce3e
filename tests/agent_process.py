# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host agent as a systemd timer starts it: a process with two files."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.location import StoreLocation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import QdrantConnection

ROOT = Path(__file__).resolve().parent.parent
# A finder that hides Ansible: the agent's own environment has none.
START = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ansible":
            raise ImportError(f"{name} is not for the agent")
sys.meta_path.insert(0, Hidden())
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.cli import main
sys.exit(main())
"""
KEYS = ("access_key", "secret_key", "session_token", "sse_customer_key")

Json = dict[str, Any]


class Agent:
    """One host's agent: its files in a folder, and its command."""

    def __init__(self, folder: Path, qdrant: QdrantConnection, stores: list[StoreLocation], **sections: Any) -> None:
        self.folder = folder
        self.secrets = [key for store in stores for name in KEYS if (key := getattr(store, name))]
        self.secrets += [qdrant.api_key] if qdrant.api_key else []
        found = [dataclasses.asdict(store) for store in stores]
        keyless = [{name: value for name, value in store.items() if name not in KEYS} for store in found]
        self.config = {
            "credentials_file": str(folder / "credentials.json"),
            "qdrant": {"url": qdrant.url},
            "repository": keyless[0],
            "destinations": keyless[1:],
            **sections,
        }
        keys = {store["name"]: {name: store[name] for name in KEYS if store[name]} for store in found}
        self.credentials: Json = {"qdrant": {"api_key": qdrant.api_key or ""}, "repositories": keys}
        self.before: list[str] = []
        self.environment = {"PYTHONPATH": str(ROOT / "build" / "collections"), "AWS_EC2_METADATA_DISABLED": "true"}
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command beside the test."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.python(START, *arguments, "--config", str(self.folder / "config.json"), **pipes)
        self.processes.append(process)
        return process

    def python(self, code: str, *arguments: str, **files: Any) -> subprocess.Popen[str]:
        """Start Python as the agent's own, beside the agent's files; ``files``: its stdin, stdout and stderr."""
        self._write("config.json", self.config)
        self._write("credentials.json", self.credentials)
        command = [*self.before, sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, text=True, env=self.environment, **files)

    def runs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; no key is in what it says."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert not [secret for secret in self.secrets if secret in out + err]
        assert "Traceback" not in err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _write(self, name: str, content: Json) -> None:
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
