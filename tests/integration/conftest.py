# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests on real servers begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.agent_process import Agent


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
