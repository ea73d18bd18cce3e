# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's directories: WAL positions, and no way out of the snapshots folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.node_files import (
    ack_indexes,
    free_bytes,
    snapshot_file,
    used_bytes,
)


def shard(storage: Path, collection: str, number: int, ack: str | None) -> None:
    wal = storage / "collections" / collection / str(number) / "wal"
    wal.mkdir(parents=True)
    if ack is not None:
        (wal / "first-index").write_text(ack)


def test_ack_index_of_every_shard(tmp_path: Path) -> None:
    shard(tmp_path, "c", 0, '{"ack_index": 41}')
    shard(tmp_path, "c", 11, None)
    (tmp_path / "collections" / "c" / "config.json").write_text("{}")
    (tmp_path / "collections" / "c" / "aliases").mkdir()
    assert ack_indexes(tmp_path, "c") == {0: 41, 11: None}


@pytest.mark.parametrize("ack", ["", "{}", "[]", '{"ack_index": "x"}'])
def test_an_unreadable_position_is_never_the_beginning(tmp_path: Path, ack: str) -> None:
    shard(tmp_path, "c", 0, ack)
    assert ack_indexes(tmp_path, "c") is None


@pytest.mark.parametrize("name", ["other", "..", "", "../collections/c", "c/0"])
def test_without_the_collections_directory_nothing_is_known(tmp_path: Path, name: str) -> None:
    shard(tmp_path, "c", 0, None)
    assert ack_indexes(tmp_path, name) is None


def test_a_shard_that_only_other_nodes_hold_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "collections" / "c" / "0").mkdir(parents=True)
    assert ack_indexes(tmp_path, "c") is None
    shard(tmp_path, "c", 1, '{"ack_index": 41}')
    assert ack_indexes(tmp_path, "c") == {1: 41}


def test_snapshot_file(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.snapshot").write_bytes(b"x")
    assert snapshot_file(tmp_path, "c", "a.snapshot") == tmp_path / "c" / "a.snapshot"
    assert snapshot_file(tmp_path, "c", "b.snapshot") is None


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "", "sub/../../secret", "a\0b", "link", "folder", "pipe"]
)
def test_nothing_outside_the_folder_and_nothing_but_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "c"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    assert snapshot_file(tmp_path, "c", name) is None
    assert snapshot_file(folder, "..", "secret") is None


def test_the_room_that_a_collection_takes_is_that_on_the_disk(tmp_path: Path) -> None:
    segment = tmp_path / "collections" / "c" / "0" / "segments"
    segment.mkdir(parents=True)
    (segment / "vectors").write_bytes(os.urandom(100_000))
    with (segment / "wal").open("wb") as sparse:
        sparse.truncate(1 << 30)
    (segment / "dangling").symlink_to(tmp_path / "nowhere")
    assert 100_000 <= used_bytes(tmp_path, "c") < 1_000_000
    assert used_bytes(tmp_path, "other") == used_bytes(tmp_path, "..") == 0


def test_free_bytes(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    assert free_bytes(tmp_path / "missing") is None
