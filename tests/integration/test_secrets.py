# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At -vvvv nothing that Ansible prints holds a key: not of a module that works, and not of one that fails."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from tests.made_backups import as_option, location_on
from tools.servers import QdrantServer, SeaweedServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

ROOT = Path(__file__).resolve().parents[2]
RIGHT, WRONG = {"url": "{{ url }}", "api_key": "{{ key }}"}, {"url": "{{ url }}", "api_key": "{{ wrong }}"}
STORE, NAME = "{{ store }}", "{{ name }}"
DENIED = "{{ store | combine({'secret_key': wrong}) }}"
KEYED = "{{ store | combine({'encryption': 'SSE-C', 'sse_customer_key': customer_key, 'prefix': 'keyed'}) }}"
WRONGLY_KEYED = "{{ store | combine({'encryption': 'SSE-C', 'sse_customer_key': customer_key ~ customer_key}) }}"
OTHER = {"url": "{{ url }}", "api_key": "{{ read_only_key }}", "collection": NAME}
BACKUP = {"collections": [NAME], "repository": STORE}
RESTORE = {"collection": NAME, "sources": [STORE], "target": "restored"}
# (module, arguments, the failure's code or None)
TASKS: list[tuple[str, dict[str, Any], str | None]] = [
    ("snapshot", {**RIGHT, "collection": NAME}, None),
    ("snapshot", {**WRONG, "collection": NAME}, "qdrant_unauthorized"),
    ("snapshot_info", {"url": "{{ url }}"}, None),  # the key comes from QDRANT_API_KEY
    ("snapshot_info", WRONG, "qdrant_unauthorized"),
    ("collection_check", {**RIGHT, "collection": NAME, "compare": OTHER}, None),
    (
        "collection_check",
        {**RIGHT, "collection": NAME, "compare": {**OTHER, "api_key": "{{ wrong }}"}},
        "qdrant_unauthorized",
    ),
    ("backup", {**RIGHT, **BACKUP}, None),
    ("backup", {**WRONG, **BACKUP}, "qdrant_unauthorized"),
    ("backup", {**RIGHT, **BACKUP, "repository": DENIED}, "store_denied"),
    ("backup_verify", {"repositories": [STORE]}, None),
    ("backup_verify", {"repositories": [DENIED]}, "store_unreachable"),
    ("backup", {**RIGHT, **BACKUP, "repository": KEYED}, None),
    ("bucket_check", {"repository": WRONGLY_KEYED}, "invalid_input"),
    ("restore", {**WRONG, **RESTORE}, "qdrant_unauthorized"),
    ("restore", {**RIGHT, **RESTORE, "sources": [DENIED]}, "store_denied"),
]


def playbook() -> list[dict[str, Any]]:
    """All tasks in one play, since Ansible's start takes longer than any of them."""
    tasks = [
        {"name": f"Task {number}", f"vectorops.qdrant_dr.{module}": arguments, "ignore_errors": True}
        for number, (module, arguments, _code) in enumerate(TASKS)
    ]
    return [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]


@pytest.fixture
def given(
    keyed_qdrant: QdrantServer, s3_server: SeaweedServer, bucket: str, make_collection: Callable[..., str]
) -> dict[str, Any]:
    """The play's variables."""
    owner = Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key))
    return {
        "url": keyed_qdrant.url,
        "key": keyed_qdrant.api_key,
        "read_only_key": keyed_qdrant.read_only_key,
        "wrong": secrets.token_hex(16),
        "customer_key": secrets.token_hex(32),
        "name": make_collection(points=20, on=owner),
        "store": as_option(location_on(s3_server, bucket)),
    }


def run(folder: Path, given: dict[str, Any]) -> str:
    """Run the play at -vvvv; returns all that was printed."""
    (folder / "play.json").write_text(json.dumps(playbook()))
    (folder / "vars.json").write_text(json.dumps(given))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-vvvv", "-i", "localhost,", "-c", "local", "-e", "@vars.json", "play.json"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "QDRANT_API_KEY": given["key"],
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr


def test_no_key_is_printed_at_vvvv(tmp_path: Path, given: dict[str, Any]) -> None:
    output = run(tmp_path, given)
    printed = re.split(r"TASK \[Task \d+\]", output)[1:]
    assert len(printed) == len(TASKS), output
    keys = {name: given[name] for name in ("key", "read_only_key", "wrong", "customer_key")}
    keys |= {name: given["store"][name] for name in ("access_key", "secret_key")}
    for text, (module, _arguments, code) in zip(printed, TASKS, strict=True):
        assert ("fatal: " in text) == (code is not None), text
        assert code is None or f'"code": "{code}"' in text, text
        assert '"invocation": {' in text, "Ansible prints the arguments"
        assert [name for name, key in keys.items() if key in text] == [], f"{module}, expected to fail with {code}"
    assert [name for name, key in keys.items() if key in output] == []
