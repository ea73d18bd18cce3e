# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tar stream taken apart while it passes: headers are parsed, data goes through as views, nothing is kept.

Accepts what Qdrant writes: regular files (type ``0`` or NUL), directories, GNU sparse files (``S``) and GNU long
names (``L``). Links, devices, absolute names, ``..`` and whatever else is refused with ``DamagedSnapshot``.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import DamagedSnapshot

BLOCK = 512
ZEROS = bytes(BLOCK)
END_OF_ARCHIVE = bytes(2 * BLOCK)
_LONGEST_NAME = 4096
_REGULAR = (b"0", b"\x00")
_OCTAL = re.compile(rb" *([0-7]*)[ \x00]*")
_HINT = "Take another backup; if it happens again, look at the disk and the log of this Qdrant node."


@dataclass
class TarMember:
    """One member. ``size``: bytes stored in the archive; ``real_size``: bytes of the file; ``extents``: where
    the stored bytes belong in the file, as (offset, length); ``extension``: sparse map blocks as they stood."""

    name: str
    size: int
    is_directory: bool
    is_sparse: bool
    real_size: int
    mode: int
    mtime: float
    header: bytes
    extension: bytes = b""
    extents: list[tuple[int, int]] = field(default_factory=list)


Sink = Callable[[memoryview], object]


class TarReader:
    """A push parser: ``feed`` it the archive in pieces of any size, then ``finish``.

    ``on_member(member)`` is called at each header and returns the sink of its data, or None to drop it;
    ``on_member_end(member)`` after its last byte. ``on_rest(view)`` is given all bytes that are no member's data, in
    their order: headers, padding, and the end mark; those of a header come before ``on_member`` is called.
    """

    def __init__(
        self,
        what: str,
        on_member: Callable[[TarMember], Sink | None],
        on_member_end: Callable[[TarMember], object] = lambda member: None,
        on_rest: Sink = lambda view: None,
    ) -> None:
        self._what = what
        self._on_rest = on_rest
        self._on_member = on_member
        self._on_member_end = on_member_end
        self._block = bytearray()
        self._member: TarMember | None = None
        self._sink: Sink | None = None
        self._left = 0
        self._padding = 0
        self._zero_blocks = 0
        self._long_name: bytearray | None = None
        self._next_name: str | None = None
        self._extension_open = False

    def feed(self, view: memoryview) -> None:
        """Take the next bytes of the archive."""
        while view:
            if self._left:
                taken = min(self._left, len(view))
                if self._sink is not None:
                    self._sink(view[:taken])
                self._left -= taken
                view = view[taken:]
                if not self._left:
                    self._end_member()
            elif self._padding:
                taken = min(self._padding, len(view))
                self._on_rest(view[:taken])
                self._padding -= taken
                view = view[taken:]
            else:
                taken = min(BLOCK - len(self._block), len(view))
                self._on_rest(view[:taken])
                self._block += view[:taken]
                view = view[taken:]
                if len(self._block) == BLOCK:
                    block = bytes(self._block)
                    self._block.clear()
                    self._take_block(block)

    def finish(self, end_mark: bool = True) -> None:
        """Say that the archive is over; raises ``DamagedSnapshot`` where its end is missing.

        ``end_mark``: whether it must have the two zero blocks; Qdrant leaves them out of the segments' own archives.
        """
        if self._left or self._padding or self._block or self._extension_open:
            name = self._member.name if self._member is not None else "a header"
            raise DamagedSnapshot(f"{self._what} is cut short in {name}.", _HINT)
        if end_mark and self._zero_blocks < 2:
            raise DamagedSnapshot(f"{self._what} is cut short: its end-of-archive mark is missing.", _HINT)

    def _take_block(self, block: bytes) -> None:
        if self._extension_open:
            self._take_extension(block)
        elif block == ZEROS:
            self._zero_blocks += 1
        elif self._zero_blocks:
            raise DamagedSnapshot(f"{self._what} goes on after its end-of-archive mark.", _HINT)
        else:
            self._take_header(block)

    def _take_header(self, block: bytes) -> None:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise DamagedSnapshot(f"{self._what} has a damaged tar header: {error}.", _HINT) from error
        if info.size < 0:
            raise DamagedSnapshot(f"{self._what} has a member of negative size.", _HINT)
        if block[156:157] == tarfile.GNUTYPE_LONGNAME:
            self._begin_long_name(info.size)
            return
        name, self._next_name = self._next_name or info.name, None
        self._check_name(name)
        kind = block[156:157]
        sparse = kind == tarfile.GNUTYPE_SPARSE
        directory = kind == tarfile.DIRTYPE
        if not (sparse or directory or kind in _REGULAR):
            raise DamagedSnapshot(f"{self._what} has the member {name!r} of the unexpected type {kind!r}.", _HINT)
        member = TarMember(name, info.size, directory, sparse, info.size, info.mode, info.mtime, block)
        self._member = member
        if sparse:
            member.real_size = _number(block[483:495])
            member.extents = _extents(block[386:482])
            self._extension_open = block[482] == 1
        else:
            member.extents = [(0, info.size)]
        if not self._extension_open:
            self._begin_data(member)

    def _take_extension(self, block: bytes) -> None:
        member = self._member
        if member is None or len(member.extension) > 1024 * BLOCK:
            raise DamagedSnapshot(f"{self._what} has an endless sparse map.", _HINT)
        member.extension += block
        member.extents += _extents(block[:504])
        self._extension_open = block[504] == 1
        if not self._extension_open:
            self._begin_data(member)

    def _begin_data(self, member: TarMember) -> None:
        if member.is_sparse and not _fits(member):
            raise DamagedSnapshot(f"{self._what}: the sparse map of {member.name} does not fit its size.", _HINT)
        self._sink = self._on_member(member)
        self._left = member.size
        if not self._left:
            self._end_member()

    def _begin_long_name(self, size: int) -> None:
        if not 0 < size <= _LONGEST_NAME:
            raise DamagedSnapshot(f"{self._what} has a name of {size} bytes.", _HINT)
        self._long_name = bytearray()
        self._sink = self._take_long_name
        self._left = size

    def _take_long_name(self, view: memoryview) -> None:
        self._on_rest(view)
        if self._long_name is not None:
            self._long_name += view

    def _end_member(self) -> None:
        if self._long_name is not None:
            self._padding = -len(self._long_name) % BLOCK
            self._next_name = self._long_name.rstrip(b"\x00").decode("utf-8", "surrogateescape")
            self._long_name = None
        elif self._member is not None:
            self._padding = -self._member.size % BLOCK
            self._on_member_end(self._member)

    def _check_name(self, name: str) -> None:
        if not name or name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise DamagedSnapshot(f"{self._what} has a member with the unsafe name {name!r}.", _HINT)


def renamed(member: TarMember, name: str) -> bytes:
    """The member's header blocks under another name; type, sizes, sparse map and times stay."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > 100:
        raise DamagedSnapshot(f"The name {name!r} is longer than 100 bytes.", _HINT)
    block = bytearray(member.header)
    block[:100] = encoded.ljust(100, b"\x00")
    if not member.is_sparse:
        block[345:500] = bytes(155)  # the rest of a long name, in POSIX headers
    block[148:156] = b"        "
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block) + member.extension


def regular_header(name: str, size: int, mtime: int) -> bytes:
    """The header of a regular file of ``size`` bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """The zero bytes that follow ``size`` bytes of data."""
    return bytes(-size % BLOCK)


def _number(text: bytes) -> int:
    if text[:1] == b"\x80":
        return int.from_bytes(text[1:], "big")
    match = _OCTAL.fullmatch(text)
    if match is None:
        raise DamagedSnapshot(f"A sparse map has the number {text!r}.", _HINT)
    return int(match.group(1) or b"0", 8)


def _fits(member: TarMember) -> bool:
    """Whether the stored bytes of a sparse file are just those that its map names, one after another."""
    end = 0
    for offset, length in member.extents:
        if offset < end:
            return False
        end = offset + length
    return end <= member.real_size and sum(length for _offset, length in member.extents) == member.size


def _extents(table: bytes) -> list[tuple[int, int]]:
    pairs = [(_number(table[at : at + 12]), _number(table[at + 12 : at + 24])) for at in range(0, len(table) - 23, 24)]
    return [(offset, length) for offset, length in pairs if length]
