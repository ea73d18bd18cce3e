# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Qdrant tells of a collection, turned into what it takes to create it again."""

from __future__ import annotations

from typing import Any

# Keys of `config.params` that the request to create a collection takes under the same name.
_PARAMS = (
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
)
# Sections of `config`, and their names in that request.
_SECTIONS = {
    "hnsw_config": "hnsw_config",
    "optimizer_config": "optimizers_config",
    "wal_config": "wal_config",
    "quantization_config": "quantization_config",
    "strict_mode_config": "strict_mode_config",
    "metadata": "metadata",
}


def create_body(config: dict[str, Any]) -> dict[str, Any]:
    """The body of ``PUT /collections/{name}`` that makes a collection with this ``config``."""
    params = config["params"]
    body = {name: params[name] for name in _PARAMS if params.get(name) is not None}
    for section, name in _SECTIONS.items():
        if config.get(section) is not None:
            body[name] = config[section]
    return body


def comparable(config: dict[str, Any]) -> dict[str, Any]:
    """The ``config`` as every node tells it: of metadata that is empty again, as after a restore, one and the same node
    says now that it is ``{}`` and now nothing."""
    return {name: value for name, value in config.items() if name != "metadata" or value}


def is_custom_sharded(config: dict[str, Any]) -> bool:
    """Whether shards are made by shard key."""
    return config["params"].get("sharding_method") == "custom"


def is_strict(config: dict[str, Any]) -> bool:
    """Whether strict mode limits what may be asked of the collection."""
    return bool((config.get("strict_mode_config") or {}).get("enabled"))


def page_limit(config: dict[str, Any]) -> int | None:
    """The most points that strict mode lets one request return, None for any number."""
    return config["strict_mode_config"].get("max_query_limit") if is_strict(config) else None


def upsert_limit(config: dict[str, Any]) -> int | None:
    """The most points that strict mode lets one request write, None for any number."""
    return config["strict_mode_config"].get("upsert_max_batchsize") if is_strict(config) else None


def point_bytes(config: dict[str, Any]) -> int:
    """About how many bytes a point takes: its dense vectors as float32, and something for id and payload."""
    return 4 * sum(vector["size"] for vector in dense_vectors(config).values()) + 100


def dense_vectors(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each dense vector by its name, "" for the unnamed one."""
    dense = config["params"].get("vectors") or {}
    # A number: there may be a vector that is named "size".
    return {"": dense} if isinstance(dense.get("size"), int) else dense


def rounded_anew(config: dict[str, Any]) -> list[str]:
    """The names of the vectors that need not come back in every bit when they are written as they were read.

    Qdrant normalizes vectors of cosine distance, and rounds those to half precision afterwards, each time.
    """
    return [
        name
        for name, vector in dense_vectors(config).items()
        if (vector["distance"], vector.get("datatype")) == ("Cosine", "float16")
    ]


def vector_names(config: dict[str, Any]) -> list[str]:
    """The names of all vectors, dense ones first, "" for the unnamed one."""
    return [*dense_vectors(config), *_sparse_vectors(config)]


def payload_indexes(info: dict[str, Any]) -> dict[str, Any]:
    """Field -> schema of each payload index, without its count of points."""
    return {
        field: {key: value for key, value in schema.items() if key != "points"}
        for field, schema in info["payload_schema"].items()
    }


def field_schema(schema: dict[str, Any]) -> Any:
    """The ``field_schema`` that creates a payload index with this recorded schema."""
    return schema["params"] if schema.get("params") else schema["data_type"]


def vector_differences(recorded: dict[str, Any], existing: dict[str, Any]) -> list[str]:
    """How the vectors of two configs differ in what stored segments depend on, a sentence each."""
    differences = []
    mine, theirs = _vectors(recorded), _vectors(existing)
    for name in sorted(set(mine) | set(theirs)):
        if mine.get(name) != theirs.get(name):
            label = f"vector {name!r}" if name else "the vector"
            differences.append(
                f"{label} is {mine.get(name, 'absent')} in the backup, {theirs.get(name, 'absent')} there"
            )
    return differences


def _vectors(config: dict[str, Any]) -> dict[str, str]:
    found = {
        name: f"{vector['size']} x {vector.get('datatype') or 'float32'}, {vector['distance']}"
        + (", multivector" if vector.get("multivector_config") else "")
        for name, vector in dense_vectors(config).items()
    }
    found.update({name: f"sparse, {sparse or {}}" for name, sparse in _sparse_vectors(config).items()})
    return found


def _sparse_vectors(config: dict[str, Any]) -> dict[str, Any]:
    return config["params"].get("sparse_vectors") or {}
