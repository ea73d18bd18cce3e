# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a file is cut: at words that its content names, so that what was inserted or removed shifts no later cut.

Qdrant's optimizers copy the points of a segment in their order, without the deleted ones and with those of other
segments between them. All its files have records of whole words of four bytes, so only at those can a chunk begin. A
word begins one when its product with a constant is small, as in FastCDC (Xia et al., USENIX ATC 2016) by a strict
bound up to the wanted size and a lax one from there on: sizes then vary less. A zero never does.
"""

from __future__ import annotations

from bisect import bisect_left
from types import ModuleType

from ..errors import MissingDependency
from .snapshot_tar import Sink

# Bytes: sizes average a little less than the wanted one; a chunk that no word ends is cut at the largest.
WANTED_SIZE = 48 * 1024
LARGEST_CHUNK = 4 * WANTED_SIZE
_WORD = 4
# Of the wanted size.
_SMALLEST, _LARGEST = 1 / 4, LARGEST_CHUNK // WANTED_SIZE
# By how much the bounds differ from the one that gives the wanted size alone.
_STRICT, _LAX = 1 / 2, 4
# 2 ** 32 divided by the golden ratio.
_MULTIPLIER = 0x9E3779B1
# So many bytes are looked at together.
_BATCH = 1 << 18


class ContentCutter:
    """``feed`` it a file in pieces of any size, then ``finish``, which makes it ready for the next file.

    ``on_chunk(view)`` gets each chunk, of at most 4 times the wanted size; a view lasts only for the call. The same
    bytes are cut alike, however they come.
    """

    def __init__(self, on_chunk: Sink, wanted: int = WANTED_SIZE) -> None:
        """``wanted``: the size of chunks in bytes, a multiple of 16; raises ``MissingDependency`` without numpy."""
        self._numpy = require_numpy()
        self._on_chunk = on_chunk
        self._wanted = wanted
        self._smallest = int(wanted * _SMALLEST)
        self._largest = wanted * _LARGEST
        even = (1 << 32) * _WORD / (wanted - self._smallest)
        self._strict, self._lax = int(even * _STRICT), int(even * _LAX)
        self._held = bytearray()
        # Kept, since memory of this size is else taken from the system and given back each time.
        words = (self._largest + _BATCH) // _WORD
        self._products = self._numpy.empty(words, dtype="<u4")
        self._meets = self._numpy.empty(words, dtype=bool)

    def feed(self, view: memoryview) -> None:
        """Take the next bytes."""
        while view:
            taken = self._largest + _BATCH - len(self._held)
            self._held += view[:taken]
            view = view[taken:]
            if len(self._held) == self._largest + _BATCH:
                self._cut(self._largest)

    def finish(self) -> None:
        """No more bytes will come."""
        self._cut(0)

    def _cut(self, kept: int) -> None:
        """Cut what is held as long as more than ``kept`` bytes are left: those may still need what comes after them."""
        strict, lax = self._places()
        start = 0
        with memoryview(self._held) as held:
            while len(held) - start > kept:
                stop = self._end(start, len(held), strict, lax)
                self._on_chunk(held[start:stop])
                start = stop
        del self._held[:start]

    def _places(self) -> tuple[list[int], list[int]]:
        """Where the words are that meet the strict and the lax bound."""
        numpy = self._numpy
        words = numpy.frombuffer(self._held, dtype="<u4", count=len(self._held) // _WORD)
        products, meets = self._products[: len(words)], self._meets[: len(words)]
        numpy.multiply(words, numpy.uint32(_MULTIPLIER), out=products)
        # Makes the largest number of zero.
        numpy.subtract(products, numpy.uint32(1), out=products)
        lax = numpy.flatnonzero(numpy.less(products, numpy.uint32(self._lax), out=meets))
        strict = lax[products[lax] < numpy.uint32(self._strict)]
        return (strict * _WORD).tolist(), (lax * _WORD).tolist()

    def _end(self, start: int, size: int, strict: list[int], lax: list[int]) -> int:
        """Where the chunk ends that begins at ``start``, of a file that has at least ``size`` bytes."""
        last = min(start + self._largest, size)
        for places, first in ((strict, start + self._smallest), (lax, start + self._wanted)):
            at = bisect_left(places, first)
            if at < len(places):
                last = min(last, places[at])
        return last


def require_numpy() -> ModuleType:
    """The package numpy; raises ``MissingDependency``."""
    try:
        import numpy
    except ImportError as error:
        raise MissingDependency(
            "The Python package numpy is not installed on this host.", "Run: pip install numpy"
        ) from error
    return numpy
