# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection that a restore makes: created as recorded and marked, filled shard by shard, removed if that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from threading import Lock
from typing import Any

from ..errors import DrError, TargetUnfit
from ..formats.collection_config import create_body, field_schema, is_strict
from ..formats.manifest import Manifest
from ..formats.shard_keys import shards_by_key
from ..stores.cancellation import Cancellation
from ..stores.qdrant import Qdrant
from .restore_mark import METADATA_KEY, Mark, mark_in_metadata
from .shard_keys import create_shard_keys


class RestoreTarget:
    """One collection in the making, on the cluster of ``nodes``. ``uploads`` ends those that run.

    ``replication_factor``: another one than the recorded one. ``payload_indexes``: those to create, as a manifest has
    them.
    """

    def __init__(
        self,
        nodes: list[Qdrant],
        name: str,
        manifest: Manifest,
        replication_factor: int | None,
        payload_indexes: dict[str, Any],
    ) -> None:
        self._payload_indexes = payload_indexes
        self.nodes, self.name, self.manifest = nodes, name, manifest
        self.qdrant = nodes[0]
        self._replication_factor = replication_factor
        self._mark = Mark(name)
        self._born_with = self._mark.text
        self._created = False
        self._filled: list[Qdrant] = []
        self._numbers: dict[int, int] = {}
        self._lock = Lock()
        self.uploads = Cancellation()

    def create(self) -> None:
        """Create the collection with its mark, its shard keys and its payload indexes, without its strict mode: that
        may forbid what it takes to fill and to prove it."""
        body = create_body(self.manifest.config)
        if is_strict(self.manifest.config):
            # Without any limit: rates are kept to even where strict mode is off.
            body["strict_mode_config"] = {"enabled": False}
        if self._replication_factor is not None:
            body["replication_factor"] = self._replication_factor
        body["metadata"] = {**(body.get("metadata") or {}), METADATA_KEY: self._born_with}
        self.qdrant.create_collection(self.name, body)
        self._created = True
        self.qdrant.update_aliases([self._marking()])
        self._numbers = create_shard_keys(self.qdrant, self.name, shards_by_key(self.manifest.shards))
        for name, schema in self._payload_indexes.items():
            self.qdrant.create_payload_index(self.name, name, field_schema(schema))

    def upload(self, shard: dict[str, Any], pieces: Iterable[memoryview], size: int, sha256: str | None) -> None:
        """Fill one shard of the manifest with the ``size`` bytes of its archive, with ``sha256`` where that is known.

        Qdrant's own copy of the upload is removed. May be called from several threads.
        """
        number, node = self._place(shard)
        with self._lock:
            if node not in self._filled:
                self._filled.append(node)
        before = {entry["name"] for entry in node.shard_snapshots(self.name, number)}
        node.upload_shard_snapshot(self.name, number, pieces, size, sha256, self.uploads)
        for entry in node.shard_snapshots(self.name, number):
            if entry["name"] not in before:
                node.delete_shard_snapshot(self.name, number, entry["name"])
        with self._lock:
            self._renew_mark()

    def settle(self) -> None:
        """Wait until the cluster knows that the other replicas of the uploaded shards are out of date.

        A node answers the upload before it has told the others, and until then every replica is called Active. What it
        tells them stands in one log with all changes of aliases, and its answer to one of these comes after that.
        """
        for node in self._filled:
            node.update_aliases([{"delete_alias": {"alias_name": self._mark.alias}}, self._marking()])

    def finish(self) -> None:
        """Give the collection its recorded config: with its strict mode, without the mark in its metadata."""
        change: dict[str, Any] = {}
        if is_strict(self.manifest.config):
            change["strict_mode_config"] = self.manifest.config["strict_mode_config"]
        if mark_in_metadata(self.qdrant, self.name):
            change["metadata"] = {METADATA_KEY: None}
        if change:
            self.qdrant.update_collection(self.name, change)

    def discard(self) -> None:
        """Delete the collection, if it is this run's: what another client has created under the name is not.

        Qdrant may have created it without an answer; then the mark tells.
        """
        with contextlib.suppress(DrError):
            if self._created or mark_in_metadata(self.qdrant, self.name) == self._born_with:
                self.qdrant.delete_collection(self.name)

    def _renew_mark(self) -> None:
        if self._mark.is_old():
            old, self._mark = self._mark, self._mark.renewed()
            self.qdrant.update_aliases([{"delete_alias": {"alias_name": old.alias}}, self._marking()])

    def _marking(self) -> dict[str, Any]:
        return {"create_alias": {"collection_name": self.name, "alias_name": self._mark.alias}}

    def _place(self, shard: dict[str, Any]) -> tuple[int, Qdrant]:
        """The target's number of this shard, and a node that holds it."""
        number, key = self._numbers.get(shard["shard"], shard["shard"]), shard.get("shard_key")
        for node in self.nodes:
            cluster = node.collection_cluster(self.name)
            if (number, key) in {(entry["shard_id"], entry.get("shard_key")) for entry in cluster["local_shards"]}:
                return number, node
        raise TargetUnfit(
            f"None of the named nodes holds shard {number} of {self.name}.",
            "Name all nodes of the cluster in node_urls; nobody else may change the collection meanwhile.",
        )
