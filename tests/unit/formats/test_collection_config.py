# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what Qdrant tells of a collection to what creates it again, and how two shapes differ."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import collection_config as config

# As GET /collections/{name} of Qdrant 1.16.3 gives it.
RECORDED: dict[str, Any] = {
    "params": {
        "vectors": {
            "text": {"size": 384, "distance": "Cosine", "on_disk": True},
            "parts": {"size": 16, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
        },
        "sparse_vectors": {"words": {"modifier": "idf"}},
        "shard_number": 4,
        "replication_factor": 2,
        "write_consistency_factor": 1,
        "on_disk_payload": True,
    },
    "hnsw_config": {
        "m": 16,
        "ef_construct": 100,
        "full_scan_threshold": 10000,
        "max_indexing_threads": 0,
        "on_disk": False,
    },
    "optimizer_config": {"deleted_threshold": 0.2, "indexing_threshold": 10000, "max_optimization_threads": None},
    "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1},
    "quantization_config": {"scalar": {"type": "int8", "quantile": 0.99}},
    "strict_mode_config": {"enabled": False},
    "metadata": {"owner": "search"},
}


def test_everything_that_creates_the_collection_again_is_in_the_body() -> None:
    body = config.create_body(RECORDED)
    assert body.pop("optimizers_config") == RECORDED["optimizer_config"], "Qdrant gives and takes it under two names"
    sections = {key: value for key, value in RECORDED.items() if key not in ("params", "optimizer_config")}
    assert body == {**RECORDED["params"], **sections}


def test_what_is_null_is_left_to_the_server() -> None:
    minimal = {
        "params": {"vectors": {"size": 4, "distance": "Dot"}, "sparse_vectors": None},
        "quantization_config": None,
    }
    assert config.create_body(minimal) == {"vectors": {"size": 4, "distance": "Dot"}}


def test_a_value_of_zero_or_false_is_kept() -> None:
    params = {"vectors": {}, "on_disk_payload": False, "shard_number": 1}
    assert config.create_body({"params": params}) == params


@pytest.mark.parametrize(("method", "custom"), [("custom", True), ("auto", False), (None, False)])
def test_custom_sharding_is_known(method: str | None, custom: bool) -> None:
    assert config.is_custom_sharded({"params": {"sharding_method": method}}) is custom


def test_payload_indexes_are_kept_without_their_counts() -> None:
    schema = {
        "group": {"data_type": "keyword", "points": 100},
        "text": {"data_type": "text", "params": {"type": "text", "tokenizer": "word", "lowercase": True}, "points": 7},
    }
    indexes = config.payload_indexes({"payload_schema": schema})
    assert indexes == {
        "group": {"data_type": "keyword"},
        "text": {"data_type": "text", "params": schema["text"]["params"]},
    }
    assert config.field_schema(indexes["group"]) == "keyword"
    assert config.field_schema(indexes["text"]) == {"type": "text", "tokenizer": "word", "lowercase": True}


def test_equal_shapes_do_not_differ() -> None:
    other = copy.deepcopy(RECORDED)
    other["params"]["vectors"]["text"]["on_disk"] = False
    other["params"]["vectors"]["text"]["datatype"] = "float32"
    other["hnsw_config"]["m"] = 64
    assert config.vector_differences(RECORDED, other) == []


def shape(vectors: dict[str, Any], sparse: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"params": {"vectors": vectors, "sparse_vectors": sparse}}


def test_every_difference_is_told_at_once() -> None:
    other = copy.deepcopy(RECORDED)
    other["params"]["vectors"] = {"text": {"size": 512, "distance": "Cosine"}, "extra": {"size": 2, "distance": "Dot"}}
    other["params"]["sparse_vectors"] = {}
    assert config.vector_differences(RECORDED, other) == [
        "vector 'extra' is absent in the backup, 2 x float32, Dot there",
        "vector 'parts' is 16 x float32, Dot, multivector in the backup, absent there",
        "vector 'text' is 384 x float32, Cosine in the backup, 512 x float32, Cosine there",
        "vector 'words' is sparse, {'modifier': 'idf'} in the backup, absent there",
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"size": 5, "distance": "Dot"},
        {"size": 4, "distance": "Cosine"},
        {"size": 4, "distance": "Dot", "datatype": "float16"},
        {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    ],
    ids=["size", "distance", "datatype", "multivector"],
)
def test_a_difference_in_an_unnamed_vector_is_told(other: dict[str, Any]) -> None:
    differences = config.vector_differences(shape({"size": 4, "distance": "Dot"}), shape(other))
    assert len(differences) == 1
    assert differences[0].startswith("the vector is 4 x float32, Dot in the backup, ")


def test_an_unnamed_vector_is_not_a_named_one() -> None:
    vector = {"size": 4, "distance": "Dot"}
    assert len(config.vector_differences(shape(vector), shape({"text": vector}))) == 2


def test_a_vector_whose_name_is_size_is_a_named_one() -> None:
    named = shape({"size": {"size": 4, "distance": "Dot"}})
    assert config.vector_differences(named, named) == []
    assert "vector 'size'" in config.vector_differences(named, shape({}))[0]


def test_a_collection_of_sparse_vectors_only_is_understood() -> None:
    sparse = shape({}, {"words": {}})
    assert config.vector_differences(sparse, sparse) == []
    assert config.vector_differences(sparse, {"params": {"sparse_vectors": {"words": {}}}}) == []


def test_names_of_all_vectors() -> None:
    assert config.vector_names(
        {"params": {"vectors": {"size": 4, "distance": "Dot"}, "sparse_vectors": {"s": {}}}}
    ) == [
        "",
        "s",
    ]
    assert config.vector_names({"params": {"vectors": {"size": {"size": 4, "distance": "Dot"}, "b": {}}}}) == [
        "size",
        "b",
    ]
    assert config.vector_names({"params": {"vectors": {}, "sparse_vectors": {"s": {}}}}) == ["s"]


def test_nodes_that_tell_of_empty_metadata_or_not_tell_the_same() -> None:
    bare = {name: value for name, value in RECORDED.items() if name != "metadata"}
    assert config.comparable({**bare, "metadata": {}}) == config.comparable({**bare, "metadata": None}) == bare
    full = {**bare, "metadata": {"owner": "search"}}
    assert config.comparable(full) == full
