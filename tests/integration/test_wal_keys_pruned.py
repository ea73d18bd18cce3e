# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the data keys of an archived log go when no chunk that is left can need them, and not before."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import layout
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import (
    parse_chunk_key,
    wraps_prefix,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.data_keys import DataKey, new_log_key
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_keys import keep_record
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_prune import surplus_wraps
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.master_keys import KeyRing
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import with_key
from tests.made_wal import make_timeline

pytestmark = pytest.mark.s3

KEY = secrets.token_hex(32)
NOW = datetime(2026, 11, 10, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def stored(repository: Repository) -> list[str]:
    return [item.key for item in repository.list(wraps_prefix("docs"))]


def seal(repository: Repository, chunk: str, key: DataKey) -> None:
    """Put a chunk in the place of one that is not encrypted."""
    data = repository.get(chunk)
    header = ChunkHeader.parse(data)
    body = bytearray(data[len(header.dump()) :])
    sealed = key.seal_chunk(header, body)
    keep_record(repository, sealed)
    repository.put(chunk, sealed.dump() + body)


@pytest.fixture
def days(repository: Repository) -> list[DataKey]:
    """A chunk for each of five days, with a key of its day; both shards of a replica."""
    ring = KeyRing(with_key(repository, KEY).location)
    begin = NOW - 5 * DAY
    keys = [new_log_key(ring, "production", "docs", "1", begin + day * DAY) for day in range(5)]
    for shard in (0, 1):
        previous = None
        for day, key in enumerate(keys):
            name = layout.new_backup_id(begin + day * DAY, "00000b")
            (chunk,) = make_timeline(repository, name, [10], first=day * 10, previous=previous, shard=shard)
            seal(repository, chunk, key)
            previous = name
    return keys


def surplus(repository: Repository, now: datetime, grace: timedelta = DAY) -> list[str]:
    return [item.key for item in surplus_wraps(repository, "docs", now, grace.total_seconds())]


def test_the_records_of_keys_go_once_no_chunk_can_need_them(repository: Repository, days: list[DataKey]) -> None:
    records = [f"docs/wal/keys/1/{key.id}.json" for key in days]
    assert stored(repository) == records, "they sort by their age"
    later = datetime.now(timezone.utc) + 2 * DAY
    assert surplus(repository, later) == []
    chunks = sorted(item.key for item in repository.list("docs/wal/0/") if parse_chunk_key(item.key))
    repository.delete(chunks[:3])
    assert surplus(repository, later) == [], "the other shard needs them"
    repository.delete([key.replace("/wal/0/", "/wal/1/") for key in chunks[:3]])
    assert surplus(repository, later) == records[:2], "within the time of grace clocks may differ"
    assert surplus(repository, later, timedelta(0)) == records[:3]
    assert surplus(repository, datetime.now(timezone.utc)) == [], "what was stored a moment ago stays"
    repository.put(chunks[3], b"damaged")
    assert surplus(repository, later) == [], "who knows what that needs"


def test_the_records_of_a_replica_that_is_gone_go(repository: Repository, days: list[DataKey]) -> None:
    repository.delete([item.key for item in repository.list("docs/wal/") if "/keys/" not in item.key])
    assert surplus(repository, datetime.now(timezone.utc)) == []
    assert surplus(repository, datetime.now(timezone.utc) + 2 * DAY) == stored(repository)
