# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test on the controller does to the hosts of a scenario: log in, run a playbook, cut power and network."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository, StoreLocation
from tests.proofs import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 300


def addresses(group: str) -> dict[str, str]:
    """Return the address of every host of a group, by name, in the order of the scenario's inventory."""
    inventory = yaml.safe_load(_inventory().read_text(encoding="utf-8"))
    return {name: host["ansible_host"] for name, host in inventory[group]["hosts"].items()}


def generated_key(name: str = "api_key") -> str:
    """Return the API key that the inventory generated for this run in the file `name`."""
    return _state(name).read_text(encoding="utf-8").strip()


def qdrant(address: str, api_key: str | None = None, timeout: float = 30.0, ca_path: Path | None = None) -> Qdrant:
    """Return the node at `address`: without another key, with the generated one; with an authority, by TLS."""
    url = f"{'https' if ca_path else 'http'}://{address}:6333"
    authority = str(ca_path) if ca_path else None
    return Qdrant(QdrantConnection(url, api_key=api_key or generated_key(), timeout=timeout, ca_path=authority))


def on(address: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command as root on the host at `address`; its status is the caller's to judge."""
    options = ["-i", str(_state("id")), "-o", f"UserKnownHostsFile={_state('known_hosts')}"]
    return subprocess.run(
        ["ssh", *options, f"root@{address}", command],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def power(action: str, name: str) -> None:
    """Have tests/hosts/host do `action` (stop, cut or start) to a host."""
    _hosts(action, name)


def network(action: str, one: str, other: str) -> None:
    """Have tests/hosts/host part two hosts, or join them again."""
    _hosts(action, one, other)


def repository(cluster: str) -> Repository:
    """Open the repository of a Qdrant cluster in the scenarios' store."""
    return Repository(StoreLocation(**repository_option(cluster)))


def repository_option(cluster: str, store: str = "store") -> dict[str, str]:
    """Return the repository of a Qdrant cluster in a store, as playbooks and modules take it."""
    access: dict[str, str] = json.loads(_state(f"{store}/access.json").read_text(encoding="utf-8"))
    return {**access, "name": store, "cluster": cluster}


def take_down(store: str) -> None:
    """End a store's server for good, and wait until nobody answers there."""
    (_state(store) / "down").touch()
    address = urlsplit(repository_option("", store)["endpoint_url"])
    wait_for(lambda: not _answers(address.hostname, address.port), f"the end of {store}")


def _answers(host: str | None, port: int | None) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


class Playbook:
    """One run of a playbook of the collection.

    Args:
        name: `server` for playbooks/server.yml.
        arguments: further arguments, such as `--check`.
        variables: extra variables.
    """

    def __init__(self, name: str, *arguments: str, **variables: Any) -> None:
        command = ["ansible-playbook", "-i", str(ROOT / "molecule/hosts/inventory.yml"), "-i", str(_inventory())]
        command += [str(ROOT / "playbooks" / f"{name}.yml"), "-e", json.dumps(variables), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False
        )
        self.status = done.returncode
        self.output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        self.text = " ".join(self.output.split())
        recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", self.output, re.MULTILINE)
        self.changed = {host: int(changed) for host, changed in recap}


def _hosts(*arguments: str) -> None:
    subprocess.run([os.environ["HOSTS_COMMAND"], *arguments], check=True, timeout=SECONDS, stdin=subprocess.DEVNULL)


def _inventory() -> Path:
    return Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "inventory.yml"


def _state(name: str) -> Path:
    return Path(os.environ["HOSTS_DIR"]) / name
