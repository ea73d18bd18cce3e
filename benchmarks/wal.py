# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write-ahead log in memory: entries of 4 KiB found and proved, framed anew, packed into chunks; and an idle poll.

A process of its own is not needed: these are single functions without servers. Rates are megabytes of entries a second.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import wal
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_chunk import ChunkBuilder, read_chunk
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_join import Entries
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.wal_layout import ReplicaLog
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.wal_files import NewEntries, WalFiles
from benchmarks.measure import write

RUNS = 5
ENTRY = 4096
# As many as one file of Qdrant's default capacity has.
ENTRIES = 32 * 1024 * 1024 // ENTRY - 64
POLLS = 20_000
METHOD = "median of 5 runs after one warm-up; one file of 32 MiB with entries of 4 KiB, floats in CBOR"


def run() -> None:
    """Measure and write ``build/bench/wal.json``."""
    data, framed = _file()
    segment = wal.scan("closed-0", 0, data)
    entries = Entries(data[wal.HEADER_SIZE :], (wal.scan_from("closed-0", framed, data[wal.HEADER_SIZE :]).entries,))
    chunk = _pack(entries)
    assert segment.stop == ENTRIES
    result = {
        "read_mb_per_second": _rate(data, lambda: wal.scan("closed-0", 0, data)),
        "write_mb_per_second": _rate(data, lambda: sum(map(len, wal.Writer(1).reframe(data, segment, 0, ENTRIES)))),
        "pack_mb_per_second": _rate(data, lambda: _pack(entries)),
        "unpack_mb_per_second": _rate(data, lambda: read_chunk(chunk)),
        "packed_ratio": round(len(chunk) / len(data), 3),
        "follow_mb_per_second": _rate(data, lambda: _follow(data)),
        "idle_poll_microseconds": _idle_poll(data),
        "bytes": len(data),
        "runs": RUNS,
        "method": METHOD,
    }
    write("wal", result)


def _file() -> tuple[bytes, wal.Position]:
    """A file of the log, and where its entries begin: random floats as CBOR has them, a mark and four bytes each."""
    import numpy

    floats = numpy.zeros((ENTRIES, ENTRY // 5), dtype=[("mark", "u1"), ("number", ">f4")])
    floats["mark"], floats["number"] = 0xFA, numpy.random.default_rng(1).normal(size=floats.shape)
    bodies = [row.tobytes().ljust(ENTRY, b"\x00") for row in floats]
    # Framed as entries whose CRCs are still missing, which the writer then computes.
    length = ENTRY.to_bytes(8, "little")
    frames = b"".join(length + body + bytes(4 + 4) for body in bodies)
    size = len(frames) // ENTRIES
    ends = array("Q", range(size, len(frames) + 1, size))
    writer = wal.Writer(random.Random(1).getrandbits(32))
    body = b"".join(writer.reframe(frames, wal.Segment("", 0, 0, ends, start=0), 0, ENTRIES))
    position = wal.begin("closed-0", 0, writer.header)
    assert position is not None
    return writer.header + body, position


def _rate(data: bytes, action: Callable[[], object]) -> float:
    seconds = []
    for _run in range(RUNS + 1):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return round(len(data) / statistics.median(seconds[1:]) / 1e6)


def _pack(entries: Entries) -> bytes:
    builder = ChunkBuilder("production", ReplicaLog("docs", 0, "node", "t1"))
    now = datetime.now(timezone.utc)
    stored = builder.add(entries, now, now)
    header, rest = builder.finish()
    return header.dump() + stored + rest


def _follow(data: bytes) -> int:
    """Read a file through the follower, as the archiver does."""
    read = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "closed-0").write_bytes(data)
        with WalFiles(folder) as reader:
            while isinstance(new := reader.poll(), NewEntries):
                read += len(new.entries.data)
    return read


def _idle_poll(data: bytes) -> float:
    """CPU microseconds of a poll that finds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "open-1").write_bytes(data)
        os.truncate(Path(folder) / "open-1", 32 * 1024 * 1024)
        with WalFiles(folder) as reader:
            while reader.poll() is not None:
                pass
            began = time.process_time()
            for _poll in range(POLLS):
                reader.poll()
            return round((time.process_time() - began) / POLLS * 1e6, 1)
