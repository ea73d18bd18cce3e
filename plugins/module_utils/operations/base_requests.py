# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for a new base: an archive that was broken off serves no restore until a backup begins it anew.

The archiver files one for each collection, and the agent's next backup makes it, whatever the age of the last one.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from ..formats.wal_timeline import Timeline
from ..stores.agent_files import remove_file, write_file
from .clock import iso

_FOLDER = "base-needed"
_SUFFIX = ".json"


def request_base(state_path: str | Path, timeline: Timeline, now: datetime) -> None:
    """Ask for a backup of the collection whose log goes on in a new timeline. Raises ``FileError``."""
    content = {
        "collection": timeline.log.collection,
        "shard": timeline.log.shard,
        "timeline": timeline.log.timeline,
        "reason": timeline.reason,
        "detail": timeline.detail,
        "requested": iso(now),
    }
    data = json.dumps(content, sort_keys=True, indent=1).encode("ascii") + b"\n"
    write_file(_path(state_path, timeline.log.collection), data)


def requested_bases(state_path: str | Path) -> dict[str, bytes]:
    """The collections that need a base, each with the request as it stands."""
    found: dict[str, bytes] = {}
    folder = Path(state_path) / _FOLDER
    for path in sorted(folder.glob(f"[!.]*{_SUFFIX}")) if folder.is_dir() else ():
        found[unquote(path.name[: -len(_SUFFIX)])] = path.read_bytes()
    return found


def repeat_requests(state_path: str | Path) -> None:
    """Write what stands anew, so that whoever waits for a change has one. Raises ``FileError``."""
    for collection, data in requested_bases(state_path).items():
        write_file(_path(state_path, collection), data)


def withdraw_request(state_path: str | Path, collection: str, request: bytes) -> None:
    """Remove a request that was met; one that was made anew since stays. Raises ``FileError``."""
    if requested_bases(state_path).get(collection) == request:
        remove_file(_path(state_path, collection))


def _path(state_path: str | Path, collection: str) -> Path:
    return Path(state_path) / _FOLDER / f"{quote(collection, safe=' ')}{_SUFFIX}"
