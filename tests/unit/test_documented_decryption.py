# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs in docs/formats.md open what this version encrypts, with nothing of this collection."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.key_wrap import (
    key_context,
    log_key_context,
    wrap_key,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.manifest import Manifest
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sealed import (
    HEADER_SIZE,
    OVERHEAD,
    TAG_SIZE,
    PartSealer,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import seal_chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk_header import ChunkHeader
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from tests.made_backups import describe, manifest_of, some_bytes
from tests.made_wal import log_of, sealed

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "formats.md"
MASTER, DATA, KEY_ID = b"m" * 32, b"d" * 32, "0" * 32
BACKUP = "20261122T020000Z-a1b2c3"
PART = 1000


def programs() -> list[str]:
    """That for an archive, and that for a chunk of the log."""
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def encrypted(plain: bytes) -> bytes:
    """The object with this archive."""
    sealer = PartSealer(DATA, KEY_ID, b"s" * 32)
    room = PART - OVERHEAD
    parts = []
    for first in range(0, len(plain), room):
        part = bytearray(bytes(HEADER_SIZE) + plain[first : first + room] + bytes(TAG_SIZE))
        sealer.seal(memoryview(part), len(parts) + 1, first + room >= len(plain))
        parts.append(bytes(part))
    return b"".join(parts)


def opened(folder: Path, manifest: Manifest, stored: bytes) -> subprocess.CompletedProcess[str]:
    """Run the program on a manifest and an object, as files."""
    (folder / "manifest.json").write_bytes(manifest.dump())
    (folder / "0.snapshot").write_bytes(stored)
    return run(folder, programs()[0], "manifest.json", "0", "0.snapshot", MASTER.hex(), "plain")


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", [1, PART - OVERHEAD, 4321])
def test_the_documented_program_opens_an_object(tmp_path: Path, size: int) -> None:
    plain = some_bytes(size)
    stored = encrypted(plain)
    fields = manifest_of("docs", BACKUP, (b"x",)).fields
    entry = fields["shards"][0]["object"]
    entry |= describe(stored, entry["key"], PART)
    digest = hashlib.sha256(plain).hexdigest()
    entry["client_encryption"] = {"data_key": KEY_ID, "plain_size": size, "plain_sha256": digest}
    wrap = wrap_key(DATA, MASTER, b"n" * 12, key_context("production", "docs", BACKUP, KEY_ID))
    manifest = Manifest({**fields, "data_keys": {KEY_ID: wrap}})

    done = opened(tmp_path, manifest, stored)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "plain").read_bytes() == plain

    damaged = bytearray(stored)
    damaged[-1] ^= 1
    assert opened(tmp_path, manifest, bytes(damaged)).returncode != 0


def test_the_documented_program_opens_a_chunk_of_the_log(tmp_path: Path) -> None:
    polls = log_of([3, 4])
    plain = sealed(polls, ReplicaLog("docs", 3, "node/1 \u00e4", BACKUP))
    header = ChunkHeader.parse(plain)
    wrap = wrap_key(DATA, MASTER, b"n" * 12, log_key_context("production", "docs", "node/1 \u00e4", KEY_ID))
    body = bytearray(plain[len(header.dump()) :])
    changed = seal_chunk(header, body, DATA, KEY_ID, wrap, b"s" * 32)
    (tmp_path / "chunk.wal").write_bytes(changed.dump() + body)
    done = run(tmp_path, programs()[1], "chunk.wal", MASTER.hex(), "entries")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "entries").read_bytes() == b"".join(poll.data for poll in polls)

    other = changed.dump().replace(b'"first":0', b'"first":1', 1)
    (tmp_path / "chunk.wal").write_bytes(other + body)
    assert run(tmp_path, programs()[1], "chunk.wal", MASTER.hex(), "entries").returncode != 0
