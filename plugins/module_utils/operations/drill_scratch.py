# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch collections of a drill: their names, what a killed drill has left of them, and that nothing stays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DrError, QdrantNotFound, TargetExists
from ..stores.qdrant import Qdrant
from .restore_mark import METADATA_KEY, half_restored, mark_in_metadata, marks_on

Json = dict[str, Any]
_LONGEST = 220


def scratch_name(collection: str) -> str:
    """The name that a drill restores to. It is always the same, so that the next drill finds what one has left."""
    if len(collection) > _LONGEST:
        collection = f"{collection[: _LONGEST - 9]}-{hashlib.sha256(collection.encode()).hexdigest()[:8]}"
    return f"{collection}-drill"


@dataclass(frozen=True)
class Scratch:
    """``names``: the restored collection, and that of the controls. ``before``: what the target had, without them."""

    names: tuple[str, str]
    collections: frozenset[str]
    aliases: dict[str, str]

    @classmethod
    def prepare(cls, qdrant: Qdrant, name: str, dry: bool = False) -> tuple[Scratch, list[str]]:
        """Remove what a killed drill has left, and see that the names are free; ``dry``: only look.

        Returns also what was removed. Raises Busy while another drill may be at work, TargetExists for a name that is
        someone else's.
        """
        names = (name, f"{name}-control")
        left = [each for each in names if half_restored(qdrant, each)]
        aliases, collections = qdrant.aliases(), qdrant.collections()
        for each in names:
            if each in aliases or (each in collections and each not in left):
                raise TargetExists(
                    f"The name {each} is taken on {qdrant.connection.url}, and not by a drill.",
                    "Nothing was changed. Name another scratch collection.",
                )
        for each in left if not dry else ():
            qdrant.delete_collection(each)
        kept = {alias: to for alias, to in aliases.items() if to not in names}
        return cls(names, frozenset(collections) - {*names}, kept), left

    def clean(self, nodes: Sequence[Qdrant]) -> list[Json]:
        """Remove both, and prove on every node that nothing is left: ``{what, removed, detail}`` each.

        A collection without the mark of a restore is someone else's, and stays.
        """
        try:
            there = [name for name in self.names if name in nodes[0].collections()]
            for name in there:
                if marks_on(nodes[0], name) or mark_in_metadata(nodes[0], name):
                    nodes[0].delete_collection(name)
        except DrError as error:
            return [_left("collections", False, error.detail)]
        return [self._collections(nodes), self._aliases(nodes), self._snapshots(nodes)]

    def _collections(self, nodes: Sequence[Qdrant]) -> Json:
        stay = sorted({name for node in nodes for name in node.collections() if name in self.names})
        return _left("collections", not stay, f"there are still {', '.join(stay)}." if stay else "both are gone.")

    def _aliases(self, nodes: Sequence[Qdrant]) -> Json:
        """Also the marks of a restore are aliases."""
        stay = sorted({alias for node in nodes for alias, to in node.aliases().items() if to in self.names})
        return _left("aliases", not stay, f"there are still {', '.join(stay)}." if stay else "no mark is left.")

    def _snapshots(self, nodes: Sequence[Qdrant]) -> Json:
        stay = []
        for node in nodes:
            for name in self.names:
                try:
                    stay += [entry["name"] for entry in node.snapshots(name)]
                except QdrantNotFound:
                    continue
        return _left("snapshots", not stay, f"there are still {', '.join(stay)}." if stay else "none is left.")

    def aliases_untouched(self, qdrant: Qdrant) -> Json:
        """The check of the isolation that can be made at the end only; marks of other restores come and go."""
        now = qdrant.aliases()
        names = {alias for alias in {*now, *self.aliases} if not alias.startswith(METADATA_KEY)}
        changed = sorted(alias for alias in names if now.get(alias) != self.aliases.get(alias))
        detail = f"while the drill ran, {', '.join(changed)} changed." if changed else "no alias of the target changed."
        return {"check": "aliases", "passed": not changed, "detail": detail}


def _left(what: str, removed: bool, detail: str) -> Json:
    return {"what": what, "removed": removed, "detail": detail}
