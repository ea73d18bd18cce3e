# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection whose log is archived while a test writes, and restores of it to moments."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DrError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import discard
from tests.made_backups import location_on
from tests.polled_archive import PolledArchive
from tests.proofs import state_of
from tools.servers import QdrantServer, SeaweedServer

Json = dict[str, Any]
Failure = TypeVar("Failure", bound=DrError)
VECTORS = {"a": {"size": 4, "distance": "Dot"}, "b": {"size": 2, "distance": "Cosine"}}


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass
class Step:
    """What the collection was at a time: ``time``, its digest, its payload indexes, the last entry of each shard."""

    time: datetime
    digest: tuple[int, str]
    indexes: list[str]
    last: dict[int, int]


@dataclass
class Followed:
    """A collection on a node, and an archive that follows its log."""

    qdrant: Qdrant
    server: QdrantServer
    repository: Repository
    name: str
    archive: PolledArchive
    create: Callable[[], None]
    steps: list[Step] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Json) -> None:
        self.qdrant.call(method, f"/collections/{self.name}{path}", body, {"wait": True})

    def upsert(self, first: int, stop: int, **more: Any) -> None:
        points = [
            {"id": n, "vector": {"a": [n, 1, 2, 3], "b": [n, 1]}, "payload": {"n": n, "at": first}}
            for n in range(first, stop)
        ]
        self.call("PUT", "/points", {"points": points, **more})

    def step(self) -> Step:
        """All that has been written until now, archived."""
        time = self.archive.moment()
        self.steps.append(self._step(self.name, time, self.archive.last))
        return self.steps[-1]

    def _step(self, name: str, time: datetime, last: Mapping[int, int | None]) -> Step:
        indexes = sorted(self.qdrant.collection(name)["payload_schema"])
        ends = {shard: index for shard, index in last.items() if index is not None}
        return Step(time, collection_digest(self.qdrant, name), indexes, ends)

    def back_up(self) -> str:
        request = BackupRequest(self.name, storage_path=str(self.server.storage_path))
        self.bases.append(back_up(self.qdrant, self.repository, request)["backup_id"])
        return self.bases[-1]

    def restored(self, request: MomentRequest, *sources: Repository, **more: Any) -> tuple[Json, Step]:
        """The result of a restore beside the original, and what was there; it is gone afterwards."""
        target = f"{self.name}-then"
        how = RestoreRequest(self.name, **{"target": target, "aliases": [], "moment": request, **more})
        try:
            result = restore([self.qdrant], list(sources) or [self.repository], how)
            last = {each["shard"]: each["index"] for each in result["moment"]}
            return result, self._step(target, self.archive.polled, last)
        finally:
            discard(self.qdrant, target)

    def proves(self, request: MomentRequest, step: Step, *sources: Repository) -> Json:
        """Restore, and find just what was there at a step."""
        result, found = self.restored(request, *sources)
        assert (found.digest, found.indexes) == (step.digest, step.indexes)
        return result

    def refused(self, request: MomentRequest, kind: type[Failure], *sources: Repository, **more: Any) -> Failure:
        """The error of a restore that changes nothing."""
        before = state_of(self.qdrant, self.name)
        how = RestoreRequest(self.name, **{"target": f"{self.name}-then", "aliases": [], "moment": request, **more})
        with pytest.raises(kind) as caught:
            restore([self.qdrant], list(sources) or [self.repository], how)
        assert state_of(self.qdrant, self.name) == before
        return caught.value

    def follow_anew(self) -> None:
        """Begin another timeline, as an archiver does that has lost its place."""
        self.archive.close()
        self.archive = PolledArchive(
            self.qdrant, self.server.storage_path, self.repository, self.name, secrets.token_hex(3)
        )


@contextmanager
def followed_collections(server: QdrantServer, s3_server: SeaweedServer) -> Iterator[Callable[..., Followed]]:
    """Call what is given as ``follow(repository=None, points=100, **body)`` for a collection whose log is archived;
    ``body`` goes into the request that creates it."""
    with ExitStack() as cleanup:
        qdrant = cleanup.enter_context(Qdrant(QdrantConnection(server.url, api_key=server.api_key)))

        def follow(repository: Repository | None = None, points: int = 100, **body: Any) -> Followed:
            if repository is None:
                bucket = s3_server.create_bucket(f"b-{secrets.token_hex(6)}")
                repository = cleanup.enter_context(Repository(location_on(s3_server, bucket)))
            name = f"m-{secrets.token_hex(6)}"
            whole = {"vectors": VECTORS, "shard_number": 2, "wal_config": {"wal_capacity_mb": 1}, **body}

            def create() -> None:
                qdrant.create_collection(name, whole)
                qdrant.create_payload_index(name, "n", "integer")

            create()
            cleanup.callback(discard, qdrant, name)
            archive = PolledArchive(qdrant, server.storage_path, repository, name, secrets.token_hex(3))
            made = Followed(qdrant, server, repository, name, archive, create)

            def close() -> None:
                # A test may have begun another archive meanwhile.
                made.archive.close()

            cleanup.callback(close)
            if points:
                made.upsert(0, points)
            return made

        yield follow
