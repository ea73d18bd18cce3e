# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the repository. All keys are relative to ``<prefix>/<cluster>/``."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import quote

from ..errors import InvalidInput

MANIFEST = "manifest.json"
DRILL_RECORD, DRILL_PAGE, DRILL_TEXT, DRILL_SIGNATURE = "record.json", "report.html", "report.md", "record.json.sig"
# The page that lists the drills of all collections.
DRILLS_PAGE = "drills.html"
# How the objects of shards end: an archive, or the list of the chunks that one is made of.
SNAPSHOT, CHUNKS = ".snapshot", ".chunks"
_ID = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z-[0-9a-f]{6}")
_STAMP = "%Y%m%dT%H%M%S"


def new_backup_id(now: datetime, token: str) -> str:
    """An id that sorts by time: ``20261122T020000Z-<token>``. ``token``: 6 hex digits; ``now``: aware.

    Without a token: what all ids of this second begin with.
    """
    return f"{now.astimezone(timezone.utc).strftime(_STAMP)}Z-{token}"


def is_backup_id(text: str) -> bool:
    """Whether ``text`` is a backup id: of its form, and naming a time that there is."""
    return _time_in(text) is not None


def backup_time(backup_id: str) -> datetime:
    """The UTC time that a backup id carries; ``InvalidInput`` for anything else."""
    moment = _time_in(backup_id)
    if moment is None:
        raise InvalidInput(
            f"{backup_id!r} is not a backup id.",
            "A backup id looks like 20261122T020000Z-a1b2c3; backup_info lists them.",
        )
    return moment


def _time_in(text: str) -> datetime | None:
    match = _ID.fullmatch(text)
    try:
        if match is None:
            return None
        year, month, day, hour, minute, second = map(int, match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None


def check_collection_name(name: str) -> str:
    """The name itself, if it is one that Qdrant accepts and that is safe as one path segment."""
    if not name or name in (".", "..") or len(name) > 255 or re.search(r'[/\\<>:"|?*\x00-\x1f]', name):
        raise InvalidInput(
            f"{name!r} cannot be the name of a collection.",
            'Use 1 to 255 characters without / \\ < > : " | ? * and control characters.',
        )
    return name


def collection_prefix(collection: str) -> str:
    """The folder of everything that belongs to one collection."""
    return f"{check_collection_name(collection)}/"


def backups_prefix(collection: str) -> str:
    """The folder of all backups of one collection."""
    return f"{collection_prefix(collection)}backups/"


def index_key(collection: str) -> str:
    """Summaries of manifests, for those who list many."""
    return f"{collection_prefix(collection)}index.json"


def backup_prefix(collection: str, backup_id: str) -> str:
    """The folder of one backup."""
    return f"{backups_prefix(collection)}{backup_id}/"


def manifest_key(collection: str, backup_id: str) -> str:
    """The object whose existence is the commit."""
    return backup_prefix(collection, backup_id) + MANIFEST


def started_prefix(collection: str) -> str:
    """The folder of the markers of runs that have begun and not yet committed."""
    return f"{check_collection_name(collection)}/started/"


def started_key(collection: str, backup_id: str) -> str:
    """The marker written before anything else, so that what a killed run left can be told and removed."""
    return f"{started_prefix(collection)}{backup_id}.json"


def share_key(collection: str, backup_id: str, node: str, attempt: int = 0) -> str:
    """A node's share of a backup: what it has stored, before the commit."""
    return f"{backup_prefix(collection, backup_id)}nodes/{_node_name(node, attempt)}.json"


def share_markers_prefix(collection: str, backup_id: str) -> str:
    """The folder of the markers of the nodes that take part in a backup."""
    return f"{started_prefix(collection)}{backup_id}/"


def share_marker_key(collection: str, backup_id: str, node: str, attempt: int = 0) -> str:
    """The marker of one node that takes part in a backup."""
    return f"{share_markers_prefix(collection, backup_id)}{_node_name(node, attempt)}.json"


def marked_backup(key: str) -> str | None:
    """The backup that a marker with this key belongs to, None if it is none."""
    found = re.search(r"/started/([0-9A-Za-z-]+)(/[^/]+)?\.json$", key)
    return found.group(1) if found and is_backup_id(found.group(1)) else None


def folder_of(key: str) -> str | None:
    """The backup in whose folder a key lies, None if it lies in none."""
    found = re.match(r"[^/]+/backups/([^/]+)/", key)
    return found.group(1) if found and is_backup_id(found.group(1)) else None


def recorded_backup(key: str) -> str | None:
    """The backup whose record of verifications or of data keys has this key, None if it is none."""
    found = re.fullmatch(r"[^/]+/(?:verified|keys)/([^/]+)\.json", key)
    return found.group(1) if found and is_backup_id(found.group(1)) else None


def verified_prefix(collection: str) -> str:
    """The folder of the records of verifications."""
    return f"{check_collection_name(collection)}/verified/"


def verified_key(collection: str, backup_id: str) -> str:
    """What the last verifications of a backup found in this repository."""
    return f"{verified_prefix(collection)}{backup_id}.json"


def keys_prefix(collection: str) -> str:
    """The folder of data keys that were wrapped again."""
    return f"{check_collection_name(collection)}/keys/"


def keys_key(collection: str, backup_id: str) -> str:
    """The data keys of a backup, wrapped again after it was made."""
    return f"{keys_prefix(collection)}{backup_id}.json"


def drills_prefix(collection: str) -> str:
    """The folder of all drills of one collection. No prune, copy or sweep looks into it."""
    return f"{collection_prefix(collection)}drills/"


def drill_key(collection: str, drill_id: str, name: str = DRILL_RECORD) -> str:
    """A file of one drill; its record is written last, and without it there is no drill."""
    return f"{drills_prefix(collection)}{drill_id}/{name}"


def record_keys(collection: str, backup_id: str) -> list[str]:
    """All that stands beside a backup and goes with it."""
    return [verified_key(collection, backup_id), keys_key(collection, backup_id)]


def pack_key(collection: str, sha256: str) -> str:
    """A pack of chunks, by the SHA-256 of its bytes (hex)."""
    return f"{packs_prefix(collection)}{sha256[:2]}/{sha256}.pack"


def packs_prefix(collection: str) -> str:
    """The folder of all packs of one collection."""
    return f"{collection_prefix(collection)}packs/"


def is_pack_key(key: str) -> bool:
    """Whether a pack may have this key."""
    return re.fullmatch(r"[^/]+/packs/[0-9a-f]{2}/[0-9a-f]{64}\.pack", key) is not None


def pack_table_key(key: str) -> str:
    """The table of the packs that the list of chunks at ``key`` refers to."""
    return f"{key.removesuffix(CHUNKS)}.packs"


def shard_key(backup_id: str, shard: int, attempt: int = 0, kind: str = SNAPSHOT) -> str:
    """A shard archive, relative to the collection's folder (as manifests name it).

    ``attempt``: how often the shard was given to another node: one that was thought dead never writes over it.
    ``kind``: ``SNAPSHOT`` for the archive itself, ``CHUNKS`` for the list of the chunks that it is made of.
    """
    return f"backups/{backup_id}/shards/{shard}{f'-{attempt}' if attempt else ''}{kind}"


def is_shard_key(key: str, backup_id: str, shard: int, kind: str = SNAPSHOT) -> bool:
    """Whether ``key`` is a place where this backup keeps this shard."""
    pattern = rf"backups/{re.escape(backup_id)}/shards/{shard}(-[1-9][0-9]{{0,3}})?{re.escape(kind)}"
    return re.fullmatch(pattern, key, re.ASCII) is not None


def has_sidecar(object_key: str) -> bool:
    """Whether a file with its SHA-256 stands beside this object: packs have it as their name."""
    return object_key.endswith((SNAPSHOT, CHUNKS))


def sidecar_key(object_key: str) -> str:
    """The file beside an object that ``sha256sum --check`` reads."""
    return object_key + ".sha256"


def sidecar(object_key: str, sha256: str) -> bytes:
    """The sidecar's content in the format of sha256sum, binary mode."""
    return f"{sha256} *{object_key.rsplit('/', 1)[-1]}\n".encode("ascii")


def _node_name(node: str, attempt: int) -> str:
    return quote(node, safe="") + (f"-{attempt}" if attempt else "")
