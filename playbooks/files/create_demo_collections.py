# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the demo's two collections, wait until they are indexed, and print their names and sizes as JSON.

Usage: create_demo_collections.py SETTINGS        (the JSON file of variables that the demo runs with)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from sklearn.datasets import load_digits

DIGITS, DIGITS_ALIAS, GENERATED = "digits", "digits-live", "articles"
POINTS = 20_000
DIMENSIONS = {"text": 384, "image": 64}
LATENT_DIMENSIONS = 8  # real embeddings, too, lie near a surface of few dimensions
SHARDS = 4
INDEX_SECONDS = 120
BATCH = 1_000
SEED = 20261122


def create_digits(client: QdrantClient) -> None:
    """Load scikit-learn's 1797 handwritten digits: 8 x 8 pixels each, and the digit that was meant."""
    images, labels = load_digits(return_X_y=True)
    client.create_collection(
        DIGITS, vectors_config=models.VectorParams(size=images.shape[1], distance=models.Distance.EUCLID)
    )
    client.create_payload_index(DIGITS, "label", field_schema=models.PayloadSchemaType.INTEGER, wait=True)
    payloads = [{"label": int(label)} for label in labels]
    client.upload_collection(DIGITS, vectors=images, payload=payloads, batch_size=BATCH, wait=True)
    alias = models.CreateAlias(collection_name=DIGITS, alias_name=DIGITS_ALIAS)
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])


def create_generated(client: QdrantClient) -> None:
    """Write points with two named vectors, both projected from the same few latent dimensions."""
    chance = np.random.default_rng(SEED)
    latent = chance.standard_normal((POINTS, LATENT_DIMENSIONS))
    vectors = {
        name: (latent @ chance.standard_normal((LATENT_DIMENSIONS, size))).astype(np.float32)
        for name, size in DIMENSIONS.items()
    }
    client.create_collection(
        GENERATED,
        vectors_config={
            name: models.VectorParams(size=size, distance=models.Distance.COSINE) for name, size in DIMENSIONS.items()
        },
        shard_number=SHARDS,
        # In kB and low, so that every shard has an HNSW graph and searches go through it.
        hnsw_config=models.HnswConfigDiff(full_scan_threshold=100, ef_construct=64),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0, default_segment_number=1),
    )
    client.create_payload_index(GENERATED, "category", field_schema=models.PayloadSchemaType.KEYWORD, wait=True)
    client.create_payload_index(GENERATED, "year", field_schema=models.PayloadSchemaType.INTEGER, wait=True)
    payloads = [
        {"category": f"category-{n % 12}", "year": 1990 + n % 37, "title": f"Article {n}"} for n in range(POINTS)
    ]
    client.upload_collection(GENERATED, vectors=vectors, payload=payloads, batch_size=BATCH, wait=True)
    # Now that all points are there, each graph is built once.
    client.update_collection(GENERATED, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=1_000))


def wait_until_indexed(client: QdrantClient, name: str) -> models.CollectionInfo:
    """Return the collection's description once the optimizer has finished; SystemExit when it does not."""
    deadline = time.monotonic() + INDEX_SECONDS
    while time.monotonic() < deadline:
        found = client.get_collection(name)
        if found.status == models.CollectionStatus.GREEN:
            return found
        time.sleep(0.2)
    raise SystemExit(f"{name} was not indexed within {INDEX_SECONDS} s.")


def main() -> None:
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    client = QdrantClient(
        url=settings["demo_qdrant_url"],
        api_key=settings["demo_qdrant_api_key"],
        grpc_port=settings["demo_qdrant_grpc_port"],
        prefer_grpc=True,
        timeout=60,
        check_compatibility=False,
    )
    create_digits(client)
    create_generated(client)
    for name in (DIGITS, GENERATED):
        info = wait_until_indexed(client, name)
        if not info.points_count:
            raise SystemExit(f"{name} has no points.")
    if not info.indexed_vectors_count:
        raise SystemExit(f"{GENERATED} was not indexed.")
    print(json.dumps({"indexed_vectors": info.indexed_vectors_count}))


if __name__ == "__main__":
    main()
