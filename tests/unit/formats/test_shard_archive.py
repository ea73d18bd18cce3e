# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The split of a collection snapshot into shard archives: all that a restore needs, and nothing that is not whole."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import (
    DamagedSnapshot,
    IntegrityError,
    InvalidInput,
    WalGap,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shard_archive import (
    ShardArchive,
    ShardSplitter,
    ShardWal,
)
from tests.made_snapshots import (
    MadeShard,
    MemorySink,
    header,
    joined,
    member,
    numbered,
    segment_archive,
    snapshot_members,
    sparse_member,
    two_shards,
    wal_segment,
)

Members = list[tuple[str, bytes]]


def split(
    archive: bytes,
    shards: Sequence[int] = (0, 1),
    acks: Mapping[int, int | None] | None = None,
    cuts: Sequence[int] = (),
) -> tuple[dict[int, ShardArchive], dict[int, MemorySink]]:
    """The archives of a snapshot, fed in pieces that end at ``cuts``."""
    sinks: dict[int, MemorySink] = {}

    def open_object(shard: int) -> MemorySink:
        assert shard not in sinks
        sinks[shard] = MemorySink()
        return sinks[shard]

    splitter = ShardSplitter(shards, open_object, io.BytesIO, acks)
    places = [0, *sorted(cuts), len(archive)]
    for start, stop in itertools.pairwise(places):
        splitter.feed(memoryview(archive)[start:stop])
    return {found.shard: found for found in splitter.finish()}, sinks


def log_of(sink: MemorySink) -> tuple[str, list[bytes]]:
    """Name and entries of the last member of a shard archive."""
    name, data = list(sink.members().items())[-1]
    segment = wal.scan(name, 0, data)
    return name, [wal.entry_data(data, segment, index) for index in range(segment.stop)]


def one_shard(wal_files: dict[str, bytes], **fields: object) -> Members:
    return snapshot_members([MadeShard(0, wal_files, **fields)])  # type: ignore[arg-type]


def test_each_shard_becomes_an_archive_of_its_own() -> None:
    shards = two_shards()
    _archives, sinks = split(joined(snapshot_members(shards)))
    for made in shards:
        assert sinks[made.number].finished
        found = sinks[made.number].members()
        kept = {name for name, _content in made.members() if not name.startswith("wal/")}
        assert set(list(found)[:-1]) == kept
        assert found["replica_state.json"] == made.documents["replica_state.json"]


def test_segments_go_through_untouched() -> None:
    segments = {"b": segment_archive(9, b"\x00\x01" * 5000), "a": segment_archive(2)}
    _archives, sinks = split(joined(one_shard({"open-1": wal_segment(numbered(0, 12))}, segments=segments)), [0])
    found = sinks[0].members()
    assert {name: found[f"segments/{name}.tar"] for name in segments} == segments
    assert list(found)[:2] == ["segments/b.tar", "segments/a.tar"], "in the order in which they came"


def test_the_last_member_is_the_log_from_s_to_l() -> None:
    archives, sinks = split(joined(snapshot_members(two_shards())), acks={1: 7, 0: None})
    assert log_of(sinks[1]) == ("wal/closed-7", numbered(7, 14))
    assert archives[1].wal == ShardWal(7, 13, "ack_index")
    assert log_of(sinks[0]) == ("wal/closed-0", numbered(0, 4))
    assert archives[0].wal == ShardWal(0, 3, "ack_index")


def test_the_log_has_the_chain_that_qdrant_would_have_written() -> None:
    _archives, sinks = split(joined(snapshot_members(two_shards())), acks={1: 7, 0: 0})
    assert sinks[1].members()["wal/closed-7"] == wal_segment(numbered(7, 14)), "one chain over two files of other seeds"


def test_the_offset_of_the_log_is_that_of_its_header() -> None:
    archives, sinks = split(joined(snapshot_members(two_shards())))
    for number, sink in sinks.items():
        offset = archives[number].wal_offset
        name = list(sink.members())[-1].encode()
        assert sink.data[offset : offset + 100].rstrip(b"\x00") == name
        # What stands before it, with an end mark, is an archive of all other members.
        shorter = MemorySink()
        shorter.data = sink.data[:offset] + bytes(1024)
        assert list(shorter.members()) == list(sink.members())[:-1]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 20_000), max_size=12))
def test_every_chunking_gives_the_same_archives(cuts: list[int]) -> None:
    archive = joined(snapshot_members(two_shards()))
    archives, sinks = split(archive)
    again, same = split(archive, cuts=cuts)
    assert again == archives
    assert {number: sink.data for number, sink in same.items()} == {number: sink.data for number, sink in sinks.items()}


@pytest.mark.parametrize(
    ("acks", "ack_inside", "versions", "expected"),
    [
        ({0: 12}, 15, (18,), ShardWal(12, 19, "ack_index")),
        ({0: None}, 15, (18,), ShardWal(10, 19, "ack_index")),
        ({0: 20}, 20, (18,), ShardWal(20, 19, "ack_index")),
        ({7: 11}, 15, (18,), ShardWal(15, 19, "segments")),
        (None, 15, (18, 16), ShardWal(15, 19, "segments")),
        (None, 18, (16, 13, 0), ShardWal(14, 19, "segments")),
        (None, 18, (16, None), ShardWal(17, 19, "segments")),
        (None, None, (16,), ShardWal(10, 19, "segments")),
        (None, 18, (4, 16), ShardWal(10, 19, "wal_start")),
        (None, 3, (16,), ShardWal(10, 19, "wal_start")),
    ],
    ids=[
        "read before",
        "none before",
        "all acknowledged",
        "another shard read",
        "snapshot's ack",
        "lowest version",
        "empty segment",
        "no ack at all",
        "version before the log",
        "ack before the log",
    ],
)
def test_where_the_log_begins(
    acks: dict[int, int | None] | None, ack_inside: int | None, versions: tuple[int | None, ...], expected: ShardWal
) -> None:
    files = {"closed-10": wal_segment(numbered(10, 15)), "open-4": wal_segment(numbered(15, 20))}
    archives, sinks = split(joined(one_shard(files, ack=ack_inside, versions=versions)), [0], acks)
    assert archives[0].wal == expected
    assert log_of(sinks[0]) == (f"wal/closed-{expected.first}", numbered(expected.first, 20))


@pytest.mark.parametrize(("ack", "inside"), [(16, 15), (18, None), (900, 15)])
def test_an_ack_ahead_of_the_snapshot_is_that_of_other_data(ack: int, inside: int | None) -> None:
    files = {"closed-10": wal_segment(numbered(10, 20))}
    with pytest.raises(InvalidInput, match=f"acknowledged up to {ack} before.* in the snapshot up to {inside or 0}"):
        split(joined(one_shard(files, ack=inside)), [0], {0: ack})


@pytest.mark.parametrize(
    ("files", "ack", "lost"),
    [
        ({"closed-10": wal_segment(numbered(10, 20))}, 8, "lacks the entries 8 to 9"),
        ({"closed-10": wal_segment(numbered(10, 20))}, 21, "ends at 19"),
        ({"closed-1": wal_segment(numbered(1, 4)), "closed-6": wal_segment(numbered(6, 9))}, 2, "entries 4 to 5"),
    ],
)
def test_a_gap_in_the_log_is_refused(files: dict[str, bytes], ack: int, lost: str) -> None:
    with pytest.raises(WalGap, match=lost):
        split(joined(one_shard(files, ack=ack)), [0], {0: ack})


def test_a_log_with_holes_between_its_entries_is_read() -> None:
    content = wal_segment([b"x" * 3000, b"y"], capacity=8192)
    data = content[:1024] + content[2560:8192]
    hole = sparse_member("0/wal/open-1", data, [(0, 1024), (2560, 5632)], 33554432)
    members = [(name, hole if name == "0/wal/open-1" else made) for name, made in one_shard({"open-1": b""})]
    archives, _sinks = split(joined(members), [0])
    assert archives[0].wal.last == -1, "the hole lies in the first entry, whose CRC no longer fits"
    content = wal_segment([bytes(3000), b"y"], capacity=8192)
    data = content[:1024] + content[2560:8192]
    hole = sparse_member("0/wal/open-1", data, [(0, 1024), (2560, 5632)], 33554432)
    members = [(name, hole if name == "0/wal/open-1" else made) for name, made in members]
    _archives, sinks = split(joined(members), [0])
    assert log_of(sinks[0])[1] == [bytes(3000), b"y"]


def test_what_would_let_qdrant_skip_the_log_is_left_out() -> None:
    documents = {**MadeShard(0, {}).documents, "applied_seq.json": b'{"op_num": 9}', "newest_clocks.json": b"{}"}
    files = {"open-1": wal_segment(numbered(0, 3)), "tmp-open-2": bytes(512)}
    _archives, sinks = split(joined(one_shard(files, ack=1, documents=documents)), [0])
    names = list(sinks[0].members())
    assert "newest_clocks.json" in names
    assert [name for name in names if "applied_seq" in name or name.startswith("wal/")] == ["wal/closed-1"]


def test_unwanted_shards_are_skipped() -> None:
    archives, sinks = split(joined(snapshot_members(two_shards())), [1])
    assert list(archives) == list(sinks) == [1]


def test_a_stub_of_an_unwanted_shard_is_no_fault() -> None:
    stub = [("9/x", member("9/shard_config.json", b"{}"))]
    archives, _sinks = split(joined(stub + snapshot_members(two_shards())))
    assert sorted(archives) == [0, 1]


def test_a_shard_that_is_not_there_is_named() -> None:
    with pytest.raises(DamagedSnapshot, match=r"lacks the shards \[2, 3\]"):
        split(joined(snapshot_members(two_shards())), [0, 1, 2, 3])


@pytest.mark.parametrize("missing", ["replica_state.json", "shard_config.json"])
def test_a_shard_without_a_document_is_refused(missing: str) -> None:
    members = [pair for pair in snapshot_members(two_shards()) if pair[0] != f"1/{missing}"]
    with pytest.raises(DamagedSnapshot, match=f"Shard 1 in the snapshot lacks {missing}"):
        split(joined(members))


@pytest.mark.parametrize(("prefix", "said"), [("0/segments/", "segments"), ("0/wal/", "wal")])
def test_a_shard_without_its_data_or_log_is_refused(prefix: str, said: str) -> None:
    members = [pair for pair in snapshot_members(two_shards()) if not pair[0].startswith(prefix)]
    with pytest.raises(DamagedSnapshot, match=f"Shard 0 in the snapshot lacks {said}"):
        split(joined(members))


@pytest.mark.parametrize("missing", ["version.info", "config.json"])
def test_a_snapshot_without_a_document_is_refused(missing: str) -> None:
    members = [pair for pair in snapshot_members(two_shards()) if pair[0] != missing]
    with pytest.raises(DamagedSnapshot, match=f"The snapshot lacks {missing}"):
        split(joined(members))


def test_a_snapshot_cut_before_its_last_member_is_refused() -> None:
    members = snapshot_members(two_shards())
    whole = b"".join(content for _name, content in members[:-1])
    with pytest.raises(DamagedSnapshot, match="end-of-archive mark is missing"):
        split(whole)


def test_a_snapshot_cut_in_any_member_is_refused() -> None:
    members = snapshot_members(two_shards())
    position = 0
    for name, content in members:
        for length in (position, position + 512, position + len(content) - 1):
            with pytest.raises(IntegrityError, match=r"cut short|lacks") as refusal:
                split(joined(members)[:length])
            assert isinstance(refusal.value, DamagedSnapshot), name
        position += len(content)


def test_members_of_two_shards_in_turns_are_refused() -> None:
    members = snapshot_members(two_shards())
    last_of_one = next(number for number, (name, _content) in enumerate(members) if name == "1/shard_config.json")
    members.insert(last_of_one + 4, ("1/more", member("1/more.json", b"{}")))
    with pytest.raises(DamagedSnapshot, match=r"lacks|do not stand together"):
        split(joined(members))


def test_a_shard_that_comes_again_is_refused() -> None:
    shards = two_shards()
    members = snapshot_members(shards)[:-4] + snapshot_members([shards[0]])
    with pytest.raises(DamagedSnapshot, match="members of shard 1 do not stand together"):
        split(joined(members))


@pytest.mark.parametrize("cut", [100, 512, 1000, 1536 + 512 + 10])
def test_a_segment_whose_own_archive_is_cut_short_is_refused(cut: int) -> None:
    members = one_shard({"open-1": wal_segment([])}, segments={"a": segment_archive(3)[:cut]})
    with pytest.raises(DamagedSnapshot, match=r"segment 0/segments/a\.tar in the snapshot (is cut short|lacks)"):
        split(joined(members), [0])


@pytest.mark.parametrize("name", ["segment.json", "version.info"])
def test_a_segment_without_a_document_is_refused(name: str) -> None:
    parts = {"a": b"", "segment.json": b'{"version": 3}', "version.info": b"0.6.0"}
    del parts[name]
    inner = b"".join(member(f"snapshot/files/{each}", data, b"0") for each, data in parts.items())
    with pytest.raises(DamagedSnapshot, match=rf"lacks \['{name}'\]"):
        split(joined(one_shard({"open-1": wal_segment([])}, segments={"a": inner})), [0])


def test_a_document_that_is_no_json_is_refused() -> None:
    segment = segment_archive(1, **{"segment.json": b"{broken"})
    with pytest.raises(DamagedSnapshot, match=r"segment\.json in the snapshot is not JSON"):
        split(joined(one_shard({"open-1": wal_segment([])}, segments={"a": segment})), [0])


def test_a_hole_that_would_fill_the_disk_is_refused() -> None:
    huge = sparse_member("0/wal/open-1", b"x" * 512, [(1 << 32, 512)], 1 << 33)
    members = [(name, huge if name == "0/wal/open-1" else made) for name, made in one_shard({"open-1": b""})]
    with pytest.raises(DamagedSnapshot, match="has a hole of"):
        split(joined(members), [0])


def test_a_link_among_the_members_is_refused() -> None:
    members = [*snapshot_members(two_shards()), ("1/x", header("1/x", 0, b"2", linkname="/etc/passwd"))]
    with pytest.raises(DamagedSnapshot, match="unexpected type"):
        split(joined(members))


def test_a_name_too_long_for_an_archive_is_refused() -> None:
    name = "0/" + "n" * 150
    long = member("././@LongLink", name.encode() + b"\x00", b"L") + member(name[:90], b"")
    with pytest.raises(DamagedSnapshot, match="longer than 100 bytes"):
        split(joined([("x", long), *snapshot_members(two_shards())]))
