# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random writes, restarts and kills, and then every point of random moments compared with what must be there.

That is what the log says, by a model of it; and as long as nothing was killed, just what the live collection was then.
After a kill Qdrant 1.16.3 can bring back points whose deletion it had acknowledged, and a base of that has them, too.
A few moments by default; as many as QDRANT_DR_MOMENTS says for each number of shards, with QDRANT_DR_SEED.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.digest import point_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archived_wal import ArchivedWal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.moment import MomentRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore import restore
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_plan import RestoreRequest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.conftest import discard
from tests.modelled_log import ModelledShard
from tests.polled_archive import PolledArchive
from tests.proofs import wait_for
from tests.random_writes import COLLECTION, CONDITIONAL, DOUBTFUL, RandomWriter, id_of
from tools.servers import QdrantServer

pytestmark = [pytest.mark.qdrant, pytest.mark.s3, pytest.mark.slow]

Json = dict[str, Any]
NAME = "docs"
MOMENTS = int(os.environ.get("QDRANT_DR_MOMENTS", "3"))
SEED = int(os.environ.get("QDRANT_DR_SEED", "5"))
WRITERS, OPERATIONS = 3, 40


@dataclass
class Moment:
    """What must be there, by the model and as the collection was: id -> digest of the point; and the indexes, by the
    model of each shard."""

    request: MomentRequest
    modelled: dict[Any, bytes]
    modelled_indexes: list[set[str]]
    live: dict[Any, bytes]
    live_indexes: set[str]

    def wrong(self, found: dict[Any, bytes]) -> set[Any]:
        """The points that are neither what the model nor what the collection had."""
        return {number for number in differing(found, self.modelled) if found.get(number) != self.live.get(number)}

    def wrong_indexes(self, found: set[str]) -> set[str]:
        """The same of indexes. Qdrant makes one for the collection, and then has it in the log of each shard: one that
        was being made when it was killed may be there without being in the log."""
        known = [self.live_indexes, *self.modelled_indexes]
        return {name for name in found.union(*known) if all((name in found) != (name in each) for each in known)}


@dataclass
class World:
    """A server under random writes, and the archive of its log."""

    server: QdrantServer
    qdrant: Qdrant
    repository: Repository
    archive: PolledArchive
    chance: Random
    doubtful: bool
    moments: list[Moment] = field(default_factory=list)
    sent: int = 0
    killed: bool = False
    shards: dict[int, ModelledShard] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)

    def content(self, name: str = NAME) -> tuple[dict[Any, bytes], set[str]]:
        """Point -> its digest, and the payload indexes."""
        points = {point["id"]: point_digest(point) for point in self.qdrant.scroll(name)}
        return points, set(self.qdrant.collection(name)["payload_schema"])

    def write(self) -> list[RandomWriter]:
        writers = [
            RandomWriter(self.qdrant, NAME, seed, OPERATIONS, indexes=number == 0, doubtful=self.doubtful)
            for number, seed in enumerate(self.chance.sample(range(1 << 30), WRITERS))
        ]
        for writer in writers:
            writer.start()
        return writers

    def disturb(self, writers: list[RandomWriter], what: str) -> None:
        """Something that happens to the server while it is written to."""
        if what == "base":
            back_up(self.qdrant, self.repository, BackupRequest(NAME, storage_path=str(self.server.storage_path)))
        elif what in ("kill", "stop"):
            self.killed |= what == "kill"
            getattr(self.server, what)()
            for writer in writers:
                writer.join()
            self.server.start()

    def round(self, what: str) -> None:
        """Write, with something in the middle, and remember what is there once all is quiet."""
        writers = self.write()
        with self.polling():
            wait_for(lambda: sum(writer.done for writer in writers) > OPERATIONS, "some writes")
            self.disturb(writers, what)
            for writer in writers:
                writer.join()
        self.sent += sum(writer.sent for writer in writers)
        request, modelled = MomentRequest(self.archive.moment()), self.modelled()
        indexes = [set(shard.indexes) for shard in self.shards.values()]
        made = Moment(request, modelled, indexes, *self.content())
        if not self.killed:
            assert differing(made.live, made.modelled) <= (DOUBTFUL_IDS if self.doubtful else set())
            assert [made.live_indexes] * len(indexes) == indexes
        self.moments.append(made)

    def modelled(self) -> dict[Any, bytes]:
        """Point -> its digest, by the model of the log so far."""
        archived = ArchivedWal([self.repository], NAME)
        for shard, (log, _files) in self.archive.logs.items():
            for header in archived.headers(log, self.taken.get(shard, 0)):
                entries = archived.entries(header)
                for index, entry in entries.items(self.taken.get(shard, 0), header.last + 1):
                    self.shards.setdefault(shard, ModelledShard()).apply(entry)
                    self.taken[shard] = index + 1
        every = [point for shard in self.shards.values() for point in shard.points.values()]
        return {point["id"]: point_digest(point) for point in every}

    @contextmanager
    def polling(self) -> Iterator[None]:
        """The archive follows meanwhile: closed files go as soon as Qdrant has no need of them."""
        ending = threading.Event()

        def follow() -> None:
            while not ending.wait(0.1):
                self.archive.poll()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def restored(self, request: MomentRequest) -> tuple[Json, dict[Any, bytes], set[str]]:
        try:
            # Every point is compared. The recall was recorded of the live collection, which a point that is replayed
            # inexactly, or that a kill has brought back, is not like.
            how = RestoreRequest(NAME, target="then", aliases=[], digest=False, min_recall=0.0, moment=request)
            result = restore([self.qdrant], [self.repository], how)
            return result, *self.content("then")
        finally:
            discard(self.qdrant, "then")


@contextmanager
def world(folder: Path, repository: Repository, shards: int, doubtful: bool) -> Iterator[World]:
    with QdrantServer(folder) as server:
        qdrant = Qdrant(QdrantConnection(server.url))
        qdrant.create_collection(NAME, {**COLLECTION, "shard_number": shards})
        archive = PolledArchive(qdrant, server.storage_path, repository, NAME, "a1b2c3")
        made = World(server, qdrant, repository, archive, Random(SEED + shards), doubtful)
        first = RandomWriter(qdrant, NAME, SEED, 0)
        for start in range(0, 300, 50):
            first.send("PUT", "/points", {"points": [first.point(number) for number in range(start, start + 50)]})
        archive.poll()
        made.disturb([], "base")
        yield made
        archive.close()


def differing(found: dict[Any, bytes], expected: dict[Any, bytes]) -> set[Any]:
    return {number for number in found.keys() | expected.keys() if found.get(number) != expected.get(number)}


CONDITIONAL_IDS = {id_of(CONDITIONAL + number) for number in range(1000)}
DOUBTFUL_IDS = {id_of(DOUBTFUL + number) for number in range(1000)}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shards", [1, 4])
def test_every_point_of_random_moments_is_as_it_was(tmp_path: Path, repository: Repository, shards: int) -> None:
    with world(tmp_path, repository, shards, doubtful=False) as made:
        for number in range(MOMENTS):
            made.round(["base", "kill", "stop", "base", "nothing"][number % 5])
        for moment in made.moments:
            result, found, indexes = made.restored(moment.request)
            allowed = CONDITIONAL_IDS if result["inexact"].get("conditional") else set()
            assert moment.wrong(found) <= allowed
            assert (set(result["inexact"]) - {"conditional"}, moment.wrong_indexes(indexes)) == (set(), set())
            assert result["apart_seconds"] == 0.0
        assert len({frozenset(moment.modelled.items()) for moment in made.moments}) == MOMENTS


@pytest.mark.timeout(3600)
def test_what_may_differ_is_just_what_is_reported(tmp_path: Path, repository: Repository) -> None:
    with world(tmp_path, repository, 2, doubtful=True) as made:
        most = []
        for number in range(MOMENTS):
            made.round(["stop", "base", "kill"][number % 3])
            # Requests that a kill left without an answer can be in the log, too.
            most.append(made.sent + WRITERS * (number + 1))
        for moment, limit in zip(made.moments, most, strict=True):
            result, found, indexes = made.restored(moment.request)
            assert moment.wrong(found) <= CONDITIONAL_IDS | DOUBTFUL_IDS
            reported = [result["inexact"][kind] for kind in ("partial_vectors", "without_payload")]
            assert 0 < min(reported) < sum(reported) <= limit
            assert moment.wrong_indexes(indexes) == set()
