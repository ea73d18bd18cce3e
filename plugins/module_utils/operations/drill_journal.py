# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a drill at work: what its record has so far, in a file of this host, until its report is stored.

A drill that is killed can no longer tell. Whoever finds its journal removes what it has left, and completes its record
as FAIL, with the stage that it was in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import DrError, FileError
from ..formats.canonical import canonical
from ..formats.drill_record import STAGES, skipped_stage
from ..formats.drill_verdict import judge
from ..stores.agent_files import write_file
from ..stores.qdrant import Qdrant
from .drill_scratch import Scratch
from .ephemeral_qdrant import remove_stale
from .liveness import has_ended, this_process

Json = dict[str, Any]
_UNSEEN_SECONDS = 24 * 3600.0


class Journal:
    """The journal of one drill in ``folder``, which is made. Raises FileError where nothing can be written there.

    ``facts``: what is needed to complete the record, beside itself.
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
    _end_stages(record)
    target = record["target"]
    if target["kind"] == "ephemeral":
        record["cleanup"] = [_gone(Path(journal["storage_path"]).parent, dry)] if journal["storage_path"] else []
    elif node.connection.address in target["nodes"]:
        record["cleanup"] = [_emptied(node, target["collection"], dry)]
    else:
        detail = f"the target was not asked; the next drill to {target['collection']} there removes what is left."
        record["cleanup"] = [{"what": "collections", "removed": False, "detail": detail}]
    return {**record, **judge(record, journal["min_copies"])}


def _end_stages(record: Json) -> None:
    """Say where it was killed. The first stage that broke is the one of the record."""
    stages = record["stages"]
    if stages and stages[-1]["begun"] and not stages[-1]["ended"]:
        stages[-1] |= {"outcome": "failed", "detail": "The drill was killed."}
        at = stages[-1]["name"]
    else:
        at = STAGES[min(len(stages), len(STAGES) - 1)]
    stages += [skipped_stage(name, "The drill was killed.") for name in STAGES[len(stages) :]]
    if record["failed_stage"] is None:
        record["failed_stage"] = at
        record["failure"] = {
            "code": "interrupted",
            "detail": f"The drill was killed in the stage {at}.",
            "hint": "What it had left is removed. Find out what killed it, and drill again.",
        }


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
        return {"what": "collections", "removed": False, "detail": error.detail}
    if dry and left:
        return {"what": "collections", "removed": False, "detail": f"there are still {', '.join(left)}."}
    return {"what": "collections", "removed": True, "detail": "both are gone."}
