# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted parts: each opens in its own place and nowhere else, and not at all once a bit of it has changed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.sealed import (
    ARCHIVE,
    HEADER_SIZE,
    OVERHEAD,
    PROBES,
    TAG_SIZE,
    PartOpener,
    PartSealer,
    open_parts,
    open_text,
    plain_facts,
    seal_text,
)

PART = OVERHEAD + 48
KEY, OTHER_KEY = bytes(range(32)), bytes(32)
KEY_ID = "000102030405060708090a0b0c0d0e0f"
SALT, OTHER_SALT = b"s" * 32, b"t" * 32


def sealed(plain: bytes, salt: bytes = SALT, key: bytes = KEY) -> list[bytes]:
    """The stored parts of an object with these bytes."""
    sealer = PartSealer(key, KEY_ID, salt)
    pieces = [plain[first : first + PART - OVERHEAD] for first in range(0, len(plain), PART - OVERHEAD)]
    parts = []
    for number, piece in enumerate(pieces, start=1):
        part = bytearray(bytes(HEADER_SIZE) + piece + bytes(TAG_SIZE))
        sealer.seal(memoryview(part), number, number == len(pieces))
        parts.append(bytes(part))
    return parts


def described(plain: bytes, parts: list[bytes]) -> dict[str, Any]:
    """What a manifest says of that object."""
    facts = {"data_key": KEY_ID, "plain_size": len(plain), "plain_sha256": hashlib.sha256(plain).hexdigest()}
    return {"size": sum(map(len, parts)), "parts": [""] * len(parts), "client_encryption": facts}


def opened(parts: list[bytes], stored: dict[str, Any], key: bytes = KEY) -> bytes:
    return b"".join(open_parts(parts, stored, {KEY_ID: key}, "docs/0.snapshot"))


# Sizes on both sides of the border of a part, with empty room and without.
SIZES = st.one_of(st.integers(1, 200), st.sampled_from([47, 48, 49, 95, 96, 97, 144]))


@given(SIZES, st.randoms(use_true_random=False))
def test_what_was_sealed_comes_back(size: int, chance: Any) -> None:
    plain = chance.randbytes(size)
    parts = sealed(plain)
    stored = described(plain, parts)
    assert [len(part) for part in parts[:-1]] == [PART] * (len(parts) - 1)
    assert stored["size"] == size + OVERHEAD * len(parts)
    assert opened(parts, stored) == plain
    assert plain_facts(stored) == (size, hashlib.sha256(plain).hexdigest())


@given(SIZES, st.randoms(use_true_random=False))
def test_a_part_opens_alone_so_that_ranges_can_be_read(size: int, chance: Any) -> None:
    plain = chance.randbytes(size)
    parts = sealed(plain)
    number = chance.randrange(len(parts)) + 1
    alone = PartOpener(KEY, KEY_ID, len(parts), "x").open(parts[number - 1], number)
    assert alone == plain[(number - 1) * 48 : number * 48]


@given(SIZES, st.randoms(use_true_random=False))
def test_every_bit_counts(size: int, chance: Any) -> None:
    plain = chance.randbytes(size)
    parts = sealed(plain)
    victim = chance.randrange(len(parts))
    damaged = bytearray(parts[victim])
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    with pytest.raises(DamagedBackup, match=f"Part [0-9]+ of {len(parts)} of docs/0.snapshot"):
        opened([*parts[:victim], bytes(damaged), *parts[victim + 1 :]], described(plain, parts))


@pytest.mark.parametrize("offset", [0, 7, 8, 23, 24, 55, 56, 59, 60, 61, 63])
def test_each_field_of_the_header_is_authenticated(offset: int) -> None:
    parts = sealed(b"one part")
    damaged = bytearray(parts[0])
    damaged[offset] ^= 1
    with pytest.raises(DamagedBackup):
        opened([bytes(damaged)], described(b"one part", parts))


def test_parts_that_are_left_out_moved_or_of_others_do_not_open() -> None:
    plain = bytes(range(144))
    parts = sealed(plain)
    stored, shorter = described(plain, parts), described(plain[:96], parts[:2])
    twin = sealed(plain, salt=OTHER_SALT)
    for wrong in ([parts[1], parts[0], parts[2]], [parts[0], parts[2], parts[1]], [parts[0], parts[0], parts[2]]):
        with pytest.raises(DamagedBackup, match="has the header of another one"):
            opened(wrong, stored)
    with pytest.raises(DamagedBackup, match=r"Part 2 of 2 .* has the header of another one"):
        opened(parts[:2], shorter)
    with pytest.raises(DamagedBackup, match=r"Part 2 of 3 .* has the header of another one"):
        opened([parts[0], twin[1], parts[2]], stored)
    with pytest.raises(DamagedBackup, match="is too short"):
        opened([parts[0], parts[1], parts[2][:79]], stored)
    with pytest.raises(DamagedBackup, match="does not open"):
        opened([parts[0], parts[1], parts[2][:-1]], stored)


def test_no_last_part_is_given_before_the_whole_is_right() -> None:
    plain = bytes(range(144))
    parts = sealed(plain)
    stored = described(b"\xff" + plain[1:], parts)
    given_out = []
    with pytest.raises(DamagedBackup, match="is not what the manifest describes"):
        given_out += list(open_parts(parts, stored, {KEY_ID: KEY}, "x"))
    pieces = open_parts(parts, stored, {KEY_ID: KEY}, "x")
    assert [next(pieces), next(pieces)] == [plain[:48], plain[48:96]]
    with pytest.raises(DamagedBackup):
        next(pieces)


def test_another_key_opens_nothing() -> None:
    parts = sealed(b"one part")
    with pytest.raises(DamagedBackup, match="does not open with its data key"):
        opened(parts, described(b"one part", parts), key=OTHER_KEY)


def test_equal_bytes_are_stored_as_different_ones() -> None:
    first, second = sealed(bytes(96)), sealed(bytes(96), salt=OTHER_SALT)
    bodies = [part[HEADER_SIZE:] for part in (*first, *second)]
    assert len(set(bodies)) == 4


def test_what_is_not_encrypted_passes() -> None:
    assert opened([b"a", b"b"], {"size": 2, "sha256": "x", "parts": ["", ""]}) == b"ab"
    assert plain_facts({"size": 2, "sha256": "x"}) == (2, "x")


def test_a_document_opens_only_as_what_it_is() -> None:
    text = seal_text(b"probes", KEY, KEY_ID, SALT, PROBES)
    assert open_text(text, KEY, KEY_ID, "the probes", PROBES) == b"probes"
    for wrong in (text[4:], "no base64!", ""):
        with pytest.raises(DamagedBackup, match="the probes"):
            open_text(wrong, KEY, KEY_ID, "the probes", PROBES)
    with pytest.raises(DamagedBackup, match="does not open"):
        open_text(text, KEY, KEY_ID, "the probes", ARCHIVE)
