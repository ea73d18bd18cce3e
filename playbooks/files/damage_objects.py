# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flip bits in stored shard archives, as a failing disk does: same size, same name. Print what was damaged as JSON.

Usage: damage_objects.py SETTINGS REGION:COLLECTION:SHARD...

SETTINGS is the JSON file of variables that the demo runs with. Each argument damages the newest backup of that
collection in that region.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

FLIPS = 3
SEED = 20261122


def client_of(repository: dict[str, Any]) -> Any:
    """Return an S3 client for a repository of the settings."""
    return boto3.client(
        "s3",
        endpoint_url=repository["endpoint_url"],
        region_name=repository["region"],
        aws_access_key_id=repository["access_key"],
        aws_secret_access_key=repository["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )


def newest_manifest(client: Any, repository: dict[str, Any], collection: str) -> dict[str, Any]:
    """Return the manifest of the newest backup; SystemExit when there is none."""
    prefix = f"{repository['cluster']}/{collection}/backups/"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=repository["bucket"], Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    manifests = sorted(key for key in keys if key.endswith("/manifest.json"))
    if not manifests:
        raise SystemExit(f"{repository['name']} has no backup of {collection}.")
    body: bytes = client.get_object(Bucket=repository["bucket"], Key=manifests[-1])["Body"].read()
    manifest: dict[str, Any] = json.loads(body)
    return manifest


def damage(repository: dict[str, Any], collection: str, shard: int, chance: random.Random) -> dict[str, Any]:
    """Flip single bits in one part of a shard's archive, and put it back."""
    client = client_of(repository)
    manifest = newest_manifest(client, repository, collection)
    stored = next(entry["object"] for entry in manifest["shards"] if entry["shard"] == shard)
    place = {"Bucket": repository["bucket"], "Key": f"{repository['cluster']}/{collection}/{stored['key']}"}
    data = bytearray(client.get_object(**place)["Body"].read())
    part = chance.randrange(len(stored["parts"]))
    start, end = part * stored["part_size"], min((part + 1) * stored["part_size"], len(data))
    offsets = sorted(chance.sample(range(start, end), FLIPS))
    for offset in offsets:
        data[offset] ^= 1 << chance.randrange(8)
    client.put_object(**place, Body=bytes(data), ServerSideEncryption="AES256")
    return {
        "region": repository["name"],
        "object": f"{collection}/{stored['key']}",
        "collection": collection,
        "shard": shard,
        "part": part + 1,
        "offsets": offsets,
    }


def main() -> None:
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    chance = random.Random(SEED)  # noqa: S311 (no secret depends on it)
    damaged = []
    for argument in sys.argv[2:]:
        region, collection, shard = argument.split(":")
        damaged.append(damage(settings[f"demo_{region}"], collection, int(shard), chance))
    print(json.dumps(damaged))


if __name__ == "__main__":
    main()
