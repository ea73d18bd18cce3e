# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests on real servers begin with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import prune as prune_operation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent
from tests.followed import discard
from tests.made_backups import location_on
from tests.sealed_archive import SealedArchive
from tools.servers import QdrantServer, SeaweedServer


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Call it as ``agent(qdrant, repository, *destinations, **sections of the configuration)``."""
    made: list[Agent] = []

    def make(qdrant: Qdrant, *repositories: Repository, **sections: Any) -> Agent:
        made.append(Agent(tmp_path, qdrant.connection, [each.location for each in repositories], **sections))
        return made[-1]

    yield make
    for process in (process for each in made for process in each.processes):
        process.kill()
        process.communicate()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's clock is a day ahead, so that everything has been left alone for the time of grace."""
    ahead = datetime.now(timezone.utc) + timedelta(days=1, minutes=1)
    monkeypatch.setattr(prune_operation, "store_time", lambda _region: ahead)


@pytest.fixture
def locked(s3_server: SeaweedServer) -> Iterator[Repository]:
    """A repository in a bucket with object lock."""
    name = f"lock-{secrets.token_hex(6)}"
    with Repository(location_on(s3_server, name)) as region:
        region.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        yield region


@pytest.fixture
def sealed(qdrant_server: QdrantServer, repository: Repository, tmp_path: Path) -> Iterator[SealedArchive]:
    """A collection whose log can be archived with encryption, in ``repository``."""
    made = SealedArchive(qdrant_server, f"w-{secrets.token_hex(6)}", repository, tmp_path)
    yield made
    discard(made.qdrant, made.name)
