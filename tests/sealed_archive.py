# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection whose log is archived by an archiver that encrypts, and restores of it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError, WrongKey
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import fingerprint
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    parse_chunk_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import (
    RestoreRequest,
    plan_restore,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.verify import (
    VerifyReport,
    VerifyRequest,
    verify_backups,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import SIZE, LoggedCollection, identify, settings_for
from tests.followed import discard
from tests.made_backups import with_key
from tests.proofs import holdings, state_of
from tools.servers import QdrantServer

KEY = secrets.token_hex(32)
# What stands in every entry as it is: a payload, and a vector.
KNOWN = "known-plaintext-in-every-payload"
VECTOR = [1.5] * SIZE


def name_of(key: str) -> str:
    """What messages call a master key."""
    return fingerprint(bytes.fromhex(key))


class SealedArchive:
    """A collection, its backup, and an archive of what was written afterwards; all encrypted with ``KEY``."""

    def __init__(self, server: QdrantServer, name: str, repository: Repository, folder: Path) -> None:
        self.collection = LoggedCollection(server, name)
        self.qdrant, self.name, self.server, self.folder = self.collection.qdrant, name, server, folder
        self.repository = with_key(repository, KEY)
        self.digests: list[tuple[int, Any]] = []

    def write(self, first: int, count: int = 1) -> int:
        """Write points that can be searched for in what is stored."""
        points = [{"id": n, "vector": VECTOR, "payload": {"word": KNOWN}} for n in range(first, first + count)]
        path = f"/collections/{self.name}/points"
        return int(self.qdrant.call("PUT", path, {"points": points}, {"wait": True})["operation_id"])

    def step(self, first: int, count: int = 1) -> None:
        """Write, and remember what is there then."""
        self.digests.append((self.write(first, count), collection_digest(self.qdrant, self.name)))

    def archive(self) -> None:
        """A run of the archiver that stores what there is now."""
        settings = settings_for(self.server, self.folder, self.name)
        Archiver(identify(self.server), self.repository, settings).run(lambda: False, once=True)

    def fill(self) -> SealedArchive:
        """A base and three steps, each run of the archiver with its own data key."""
        self.write(0, 50)
        self.archive()
        back_up(self.qdrant, self.repository, BackupRequest(self.name))
        for first in (100, 200, 300):
            self.step(first, 5)
            self.archive()
        return self

    def request(self, index: int, **more: Any) -> RestoreRequest:
        moment = MomentRequest(indexes={0: index})
        return RestoreRequest(self.name, **{"target": f"{self.name}-then", "aliases": [], "moment": moment, **more})

    def proves(self, *sources: Repository) -> None:
        """Every step comes back."""
        for index, digest in self.digests:
            try:
                restore([self.qdrant], list(sources), self.request(index))
                assert collection_digest(self.qdrant, f"{self.name}-then") == digest
            finally:
                discard(self.qdrant, f"{self.name}-then")

    def refused(self, kind: type[DrError], words: str, *sources: Repository, **more: Any) -> None:
        """A restore of the last step ends so and changes nothing; a key that is missing is found by its plan, too."""
        before = state_of(self.qdrant, self.name), [holdings(source) for source in sources]
        for attempt in (plan_restore, restore) if kind is WrongKey else (restore,):
            with pytest.raises(kind, match=words):
                attempt([self.qdrant], list(sources), self.request(self.digests[-1][0], **more))
        assert (state_of(self.qdrant, self.name), [holdings(source) for source in sources]) == before

    @property
    def chunks(self) -> list[str]:
        return sorted(item.key for item in self.repository.list() if parse_chunk_key(item.key))


def verify(*regions: Repository, **how: Any) -> VerifyReport:
    check = how.pop("check", False)
    return verify_backups(regions, VerifyRequest(None, Choice(newest=None), how.pop("level", "content"), **how), check)
