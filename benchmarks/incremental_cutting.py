# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to cut a shard archive into chunks: how much of the next one is new, by size and kind of the chunks.

Real collections of five kinds change step by step (``benchmarks/changing.py``), and one changes daily for a month. Each
time the shard archive is cut file by file, and what no archive before had is counted: as it is, and as it would be
stored. ``fixed``: from each file's start, so many KiB each; ``words``: ours, cut at words that the content names, by
the size that is wanted; ``fastcdc``: FastCDC 2020 (pyfastcdc), by the size that it is given, which is exceeded by a
quarter. The rate is that of cutting and SHA-256. Where there is a restic, what its repository grows by is counted too.

``CUTTING_QUICK=1`` measures two small collections and three days, to try it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from pyfastcdc import FastCDC

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.content_cuts import ContentCutter
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.snapshot_tar import Sink, TarMember, TarReader
from benchmarks.changing import KINDS, Changing, State
from benchmarks.measure import write
from tools.servers import QdrantServer

QUICK = bool(os.environ.get("CUTTING_QUICK"))
SIZE = (24 if QUICK else 96) << 20
MEASURED = ("append_only", "indexed") if QUICK else tuple(KINDS)
FIXED_KIB = (16, 32, 64, 128, 256)
WORDS_KIB = (16, 24, 32, 48, 64)
FASTCDC_KIB = (16, 32, 64, 128)
# The month is that of a smaller collection; its segments may hold a quarter of it, as in a shard of many GiB.
MONTH_KIND, MONTH_SIZE, DAYS = "indexed", SIZE >> 2, 3 if QUICK else 30
LEVEL = 3
# A frame that saves less is not stored. A smaller file is in the list of chunks itself.
WORTH = 15 / 16
SMALLEST_FILE = 2048
# Of a chunk in the list: its SHA-256 and two lengths. Of one in an index in memory: its SHA-256, pack, place in it.
LISTED_BYTES, INDEXED_BYTES = 36, 44
# So many chunks of each kind of files does the compressor get.
SAMPLES, SAMPLE_SIZE = 256, 64 << 10
_BY_FILES = "words_32"
METHOD = (
    "percent of the archive; raw: chunks that no archive before had; stored: the same with zstd level 3 where that "
    "saves a sixteenth, the files below 2 KiB and tar headers, and 36 bytes a chunk for the list; by_files: raw, of "
    f"{_BY_FILES}; rates: CPU of one core, medians over all archives; restic: growth of its repository in a directory"
)

Cut = Callable[[memoryview], Iterable[memoryview]]


class File(NamedTuple):
    """One file of a segment, or a member of the archive beside the segments, by the name of its class."""

    kind: str
    data: memoryview


@dataclass
class Scheme:
    """One way to cut, the SHA-256 of all that it has met, and its measurements of each archive."""

    cut: Cut
    known: set[bytes] = field(default_factory=set)
    rates: list[float] = field(default_factory=list)
    chunks_per_tib: list[float] = field(default_factory=list)


def run() -> None:
    """Measure and write ``build/bench/incremental_cutting.json``, again after each kind of collection."""
    result: dict[str, Any] = {"kinds": {}}
    samples: dict[str, list[bytes]] = defaultdict(list)
    schemes = _schemes()
    for kind in MEASURED:
        result["kinds"][kind] = _follow(kind, SIZE, Changing.states, schemes, samples)
        for scheme in schemes.values():
            scheme.known.clear()
        result |= {**_summary(schemes), "files": _compress(samples), "method": METHOD}
        write("incremental_cutting", result)
    schemes, samples = _schemes(), defaultdict(list)
    days = _follow(MONTH_KIND, MONTH_SIZE, lambda each, folder: each.days(folder, DAYS), schemes, samples)
    write("incremental_cutting", {**result, "month_ratio": _month_ratio(days), "month": days})


def _schemes() -> dict[str, Scheme]:
    cuts = {f"fixed_{kib}": _fixed(kib << 10) for kib in FIXED_KIB}
    cuts |= {f"words_{kib}": _words(kib << 10) for kib in WORDS_KIB}
    cuts |= {f"fastcdc_{kib}": _fastcdc(kib << 10) for kib in FASTCDC_KIB}
    return {name: Scheme(cut) for name, cut in cuts.items()}


def _fixed(size: int) -> Cut:
    return lambda data: (data[at : at + size] for at in range(0, len(data), size))


def _words(size: int) -> Cut:
    def cut(data: memoryview) -> Iterator[memoryview]:
        sizes: list[int] = []
        cutter = ContentCutter(lambda view: sizes.append(len(view)), size)
        cutter.feed(data)
        cutter.finish()
        start = 0
        for length in sizes:
            yield data[start : start + length]
            start += length

    return cut


def _fastcdc(size: int) -> Cut:
    cutter = FastCDC(size)
    return lambda data: (chunk.data for chunk in cutter.cut_buf(data))


def _follow(
    kind: str,
    size: int,
    states: Callable[[Changing, Path], Iterable[State]],
    schemes: dict[str, Scheme],
    samples: dict[str, list[bytes]],
) -> dict[str, Any]:
    """What is new in each state of a collection; ``samples`` gets chunks of the first one."""
    changes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, QdrantServer(Path(name) / "qdrant") as server:
        restic = Restic(Path(name) / "restic") if shutil.which("restic") else None
        for state in states(Changing(server, kind, size), Path(name)):
            print(f"  {kind}, {state.change}: {state.points} points, {state.segments} segments", flush=True)
            archive = memoryview(state.archive.read_bytes())
            files, beside = _files(archive)
            if not changes:
                _sample(files, samples)
            counted = _count(len(archive), files, beside, schemes)
            if restic is not None:
                counted["stored_percent"]["restic"] = _percent(restic.back_up(state.archive), len(archive))
            changes[state.change] = {"points": state.points, "segments": state.segments, **counted}
            state.archive.unlink()
    return changes


def _summary(schemes: dict[str, Scheme]) -> dict[str, Any]:
    chunks = {name: round(statistics.median(each.chunks_per_tib)) for name, each in schemes.items()}
    return {
        "mb_per_cpu_second": {name: round(statistics.median(each.rates)) for name, each in schemes.items()},
        "chunks_per_tib": chunks,
        "list_mib_per_tib": {name: number * LISTED_BYTES >> 20 for name, number in chunks.items()},
        "index_mib_per_tib": {name: number * INDEXED_BYTES >> 20 for name, number in chunks.items()},
    }


def _month_ratio(days: dict[str, Any]) -> dict[str, float]:
    """All that is stored, in sizes of the first archive."""
    first = days["first"]["bytes"]
    return {
        name: round(sum(day["stored_percent"][name] * day["bytes"] for day in days.values()) / first / 100, 3)
        for name in days["first"]["stored_percent"]
    }


def _files(archive: memoryview) -> tuple[list[File], bytes]:
    """The files of a shard archive, and all bytes beside them with those of the smallest files."""
    files: list[File] = []
    beside = bytearray()
    segments: list[TarReader] = []

    def begin_file(member: TarMember) -> Sink:
        kind = _kind(member.name)
        if member.size < SMALLEST_FILE:
            return beside.extend
        return lambda view: files.append(File(kind, view))

    def begin(member: TarMember) -> Sink:
        if member.name.startswith("segments/") and member.name.endswith(".tar"):
            segments.append(TarReader(member.name, begin_file, on_rest=beside.extend))
            return segments[-1].feed
        return begin_file(member)

    # Fed at once, so that each file comes in one piece.
    TarReader("The archive", begin, on_rest=beside.extend).feed(archive)
    return files, bytes(beside)


def _kind(name: str) -> str:
    """``snapshot/files/payload_index/<name of the index>/page_3.dat`` is ``payload_index/page_N.dat``."""
    first, *rest = name.removeprefix("snapshot/files/").split("/")
    kind = "/".join([first.split("-")[0], *rest[-1:]])
    return re.sub(r"\d+", "N", kind)


def _count(size: int, files: list[File], beside: bytes, schemes: dict[str, Scheme]) -> dict[str, Any]:
    """What of an archive of ``size`` bytes is new to each scheme."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    listed = len(compressor.compress(beside))
    counted: dict[str, Any] = {"bytes": size, "raw_percent": {}, "stored_percent": {}}
    for name, scheme in schemes.items():
        began = time.process_time()
        chunks = [(hashlib.sha256(data).digest(), each.kind, data) for each in files for data in scheme.cut(each.data)]
        scheme.rates.append(size / (time.process_time() - began) / 1e6)
        scheme.chunks_per_tib.append(len(chunks) * (1 << 40) / size)
        stored = listed + len(chunks) * LISTED_BYTES
        new: Counter[str] = Counter()
        for digest, kind, chunk in chunks:
            if digest not in scheme.known:
                scheme.known.add(digest)
                new[kind] += len(chunk)
                compressed = len(compressor.compress(chunk))
                stored += compressed if compressed <= len(chunk) * WORTH else len(chunk)
        counted["raw_percent"][name] = _percent(new.total(), size)
        counted["stored_percent"][name] = _percent(stored, size)
        if name == _BY_FILES:
            counted["by_files"] = {kind: _percent(count, size) for kind, count in new.most_common(12)}
    return counted


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 3)


def _sample(files: list[File], samples: dict[str, list[bytes]]) -> None:
    """Add chunks from all over the files of each class."""
    chunks: dict[str, list[memoryview]] = defaultdict(list)
    for file in files:
        chunks[file.kind] += _fixed(SAMPLE_SIZE)(file.data)
    for kind, found in chunks.items():
        samples[kind] += [bytes(chunk) for chunk in found[:: -(-len(found) // SAMPLES)]]


def _compress(samples: dict[str, list[bytes]]) -> dict[str, Any]:
    """By class of files: what is left of a chunk, in percent, and the rate, at two levels."""
    result: dict[str, Any] = {}
    for kind, chunks in samples.items():
        size = sum(len(chunk) for chunk in chunks)
        result[kind] = {"bytes": size}
        for level in (1, LEVEL):
            compressor = zstandard.ZstdCompressor(level=level)
            began = time.process_time()
            left = sum(len(compressor.compress(chunk)) for chunk in chunks)
            rate = size / (time.process_time() - began) / 1e6
            result[kind][f"level_{level}"] = {"left_percent": _percent(left, size), "mb_per_cpu_second": round(rate)}
    return dict(sorted(result.items(), key=lambda each: -int(each[1]["bytes"])))


class Restic:
    """A repository of restic in a directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "RESTIC_REPOSITORY": str(folder),
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(folder.with_name("restic-cache")),
        }
        self._run("init")

    def back_up(self, path: Path) -> int:
        """Returns the bytes that the repository has grown by."""
        before = self._size()
        self._run("backup", str(path))
        return self._size() - before

    def _run(self, *arguments: str) -> None:
        subprocess.run(["restic", "--quiet", *arguments], env=self._environment, check=True)

    def _size(self) -> int:
        return sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
