# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that sets buckets up, as an operator runs it."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.playbook_process import run_in

PLAYBOOK_SECONDS = 280

Json = dict[str, Any]
FACTS = "{{ {'result': qdrant_bucket_result | default({}), 'policies': qdrant_bucket_policies} | to_json }}"
REPORT = [
    {"name": "Set buckets up", "ansible.builtin.import_playbook": "vectorops.qdrant_dr.bucket"},
    {
        "name": "Keep what came of it",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Write the facts",
                "ansible.builtin.copy": {
                    "content": FACTS,
                    "dest": "{{ playbook_dir }}/facts.json",
                    "mode": "0600",
                },
                "check_mode": False,
                "changed_when": False,
            }
        ],
    },
]


class BucketRun:
    """What a run printed, how many tasks changed something, and the facts that it left if it went to its end."""

    def __init__(self, process: subprocess.CompletedProcess[str], facts: Path) -> None:
        self.status = process.returncode
        self.output = process.stdout + process.stderr
        self.said = " ".join(self.output.split())
        recap = re.search(r"ok=\d+ +changed=(\d+)", self.output)
        self.changed = int(recap[1]) if recap else None
        found: Json = json.loads(facts.read_text(encoding="utf-8")) if self.status == 0 else {}
        self.policies: Json = found.get("policies", {})
        self.states = {
            name: {feature: outcome["state"] for feature, outcome in features.items()}
            for name, features in found.get("result", {}).items()
        }


def set_up(folder: Path, variables: Json, *arguments: str, environment: dict[str, str] | None = None) -> BucketRun:
    """Run the playbook with the role's variables (named without their prefix)."""
    (folder / "play.json").write_text(json.dumps(REPORT), encoding="utf-8")
    given = {f"qdrant_bucket_{name}": value for name, value in variables.items()}
    (folder / "vars.json").write_text(json.dumps(given), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.json"), "-i", "localhost,"]
    command += ["-c", "local", "-e", f"@{folder / 'vars.json'}", *arguments]
    return BucketRun(run_in(folder, command, PLAYBOOK_SECONDS, environment), folder / "facts.json")


class Aws:
    """An operator of AWS, which moto stands in for: no endpoint and no keys in the repositories."""

    secret = "a-secret-of-aws"
    key = "arn:aws:kms:eu-west-1:111122223333:key/0123"

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.near, self.far = (f"b-{secrets.token_hex(6)}" for _each in range(2))
        self.repositories: list[Json] = [
            {
                "name": "near",
                "bucket": self.near,
                "cluster": "production",
                "region": "eu-west-1",
                "encryption": "aws:kms",
                "kms_key_id": self.key,
            },
            {
                "name": "far",
                "bucket": self.far,
                "cluster": "production",
                "region": "us-west-2",
                "encryption": "aws:kms",
                "kms_key_id": self.key.replace("eu-west-1", "us-west-2"),
            },
        ]

    def runs(self, *arguments: str, **variables: Any) -> BucketRun:
        """Set the repositories' buckets up."""
        keys = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": self.secret}
        environment = {**keys, "AWS_ENDPOINT_URL_S3": self.url}
        return set_up(self.folder, {"repositories": self.repositories} | variables, *arguments, environment=environment)

    def client(self, region: str = "eu-west-1") -> Any:
        """A client of a region."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session("operator", self.secret, region_name=region).client(
            "s3", endpoint_url=self.url, config=Config(proxies={}, s3={"addressing_style": "path"})
        )

    def create(self, **arguments: Any) -> Any:
        """Have someone else create the near bucket; returns a client for it."""
        self.client().create_bucket(
            Bucket=self.near, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}, **arguments
        )
        return self.client()
