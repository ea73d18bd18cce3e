# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data keys of an archived log: who makes them, when, and with which rights."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import KeyServiceError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import key_time
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    parse_chunk_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import archiver_keys, wal_discovery
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archived_wal import ArchivedWal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archiver_keys import ArchiverKeys
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive import Archiver
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.master_keys import KmsKey
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import LoggedCollection, archived_timelines, archiving, identify, settings_for
from tests.emulated_s3 import kms_key
from tests.followed import discard
from tests.made_backups import with_key
from tests.proofs import wait_for
from tools.servers import QdrantServer

pytestmark = pytest.mark.s3

NOW = datetime(2026, 11, 10, tzinfo=timezone.utc)


@pytest.fixture
def logged(qdrant_server: QdrantServer) -> Iterator[LoggedCollection]:
    made = LoggedCollection(qdrant_server, f"w-{secrets.token_hex(6)}", shards=2)
    yield made
    discard(made.qdrant, made.name)


@pytest.fixture
def kms(repository: Repository, moto_s3: str) -> Repository:
    """The repository with a master key in KMS."""
    option = {"kms_key_id": kms_key(moto_s3), "kms_endpoint_url": moto_s3, "kms_region": "us-east-1"}
    return with_key(repository, None, **option)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What KMS is asked for."""
    calls: Counter[str] = Counter()
    for name in ("generate", "wrap", "open"):
        real = getattr(KmsKey, name)

        def counting(self: KmsKey, *args: Any, name: str = name, real: Any = real) -> Any:
            calls[name] += 1
            return real(self, *args)

        monkeypatch.setattr(KmsKey, name, counting)
    return calls


def headers(repository: Repository) -> list[ChunkHeader]:
    return [ChunkHeader.parse(repository.get(item.key)) for item in repository.list() if parse_chunk_key(item.key)]


@pytest.mark.qdrant
def test_an_archiver_asks_kms_for_one_key_a_run_and_has_none_opened(
    qdrant_server: QdrantServer, logged: LoggedCollection, kms: Repository, asked: Counter[str], tmp_path: Path
) -> None:
    settings = settings_for(qdrant_server, tmp_path, logged.name)
    for run in range(3):
        logged.put(run * 10, 5)
        Archiver(identify(qdrant_server), kms, settings).run(lambda: False, once=True)
    assert asked == {"generate": 3}
    assert (
        len(archived_timelines(kms, logged.name))
        == logged.qdrant.collection(logged.name)["config"]["params"]["shard_number"]
    )

    # Whoever reads asks once for each data key, however many chunks it has.
    archive = ArchivedWal([kms], logged.name)
    found = headers(kms)
    assert len(found) > 3
    assert len(list(archive.entries_of([*found, *found]))) == 2 * len(found)
    assert asked == {"generate": 3, "open": 3}


@pytest.mark.qdrant
def test_while_the_key_service_does_not_answer_the_log_waits(
    qdrant_server: QdrantServer,
    logged: LoggedCollection,
    kms: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archiver_keys, "_HOLD_OFF_SECONDS", 0.1)
    monkeypatch.setattr(wal_discovery, "_SCAN_SECONDS", 0.2)
    generate, answers = KmsKey.generate, []

    def failing(self: KmsKey, context: Any) -> Any:
        if not answers:
            raise KeyServiceError("The key service is gone.")
        return generate(self, context)

    monkeypatch.setattr(KmsKey, "generate", failing)
    last = logged.put(1, 5)
    with archiving(qdrant_server, kms, settings_for(qdrant_server, tmp_path, logged.name)) as running:
        wait_for(lambda: running.reports, "a report")
        assert "cannot be archived yet: The key service is gone." in running.reports[0]
        assert headers(kms) == [], "nothing leaves in the clear"
        answers.append("now")
        wait_for(lambda: any(header.last >= last for header in headers(kms)), "the log")
        running.stop()
    assert all(header.client_encryption for header in headers(kms))


def test_keys_are_renewed_once_a_day_and_go_on_where_that_fails(
    kms: Repository, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ArchiverKeys(kms.location, lambda: NOW)
    with pytest.raises(KeyError):
        keys.current("docs")
    for collection in ("docs", "docs", "more"):
        keys.ensure(collection, "1")
    first = keys.current("docs")
    assert first is not None
    assert key_time(first.id) == NOW
    keys.renew()
    assert (asked, keys.current("docs")) == ({"generate": 2}, first)

    monkeypatch.setattr(archiver_keys, "RENEW_SECONDS", 0.0)
    keys.renew()
    second = keys.current("docs")
    assert asked == {"generate": 4}
    assert second is not None
    assert second.id != first.id

    def refuse(*_args: Any) -> Any:
        raise KeyServiceError("The key service is gone.")

    monkeypatch.setattr(KmsKey, "generate", refuse)
    with pytest.raises(KeyServiceError):
        keys.renew()
    assert keys.current("docs") == second


def test_without_client_encryption_there_are_no_keys(repository: Repository) -> None:
    keys = ArchiverKeys(repository.location, lambda: NOW)
    keys.ensure("docs", "1")
    keys.renew()
    assert keys.current("docs") is None
