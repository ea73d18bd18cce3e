# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost in the record of a drill, against what really went over the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from botocore.httpsession import URLLib3Session

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.prices import Prices
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sla import parse_level
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.catalogue import find_backup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill import DrillRequest, drill
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drill_declaration import Declaration
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]


def test_the_cost_is_of_the_requests_that_were_sent(
    production: Qdrant,
    qdrant: Qdrant,
    repository: Repository,
    standby: Repository,
    make_collection: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    regions = [repository, standby]
    name = make_collection(points=300, on=production)
    back_up(production, repository, BackupRequest(name))
    copy_backups(repository, [standby], [name], Choice())
    sent, send = [], URLLib3Session.send
    monkeypatch.setattr(URLLib3Session, "send", lambda self, request: sent.append(request) or send(self, request))
    prices = Prices.of({"transfer_per_gb": 90.0, "puts_per_1000": 50.0, "gets_per_1000": 4.0, "dated": "2027-01"})
    now = datetime.now(timezone.utc)
    declared = Declaration(now, now, "collection_lost", "ada")
    request = DrillRequest(name, declared, parse_level("prototype"), prices=prices)
    cost = drill([qdrant], regions, request)["cost"]
    reads = sum(each.method in ("GET", "HEAD") and "list-type" not in each.url for each in sent)
    writes = sum(each.method != "DELETE" for each in sent) - reads
    assert (cost["reads"], cost["writes"]) == (reads, writes)
    assert reads > 5
    size = find_backup(regions, name)[0].size
    assert (cost["transfer_bytes"], cost["storage_bytes_month"]) == (size, 2 * size)
    assert cost["amount"] == pytest.approx(size / 1e9 * 90 + writes * 0.05 + reads * 0.004, abs=1e-6)
    assert cost["storage_amount_month"] == pytest.approx(2 * size / 1e9 * 0.023, abs=1e-6)
    assert cost["prices"].startswith("given prices, and for the rest list prices of Amazon S3")
    assert (cost["prices_dated"], cost["currency"]) == ("2027-01", "USD")
