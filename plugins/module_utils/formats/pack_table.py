# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the packs that a shard archive is made of: what has to be there, without a look into anything.

The magic ``QDRPACKS``, then for each pack 48 bytes: its SHA-256 (32), its size (8, little-endian), and how many bytes
each chunk in it has beside its data (8). It is never encrypted, so packs are copied, verified and kept without keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import DamagedBackup

MAGIC = b"QDRPACKS"
MOST_PACKS = 1 << 24
LARGEST_OVERHEAD = 1 << 10
_RECORD = struct.Struct("<32sQQ")
_HINT = "Use another backup, or a copy of this one in another region."


@dataclass(frozen=True)
class Pack:
    """An object with chunks: the SHA-256 of its bytes (hex), which is its name, and its size.

    ``overhead``: bytes that each chunk in it has beside its data.
    """

    sha256: str
    size: int
    overhead: int = 0

    @property
    def stored(self) -> dict[str, Any]:
        """Its description, in the shape of a manifest's ``object``."""
        return of_one_part(self.size, self.sha256)


def of_one_part(size: int, sha256: str) -> dict[str, Any]:
    """The description of an object that is one part, in the shape of a manifest's ``object``."""
    return {"size": size, "sha256": sha256, "part_size": size, "parts": [sha256]}


def encode(packs: Iterable[Pack]) -> bytes:
    """The object to store."""
    return MAGIC + b"".join(_RECORD.pack(bytes.fromhex(pack.sha256), pack.size, pack.overhead) for pack in packs)


def parse(data: bytes, what: str) -> list[Pack]:
    """The packs in the order of their numbers; raises ``DamagedBackup`` for what is no table. ``what`` names it."""
    records = data[len(MAGIC) :]
    if not data.startswith(MAGIC) or len(records) % _RECORD.size:
        raise DamagedBackup(f"{what} is no table of packs that this version can read.", _HINT)
    packs = [Pack(sha256.hex(), size, overhead) for sha256, size, overhead in _RECORD.iter_unpack(records)]
    if len(packs) > MOST_PACKS or any(not pack.size or pack.overhead > LARGEST_OVERHEAD for pack in packs):
        raise DamagedBackup(f"{what} names packs that there cannot be.", _HINT)
    return packs
