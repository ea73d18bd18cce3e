# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers no faster than a limit."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from threading import Lock

from ..errors import InvalidInput

PIECE = 64 * 1024
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)", re.IGNORECASE)


def parse_rate(text: str) -> float:
    """Bytes per second of ``500000``, ``800K``, ``50M`` or ``1.5G`` (powers of 1024). Raises InvalidInput otherwise."""
    match = _RATE.fullmatch(text.strip())
    rate = float(match.group(1)) * _UNITS[match.group(2).upper()] if match else 0.0
    if rate < PIECE:
        raise InvalidInput(
            f"bandwidth_limit is {text!r}.", "Give bytes per second, at least 64K, such as 50M for 50 MiB/s."
        )
    return rate


class Pace:
    """One limit in bytes per second that several threads share."""

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._lock = Lock()
        self._free_from = 0.0

    def wait(self, size: int) -> None:
        """Return when ``size`` more bytes may pass; the time that nobody used is not saved up."""
        with self._lock:
            now = self._clock()
            start = max(now, self._free_from)
            self._free_from = start + size / self._rate
        if start > now:
            self._sleep(start - now)


class PacedBody(io.RawIOBase):
    """The bytes of a request, sent at a pace; they are not copied as a whole."""

    def __init__(self, data: bytes | bytearray, pace: Pace) -> None:
        super().__init__()
        self._view, self._pace, self._offset = memoryview(data), pace, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: len(self._view)}[whence]
        self._offset = max(0, start + offset)
        return self._offset

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._view[self._offset : self._offset + min(len(buffer), PIECE)]
        self._pace.wait(len(piece))
        buffer[: len(piece)] = piece
        self._offset += len(piece)
        return len(piece)


def paced(data: bytes | bytearray, pace: Pace | None) -> bytes | bytearray | PacedBody:
    """The body of a request that sends ``data``, at a pace if there is one."""
    return data if pace is None else PacedBody(data, pace)
