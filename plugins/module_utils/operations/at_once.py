# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several things at a time: long jobs, all of which end when one fails, and what is read while it is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")


def run_at_once(jobs: Iterable[Callable[[], object]], at_once: int, cancel: Callable[[], object]) -> None:
    """Run the jobs, begun in their order, ``at_once`` at a time (one: here, without threads).

    After the first error, which is raised, and after an interrupt no other job begins, and ``cancel`` has to make those
    that run end soon: it is waited for.
    """
    if at_once == 1:
        for job in jobs:
            job()
        return
    failed = Event()

    def run(job: Callable[[], object]) -> None:
        if failed.is_set():
            return
        try:
            job()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(at_once, thread_name_prefix="job") as threads:
        running = [threads.submit(run, job) for job in jobs]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:
            failed.set()
            cancel()
            raise


def read_ahead(read: Callable[[Item], Found], items: Iterable[Item], ahead: int) -> Iterator[Found]:
    """What ``read`` gives for each item, in order; while one is used the next ``ahead`` are read, by a thread each.

    Raises what ``read`` does, at the item concerned; those that have not begun are then left out.
    """
    reading: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(ahead, thread_name_prefix="read-ahead") as threads:
        try:
            for item in items:
                if len(reading) == ahead:
                    yield reading.popleft().result()
                reading.append(threads.submit(read, item))
            while reading:
                yield reading.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
