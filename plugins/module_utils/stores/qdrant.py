# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Qdrant node: the verbs that backup and restore need, with JSON as Qdrant sends it.

Every verb may raise QdrantUnreachable, QdrantUnauthorized, QdrantNotFound, QdrantDiskFull or QdrantError; writes may
raise OperationTimeout, which means that their outcome is unknown.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from ..errors import DamagedSnapshot, InvalidInput, OperationTimeout, QdrantError, StrictModeRefused
from ..formats.collection_config import page_limit
from .cancellation import Cancellation
from .qdrant_errors import Answer
from .qdrant_http import QdrantConnection, QdrantTransport

__all__ = ["Qdrant", "QdrantConnection", "SnapshotStream"]

Json = dict[str, Any]

FIRST_PAGE_POINTS = 64
MOST_PAGE_POINTS = 4096
PAGE_BYTES = 4 << 20
# Between two looks for the outcome of a change.
LOOK_SECONDS = 0.5


class SnapshotStream:
    """The open body of one snapshot download."""

    def __init__(self, transport: QdrantTransport, response: http.client.HTTPResponse) -> None:
        self._transport = transport
        self._response = response
        self.headers = response.headers
        self.etag: str | None = response.headers.get("ETag")
        self.length: int | None = response.length

    def iter_bytes(self, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Yield the body in pieces of ``chunk`` bytes, the last one shorter.

        Raises: QdrantUnreachable when the connection breaks; the caller can open the rest by ``offset`` and ``etag``.
        """
        while data := self._transport.read_body(self._response, chunk):
            yield data


class Qdrant:
    """One node, as a context manager for symmetry with other stores; it holds no connection between calls."""

    def __init__(self, connection: QdrantConnection) -> None:
        self.connection = connection
        self._transport = QdrantTransport(connection)

    def __enter__(self) -> Qdrant:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Json | None = None,
        timeout: float | None = None,
        *,
        reads: bool = False,
    ) -> Any:
        """Return the ``result`` of one request.

        Args:
            path: below the node's URL, its parts already percent-encoded.
            json: the body, sent as JSON.
            timeout: seconds to wait for the answer; by default the connection's ``timeout``.
            reads: a POST that changes nothing, which may be sent again when it fails.
        """
        document = self._transport.parse(
            self._transport.exchange(method, path, body=json, params=params, timeout=timeout, reads=reads)
        )
        if not isinstance(document, dict) or "result" not in document:
            raise QdrantError(f"Qdrant at {self.connection.url} answered {method} {path} without a result.")
        return document["result"]

    def _agree(self, method: str, path: str, body: Any = None) -> Any:
        """``call`` for what a cluster must agree on; left alone, Qdrant waits for that for 10 s only."""
        return self.call(method, path, body, {"timeout": max(1, int(self.connection.timeout) - 1)})

    def version(self) -> str:
        """Return the server's version, such as ``1.16.3``."""
        return str(self._identity()[0]["version"])

    def server_time(self) -> datetime | None:
        """Return the server's clock from the Date header (whole seconds, up to one second late), or None."""
        try:
            return parsedate_to_datetime(self._identity()[1].headers["Date"])
        except (TypeError, ValueError):
            return None

    def _identity(self) -> tuple[Json, Answer]:
        answer = self._transport.exchange("GET", "/")
        document = self._transport.parse(answer)
        if not isinstance(document, dict) or "version" not in document:
            raise self._transport.failures.not_qdrant("does not name a version")
        return document, answer

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted."""
        return sorted(item["name"] for item in self.call("GET", "/collections")["collections"])

    def collection(self, name: str) -> Json:
        """Return the collection's info: status, optimizer_status, config, payload_schema and more."""
        return self.call("GET", _path("collections", name))

    def collection_cluster(self, name: str) -> Json:
        """Return the collection's shards, replicas and transfers as this node sees them."""
        return self.call("GET", _path("collections", name, "cluster"))

    def cluster(self) -> Json:
        """Return the cluster's state; ``{"status": "disabled"}`` on a standalone node."""
        return self.call("GET", "/cluster")

    def aliases(self) -> dict[str, str]:
        """Return the collection of each alias."""
        return {item["alias_name"]: item["collection_name"] for item in self.call("GET", "/aliases")["aliases"]}

    def update_aliases(self, actions: list[Json]) -> None:
        """Apply alias actions (``create_alias``, ``delete_alias``) as one atomic change.

        Where the answer does not tell whether it was made, it is looked for as long as an answer is waited for.
        """
        try:
            self._agree("POST", "/collections/aliases", {"actions": actions})
        except OperationTimeout:
            until = time.monotonic() + self.connection.timeout
            while not self._shows(actions):
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_SECONDS)

    def _shows(self, actions: list[Json]) -> bool:
        """Whether the aliases are as these actions leave them."""
        wanted: dict[str, str | None] = {}
        for action in actions:
            change = action.get("create_alias") or action["delete_alias"]
            wanted[change["alias_name"]] = change.get("collection_name")
        known = self.aliases()
        return all(known.get(alias) == collection for alias, collection in wanted.items())

    def create_collection(self, name: str, body: Json) -> None:
        """Create a collection from a request body of ``PUT /collections/{name}``."""
        self._agree("PUT", _path("collections", name), body)

    def update_collection(self, name: str, body: Json) -> None:
        """Change a collection's parameters; ``{"optimizers_config": {}}`` only wakes its optimizer."""
        self._agree("PATCH", _path("collections", name), body)

    def delete_collection(self, name: str) -> bool:
        """Delete a collection; False when it was not there."""
        return bool(self._agree("DELETE", _path("collections", name)))

    def create_payload_index(self, name: str, field: str, schema: Any) -> None:
        """Create a payload index and wait until it is built (at most ``operation_timeout``)."""
        self.call(
            "PUT",
            _path("collections", name, "index"),
            {"field_name": field, "field_schema": schema},
            {"wait": True},
            self.connection.operation_timeout,
        )

    def create_shard_key(self, name: str, body: Json) -> None:
        """Create a shard key of a collection with custom sharding."""
        self._agree("PUT", _path("collections", name, "shards"), body)

    def delete_shard_key(self, name: str, key: str | int) -> None:
        """Delete a shard key and its shards."""
        self._agree("POST", _path("collections", name, "shards", "delete"), {"shard_key": key})

    def count(self, name: str) -> int:
        """Return the exact number of points; where strict mode forbids to ask for it, all ids are read and counted."""
        path = _path("collections", name, "points", "count")
        try:
            return int(self.call("POST", path, {"exact": True}, reads=True)["count"])
        except StrictModeRefused:
            return sum(1 for _point in self.scroll(name, vectors=False, payload=False))

    def query(self, name: str, body: Json) -> list[Json]:
        """Return the scored points of one ``POST .../points/query``."""
        return self.call("POST", _path("collections", name, "points", "query"), body, reads=True)["points"]

    def query_batch(self, name: str, bodies: list[Json]) -> list[list[Json]]:
        """Return the scored points of each of ``bodies``, in their order."""
        path = _path("collections", name, "points", "query", "batch")
        answers = self.call("POST", path, {"searches": bodies}, reads=True)
        return [answer["points"] for answer in answers]

    def scroll(
        self,
        name: str,
        page_points: int | None = None,
        *,
        vectors: bool = True,
        payload: bool = True,
        chosen: Json | None = None,
    ) -> Iterator[Json]:
        """Yield every point as Qdrant sends it; of those that stand under several shard keys, one.

        Args:
            page_points: points a request; by default as many as make about 4 MiB, and strict mode allows.
            vectors, payload: whether the points carry theirs.
            chosen: which points, by ``filter`` and ``shard_key`` of the request.
        """
        path = _path("collections", name, "points", "scroll")
        most = page_points or min(MOST_PAGE_POINTS, page_limit(self.collection(name)["config"]) or MOST_PAGE_POINTS)
        first = page_points or min(FIRST_PAGE_POINTS, most)
        body: Json = {"limit": first, "with_vector": vectors, "with_payload": payload, **(chosen or {})}
        while True:
            answer = self._transport.exchange("POST", path, body=body, reads=True)
            page = self._transport.parse(answer)["result"]
            yield from page["points"]
            body["offset"] = page["next_page_offset"]
            if body["offset"] is None:
                return
            if page_points is None:
                fitting = PAGE_BYTES * len(page["points"]) // max(1, len(answer.body))
                body["limit"] = max(1, min(fitting, most))

    def retrieve(self, name: str, ids: list[int | str], scope: Json, *, from_all: bool = False) -> list[Json]:
        """Return those of the points ``ids`` that there are, whole.

        Args:
            scope: the ``shard_key`` to look in; of any without it.
            from_all: only what all replicas have the same.
        """
        body = {"ids": ids, "with_vector": True, "with_payload": True, **scope}
        params = {"consistency": "all"} if from_all else None
        found: list[Json] = self.call("POST", _path("collections", name, "points"), body, params, reads=True)
        return found

    def upsert(self, name: str, points: list[Json], scope: Json, update_filter: Json | None = None) -> None:
        """Write points as ``retrieve`` returns them, and wait until they are applied.

        Args:
            scope: the ``shard_key`` to write to, where there are some.
            update_filter: leave existing points that do not match as they are (Qdrant 1.16 or newer).
        """
        body: Json = {"points": points, **scope}
        if update_filter is not None:
            body["update_filter"] = update_filter
        timeout = self.connection.operation_timeout
        self.call("PUT", _path("collections", name, "points"), body, {"wait": True}, timeout)

    def snapshots(self, name: str) -> list[Json]:
        """Return the node's snapshots of a collection: name, size, creation_time (UTC) and checksum each."""
        return self.call("GET", _path("collections", name, "snapshots"))

    def create_snapshot(self, name: str) -> Json:
        """Create a snapshot of a collection and return its entry; never sent twice.

        Raises: OperationTimeout when Qdrant did not answer in ``operation_timeout``: it carries on with it.
        """
        path = _path("collections", name, "snapshots")
        return self.call("POST", path, None, {"wait": True}, self.connection.operation_timeout)

    def delete_snapshot(self, name: str, snapshot: str) -> None:
        """Delete one of the collection's snapshots."""
        self.call("DELETE", _path("collections", name, "snapshots", snapshot), None, {"wait": True})

    def shard_snapshots(self, name: str, shard: int) -> list[Json]:
        """Return the snapshots of one shard, uploaded ones too."""
        return self.call("GET", _path("collections", name, "shards", str(shard), "snapshots"))

    def delete_shard_snapshot(self, name: str, shard: int, snapshot: str) -> None:
        """Delete one of the shard's snapshots."""
        path = _path("collections", name, "shards", str(shard), "snapshots", snapshot)
        self.call("DELETE", path, None, {"wait": True})

    @contextmanager
    def open_snapshot(
        self, name: str, snapshot: str, offset: int = 0, etag: str | None = None
    ) -> Iterator[SnapshotStream]:
        """Open the bytes of a snapshot from ``offset`` on.

        Args:
            etag: the ``etag`` of the stream to be resumed; the file must still be that one.

        Raises: DamagedSnapshot when the file is another one or shorter than ``offset``.
        """
        path = _path("collections", name, "snapshots", snapshot)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        if etag:
            headers["If-Match"] = etag
        with self._transport.download(path, headers) as response:
            if response.status in (412, 416):
                raise DamagedSnapshot(
                    f"The snapshot {snapshot} on {self.connection.url} was changed while it was being read.",
                    "Another client may have created one of the same name: run this again.",
                )
            if response.status >= 300:
                answer = Answer(response.status, response.headers, response.read(1 << 20))
                raise self._transport.failures.refuse("GET", path, answer, reads=True)
            self._check_range(response, snapshot, offset)
            yield SnapshotStream(self._transport, response)

    def _check_range(self, response: http.client.HTTPResponse, snapshot: str, offset: int) -> None:
        start = response.headers.get("Content-Range", "bytes 0-").partition("-")[0]
        if start != f"bytes {offset}" or response.headers.get("Content-Encoding", "identity") != "identity":
            raise QdrantError(
                f"Qdrant at {self.connection.url} did not send the bytes of {snapshot} from {offset} on as they are.",
                "A proxy may compress answers or ignore Range: connect to the node itself.",
            )

    def upload_shard_snapshot(
        self,
        name: str,
        shard: int,
        chunks: Iterable[bytes | memoryview],
        size: int,
        sha256: str | None,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Restore one shard from ``chunks`` and wait for the end; Qdrant checks ``sha256`` before it replaces data.

        Args:
            size: the sum of the chunks' bytes.
            sha256: of all chunks together, in hex; None where it cannot be known before they are sent.
            cancellation: lets another thread end it, which then raises QdrantUnreachable.

        Raises: whatever the iterator raises, unchanged, with the upload cut; IntegrityError for another ``size``.
        """
        path = _path("collections", name, "shards", str(shard), "snapshots", "upload")
        checksum = {} if sha256 is None else {"checksum": sha256}
        params = {"wait": True, "priority": "snapshot", **checksum}
        self._transport.upload(path, params, chunks, size, cancellation or Cancellation())


def _path(*parts: str) -> str:
    """Join path parts, each percent-encoded whole."""
    for part in parts:
        if part in ("", ".", ".."):
            raise InvalidInput(f"{part!r} is no name of a collection or snapshot.")
    return "/" + "/".join(quote(part, safe="") for part in parts)
