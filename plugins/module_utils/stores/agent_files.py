# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the host agent reads and writes: each one whole or not at all, whatever is killed when."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ..errors import FileError
from .node_files import free_bytes

_UNFINISHED = ".unfinished-"


def write_file(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Put a file in place, on the disk before it has its name. Raises ``FileError``; then the old one is untouched."""
    try:
        _write(path, data, mode)
    except OSError as error:
        raise FileError(
            f"{path} cannot be written: {error.strerror}.",
            "Let the user that this runs as write to its folder, and see whether its disk is full.",
        ) from error


def read_file(path: Path) -> bytes:
    """The content of a file. Raises ``FileError``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.", "Correct the path, or the file's mode.") from error


def remove_file(path: Path) -> None:
    """Remove a file; one that is not there is no error. Raises ``FileError``."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(
            f"{path} cannot be removed: {error.strerror}.", "Let the user that this runs as write to its folder."
        ) from error


class Spool:
    """Objects on this host's disk that a repository could not take yet, by their keys. The disk is their only list.

    ``max_bytes``: what they may take together; ``reserve_bytes``: what stays free on the file system. ``size``: the
    bytes of all objects in it.
    """

    def __init__(self, folder: str | Path, max_bytes: int, reserve_bytes: int) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self.size = 0
        for path in _files(self._folder):
            if path.name.startswith(_UNFINISHED):
                remove_file(path)
            else:
                self.size += path.stat().st_size

    def __iter__(self) -> Iterator[str]:
        """All keys, in no order."""
        return (path.relative_to(self._folder).as_posix() for path in _files(self._folder))

    def __contains__(self, key: str) -> bool:
        return (self._folder / key).exists()

    def in_order(self, prefix: str = "") -> list[str]:
        """The keys below a folder in the order to upload: of each timeline its record, then its chunks."""
        keys = (path.relative_to(self._folder).as_posix() for path in _files(self._folder / prefix))
        return sorted(keys, key=lambda key: (key.rpartition("/")[0], key.endswith(".wal"), key))

    def add(self, key: str, data: bytes | bytearray) -> bool:
        """Keep an object; False where there is no room for it."""
        free = free_bytes(self._folder)
        if self.size + len(data) > self._max_bytes or free is None or free - len(data) < self._reserve_bytes:
            return False
        path = self._folder / key
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            _write(path, data, 0o640)
        except OSError:
            return False
        self.size += len(data)
        return True

    def size_of(self, key: str) -> int:
        """The bytes of an object, 0 where it is gone."""
        try:
            return (self._folder / key).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, key: str, most: int | None = None) -> bytearray:
        """The object, or its first ``most`` bytes, in memory of the caller's own. Raises ``FileError``."""
        try:
            with open(self._folder / key, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                data = bytearray(size if most is None else min(size, most))
                del data[file.readinto(data) or 0 :]
                return data
        except OSError as error:
            raise FileError(f"{self._folder / key} cannot be read: {error.strerror}.") from error

    def remove(self, key: str) -> None:
        """The repository has it: let it go, and the folders that are empty then."""
        path = self._folder / key
        self.size -= self.size_of(key)
        remove_file(path)
        with contextlib.suppress(OSError):
            while path.parent != self._folder:
                path = path.parent
                path.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    for parent, _folders, names in os.walk(folder):
        for name in names:
            yield Path(parent) / name


def _write(path: Path, data: bytes | bytearray, mode: int) -> None:
    unfinished = path.parent / f"{_UNFINISHED}{secrets.token_hex(6)}"
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        # Whatever the umask: others are to read it, or not.
        os.fchmod(handle, mode)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError:
        remove_file(unfinished)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
