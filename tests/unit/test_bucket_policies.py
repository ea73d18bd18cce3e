# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of the role qdrant_bucket as documents: what they grant, and on what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "qdrant_bucket" / "templates"
BUCKET = "arn:aws:s3:::backups"
BELOW = f"{BUCKET}/qdrant/production/*"
WRITTEN_BY_PRUNES = {f"{BUCKET}/qdrant/production/{key}" for key in (".locks/*", "*/verified/*.json", "*/index.json")}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/0123"
WHO = ("writer", "pruner", "restorer")

Json = dict[str, Any]


def policy(name: str, key: str = "", **variables: Any) -> Json:
    """The document that a template gives for `backups`, prefix `qdrant`, cluster `production`."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined)
    given = {"arn": BUCKET, "root": "qdrant/production/", "key": key, "partition": "aws"} | variables
    template = environment.get_template(f"{name}.json.j2")
    document: Json = json.loads(template.render({f"__qdrant_bucket_{part}": value for part, value in given.items()}))
    return document


def grants(document: Json, effect: str = "Allow") -> dict[str, set[str]]:
    """Each action with the resources that it is allowed on."""
    found: dict[str, set[str]] = {}
    for statement in document["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        named = statement["Resource"]
        resources = {named} if isinstance(named, str) else set(named)
        for action in actions if statement["Effect"] == effect else []:
            found.setdefault(action, set()).update(resources)
    return found


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("who", WHO)
def test_everything_is_on_the_bucket_below_the_root_or_the_key(who: str, key: str) -> None:
    document = policy(who, key)
    granted = grants(document)
    assert set().union(*granted.values()) - WRITTEN_BY_PRUNES <= {BUCKET, BELOW, key}
    assert [action for action, resources in granted.items() if "*" in action or "*" in resources] == []
    listing = [statement for statement in document["Statement"] if "s3:ListBucket" in statement["Action"]]
    assert listing[0]["Condition"] == {"StringLike": {"s3:prefix": "qdrant/production/*"}}
    assert {action for action in granted if action.startswith("kms:")} <= (
        {"kms:Decrypt", "kms:GenerateDataKey"} if key else set()
    )


def test_the_writer_deletes_nothing() -> None:
    granted = grants(policy("writer", KEY))
    assert [action for action in granted if "Delete" in action or "Retention" in action] == []
    assert granted["s3:PutObject"] == {BELOW}
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(granted)


def test_the_pruner_writes_locks_and_what_was_found_and_unlocks_nothing() -> None:
    document = policy("pruner")
    granted = grants(document)
    assert granted["s3:PutObject"] == WRITTEN_BY_PRUNES
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObjectRetention"} <= set(granted)
    denied = {"s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold"}
    assert set(grants(document, "Deny")) == denied
    assert not denied & set(granted)


def test_the_restorer_reads() -> None:
    assert set(grants(policy("restorer", KEY))) == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}


def test_who_replicates_writes_to_the_others_and_deletes_nothing() -> None:
    stores = [{"bucket": "backups"}, {"bucket": "copies", "kms_key_id": KEY}, {"bucket": "more"}]
    granted_on = policy("replication_role", stores=stores)["Statement"]
    assert granted_on[-1]["Resource"] == [f"arn:aws:s3:::{name}/qdrant/production/*" for name in ("copies", "more")]
    assert "Delete" not in json.dumps(granted_on)
