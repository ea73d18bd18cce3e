# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a log that is written, closed, removed, cut and replaced, in orders that no real server shows on demand.

``MadeLog`` does to the files what Qdrant 1.16.3 does; tests/integration/test_wal_files.py follows Qdrant itself.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import FileError, IntegrityError
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_directory import WalFile
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import (
    Absent,
    Found,
    Gap,
    NewEntries,
    NewTimeline,
    Place,
    WalFiles,
)
from tests.made_logs import CAPACITY, MadeLog
from tests.made_snapshots import wal_segment


def drain(reader: WalFiles, max_bytes: int = 4096) -> list[Found]:
    """All that is new."""
    found: list[Found] = []
    while (new := reader.poll(max_bytes)) is not None:
        found.append(new)
        if isinstance(new, Absent):
            break
    return found


def entries_of(found: Iterable[Found]) -> dict[int, bytes]:
    """Index -> entry; none comes twice, and nothing but entries is there."""
    read: dict[int, bytes] = {}
    for new in found:
        assert isinstance(new, NewEntries)
        for index, entry in new.entries.items(new.entries.first, new.entries.stop):
            assert index not in read
            read[index] = entry
    return read


def numbered_from(log: MadeLog) -> dict[int, bytes]:
    return dict(enumerate(log.entries))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wal"


@pytest.fixture
def log(path: Path) -> MadeLog:
    return MadeLog(path)


@pytest.fixture
def reader(log: MadeLog) -> Iterator[WalFiles]:
    with WalFiles(log.path) as reader:
        yield reader


def fill(log: MadeLog, count: int) -> None:
    for _entry in range(count):
        log.append(b"operation %d" % len(log.entries))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 60)),
        st.tuples(st.just("begin"), st.integers(1, 60)),
        st.tuples(st.just("complete"), st.none()),
        st.tuples(st.just("large"), st.none()),
        st.tuples(st.just("prune"), st.integers(1, 3)),
        st.tuples(st.just("poll"), st.integers(1, 200)),
        st.tuples(st.just("drain"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)


class Archive:
    """What came out of a reader: entries and gaps of the newest timeline."""

    def __init__(self) -> None:
        self.read: dict[int, bytes] = {}
        self.lost: set[int] = set()
        self.next: int | None = None

    def take(self, new: Found) -> None:
        if isinstance(new, NewTimeline):
            self.__init__()  # type: ignore[misc]
        elif isinstance(new, Gap):
            assert self.next in (None, new.first)
            self.lost |= set(range(new.first, new.last + 1))
            self.next = new.last + 1
        else:
            assert isinstance(new, NewEntries)
            assert self.next in (None, new.entries.first)
            self.read |= entries_of([new])
            self.next = new.entries.stop


@settings(max_examples=400)
@given(STEPS)
def test_every_entry_is_read_once_or_told_as_lost(steps: list[tuple[str, int | None]]) -> None:
    folder = Path(tempfile.mkdtemp())
    log = MadeLog(folder / "wal")
    reader = WalFiles(log.path)
    archive = Archive()
    removed = 0
    try:
        for step, number in [*steps, ("complete", None), ("drain", None)]:
            content = b"%d " % len(log.entries) * ((number or 200) // 3 + 1)
            if step in ("append", "large"):
                log.append(content)
            elif step == "begin":
                log.append(content, written=number)
            elif step == "complete":
                log.complete()
            elif step == "prune":
                log.prune(number or 1)
                removed = log.closed[0] if log.closed else 0
            elif step == "restart":
                reader.close()
                reader = WalFiles(log.path, reader.place)
            else:
                for new in drain(reader) if step == "drain" else filter(None, [reader.poll(number or 1)]):
                    archive.take(new)
            assert archive.read.items() <= numbered_from(log).items(), "never an entry that was not written"
        assert archive.next == len(log.entries) or not log.entries
        assert set(range(removed, len(log.entries))) <= set(archive.read), "what is still there has been read"
        assert archive.lost.isdisjoint(archive.read)
        first = min({*archive.read, *archive.lost}, default=0)
        assert {*archive.read, *archive.lost} == set(range(first, len(log.entries))), "no silent gap"
    finally:
        reader.close()
        shutil.rmtree(folder)


def test_an_entry_is_read_only_once_its_last_byte_is_written(log: MadeLog, reader: WalFiles) -> None:
    log.append(b"whole")
    for written in range(20):
        log.append(b"in the making %d" % written, written)
        assert len(entries_of(drain(reader))) == 1, "only the one before"
    log.complete()
    assert entries_of(drain(reader)) == {20: log.entries[-1]}


def test_entries_that_were_closed_and_removed_between_two_polls_are_read_to_their_end(
    log: MadeLog, reader: WalFiles
) -> None:
    fill(log, 1)
    assert len(entries_of(drain(reader))) == 1
    while len(log.closed) < 2:
        fill(log, 1)
    log.prune(1)
    assert entries_of(drain(reader)) == {index: log.entries[index] for index in range(1, len(log.entries))}


def test_files_that_are_closed_while_the_reader_looks_at_them_do_not_shift_an_index(
    log: MadeLog, reader: WalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 2)
    log.rotate()
    read = entries_of(drain(reader))
    look = WalFile.has_entry

    def look_and_let_qdrant_go_on(file: WalFile) -> bool:
        found = look(file)
        while len(log.closed) < 2:
            fill(log, 1)
        return found

    monkeypatch.setattr(WalFile, "has_entry", look_and_let_qdrant_go_on)
    for _poll in range(2):
        read |= entries_of(drain(reader))
    assert len(log.closed) == 2
    assert read == numbered_from(log)


def test_a_file_that_is_closed_within_one_tick_of_the_file_system_is_seen(log: MadeLog, reader: WalFiles) -> None:
    """The directory's time is then the one that it had at the last look."""
    fill(log, 2)
    read = entries_of(drain(reader))
    seen = log.path.stat().st_mtime_ns
    for _time in range(3):
        log.rotate()
        fill(log, 1)
        os.utime(log.path, ns=(seen, seen))
        read |= entries_of(drain(reader))
    assert read == numbered_from(log)


def test_retention_that_outran_the_reader_is_a_gap(log: MadeLog, reader: WalFiles) -> None:
    fill(log, 1)
    drain(reader)
    while len(log.closed) < 4:
        fill(log, 1)
    second, last = log.closed[1], log.closed[-1]
    log.prune(1)
    found = drain(reader)
    assert isinstance(found[0], NewEntries)
    assert found[1] == Gap(second, last - 1, "Qdrant has removed them")
    assert isinstance(found[2], NewEntries)
    assert (found[2].entries.first, found[2].entries.previous_crc) == (last, None)
    assert found[2].entries.stop <= len(log.entries)


def test_a_damaged_entry_in_a_closed_file_is_a_gap_to_the_next_file(log: MadeLog, path: Path) -> None:
    while len(log.closed) < 2:
        fill(log, 1)
    file = path / "closed-0"
    content = bytearray(file.read_bytes())
    content[8 + 24 + 10] ^= 1
    file.write_bytes(content)
    with WalFiles(path) as reader:
        found = drain(reader)
    assert found[1] == Gap(1, log.closed[1] - 1, "closed-0 is damaged")
    assert entries_of([found[0], *found[2:]]) == {
        index: entry for index, entry in numbered_from(log).items() if index == 0 or index >= log.closed[1]
    }


@pytest.mark.parametrize("began", [False, True], ids=["from the start", "followed"])
def test_a_damaged_end_of_the_last_closed_file_is_not_taken_for_its_end(log: MadeLog, path: Path, began: bool) -> None:
    """Otherwise the entries of the open file would get the indexes of those that were lost."""
    with WalFiles(path) as reader:
        fill(log, 1)
        if began:
            drain(reader)
        while len(log.closed) < 1:
            fill(log, 1)
        whole = (path / "closed-0").read_bytes()
        (path / "closed-0").write_bytes(whole[: 8 + 2 * 24] + bytes(24) + whole[8 + 3 * 24 :])
        read = entries_of(filter(None, [reader.poll()]))
        with pytest.raises(IntegrityError, match="closed-0 is damaged after entry 1"):
            drain(reader)
        while len(log.closed) < 2:
            fill(log, 1)
        gap, *rest = drain(reader)
        assert gap == Gap(2, log.closed[1] - 1, "closed-0 is damaged")
        assert sorted(read | entries_of(rest)) == [*range(began, 2), *range(log.closed[1], len(log.entries))]


@pytest.mark.parametrize("again", [False, True], ids=["cut", "written anew"])
def test_a_cut_tail_is_a_new_timeline(log: MadeLog, reader: WalFiles, again: bool) -> None:
    fill(log, 3)
    drain(reader)
    log.cut(8 + 24)
    if again:
        other = wal_segment([log.entries[0], b"other one 1", b"other one 2"], 2, CAPACITY)
        (log.path / "open-1").write_bytes(other)
    found = drain(reader)
    assert found[0] == NewTimeline("the end of the log was cut or written anew")
    expected = {0: log.entries[0], 1: b"other one 1", 2: b"other one 2"} if again else {0: log.entries[0]}
    assert entries_of(found[1:]) == expected


@pytest.mark.parametrize("gone", ["replaced", "removed"])
def test_what_a_directory_had_is_read_before_it_is_told_that_it_is_gone(
    log: MadeLog, reader: WalFiles, tmp_path: Path, gone: str
) -> None:
    fill(log, 2)
    drain(reader)
    while len(log.closed) < 2:
        fill(log, 1)
    if gone == "removed":
        shutil.rmtree(log.path)
    else:
        log.path.rename(tmp_path / "old")
        other = MadeLog(log.path, seed=100)
        other.append(b"of the new log")
    found = drain(reader)
    rest = [new for new in found if isinstance(new, NewEntries) and new.entries.first >= 2]
    if gone == "replaced":
        assert entries_of(rest) == {index: log.entries[index] for index in range(2, len(log.entries))}
        assert found[len(rest) :][0] == NewTimeline("the directory was replaced")
        assert entries_of(found[len(rest) + 1 :]) == {0: b"of the new log"}
    else:
        assert set(range(2, log.closed[0])) <= set(entries_of(rest)), "the file that was held open"
        assert found[-1] == Absent()
        assert drain(reader) == [Absent()]
        MadeLog(log.path, seed=100).append(b"of the new log")
        assert entries_of(drain(reader)) == {0: b"of the new log"}


def test_a_damaged_log_does_not_keep_from_the_one_in_its_place(path: Path) -> None:
    path.mkdir()
    path.joinpath("closed-0").write_bytes(b"log\x00" + bytes(100))
    with WalFiles(path) as reader:
        with pytest.raises(IntegrityError):
            reader.poll()
        path.rename(path.with_name("old"))
        MadeLog(path).append(b"of the new log")
        found = drain(reader)
    assert found[0] == NewTimeline("the directory was replaced")
    assert entries_of(found[1:]) == {0: b"of the new log"}


def restarted(log: MadeLog, place: Place | None) -> list[Found]:
    with WalFiles(log.path, place) as reader:
        return drain(reader)


@pytest.mark.parametrize("read", range(12))
def test_a_reader_goes_on_after_a_restart(log: MadeLog, read: int) -> None:
    fill(log, read)
    with WalFiles(log.path) as reader:
        drain(reader)
        place = reader.place
    fill(log, 12 - read)
    log.append(b"an entry of another length")
    assert len(log.closed) > 1
    assert entries_of(restarted(log, place)) == {index: log.entries[index] for index in range(read, 13)}


def test_a_restart_finds_another_log_a_shorter_one_and_a_gap(log: MadeLog) -> None:
    while len(log.closed) < 3:
        fill(log, 1)
    last = len(log.entries) - 1
    place = Place(2, 12345)
    assert restarted(log, place)[0] == NewTimeline("entry 1 is not the one that was read before")
    assert restarted(log, Place(last + 2, 1))[0] == NewTimeline(f"the log ends before entry {last + 1}")
    log.prune(1)
    kept = log.closed[0]
    assert restarted(log, place)[0] == Gap(2, kept - 1, "Qdrant has removed them")
    unproved = restarted(log, Place(kept, 1))
    assert unproved[0] == NewTimeline(f"the entry before {kept} is no longer there to compare with")
    assert entries_of(unproved[1:]) == {index: log.entries[index] for index in range(kept, last + 1)}


def test_a_log_that_was_restored_has_an_empty_closed_file(path: Path) -> None:
    """As Qdrant leaves it after a shard snapshot was recovered: ``closed-39`` without entries, then new ones."""
    path.mkdir()
    path.joinpath("closed-39").write_bytes(wal_segment([], 7, CAPACITY))
    path.joinpath("open-1").write_bytes(wal_segment([b"the next one"], 8, CAPACITY))
    path.joinpath("open-2").write_bytes(wal_segment([], 9, CAPACITY))
    with WalFiles(path) as reader:
        assert entries_of(drain(reader)) == {39: b"the next one"}


def test_entries_in_an_open_file_after_an_unused_one_are_found(path: Path) -> None:
    path.mkdir()
    path.joinpath("open-3").write_bytes(bytes(CAPACITY))
    path.joinpath("open-4").write_bytes(wal_segment([b"first"], 8, CAPACITY))
    with WalFiles(path) as reader:
        assert entries_of(drain(reader)) == {0: b"first"}


def test_a_directory_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    with WalFiles(path, Place(1, 5)) as reader:
        assert drain(reader) == [Absent()]
        log = MadeLog(path)
        fill(log, 2)
        assert drain(reader)[0] == NewTimeline("entry 0 is not the one that was read before"), "its place is kept"


def test_no_more_than_asked_for_comes_at_once(log: MadeLog, reader: WalFiles) -> None:
    for size in (20, 20, 3000, 20, 20):
        log.append(b"x" * size)
    found = drain(reader, max_bytes=90)
    sizes = [len(new.entries.data) for new in found if isinstance(new, NewEntries)]
    assert max(size for size in sizes if size < 3000) <= 90
    assert len(entries_of(found)) == 5


def test_a_file_of_another_format_is_refused(path: Path) -> None:
    path.mkdir()
    path.joinpath("closed-0").write_bytes(b"log\x00" + bytes(100))
    with WalFiles(path) as reader, pytest.raises(IntegrityError, match="closed-0 does not begin with 'wal'"):
        drain(reader)


def test_a_log_that_cannot_be_read_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that is missing: root, which these tests may run as, has them all."""
    MadeLog(path)

    def denied(*_args: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with WalFiles(path) as reader, pytest.raises(FileError, match=r"wal cannot be read: Permission denied"):
        reader.poll()
