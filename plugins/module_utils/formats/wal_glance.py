# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replay must know of a WAL entry, at a fraction of the time that decoding it takes.

Nearly all bytes of a log are the numbers of upserted vectors. Here they are stepped over: as long as their heads, which
say how long each one is, are the same and stand at equal distances. Everything else, and every upsert that is not
written just as expected, is decoded by ``describe``: a glance takes nothing for known that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .wal_operations import Operation, describe

_UPSERT = b"\xbfmupsert_points\xa1"
_POINTS = b"fpoints"
_BATCH = b"ebatch"
_PAYLOAD = b"gpayload"
_IDS, _VECTORS, _PAYLOADS = b"\xa3cids", b"gvectors", b"hpayloads"
_NULL = 0xF6
# Heads of numbers, and how many bytes head and number take together.
_STEPS = {0x18: 2, 0x19: 3, 0x1A: 5, 0x1B: 9, 0xF9: 3, 0xFA: 5, 0xFB: 9}
# How many numbers to look at together.
_WINDOW = 512
# The bytes of a length after its head.
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_INTEGER, _BYTES, _TEXT, _ARRAY, _MAP = 0, 2, 3, 4, 5
_INT = rb"(?:[\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8})"
# What each point of an upsert begins with: three fields, an id, and the key of the vectors.
_POINT = re.compile(rb"\xa3bid(?:%b|P.{16})fvector" % _INT, re.DOTALL)
_END = re.compile(
    rb"(?:iclock_tag\xa5gpeer_id%bhclock_id%bjclock_tick%betoken%beforce[\xf4\xf5])?\xff\Z" % (4 * (_INT,)), re.DOTALL
)


def glance(entry: bytes) -> Operation:
    """As ``describe``, but of plain upserts without the ``ids``: with their number."""
    if entry.startswith(_UPSERT):
        try:
            return _upsert(entry)
        except (LookupError, ValueError):
            pass
    return describe(entry)


def _upsert(entry: bytes) -> Operation:
    """Raises ValueError or LookupError for any other entry."""
    at = len(_UPSERT)
    if entry.startswith(_POINTS, at):
        names, bare, count, at = _of_points(entry, at + len(_POINTS))
    elif entry.startswith(_BATCH, at):
        names, bare, count, at = _of_batch(entry, at + len(_BATCH))
    else:
        raise ValueError("another form of an upsert")
    if not _END.match(entry, at):
        raise ValueError("more than an upsert")
    vectors = None if names is None else frozenset(name.decode() for name in names)
    return Operation("upsert_points", "upsert", vectors=vectors, bare=bare, unread_ids=count)


def _of_points(entry: bytes, at: int) -> tuple[Iterable[bytes] | None, bool, int, int]:
    """The names of the vectors that all points have, whether one has no payload, how many points there are, and the
    offset after them."""
    count, at = _expect(entry, at, _ARRAY)
    shared: frozenset[bytes] | None = None
    last: list[bytes] | None = None
    bare = False
    for _point in range(count):
        start = _POINT.match(entry, at)
        if start is None:
            raise ValueError("another form of a point")
        found, at = _names(entry, start.end())
        if not entry.startswith(_PAYLOAD, at):
            raise ValueError("another form of a point")
        at += len(_PAYLOAD)
        bare = bare or entry[at] == _NULL
        at = _skip(entry, at)
        if found != last:
            shared = frozenset(found) if shared is None else shared & frozenset(found)
            last = found
    return shared, bare, count, at


def _of_batch(entry: bytes, at: int) -> tuple[Iterable[bytes], bool, int, int]:
    """As ``_of_points``."""
    if not entry.startswith(_IDS, at):
        raise ValueError("another form of a batch")
    points, at = _expect(entry, at + len(_IDS), _ARRAY)
    for _point in range(points):
        at = _id(entry, at)
    if not entry.startswith(_VECTORS, at):
        raise ValueError("another form of a batch")
    names, at = _names(entry, at + len(_VECTORS))
    if not entry.startswith(_PAYLOADS, at):
        raise ValueError("another form of a batch")
    at += len(_PAYLOADS)
    if entry[at] == _NULL:
        return names, points > 0, points, at + 1
    payloads, at = _expect(entry, at, _ARRAY)
    bare = not payloads and points > 0
    for _payload in range(payloads):
        bare = bare or entry[at] == _NULL
        at = _skip(entry, at)
    return names, bare, points, at


def _names(entry: bytes, at: int) -> tuple[list[bytes], int]:
    """The keys of a map of vectors; "" for a vector, or a list of them, without a name."""
    if entry[at] >> 5 == _ARRAY:
        return [b""], _skip(entry, at)
    count, at = _expect(entry, at, _MAP)
    names = []
    for _vector in range(count):
        name, at = _key(entry, at)
        names.append(name)
        at = _skip(entry, at)
    return names, at


def _id(entry: bytes, at: int) -> int:
    """After a number, or a UUID of 16 bytes."""
    major, value, at = _head(entry, at)
    if major == _INTEGER:
        return at
    if (major, value) != (_BYTES, 16):
        raise ValueError("another form of an id")
    return at + value


def _key(entry: bytes, at: int) -> tuple[bytes, int]:
    length, at = _expect(entry, at, _TEXT)
    return entry[at : at + length], at + length


def _expect(entry: bytes, at: int, expected: int) -> tuple[int, int]:
    major, value, at = _head(entry, at)
    if major != expected:
        raise ValueError("another type")
    return value, at


def _head(entry: bytes, at: int) -> tuple[int, int, int]:
    """Major type and value of an item's head, and the offset after it."""
    first = entry[at]
    value = first & 31
    if value < 24:
        return first >> 5, value, at + 1
    end = at + 1 + _SIZES[value]
    return first >> 5, int.from_bytes(entry[at + 1 : end], "big"), end


def _skip(entry: bytes, at: int) -> int:
    """The offset after the item that begins here."""
    left = 1
    while left:
        # Written out for speed: most of the time goes by here.
        first = entry[at]
        at, left = at + 1, left - 1
        value = first & 31
        if value > 23:
            end = at + _SIZES[value]
            value, at = int.from_bytes(entry[at:end], "big"), end
        if first < 0x40:
            continue
        if first < 0x80:
            at += value
        elif first < 0xA0:
            numbers, at = _skip_numbers(entry, at, value) if value else (0, at)
            left += value - numbers
        elif first < 0xC0:
            left += 2 * value
        elif first < 0xE0:
            left += 1
    if at > len(entry):
        raise ValueError("cut")
    return at


def _skip_numbers(entry: bytes, at: int, count: int) -> tuple[int, int]:
    """How many of ``count`` items from here on are numbers, and the offset after them.

    Raises ValueError where heads change so often that decoding is the faster way.
    """
    left, patience = count, 8 + count // 8
    while left and (step := _STEPS.get(entry[at])):
        heads = entry[at : at + step * min(left, _WINDOW) : step]
        run = len(heads) - len(heads.lstrip(heads[:1]))
        at, left = at + step * run, left - run
        patience -= 1
        if patience < 0:
            raise ValueError("numbers of mixed sizes")
    return count - left, at
