# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's own snapshots: create one that collides with no other, find the newest, delete old ones."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..errors import Busy, InvalidInput, OperationTimeout, QdrantNotFound
from ..stores.qdrant import Qdrant
from .node_lock import node_lock

Json = dict[str, Any]

FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 2.0
SETTLED_POLLS = 3
CHECKSUM_SECONDS = 30.0
NAME_TIME = re.compile(r"-(\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)\.snapshot$")


def snapshot_time(snapshot: Json) -> datetime | None:
    """Return the UTC time in a snapshot's name, else its creation time, else None."""
    named = NAME_TIME.search(snapshot["name"])
    try:
        if named:
            return datetime.strptime(named.group(1) + "+0000", "%Y-%m-%d-%H-%M-%S%z")
        return datetime.fromisoformat(snapshot["creation_time"]).replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        return None


def server_now(qdrant: Qdrant) -> datetime:
    """Return the node's clock, or this host's when the node does not tell."""
    return qdrant.server_time() or datetime.now(timezone.utc)


def newest_snapshot(snapshots: list[Json]) -> Json | None:
    """Return the newest of a collection's snapshots, or None."""
    dated = [(when, snapshot) for snapshot in snapshots if (when := snapshot_time(snapshot))]
    return max(dated, key=lambda pair: (pair[0], pair[1]["name"]))[1] if dated else None


def refuse_alias(aliases: dict[str, str], name: str) -> None:
    """Raise ``InvalidInput`` where ``name`` is an alias (``aliases``: alias -> collection).

    Qdrant takes an alias wherever it takes a collection. What is kept under it would be lost from sight, or taken for
    another collection's, as soon as the alias is switched.
    """
    if name in aliases:
        raise InvalidInput(f"{name} is an alias of the collection {aliases[name]}.", f"Name {aliases[name]} instead.")


def create_snapshot(
    qdrant: Qdrant,
    collection: str,
    lock_dir: str | Path | None = None,
    on_ask: Callable[[datetime, list[str]], None] | None = None,
) -> tuple[Json, Json]:
    """Create one snapshot of a collection, while no other process of this user creates one on that node.

    Qdrant names snapshots by the second and overwrites one of the same name, so the call starts in a second that no
    snapshot of the collection has. A call that is not answered in ``operation_timeout`` is followed by looking for its
    snapshot for as long again, never by a second call.

    Args:
        lock_dir: directory for the lock; by default one of this user's in the temporary directory.
        on_ask: called right before the call with the node's time and the names that exist, so that a caller can find
            the snapshot again should this process die.

    Returns: the snapshot (name, size, creation_time, checksum) and ``{"started", "finished"}`` by the node's clock,
    ``"seconds"``, and ``"polled"``: whether it had to be looked for.
    Raises: Busy when the node is taken for longer than ``operation_timeout`` or another client created one at the same
    second, OperationTimeout, those of Qdrant.
    """
    patience = qdrant.connection.operation_timeout
    peer = qdrant.collection_cluster(collection)["peer_id"]
    with node_lock(f"snapshot creation on Qdrant peer {peer}", patience, lock_dir):
        before = {snapshot["name"] for snapshot in qdrant.snapshots(collection)}
        started = _await_free_second(qdrant, before, patience)
        if on_ask:
            on_ask(started, sorted(before))
        clock = time.monotonic()
        polled = False
        try:
            snapshot = qdrant.create_snapshot(collection)
        except OperationTimeout as error:
            snapshot, polled = _find_created(qdrant, collection, before, patience, error), True
        snapshot = _own(qdrant, collection, snapshot, before)
        seconds = time.monotonic() - clock
        finished = server_now(qdrant)
    return snapshot, {"started": started, "finished": finished, "seconds": seconds, "polled": polled}


def _await_free_second(qdrant: Qdrant, names: set[str], patience: float) -> datetime:
    """Return the node's time once neither its second nor the next one is in a snapshot's name.

    The next one counts, because the Date header may be up to a second late.
    """
    taken = {when for name in names if (when := snapshot_time({"name": name}))}
    deadline = time.monotonic() + patience
    while True:
        now = server_now(qdrant)
        second = now.replace(microsecond=0)
        if taken.isdisjoint({second, second + timedelta(seconds=1)}):
            return now
        if time.monotonic() >= deadline:
            raise OperationTimeout(f"Qdrant at {qdrant.connection.url} stayed in the second of an existing snapshot.")
        time.sleep(FIRST_POLL_SECONDS)


def _find_created(qdrant: Qdrant, collection: str, before: set[str], patience: float, error: OperationTimeout) -> Json:
    """Wait for the snapshot of an unanswered call: listed, and with a checksum or a size that has settled."""
    deadline = time.monotonic() + patience
    pause = FIRST_POLL_SECONDS
    sizes: list[int] = []
    while True:
        fresh = [snapshot for snapshot in qdrant.snapshots(collection) if snapshot["name"] not in before]
        if fresh:
            snapshot = min(fresh, key=lambda snapshot: snapshot["name"])
            sizes = [*sizes[-SETTLED_POLLS + 1 :], snapshot["size"]]
            settled = len(sizes) == SETTLED_POLLS and len(set(sizes)) == 1
            if settled and (snapshot.get("checksum") or pause >= LONGEST_POLL_SECONDS):
                return snapshot
        if time.monotonic() >= deadline:
            raise OperationTimeout(
                f"{error.detail} No complete snapshot of {collection} appeared in a further {patience:g} s.",
                "Raise operation_timeout; if Qdrant finishes it later, delete it with the module snapshot.",
            ) from error
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)


def _own(qdrant: Qdrant, collection: str, snapshot: Json, before: set[str]) -> Json:
    """The snapshot with its checksum, once the node can tell that; Busy when it is another client's.

    Qdrant answers before the file with the checksum has surely been written, and then gives an empty one.
    """
    name, said = snapshot["name"], snapshot.get("checksum")
    deadline = time.monotonic() + CHECKSUM_SECONDS
    while True:
        listed = {item["name"]: item for item in qdrant.snapshots(collection)}.get(name, {})
        if listed.get("checksum") != "" or time.monotonic() >= deadline:
            break
        time.sleep(FIRST_POLL_SECONDS)
    if name in before or not listed or (said or listed.get("checksum")) != listed.get("checksum"):
        raise Busy(
            f"Another client created the snapshot {name} in the same second on {qdrant.connection.url}.",
            "Let one client at a time create snapshots of a collection, then run this again.",
        )
    return {**snapshot, "checksum": listed.get("checksum")}


def old_snapshots(snapshots: list[Json], now: datetime, older_than: float) -> list[Json]:
    """Return the snapshots that are more than ``older_than`` seconds old at ``now``, oldest first."""
    if older_than < 0:
        raise InvalidInput("An age cannot be negative.")
    limit = now - timedelta(seconds=older_than)
    dated = [(when, snapshot) for snapshot in snapshots if (when := snapshot_time(snapshot)) and when < limit]
    return [snapshot for when, snapshot in sorted(dated, key=lambda pair: (pair[0], pair[1]["name"]))]


def delete_snapshots(qdrant: Qdrant, collection: str, names: list[str]) -> list[str]:
    """Delete snapshots by name and return those that were there. Raises: those of Qdrant."""
    deleted = []
    for name in names:
        try:
            qdrant.delete_snapshot(collection, name)
        except QdrantNotFound:
            continue
        deleted.append(name)
    return deleted
