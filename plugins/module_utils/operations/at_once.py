# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run several long jobs at a time, all of which end when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event


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
