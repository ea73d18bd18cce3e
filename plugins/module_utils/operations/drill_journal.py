# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a drill at work: what its record has so far, in a file of this host, until its report is stored.

A drill that is killed can no longer tell. Whoever finds its journal removes what it has left, and completes its record
as FAIL, with the stage that it was in. Of a failover or a failback nothing is ever removed: what it has left may serve.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import DrError, FileError
from ..formats.canonical import canonical
from ..formats.drill_kind import DRILL, kind_of
from ..formats.drill_record import skipped_stage
from ..formats.drill_verdict import judge
from ..stores.agent_files import write_file
from ..stores.qdrant import Qdrant
from .drill_scratch import Scratch
from .ephemeral_qdrant import remove_stale
from .liveness import has_ended, this_process
from .restore_mark import half_restored

Json = dict[str, Any]
_UNSEEN_SECONDS = 24 * 3600.0


def require_place(folder: Path) -> None:
    """Raise FileError where a journal could not be written into ``folder``; nothing is made."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise FileError(
            f"{folder} is no directory that this user could write journals into.", "Name another directory as journal."
        )


class Journal:
    """The journal of one drill in ``folder``, which is made. Raises FileError where nothing can be written there.

    ``facts``: what is needed to complete the record, beside itself: ``min_copies``, ``storage_path`` of an ephemeral
    target, and ``stages``, all that will be taken.
    """

    def __init__(self, folder: Path, record: Json, **facts: Any) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"{folder} cannot be made: {error.strerror}.", "Name another directory as journal, or make this one."
            ) from error
        self._path = folder / f"{record['drill_id']}.json"
        self._facts = {"process": this_process(), **facts}
        self._write(record)

    def note(self, record: Json) -> None:
        """What the record has now. That a disk is full meanwhile is no reason to end a drill."""
        with suppress(FileError):
            self._write(record)

    def _write(self, record: Json) -> None:
        write_file(self._path, canonical({**self._facts, "record": record}), 0o600)


def note_concluded(folder: Path, records: Sequence[Json]) -> None:
    """Let the journals of these records, where there are any, have them as they are now."""
    for record in records:
        path = folder / f"{record['drill_id']}.json"
        with suppress(OSError, ValueError, FileError):
            write_file(path, canonical({**json.loads(path.read_bytes()), "record": record}), 0o600)


def close_journals(folder: Path, node: Qdrant, cluster: str | None = None, dry: bool = False) -> Iterator[Json]:
    """The whole records of the drills in ``folder`` whose process has ended, oldest first; ``cluster``: only of this.

    A process that cannot be seen from here, as in another container, counts as ended after a day without a note.
    ``node``: one of a target. What a killed drill has left there is removed, or on this host where its target was
    ephemeral; ``dry``: it is only told. A journal stays until its report is stored: whoever does so removes it.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            journal, noted = json.loads(path.read_bytes()), path.stat().st_mtime
        except (OSError, ValueError):
            continue
        if cluster not in (None, journal["record"]["cluster"]):
            continue
        ended = has_ended(journal["process"])
        if ended or (ended is None and time.time() - noted > _UNSEEN_SECONDS):
            yield _whole(journal, node, dry)


def _whole(journal: Json, node: Qdrant, dry: bool) -> Json:
    record: Json = journal["record"]
    if "verdict" in record:
        return record
    _end_stages(record, journal["stages"])
    target = record["target"]
    if record["kind"] != DRILL.text:
        record["cleanup"] = _named(node, target)
    elif target["kind"] == "ephemeral":
        record["cleanup"] = [_gone(Path(journal["storage_path"]).parent, dry)] if journal["storage_path"] else []
    elif node.connection.address in target["nodes"]:
        record["cleanup"] = [_emptied(node, target["collection"], dry)]
    else:
        detail = f"the target was not asked; the next drill to {target['collection']} there removes what is left."
        record["cleanup"] = [_left(detail)]
    return {**record, **judge(record, journal["min_copies"])}


def _end_stages(record: Json, planned: Sequence[str]) -> None:
    """Say where it was killed. The first stage that broke is the one of the record."""
    stages, what = record["stages"], kind_of(record).name
    taken = {stage["name"] for stage in stages}
    missing = [name for name in planned if name not in taken]
    if stages and stages[-1]["begun"] and not stages[-1]["ended"]:
        stages[-1] |= {"outcome": "failed", "detail": f"The {what} was killed."}
        at = stages[-1]["name"]
    else:
        at = [*missing, planned[-1]][0]
    stages += [skipped_stage(name, f"The {what} was killed.") for name in missing]
    if record["failed_stage"] is None:
        record["failed_stage"] = at
        left = "What it had left is removed" if what == DRILL.name else "Nothing of it was removed"
        record["failure"] = {
            "code": "interrupted",
            "detail": f"The {what} was killed in the stage {at}.",
            "hint": f"{left}. Find out what killed it, and run it again.",
        }


def _named(node: Qdrant, target: Json) -> list[Json]:
    """What a failover has left, for people to see: only what bears the mark of a restore is certain to serve nobody."""
    name = target["collection"]
    if node.connection.address not in target["nodes"]:
        detail = f"the target was not asked whether it has {name}; the next run to it removes what is not whole."
        return [_left(detail)]
    try:
        if name not in node.collections():
            return []
        if half_restored(node, name):
            return [_left(f"{name} bears the mark of a restore and serves nobody; the next run to it removes it.")]
        aliases = sorted(alias for alias, to in node.aliases().items() if to == name)
    except DrError as error:
        return [_left(error.detail)]
    pointing = f"{', '.join(aliases)} point to it" if aliases else "no alias points to it"
    return [_left(f"{name} is whole and may serve: {pointing}. Nothing removes it.")]


def _left(detail: str) -> Json:
    return {"what": "collections", "removed": False, "detail": detail}


def _gone(folder: Path, dry: bool) -> Json:
    if not dry:
        remove_stale(folder.parent)
    there = folder.exists()
    detail = f"its directory {folder} is still there." if there else f"it ended with the drill, and {folder} is gone."
    return {"what": "ephemeral Qdrant", "removed": not there, "detail": detail}


def _emptied(node: Qdrant, collection: str, dry: bool) -> Json:
    try:
        left = Scratch.prepare(node, collection, dry)[1]
    except DrError as error:
        return _left(error.detail)
    if dry and left:
        return _left(f"there are still {', '.join(left)}.")
    return {"what": "collections", "removed": True, "detail": "both are gone."}
