# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A failover that is killed in the middle is on record, what it left is named, and nothing that serves is touched."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_record
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.drill_kind import FAILOVER
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import DrillRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.failover import (
    FailoverRequest,
    Fence,
    fail_over,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import discard
from tests.made_backups import as_option
from tests.proofs import state_of, wait_for
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

Json = dict[str, Any]
Run = Callable[..., Json]
STAGES = list(drill_record.REAL_STAGES)


@pytest.fixture
def options(
    production: Qdrant,
    keyed_qdrant: QdrantServer,
    qdrant: Qdrant,
    repository: Repository,
    make_collection: Callable[..., str],
    tmp_path: Path,
) -> Iterator[Json]:
    """Those of a failover from a store so slow that a test finds it in its restore."""
    name = make_collection(points=300, on=production)
    production.update_aliases([{"create_alias": {"collection_name": name, "alias_name": f"{name}-live"}}])
    back_up(production, repository, BackupRequest(name))
    with ExitStack() as cleanup:
        cleanup.callback(discard, qdrant, name)
        yield {
            "url": qdrant.connection.url,
            "collections": [name],
            "sla": "standard",
            "sources": [{**as_option(repository.location), "bandwidth_limit": "64K"}],
            "source": {"url": keyed_qdrant.url, "api_key": keyed_qdrant.read_only_key},
            "journal": str(tmp_path / "journal"),
            "fence_confirmed": True,
        }


def recovered(run_module: Run, options: Json, url: str | None = None) -> Json:
    """The one record that drill_recover gives."""
    found = run_module("drill_recover", {"url": url or options["url"], "journal": options["journal"]})
    [record] = found["records"]
    return drill_record.check(record)


def test_a_killed_failover_is_a_fail_with_its_stage_and_the_next_one_takes_its_place(
    start_module: Callable[..., Any], run_module: Run, options: Json, qdrant: Qdrant
) -> None:
    [name] = options["collections"]
    process = start_module("failover", options).process
    wait_for(lambda: name in qdrant.collections(), "the restore")
    process.kill()
    process.wait()
    there = state_of(qdrant)
    record = recovered(run_module, options)
    assert (record["kind"], record["verdict"]) == ("vectorops.qdrant_dr/failover", "FAIL")
    assert (record["failed_stage"], record["failure"]["code"]) == ("restore", "interrupted")
    assert record["failure"]["detail"] == "The failover was killed in the stage restore."
    assert [stage["name"] for stage in record["stages"]] == STAGES
    assert [stage["outcome"] for stage in record["stages"]] == ["done", "done", "failed", *["skipped"] * 4]
    [left] = record["cleanup"]
    assert (left["removed"], name in left["detail"], "serves nobody" in left["detail"]) == (False, True, True)
    assert state_of(qdrant) == there, "nothing is removed"
    elsewhere = recovered(run_module, options, url=options["source"]["url"])
    assert "was not asked" in elsewhere["cleanup"][0]["detail"]

    fast = {**options, "sources": [{**options["sources"][0], "bandwidth_limit": None}]}
    [after] = run_module("failover", fast)["records"]
    assert after["failed_stage"] is None
    assert (qdrant.count(name), qdrant.aliases()[f"{name}-live"]) == (300, name)
    journals = {path.stem for path in Path(options["journal"]).iterdir()}
    assert journals == {record["drill_id"], after["drill_id"]}, "until their reports are stored"


class Dying(Qdrant):
    """A node whose caller dies as soon as the aliases are switched."""

    def update_aliases(self, actions: list[Json]) -> None:
        super().update_aliases(actions)
        if any(action.get("create_alias", {}).get("alias_name", "").endswith("-live") for action in actions):
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_published_stays_when_its_failover_is_killed(
    run_module: Run, options: Json, qdrant: Qdrant, repository: Repository
) -> None:
    [name] = options["collections"]
    now = datetime.now(timezone.utc)
    declared = Declaration(now, now, "cluster_lost", "ada", "lost")
    asked = DrillRequest(name, declared, parse_level("standard"), target=name, min_copies=1)
    asked = replace(asked, journal=Path(options["journal"]), facts={"configuration_sha256": "0" * 64})
    request = FailoverRequest(FAILOVER, [asked], Fence(proof="its port is closed"))

    def dies() -> None:
        with Repository(repository.location) as own, Dying(QdrantConnection(qdrant.connection.url)) as node:
            fail_over([node], [own], request)

    child = multiprocessing.get_context("fork").Process(target=dies)
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    there = state_of(qdrant)
    record = recovered(run_module, options)
    assert (record["verdict"], record["failed_stage"]) == ("FAIL", "publish")
    assert f"{name} is whole and may serve: {name}-live point to it" in record["cleanup"][0]["detail"]
    assert state_of(qdrant) == there
    assert (qdrant.count(name), qdrant.aliases()[f"{name}-live"]) == (300, name)


def test_a_place_that_takes_no_journal_is_refused_before_anything_is_done(
    run_module: Run, options: Json, qdrant: Qdrant, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    planned = run_module("failover", {**options, "journal": str(tmp_path / "file" / "journal")}, check=True)
    assert planned["failure"]["code"] == "file_error"
    assert "write journals" in planned["msg"]
    fast = [{**options["sources"][0], "bandwidth_limit": None}]
    lost = {**options, "sources": fast, "journal": str(tmp_path / "file" / "journal")}
    [record] = run_module("failover", lost)["records"]
    assert record["failed_stage"] is None, "that its place has gone since keeps nobody from recovering"


def test_the_record_says_what_it_cost(run_module: Run, options: Json) -> None:
    fast = [{**options["sources"][0], "bandwidth_limit": None}]
    prices = {"gets_per_1000": 1000.0, "puts_per_1000": 0.0, "transfer_per_gb": 0.0, "currency": "EUR"}
    [record] = run_module("failover", {**options, "sources": fast, "prices": prices})["records"]
    cost = record["cost"]
    assert cost["transfer_bytes"] == sum(each["bytes"] for each in record["backup"]["served"].values())
    assert (cost["amount"], cost["currency"]) == (cost["reads"], "EUR")
    assert cost["reads"] >= len(record["backup"]["objects"])
