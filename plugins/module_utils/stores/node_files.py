# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's own directories, where this host and user can read them: WAL positions, snapshot files, free space."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..formats import wal
from ..formats.wal_rates import ClosedSegment

# The unit of st_blocks, whatever the file system's blocks are (stat(2)).
_BLOCK = 512


def ack_indexes(storage_path: str | Path, collection: str) -> dict[int, int | None] | None:
    """Return for each shard of ``collection`` on this node the WAL index that a replay would start at.

    None stands for a shard without an acknowledgement yet: its replay starts at the beginning. A shard that only other
    nodes hold is left out: of it this node has a folder without ``wal``. Without an answer (the result is None) the
    directory is not readable here, or is no storage directory of this collection.
    Source: ``collections/<c>/<shard>/wal/first-index`` holds ``{"ack_index": n}``, absent before the first one.
    """
    folder = _below(Path(storage_path) / "collections", collection)
    if folder is None:
        return None
    found: dict[int, int | None] = {}
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.isdecimal() and entry.is_dir() and "wal" in os.listdir(entry.path):
                found[int(entry.name)] = _ack_index(Path(entry.path) / "wal")
    except (OSError, ValueError):
        return None
    return found or None


def local_replicas(storage_path: str | Path) -> list[tuple[str, int]]:
    """Return collection and shard of every replica that this node has a log of. Raises ``FileError``."""
    found: list[tuple[str, int]] = []
    try:
        for folder in os.scandir(Path(storage_path) / "collections"):
            # A collection may be gone by now.
            with suppress(FileNotFoundError, NotADirectoryError):
                found += [
                    (folder.name, int(entry.name))
                    for entry in os.scandir(folder.path)
                    if entry.name.isdecimal() and os.path.isdir(os.path.join(entry.path, "wal"))
                ]
    except OSError as error:
        raise FileError(
            f"The collections of the node in {storage_path} cannot be read: {error.strerror}.",
            "Name the directory that Qdrant works in, and let the user that this runs as read it.",
        ) from error
    return sorted(found)


def collection_config(storage_path: str | Path, collection: str) -> dict[str, Any]:
    """Return the ``config`` of a collection as the node has it at its next start. Raises ``FileError``.

    Source: ``collections/<c>/config.json`` has the sections that ``GET /collections/<c>`` shows as ``config``.
    """
    path = Path(storage_path) / "collections" / collection / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror}.", "Let the user that this runs as read it."
        ) from error
    except ValueError as error:
        raise FileError(
            f"{path} is no JSON document.", "See whether Qdrant still reads it, and restore it if not."
        ) from error
    return dict(config)


def closed_segments(storage_path: str | Path, collection: str, shard: int) -> list[ClosedSegment]:
    """Return the full files of a replica's log, in its order; none where they cannot be read here."""
    folder = Path(storage_path) / "collections" / collection / str(shard) / "wal"
    found = []
    with suppress(OSError):
        for name in wal.in_order(os.listdir(folder)):
            # Qdrant may have removed it by now.
            with suppress(FileNotFoundError):
                status = os.stat(folder / name)
                if name.startswith("closed-"):
                    size = status.st_blocks * _BLOCK
                    found.append(ClosedSegment(wal.first_index(name, 0), status.st_mtime, size))
    return found


def _ack_index(wal: Path) -> int | None:
    """Return the acknowledged index, None without one. Raises: OSError, ValueError for what cannot be read."""
    os.listdir(wal)
    try:
        value = json.loads((wal / "first-index").read_bytes())["ack_index"]
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as error:
        raise ValueError("first-index holds no ack_index") from error
    return int(value)


def snapshot_file(snapshots_path: str | Path, collection: str, name: str) -> Path | None:
    """Return the path of a snapshot that this user can read as a regular file, or None.

    ``name`` comes from a server: nothing outside the collection's folder is ever returned.
    """
    folder = _below(Path(snapshots_path), collection)
    path = folder and _below(folder, name)
    if path is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return path if stat.S_ISREG(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)


def free_bytes(path: str | Path) -> int | None:
    """Return the bytes that a user other than root could still write below ``path``, or None when it is not there."""
    try:
        space = os.statvfs(path)
    except OSError:
        return None
    return space.f_bavail * space.f_frsize


def used_bytes(storage_path: str | Path, collection: str) -> int:
    """Return the bytes that the files of a collection take on this node's disk; 0 where they cannot be read here."""
    folder = _below(Path(storage_path) / "collections", collection)
    used = 0
    for parent, _folders, files in os.walk(folder) if folder else ():
        for file in files:
            # A file may be gone by now: Qdrant goes on.
            with suppress(OSError):
                used += os.lstat(os.path.join(parent, file)).st_blocks * _BLOCK
    return used


def _below(folder: Path, name: str) -> Path | None:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        return None
    return folder / name
