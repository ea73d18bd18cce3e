# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shard archive cut while it streams by: into chunks that a later archive has again, and the bytes between them.

Each file of a segment is cut by itself, since the archives of two snapshots have the same files in another order and
with other times, and by its content (``content_cuts``), since Qdrant's optimizers rewrite segments. What is no file's
data (tar headers, padding) is given as it stands, and so are the smallest files: a reference to a chunk takes some 40
bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from .content_cuts import ContentCutter
from .snapshot_tar import Sink, TarMember, TarReader

# Bytes; a smaller file stands in the list of chunks itself.
_SMALLEST_FILE = 2048


class ArchiveCutter:
    """``feed`` it a shard archive in pieces of any size, then ``finish``; both raise ``DamagedSnapshot``.

    ``on_chunk(view)`` gets each chunk, of at most ``LARGEST_CHUNK`` bytes, and ``on_literal(data)`` all that is between
    two chunks, in the order of the archive. A view lasts only for the call.
    """

    def __init__(self, what: str, on_literal: Callable[[bytes], object], on_chunk: Sink) -> None:
        """``what``: the archive in messages."""
        self._what = what
        self._on_literal, self._on_chunk = on_literal, on_chunk
        self._literal = bytearray()
        self._cutter = ContentCutter(self._give)
        self._inner: TarReader | None = None
        self._reader = TarReader(what, self._on_member, self._on_member_end, self._keep)

    def feed(self, view: memoryview) -> None:
        """Take the next bytes."""
        self._reader.feed(view)

    def finish(self) -> None:
        """No more bytes will come."""
        self._reader.finish()
        self._flush_literal()

    def _on_member(self, member: TarMember) -> Sink:
        if member.name.startswith("segments/") and member.name.endswith(".tar"):
            what = f"The segment {member.name} of {self._what}"
            self._inner = TarReader(what, self._file, lambda _member: self._cutter.finish(), self._keep)
            return self._inner.feed
        return self._file(member)

    def _file(self, member: TarMember) -> Sink:
        return self._keep if member.size < _SMALLEST_FILE else self._cutter.feed

    def _on_member_end(self, _member: TarMember) -> None:
        if self._inner is not None:
            self._inner.finish(end_mark=False)
            self._inner = None
        self._cutter.finish()

    def _keep(self, view: memoryview) -> None:
        self._literal += view

    def _give(self, view: memoryview) -> None:
        self._flush_literal()
        self._on_chunk(view)

    def _flush_literal(self) -> None:
        if self._literal:
            self._on_literal(bytes(self._literal))
            self._literal.clear()
