# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The streaming tar reader: the same members for every chunking, and no archive that is not whole and plain."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedSnapshot
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import (
    TarMember,
    TarReader,
    padding,
    regular_header,
    renamed,
)
from tests.made_snapshots import header, joined, member, sparse_member, two_shards, with_checksum
from tests.made_snapshots import snapshot_members as qdrant_members

END = bytes(1024)


class Collected:
    """Everything that a reader reports."""

    def __init__(self) -> None:
        self.members: list[TarMember] = []
        self.data: list[bytearray] = []
        self.ended: list[str] = []
        self.reader = TarReader("The snapshot", self._begin, lambda member: self.ended.append(member.name))

    def _begin(self, member: TarMember) -> object:
        self.members.append(member)
        self.data.append(bytearray())
        return self.data[-1].extend

    def take(self, archive: bytes, cuts: list[int] | None = None) -> Collected:
        """Feed the archive in pieces that end at ``cuts``, and finish."""
        places = [0, *sorted(cuts or []), len(archive)]
        for start, stop in itertools.pairwise(places):
            self.reader.feed(memoryview(archive)[start:stop])
        self.reader.finish()
        return self

    def files(self) -> dict[str, bytes]:
        """Name -> content, with the holes of sparse files filled."""
        found = {}
        for info, stored in zip(self.members, self.data, strict=True):
            content = bytearray(info.real_size)
            position = 0
            for offset, length in info.extents:
                content[offset : offset + length] = stored[position : position + length]
                position += length
            found[info.name] = bytes(content)
        return found


def read(archive: bytes) -> dict[str, bytes]:
    return Collected().take(archive).files()


def small_archive() -> bytes:
    return joined(
        [
            ("a", member("0/a", b"one" * 300)),
            ("d", header("0/d/", 0, b"5")),
            ("e", member("0/empty", b"")),
            ("s", sparse_member("0/s", b"x" * 1024, [(0, 512), (4096, 512), (8192, 0)], 8192)),
            ("m", sparse_member("0/many", bytes(range(250)) * 2, [(n * 100, 10) for n in range(50)], 9000)),
        ]
    )


SMALL = small_archive()


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(SMALL)), max_size=20))
def test_every_chunking_gives_the_same(cuts: list[int]) -> None:
    whole, pieces = Collected().take(SMALL), Collected().take(SMALL, cuts)
    assert pieces.members == whole.members
    assert pieces.data == whole.data
    assert pieces.ended == [info.name for info in whole.members]


def test_single_bytes_give_the_same() -> None:
    pieces = Collected().take(SMALL, list(range(len(SMALL))))
    assert pieces.files() == read(SMALL)


def test_content_agrees_with_pythons_tarfile() -> None:
    with tarfile.open(fileobj=io.BytesIO(SMALL)) as archive:
        expected = {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}
    found = read(SMALL)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("archive", [SMALL, joined(qdrant_members(two_shards()))], ids=["small", "qdrant"])
def test_an_archive_cut_anywhere_is_refused(archive: bytes) -> None:
    # Every place next to a block's border, where a cut is hardest to see.
    places = {place + around for place in range(0, len(archive) - 511, 512) for around in (0, 1, 511)}
    for length in places:
        with pytest.raises(DamagedSnapshot, match="cut short"):
            Collected().take(archive[:length])


def test_a_member_cut_in_the_middle_is_named() -> None:
    with pytest.raises(DamagedSnapshot, match="cut short in 0/a"):
        Collected().take(SMALL[:700])


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "0/../../x", "0/..", "..", "0\\..\\x", "/"], ids=lambda name: name or "empty"
)
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str) -> None:
    with pytest.raises(DamagedSnapshot, match="unsafe name"):
        read(joined([("x", member(name, b"data"))]))


def test_a_long_name_that_leads_out_of_the_archive_is_refused() -> None:
    long = "0/" + "x" * 120 + "/../../../y"
    with pytest.raises(DamagedSnapshot, match="unsafe name"):
        read(long_named(long, b"data") + END)


def test_a_member_without_a_name_is_refused() -> None:
    block = bytearray(header("x", 0))
    block[:100] = bytes(100)
    with pytest.raises(DamagedSnapshot, match="unsafe name"):
        read(with_checksum(block) + END)


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"7", b"x", b"g", b"K", b"V", b"X", b"D", b"~"])
def test_links_devices_and_unknown_types_are_refused(kind: bytes) -> None:
    with pytest.raises(DamagedSnapshot, match="unexpected type"):
        read(joined([("x", header("0/x", 0, kind))]))


@pytest.mark.parametrize("size", [b"-0000000001\x00", b"\xff" * 12], ids=["octal", "binary"])
def test_a_negative_size_is_refused(size: bytes) -> None:
    block = bytearray(header("0/x", 0))
    block[124:136] = size
    with pytest.raises(DamagedSnapshot, match="negative size"):
        read(with_checksum(block) + END)


def test_a_size_beyond_eight_gibibytes_is_understood() -> None:
    block = bytearray(header("0/x", 0))
    block[124:136] = b"\x80" + (9 << 30).to_bytes(11, "big")
    found = Collected()
    found.reader.feed(memoryview(with_checksum(block)))
    assert found.members[0].size == 9 << 30


def test_a_damaged_header_is_refused() -> None:
    block = bytearray(SMALL)
    block[3] ^= 1
    with pytest.raises(DamagedSnapshot, match="damaged tar header"):
        read(bytes(block))


def long_named(name: str, data: bytes) -> bytes:
    text = name.encode() + b"\x00"
    return member("././@LongLink", text, b"L") + member(name[:90], data)


@pytest.mark.parametrize("length", [101, 511, 512, 513, 4000])
def test_a_long_name_is_read(length: int) -> None:
    name = "0/" + "n" * (length - 2)
    assert read(long_named(name, b"data") + member("0/after", b"more") + END) == {name: b"data", "0/after": b"more"}


@pytest.mark.parametrize("size", [0, 4097, 1 << 30])
def test_a_long_name_of_no_sensible_length_is_refused(size: int) -> None:
    with pytest.raises(DamagedSnapshot, match=f"a name of {size} bytes"):
        read(header("././@LongLink", size, b"L") + END)


@pytest.mark.parametrize(
    "extents",
    [[(0, 512)], [(0, 1024), (2048, 1)], [], [(512, 512), (0, 512)], [(0, 600), (599, 424)], [(0, 512), (4000, 512)]],
    ids=["too small", "too large", "none", "backwards", "overlapping", "beyond the end"],
)
def test_a_sparse_map_that_does_not_fit_is_refused(extents: list[tuple[int, int]]) -> None:
    with pytest.raises(DamagedSnapshot, match="sparse map of 0/s does not fit"):
        read(joined([("s", sparse_member("0/s", b"x" * 1024, extents, 4096))]))


@pytest.mark.parametrize("number", [b"-0000000512\x00", b"00000x00000\x00", b"\xff" * 12, b"1_0\x00"])
def test_a_sparse_map_with_a_number_that_is_none_is_refused(number: bytes) -> None:
    block = bytearray(sparse_member("0/s", b"x" * 1024, [(0, 512), (1024, 512)], 4096))
    block[386 + 24 : 386 + 36] = number.ljust(12, b"\x00")
    with pytest.raises(DamagedSnapshot, match=r"sparse map|damaged tar header"):
        read(with_checksum(block[:512]) + bytes(block[512:]) + END)


def test_an_endless_sparse_map_is_refused() -> None:
    block = bytearray(sparse_member("0/s", b"", [(0, 0)] * 5, 4096))[:1024]
    block[512 + 504] = 1
    found = Collected()
    found.reader.feed(memoryview(block))
    with pytest.raises(DamagedSnapshot, match="endless sparse map"):
        found.reader.feed(memoryview(bytes(block[512:]) * 2000))


def test_members_behind_the_end_are_refused() -> None:
    with pytest.raises(DamagedSnapshot, match="goes on after its end-of-archive mark"):
        read(SMALL + member("0/late", b"data"))


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(DamagedSnapshot, match=r"cut short|goes on"):
        read(SMALL + b"x")


def test_zeros_behind_the_end_are_fine() -> None:
    assert read(SMALL + bytes(512 * 17)) == read(SMALL)


def test_gnu_tar_and_this_reader_agree(tmp_path: Path) -> None:
    name = "n" * 150
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"long")
    with open(tmp_path / "in" / "sparse", "wb") as file:
        for number in range(40):
            file.seek(number * (1 << 16))
            file.write(b"%04d" % number * 1024)
        file.truncate(41 << 16)
    archive = tmp_path / "a.tar"
    command = [
        "tar",
        "--create",
        "--sparse",
        "--format=gnu",
        "--sort=name",
        "--file",
        str(archive),
        "-C",
        str(tmp_path),
        "in",
    ]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
    found = Collected().take(archive.read_bytes())
    assert any(info.extension for info in found.members), "the map needs extension blocks"
    assert found.files()["in/" + name] == b"long"
    assert found.files()["in/sparse"] == (tmp_path / "in" / "sparse").read_bytes()


def test_a_renamed_header_keeps_all_but_the_name() -> None:
    data = bytes(range(250)) * 2
    original = sparse_member("7/wal/open-1", data, [(n * 100, 10) for n in range(50)], 9000)
    info = Collected().take(original + END).members[0]
    again = renamed(info, "wal/open-1") + data + padding(len(data)) + END
    assert read(again) == {"wal/open-1": read(original + END)["7/wal/open-1"]}


def test_a_renamed_header_has_no_prefix_left() -> None:
    block = bytearray(header("a", 4))
    block[257:265] = b"ustar\x0000"
    block[345:346] = b"0"
    info = Collected().take(with_checksum(block) + b"data" + bytes(508) + END).members[0]
    assert info.name == "0/a"
    assert list(read(renamed(info, "a") + b"data" + bytes(508) + END)) == ["a"]


def test_a_name_too_long_for_one_header_is_refused() -> None:
    info = Collected().take(member("0/x", b"") + END).members[0]
    with pytest.raises(DamagedSnapshot, match="longer than 100 bytes"):
        renamed(info, "\u00e4" * 51)


def test_a_name_that_is_not_utf_8_is_kept() -> None:
    block = bytearray(header("0/x", 0))
    block[:4] = b"0/\xff\xfe"
    info = Collected().take(with_checksum(block) + END).members[0]
    assert renamed(info, info.name)[:4] == b"0/\xff\xfe"


def test_a_new_header_is_understood_by_pythons_tarfile() -> None:
    archive = regular_header("wal/closed-7", 5, 1_700_000_000) + b"hello" + padding(5) + END
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        info = found.next()
        assert info is not None
        assert (info.name, info.size, info.mtime, info.type) == ("wal/closed-7", 5, 1_700_000_000, tarfile.REGTYPE)
        assert found.extractfile(info).read() == b"hello"  # type: ignore[union-attr]
