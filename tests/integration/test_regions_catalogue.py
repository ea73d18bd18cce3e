# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One catalogue of several regions, one of which may be gone; and a long one, which an index makes short to read."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils import errors
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.retention import RetentionPolicy
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import summaries
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import find_backup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune import PruneRequest, prune_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.prune_collection import PruneLimits
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.regions_catalogue import (
    CatalogueRequest,
    list_backups,
    read_catalogue,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import as_option, location_on, make_backup
from tools.servers import SeaweedServer

pytestmark = pytest.mark.s3

MONDAY, TUESDAY, WEDNESDAY = ("20261123T020000Z-aaaaaa", "20261124T020000Z-bbbbbb", "20261125T020000Z-cccccc")
NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
TIMEOUT = 1.0


@pytest.fixture
def silent(s3_server: SeaweedServer, bucket: str) -> Iterator[Repository]:
    """A region that is gone without a word: its address takes no connection and refuses none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _number in range(2)]
        for each in waiting:
            # They fill the queue of those who wait to be accepted.
            each.setblocking(False)
            each.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        yield Repository(location_on(s3_server, bucket, name="gone", endpoint_url=url, connect_timeout=TIMEOUT))
        for each in waiting:
            each.close()


def test_the_regions_make_one_catalogue(repository: Repository, standby: Repository) -> None:
    make_backup(repository, backup_id=MONDAY)
    make_backup(standby, backup_id=MONDAY)
    make_backup(standby, backup_id=TUESDAY)
    make_backup(repository, backup_id=WEDNESDAY)
    key = layout.manifest_key("docs", MONDAY)
    repository.put(key, repository.get(key)[:-9])
    found = read_catalogue([repository, standby], CatalogueRequest(rpo=86400.0), NOW)
    assert [(each["backup_id"], each["state"], each["regions"]) for each in found["backups"]] == [
        (WEDNESDAY, "committed", ["primary"]),
        (TUESDAY, "committed", ["standby"]),
        (MONDAY, "committed", ["primary", "standby"]),
    ]
    assert found["freshness"] == [{"collection": "docs", "newest": WEDNESDAY, "age_seconds": 36000.0, "rpo_met": True}]
    assert [(each["region"], each["newest"], each["rpo_met"]) for each in found["regions"]] == [
        ("primary", WEDNESDAY, True),
        ("standby", TUESDAY, False),
    ]
    assert found["unreachable_regions"] == []


def test_a_region_that_is_gone_costs_one_connect_timeout(silent: Repository, standby: Repository) -> None:
    make_backup(standby, backup_id=MONDAY)
    for ask in (
        lambda: read_catalogue([silent, standby], CatalogueRequest(), NOW)["backups"][0]["backup_id"],
        lambda: find_backup([silent, standby], "docs")[0].backup_id,
    ):
        began = time.monotonic()
        assert ask() == MONDAY
        # To try it five times, as a single repository is, takes five timeouts and the pauses between.
        assert time.monotonic() - began < 3 * TIMEOUT
    found = read_catalogue([silent, standby], CatalogueRequest(), NOW)
    assert [each["region"] for each in found["unreachable_regions"]] == ["gone"]
    with pytest.raises(errors.StoreUnreachable, match="Cannot reach"):
        read_catalogue([silent, silent], CatalogueRequest(), NOW)


def test_an_index_spares_the_manifests_and_is_never_believed_over_them(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "WORTH_AN_INDEX", 3)
    for backup_id in (MONDAY, TUESDAY, WEDNESDAY):
        make_backup(repository, backup_id=backup_id)
    listed = list_backups(repository)
    limits = PruneLimits(86400.0, require_verified=False, max_delete_percent=100.0)
    prune_backups([repository], PruneRequest(None, RetentionPolicy(keep_last=9), limits))
    read: list[str] = []
    get = Repository.get
    monkeypatch.setattr(Repository, "get", lambda self, key, **how: (read.append(key), get(self, key, **how))[1])
    assert list_backups(repository) == listed
    assert read == [layout.index_key("docs")]

    repository.delete([layout.manifest_key("docs", MONDAY)])
    key = layout.manifest_key("docs", TUESDAY)
    repository.put(key, get(repository, key)[:-9])
    newer = "20261126T020000Z-dddddd"
    make_backup(repository, backup_id=newer)
    assert [(each["backup_id"], each["state"]) for each in list_backups(repository)] == [
        (newer, "committed"),
        (WEDNESDAY, "committed"),
        (TUESDAY, "damaged"),
    ]
    repository.put(layout.index_key("docs"), b"{not an index")
    assert [each["backup_id"] for each in list_backups(repository)] == [newer, WEDNESDAY, TUESDAY]


def test_the_module_lists_several_regions(
    repository: Repository, standby: Repository, silent: Repository, run_module: Callable[..., dict[str, Any]]
) -> None:
    make_backup(standby, backup_id=MONDAY)
    regions = [as_option(each.location) for each in (silent, repository, standby)]
    result = run_module("backup_info", {"repositories": regions, "collection": "docs", "rpo": "1h"})
    assert (result["newest"], result["rpo_met"], result["backups"][0]["regions"]) == (MONDAY, False, ["standby"])
    assert [each["region"] for each in result["unreachable_regions"]] == ["gone"]
    both = run_module("backup_info", {"repositories": regions, "repository": regions[0]})
    assert "mutually exclusive" in both["msg"]
