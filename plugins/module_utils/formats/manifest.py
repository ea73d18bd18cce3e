# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: everything that is needed to restore a backup and to prove it.

One JSON object, of schema 1, or 2 where a shard is stored as chunks. Its fields are those of ``REQUIRED`` below, and
``data_keys`` of a backup that was encrypted before it was sent: the id of each data key with its wrap (``key_wrap``).
``manifest_sha256`` is the SHA-256 of the canonical JSON (sorted keys, no spaces, ASCII) of all other fields, so a
manifest proves itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ..errors import DamagedManifest
from .canonical import canonical
from .key_wrap import check_wrap, is_key_id, master_key_of
from .layout import CHUNKS, SNAPSHOT, is_backup_id, is_shard_key
from .sealed import OVERHEAD

# The first one that has what a manifest says: older readers then take the others.
WHOLE, CHUNKED = 1, 2
FULL, INCREMENTAL = "full", "incremental"
KIND = "vectorops.qdrant_dr/backup"

# Field -> type; what a reader may rely on after parse().
REQUIRED: dict[str, type | tuple[type, ...]] = {
    "backup_id": str,
    "type": str,
    "cluster": str,
    "collection": str,
    "tool": dict,
    "qdrant_version": str,
    "window": dict,
    "config": dict,
    "payload_indexes": dict,
    "aliases": list,
    "sharding": dict,
    "points": dict,
    "snapshots": list,
    "shards": list,
    "probes": dict,
}
_SHARD: dict[str, type | tuple[type, ...]] = {"shard": int, "wal": dict, "object": dict}
_OBJECT: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "size": int,
    "sha256": str,
    "part_size": int,
    "parts": list,
    "wal_offset": int,
    "encryption": dict,
}
_FACTS: dict[str, type | tuple[type, ...]] = {"size": int, "sha256": str}
_TABLE: dict[str, type | tuple[type, ...]] = {**_FACTS, "part_size": int, "parts": list}
_SEALED: dict[str, type | tuple[type, ...]] = {"data_key": str, "plain_size": int, "plain_sha256": str}
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Manifest:
    """A manifest that has been found valid. ``fields`` is the JSON object without its digest."""

    def __init__(self, fields: dict[str, Any]) -> None:
        """Check ``fields``; raises ``DamagedManifest`` naming the first fault."""
        _check(fields)
        self.fields = fields
        self.backup_id: str = fields["backup_id"]
        self.cluster: str = fields["cluster"]
        self.collection: str = fields["collection"]
        self.qdrant_version: str = fields["qdrant_version"]
        self.config: dict[str, Any] = fields["config"]
        self.payload_indexes: dict[str, Any] = fields["payload_indexes"]
        self.aliases: list[str] = fields["aliases"]
        self.sharding: dict[str, Any] = fields["sharding"]
        self.points: dict[str, int] = fields["points"]
        self.shards: list[dict[str, Any]] = fields["shards"]
        self.probes: dict[str, Any] = fields["probes"]
        self.data_keys: dict[str, dict[str, Any]] = fields.get("data_keys", {})
        self.sha256 = hashlib.sha256(canonical(fields)).hexdigest()

    @property
    def in_chunks(self) -> bool:
        """Whether a shard is stored as chunks."""
        return any("archive" in shard["object"] for shard in self.shards)

    @property
    def schema_version(self) -> int:
        """The first version of this format that has all that it says."""
        return CHUNKED if self.in_chunks else WHOLE

    @property
    def size(self) -> int:
        """Bytes of all shard archives."""
        return sum(shard["object"].get("archive", shard["object"])["size"] for shard in self.shards)

    @property
    def exact_points(self) -> int | None:
        """The number of points in the shards, or None where the backup does not prove it.

        It counted before its snapshot, having read from each shard's log up to where everything was in the segments.
        Where the log in the snapshot ends there, nothing was written in between. Two equal counts alone prove nothing:
        one point may have gone and another one come, with the snapshot in the middle.
        """
        logs = [shard["wal"] for shard in self.shards]
        idle = all(log.get("first_found_by") == "ack_index" and log["last"] <= log["first"] for log in logs)
        return self.points["before"] if idle and self.points["before"] == self.points["after"] else None

    def object_key(self, shard: dict[str, Any]) -> str:
        """The repository key of a shard's archive."""
        return f"{self.collection}/{shard['object']['key']}"

    def dump(self) -> bytes:
        """The text to store: readable, and the same bytes for the same fields."""
        whole = {"schema_version": self.schema_version, "kind": KIND, **self.fields, "manifest_sha256": self.sha256}
        return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")

    def summary(self) -> dict[str, Any]:
        """What a catalogue shows of a backup."""
        return {
            "backup_id": self.backup_id,
            "type": self.fields["type"],
            "state": "committed",
            "cluster": self.cluster,
            "collection": self.collection,
            "qdrant_version": self.qdrant_version,
            "window": self.fields["window"],
            "points": self.points,
            "aliases": self.aliases,
            "shards": len(self.shards),
            "size": self.size,
            "encryption": sorted({shard["object"]["encryption"]["mode"] for shard in self.shards}),
            "client_encryption": sorted({master_key_of(wrap) for wrap in self.data_keys.values()}),
            "manifest_sha256": self.sha256,
        }

    @classmethod
    def parse(cls, data: bytes, *, cluster: str, collection: str, backup_id: str | None = None) -> Manifest:
        """Read a stored manifest.

        ``cluster``, ``collection`` and ``backup_id`` are those of the key that it was read from: a manifest that
        names others is refused with ``DamagedManifest``, like one that is cut short, altered or of another schema.
        """
        try:
            whole = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise DamagedManifest(f"The manifest is not complete JSON: {error}.", _HINT) from error
        if not isinstance(whole, dict) or whole.pop("kind", None) != KIND:
            raise DamagedManifest("The object is not a backup manifest of this collection.", _HINT)
        version = whole.pop("schema_version", None)
        if version not in (WHOLE, CHUNKED):
            raise DamagedManifest(
                f"The manifest has schema version {version!r}, this version reads {WHOLE} and {CHUNKED}.",
                "Use the version of vectorops.qdrant_dr that wrote it, or a newer one.",
            )
        stated = whole.pop("manifest_sha256", None)
        manifest = cls(whole)
        if version < manifest.schema_version:
            raise DamagedManifest(f"The manifest has chunks, which schema version {version} has not.", _HINT)
        if stated != manifest.sha256:
            raise DamagedManifest(
                f"The manifest was altered: it states {stated}, its content has {manifest.sha256}.", _HINT
            )
        for name, expected in (("cluster", cluster), ("collection", collection), ("backup_id", backup_id)):
            if expected is not None and whole[name] != expected:
                raise DamagedManifest(f"The manifest is of {name} {whole[name]!r}, not of {expected!r}.", _HINT)
        return manifest


_HINT = "Use another backup, or a copy of this one in another region."


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check(fields: dict[str, Any]) -> None:
    _fields("the manifest", fields, REQUIRED)
    if not is_backup_id(fields["backup_id"]):
        raise DamagedManifest(f"The manifest names no valid backup id: {fields['backup_id']!r}.", _HINT)
    if not fields["shards"]:
        raise DamagedManifest("The manifest lists no shards.", _HINT)
    for shard in fields["shards"]:
        _fields("a shard", shard, _SHARD)
        _check_object(fields["backup_id"], shard["shard"], shard["object"])
        _check_sealed(shard["shard"], shard["object"])
    numbers = [shard["shard"] for shard in fields["shards"]]
    if len(set(numbers)) != len(numbers):
        raise DamagedManifest("The manifest lists a shard twice.", _HINT)
    _check_data_keys(fields)


def _check_object(backup_id: str, shard: int, stored: dict[str, Any]) -> None:
    _fields(f"the object of shard {shard}", stored, _OBJECT)
    if not is_shard_key(stored["key"], backup_id, shard, CHUNKS if "archive" in stored else SNAPSHOT):
        raise DamagedManifest(f"The manifest places shard {shard} at {stored['key']!r}, outside of its backup.", _HINT)
    _check_parts(shard, stored)
    if "archive" in stored:
        _fields(f"the archive of shard {shard}", stored["archive"], _FACTS)
        _fields(f"the table of packs of shard {shard}", stored.get("packs"), _TABLE)
        _check_parts(shard, stored["packs"])
        if stored["archive"]["size"] <= 0 or not _SHA256.fullmatch(stored["archive"]["sha256"]):
            raise DamagedManifest(f"The archive of shard {shard} has no valid size and SHA-256.", _HINT)


def _check_parts(shard: int, stored: dict[str, Any]) -> None:
    size, part_size, parts = stored["size"], stored["part_size"], stored["parts"]
    if size <= 0 or part_size <= 0 or len(parts) != -(-size // part_size):
        raise DamagedManifest(f"The parts of shard {shard} do not add up to its size.", _HINT)
    if not all(isinstance(digest, str) and _SHA256.fullmatch(digest) for digest in [*parts, stored["sha256"]]):
        raise DamagedManifest(f"A digest of shard {shard} is not a SHA-256.", _HINT)


def _check_sealed(shard: int, stored: dict[str, Any]) -> None:
    if "client_encryption" not in stored:
        return
    sealed = stored["client_encryption"]
    _fields(f"the client_encryption of shard {shard}", sealed, _SEALED)
    if sealed["plain_size"] <= 0 or sealed["plain_size"] + OVERHEAD * len(stored["parts"]) != stored["size"]:
        raise DamagedManifest(f"The encrypted size of shard {shard} does not fit its plain size.", _HINT)
    if not _SHA256.fullmatch(sealed["plain_sha256"]):
        raise DamagedManifest(f"A digest of shard {shard} is not a SHA-256.", _HINT)


def _check_data_keys(fields: dict[str, Any]) -> None:
    """The keys of all that is encrypted, and no others: where one part is encrypted, all of the backup is."""
    data_keys = fields.get("data_keys", {})
    if not isinstance(data_keys, dict) or not all(map(is_key_id, data_keys)):
        raise DamagedManifest("The data keys of the manifest have no valid ids.", _HINT)
    for key_id, wrap in data_keys.items():
        check_wrap(wrap, f"the data key {key_id}")
    used = [shard["object"].get("client_encryption", {}).get("data_key") for shard in fields["shards"]]
    if data_keys or any(used) or "sealed" in fields["probes"]:
        if "sealed" in fields["probes"]:
            _fields("the sealed probes", fields["probes"]["sealed"], {"data_key": str, "text": str})
            used.append(fields["probes"]["sealed"]["data_key"])
        if set(used) != set(data_keys):
            raise DamagedManifest("The manifest does not wrap the data keys that its objects need.", _HINT)


def _fields(what: str, value: Any, required: dict[str, type | tuple[type, ...]]) -> None:
    if not isinstance(value, dict):
        raise DamagedManifest(f"In the manifest {what} is not an object.", _HINT)
    for name, kind in required.items():
        if not isinstance(value.get(name), kind) or isinstance(value.get(name), bool):
            raise DamagedManifest(f"In the manifest {what} lacks a valid {name!r}.", _HINT)
