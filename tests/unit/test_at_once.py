# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several jobs at a time: they overlap, and the first error ends them all."""

from __future__ import annotations

import socket
from functools import partial
from threading import Barrier, Event

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import QdrantUnreachable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.at_once import run_at_once
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.cancellation import Cancellation
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection


def test_as_many_as_are_asked_for_run_at_the_same_time() -> None:
    together = Barrier(3, timeout=20)
    run_at_once([together.wait] * 6, 3, together.abort)


def test_one_at_a_time_keeps_the_order() -> None:
    done: list[int] = []
    run_at_once([partial(done.append, number) for number in range(5)], 1, done.clear)
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_first_error_ends_those_that_run_and_begins_no_other(error: type[BaseException]) -> None:
    waits, ended = Event(), Event()
    begun: list[str] = []

    def fail() -> None:
        begun.append("fail")
        assert waits.wait(20)
        raise error

    def wait() -> None:
        begun.append("wait")
        waits.set()
        assert ended.wait(20)

    with pytest.raises(error):
        run_at_once([fail, wait, *[partial(begun.append, "late")] * 50], 2, ended.set)
    assert begun == ["fail", "wait"]


@pytest.mark.parametrize("before", [True, False], ids=["cancelled before", "cancelled while it waits"])
def test_an_upload_that_waits_for_its_answer_is_cancelled(before: bool) -> None:
    """The server is a fake: a real one answers some day."""
    cancellation = Cancellation()
    with socket.create_server(("127.0.0.1", 0)) as server:
        qdrant = Qdrant(QdrantConnection(f"http://127.0.0.1:{server.getsockname()[1]}"))

        def cancel() -> None:
            with server.accept()[0] as peer:
                while b"--\r\n" not in peer.recv(65536):
                    pass
                cancellation.cancel()
                peer.recv(1)

        def upload() -> None:
            qdrant.upload_shard_snapshot("c", 0, [b"data"], 4, None, cancellation)

        if before:
            cancellation.cancel()
        with pytest.raises(QdrantUnreachable):
            run_at_once([upload] if before else [cancel, upload], 1 if before else 2, cancellation.cancel)
