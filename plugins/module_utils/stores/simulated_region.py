# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions in a state that a drill wants to see: nobody reaches them, or their copies are damaged, gone or sealed anew.

Each reads the real region, or does not; nothing here writes. What a restore makes of it is the proof.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from ..errors import ObjectNotFound, StoreUnreachable
from .location import ClientEncryption
from .repository import Repository

# What holds the data: shard archives, or what they are made of, and chunks of the log.
_DATA = (".snapshot", ".chunks", ".packs", ".pack", ".wal")


class LostRegion(Repository):
    """A region that nobody reaches; ``reason``: why, a sentence."""

    def __init__(self, region: Repository, reason: str) -> None:
        super().__init__(region.location, requests=region.requests)
        self.reason = reason

    @property
    def client(self) -> Any:
        raise StoreUnreachable(self.reason)

    def require_connection(self) -> None:
        """Never there is one."""
        raise StoreUnreachable(self.reason)


class DamagedRegion(Repository):
    """A region where one byte of every range of the data that is read is flipped."""

    def __init__(self, region: Repository) -> None:
        super().__init__(region.location, requests=region.requests)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """As ``Repository.get_range``, but for one byte."""
        return _flipped(key, super().get_range(key, offset, length))

    def get(self, key: str, max_bytes: int = 64 << 20) -> bytes:
        """As ``Repository.get``, but for one byte."""
        return _flipped(key, super().get(key, max_bytes))


class EmptiedRegion(Repository):
    """A region that has manifests, and none of the objects that they name."""

    def __init__(self, region: Repository) -> None:
        super().__init__(region.location, requests=region.requests)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """As ``Repository.get_range``; the data is missing."""
        if key.endswith(_DATA):
            raise ObjectNotFound(f"{self.url(key)} does not exist.")
        return super().get_range(key, offset, length)


def with_foreign_key(region: Repository) -> Repository:
    """The same region for someone who has another key than that of its backups."""
    key = ClientEncryption(key=secrets.token_hex(32))
    return Repository(replace(region.location, client_encryption=key), requests=region.requests)


def _flipped(key: str, data: bytes) -> bytes:
    if not data or not key.endswith(_DATA):
        return data
    return bytes([data[0] ^ 1]) + data[1:]
