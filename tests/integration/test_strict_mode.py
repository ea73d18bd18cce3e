# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections whose strict mode forbids what a backup, a check or a restore would ask: they are saved all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import StrictModeRefused
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import (
    check_collection,
    collection_digest,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.probe import record_probes
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores import qdrant_http
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Make = Callable[..., str]

# Whether recall can be recorded of a collection with these limits.
LIMITS: dict[str, tuple[Json, bool]] = {
    "page size": ({"max_query_limit": 100}, True),
    "smallest page size": ({"max_query_limit": 3}, False),
    "exact": ({"search_allow_exact": False}, False),
    "filters": ({"filter_max_conditions": 0}, False),
    "many": (
        {
            "unindexed_filtering_retrieve": False,
            "unindexed_filtering_update": False,
            "max_query_limit": 10,
            "search_max_hnsw_ef": 4,
            "max_timeout": 1,
            "write_rate_limit": 1,
            "max_points_count": 1,
            "upsert_max_batchsize": 1,
            "max_payload_index_count": 2,
        },
        True,
    ),
}


def restrict(qdrant: Qdrant, name: str, limits: Json) -> Json:
    """Put a collection under strict mode; returns its whole config."""
    qdrant.update_collection(name, {"strict_mode_config": {"enabled": True, **limits}})
    return qdrant.collection(name)["config"]


@pytest.mark.parametrize("limits", LIMITS)
def test_a_strict_collection_comes_back_with_its_limits(
    run_module: Callable[..., Json], qdrant: Qdrant, repository: Repository, make_collection: Make, limits: str
) -> None:
    name = make_collection(points=350)
    digest = collection_digest(qdrant, name)
    strict, searchable = LIMITS[limits]
    config = restrict(qdrant, name, strict)
    url, store = qdrant.connection.url, as_option(repository.location)
    node = {"url": url, "collection": name}

    made = run_module("backup", {"url": url, "collections": [name], "repository": store})
    [entry] = made["backups"]
    assert entry["points"] == {"before": 350, "after": 350}
    assert any("no recall is recorded" in warning for warning in entry["warnings"]) is not searchable
    qdrant.delete_collection(name)
    result = run_module("restore", {**node, "sources": [store], "expect_digest": digest[1]})

    assert result["check"]["healthy"]
    assert result["check"]["exact_recall_at_10"] == (1.0 if searchable else None)
    assert qdrant.collection(name)["config"] == {**config, "metadata": {}}
    checked = run_module("collection_check", {**node, "expect_points": 350, "expect_digest": digest[1]})
    assert (checked["points"], checked["digest"], checked["unmeasured"]) == (350, digest[1], [])
    again = run_module("restore", {**node, "sources": [store], "overwrite": True})
    assert again["safety_backup"]
    assert qdrant.collection(name)["config"] == {**config, "metadata": {}}


def test_searches_that_strict_mode_forbids_are_no_finding(qdrant: Qdrant, make_collection: Make) -> None:
    name = make_collection()
    probes = record_probes(qdrant, name)
    restrict(qdrant, name, {"search_allow_exact": False})
    checked = check_collection([qdrant], name, probes=probes)
    assert checked["healthy"]
    assert (checked["recall_at_10"], checked["recall_by_vector"]) == (None, {})
    [sentence] = checked["unmeasured"]
    assert "recall" in sentence
    assert "Exact search disabled" in sentence
    compared = check_collection([qdrant], name, compare_with=(qdrant, name))
    assert compared["healthy"]
    assert "Exact search disabled" in compared["unmeasured"][0]


def search_for_ever(qdrant: Qdrant, name: str) -> None:
    """Search until Qdrant refuses."""
    while True:
        record_probes(qdrant, name)


def test_a_rate_limit_does_not_stop_a_backup_or_its_restore(
    qdrant: Qdrant, repository: Repository, make_collection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_http, "LONGEST_RETRY_SECONDS", 0.1)
    name = make_collection()
    digest = collection_digest(qdrant, name)
    restrict(qdrant, name, {"read_rate_limit": 30})
    made = back_up(qdrant, repository, BackupRequest(name))
    assert [warning for warning in made["warnings"] if "no recall is recorded" in warning and "rate limit" in warning]
    result = restore([qdrant], [repository], RestoreRequest(name, target=f"{name}-2", expect_digest=digest[1]))
    try:
        assert result["check"]["healthy"]
        with pytest.raises(StrictModeRefused, match="Rate limiting exceeded"):
            search_for_ever(qdrant, f"{name}-2")
    finally:
        qdrant.delete_collection(f"{name}-2")
