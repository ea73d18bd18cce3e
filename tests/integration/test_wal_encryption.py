# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archived logs that are encrypted before they are sent: nothing to read in the store, every moment with the key."""

from __future__ import annotations

import hashlib
import re
import secrets
import struct
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
import zstandard

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup, WrongKey
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.backup import BackupRequest, back_up
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.check import collection_digest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.copy import Choice, copy_backups
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.restore_points import (
    PointsRequest,
    restore_points,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_archive_info import read_archives
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.wal_show import (
    ShowRequest,
    archived_entries,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.archivers import archived_timelines, archiving, settings_for
from tests.made_backups import flip_byte, with_key
from tests.proofs import state_of, wait_for
from tests.sealed_archive import KEY, KNOWN, VECTOR, SealedArchive, name_of, verify

pytestmark = [pytest.mark.qdrant, pytest.mark.s3]

OTHER = secrets.token_hex(32)


def header_of(repository: Repository, key: str) -> ChunkHeader:
    return ChunkHeader.parse(repository.get(key))


def plain(repository: Repository) -> list[str]:
    """The objects in which something of the points can be read, packed by zstd or not."""
    needles = [KNOWN.encode(), struct.pack("<8f", *VECTOR[:8]), struct.pack(">f", VECTOR[0]) * 2]
    found = []
    for item in repository.list():
        data = repository.get(item.key)
        frames = [data[place.start() :] for place in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), data)]
        if any(needle in text for needle in needles for text in [data, *map(unpacked, frames)]):
            found.append(item.key)
    return found


def unpacked(frame: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(frame)
    except zstandard.ZstdError:
        return b""


def test_the_store_sees_no_plaintext_and_every_moment_comes_back(sealed: SealedArchive) -> None:
    sealed.fill()
    headers = [header_of(sealed.repository, key) for key in sealed.chunks]
    assert all(header.client_encryption and header.sha256 is None for header in headers)
    assert len({header.client_encryption["data_key"] for header in headers if header.client_encryption}) == 4
    assert len(archived_timelines(sealed.repository, sealed.name)) == 1, "each run goes on where the last one ended"
    assert plain(sealed.repository) == []
    sealed.proves(sealed.repository)


def test_what_is_not_encrypted_can_be_seen(sealed: SealedArchive, repository: Repository) -> None:
    """And it is continued with encryption, when the repository gets a key."""
    sealed.repository = repository
    sealed.write(0, 50)
    sealed.archive()
    (seen,) = sealed.chunks
    assert plain(repository) == [seen]
    back_up(sealed.qdrant, repository, BackupRequest(sealed.name))
    sealed.step(100, 5)
    sealed.archive()
    sealed.repository = with_key(repository, KEY)
    sealed.step(200, 5)
    sealed.archive()
    assert len(archived_timelines(repository, sealed.name)) == 1
    assert [header_of(repository, key).client_encryption is None for key in sealed.chunks] == [True, True, False]
    sealed.proves(sealed.repository)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, f"archived log of .* is encrypted with the key {name_of(KEY)}; no key was given"),
        (OTHER, f"archived log of .* is encrypted with the key {name_of(KEY)}; the key given has {name_of(OTHER)}"),
    ],
    ids=["no key", "another key"],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_without_the_key_nothing_is_changed(
    sealed: SealedArchive, repository: Repository, key: str | None, words: str, overwrite: bool
) -> None:
    """Though the backup itself is not encrypted."""
    sealed.write(0, 20)
    sealed.archive()
    back_up(sealed.qdrant, repository, BackupRequest(sealed.name))
    sealed.step(100)
    sealed.archive()
    more = {"overwrite": True, "target": None} if overwrite else {}
    source = with_key(repository, key)
    sealed.refused(WrongKey, words, source, **more)
    points = PointsRequest(sealed.name, sealed.request(sealed.digests[-1][0]), ids=(1,))
    before = state_of(sealed.qdrant, sealed.name)
    for ask in (
        lambda: restore_points([sealed.qdrant], [source], points),
        lambda: archived_entries([source], ShowRequest(sealed.name, 5)),
    ):
        with pytest.raises(WrongKey, match=words):
            ask()
    assert state_of(sealed.qdrant, sealed.name) == before


def test_the_log_is_shown_and_points_come_back_with_the_key(sealed: SealedArchive) -> None:
    sealed.fill()
    shown = archived_entries([sealed.repository], ShowRequest(sealed.name, 3))
    assert [(entry.index, entry.operation.points) for entry in shown] == [
        (index, 5) for index, _digest in sealed.digests[::-1]
    ]
    sealed.qdrant.call("POST", f"/collections/{sealed.name}/points/delete", {"points": [101]}, {"wait": True})
    points = PointsRequest(sealed.name, sealed.request(sealed.digests[-1][0]), ids=(101,))
    restore_points([sealed.qdrant], [sealed.repository], points)
    assert collection_digest(sealed.qdrant, sealed.name) == sealed.digests[-1][1]


@pytest.mark.parametrize("change", ["body of another chunk", "times"])
def test_sealed_entries_open_below_their_own_header_only(sealed: SealedArchive, change: str) -> None:
    """Even where whoever writes to the bucket makes every digest fit."""
    sealed.fill()
    key = sealed.chunks[-1]
    data, header = sealed.repository.get(key), header_of(sealed.repository, key)
    body = data[len(header.dump()) :]
    if change == "times":
        moved = tuple(replace(poll, after=poll.after - timedelta(days=1)) for poll in header.polls)
        header = replace(header, polls=moved)
    else:
        # Of the same size, in the same run of the archiver: with the same data key.
        sealed.write(400, 5)
        with archiving(
            sealed.server, sealed.repository, settings_for(sealed.server, sealed.folder, sealed.name)
        ) as running:
            wait_for(lambda: len(sealed.chunks) == 5, "a chunk")
            sealed.digests[-1] = (sealed.write(500, 5), collection_digest(sealed.qdrant, sealed.name))
            wait_for(lambda: len(sealed.chunks) == 6, "another one")
            running.stop()
        first, second = (sealed.repository.get(each) for each in sealed.chunks[-2:])
        key, header, other = sealed.chunks[-1], ChunkHeader.parse(second), ChunkHeader.parse(first)
        assert header.client_encryption == other.client_encryption
        body = first[len(other.dump()) :]
        header = replace(header, stored_size=len(body), stored_sha256=hashlib.sha256(body).hexdigest())
    sealed.repository.put(key, header.dump() + body)
    sealed.refused(DamagedBackup, "does not open below its header", sealed.repository)
    without_key = with_key(sealed.repository, None)
    assert verify(without_key).findings == [], "who has no key cannot tell"
    with pytest.raises(DamagedBackup, match="does not open below its header"):
        verify(sealed.repository)


def test_whoever_has_no_key_lists_verifies_and_copies_and_the_copy_serves(
    sealed: SealedArchive, repository: Repository, standby: Repository
) -> None:
    sealed.fill()
    now = datetime.now(timezone.utc)
    (archive,) = read_archives([repository], sealed.name, now)["archives"]
    assert [len(each["backup_ids"]) for each in archive["ranges"]] == [1]
    counts = [
        [each["objects"] for each in copy_backups(repository, [standby], None, Choice(), check=check).wal]
        for check in (True, False, False)
    ]
    assert counts == [[5], [5], [0]], "four chunks and the record of their timeline"
    archived = {item.key: repository.get(item.key) for item in repository.list(f"{sealed.name}/wal/")}
    assert {item.key: standby.get(item.key) for item in standby.list(f"{sealed.name}/wal/")} == archived
    assert verify(repository, standby).findings == verify(sealed.repository, with_key(standby, KEY)).findings == []

    # A chunk that one region has damaged comes from the next one, and is mended without a key.
    damaged = sealed.chunks[-1]
    flip_byte(repository, damaged, len(repository.get(damaged)) - 1)
    sealed.proves(sealed.repository, with_key(standby, KEY))
    sealed.refused(DamagedBackup, "No source has a good copy", sealed.repository)
    (finding,) = verify(repository, standby, repair=True).findings
    assert (finding["object"], finding["healthy"], finding["repaired"]) == (damaged, ["standby"], True)
    sealed.proves(sealed.repository)
