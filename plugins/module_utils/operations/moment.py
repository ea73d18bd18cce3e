# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose what a restore to a moment is made of: a base, and for each shard the archived entries after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..errors import BackupNotFound, MomentNotRestorable
from ..formats import layout
from ..formats.manifest import Manifest
from ..formats.moments import ArchivedLog, Cut, Extent, Outside
from ..formats.times import exact
from ..formats.wal_chunk import Needed, cover
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog
from ..stores.repository import Repository
from .archived_wal import ArchivedWal
from .catalogue import find_backup, finished
from .wal_ranges import base_end, served_from

# Of so many bases it is told why they do not serve.
_REASONS = 10
_SECOND = timedelta(seconds=1)

Json = dict[str, Any]


@dataclass(frozen=True)
class MomentRequest:
    """A ``time`` (aware), or an index of each shard in ``indexes``, or neither: what is newest.

    ``strict``: refuse what Qdrant may not replay exactly.
    """

    time: datetime | None = None
    indexes: Mapping[int, int] | None = None
    strict: bool = False


@dataclass(frozen=True)
class ShardMoment:
    """One shard: its base ends with entry ``base_last``; ``chunks`` have the entries from there to ``cut.last``.

    ``shared``: the chunk that has the base's last entry too, None where the archive begins after it. ``until``: up to
    when it is known what the log had.
    """

    shard: Json
    log: ReplicaLog | None
    cut: Cut
    chunks: list[Needed]
    shared: ChunkHeader | None
    until: datetime | None

    @property
    def base_last(self) -> int:
        """The index of the last entry in the base."""
        return int(self.shard["wal"]["last"])

    @property
    def headers(self) -> list[ChunkHeader]:
        """The headers of all chunks that are read."""
        return [*([self.shared] if self.shared is not None else []), *(needed.header for needed in self.chunks)]

    def describe(self) -> Json:
        """As the module ``restore`` documents it."""
        written, following = self.cut.written or (None, None), self.cut.following or (None, None)
        return {
            "shard": self.shard["shard"],
            "base_index": self.base_last,
            "index": self.cut.last,
            "timeline": self.log.timeline if self.log is not None else None,
            "written_after": _iso(written[0]),
            "written_before": _iso(written[1]),
            "next_written_after": _iso(following[0]),
            "next_written_before": _iso(following[1]),
            "ambiguous": self.cut.ambiguous,
        }


@dataclass
class MomentSearch:
    """Looks for a base that, with the archive, has the moment; remembers why others do not.

    ``until``: up to when others serve, with their ids. ``alone``: the newest one without an archived log.
    ``ended``: the timelines that end before the moment, why, and up to when they are known: no older base has more of
    them.
    """

    archive: ArchivedWal
    request: MomentRequest
    shards: dict[int, ShardMoment] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    until: list[tuple[datetime, str]] = field(default_factory=list)
    alone: str | None = None
    ended: dict[ReplicaLog, tuple[str, datetime]] = field(default_factory=dict)

    def fits(self, manifest: Manifest) -> bool:
        """Whether this backup is a base for the moment; ``shards`` is what it takes then."""
        found: dict[int, ShardMoment] = {}
        outside: list[str] = []
        ends: list[datetime | None] = []
        for shard in manifest.shards:
            tried, until = self._try(manifest, shard)
            ends.append(until)
            if isinstance(tried, str):
                outside.append(f"shard {shard['shard']}: {tried}")
            else:
                found[shard["shard"]] = tried
        strange = sorted(set(self.request.indexes or ()) - {shard["shard"] for shard in manifest.shards})
        outside += [f"it has no shard {number}" for number in strange]
        if not outside:
            self.shards = found
            return True
        self.reasons.append(f"base {manifest.backup_id}: {'; '.join(outside)}")
        known = [until for until in ends if until is not None]
        if len(known) == len(ends):
            self.until.append((min(known), manifest.backup_id))
        else:
            self.alone = self.alone or manifest.backup_id
        return False

    def since(self, manifest: Manifest) -> datetime:
        """From when on this base serves moments."""
        logs = (self._archived(manifest, shard, *self._log_of(manifest, shard)) for shard in manifest.shards)
        return served_from(manifest, logs)

    def _try(self, manifest: Manifest, shard: Json) -> tuple[ShardMoment | str, datetime | None]:
        """What a shard of a base takes, or why it does not have the moment; and up to when its log is known."""
        extent = self._extent_of(manifest, shard)
        if extent is not None and extent.log in self.ended:
            return self.ended[extent.log]
        log, headers = self._log_of(manifest, shard)
        archived = self._archived(manifest, shard, log, headers)
        broken = self.archive.broken.get(log) if log is not None else None
        cut = self._cut(archived, shard["shard"], broken)
        if isinstance(cut, Outside):
            reason = f"{cut.reason}; {broken}" if broken and broken != cut.reason else cut.reason
            if log is not None and cut.ended and archived.until is not None:
                self.ended[log] = reason, archived.until
            return reason, archived.until
        needed = cover(headers, archived.base_last + 1, cut.last) if cut.last > archived.base_last else []
        shared = headers[0] if headers and headers[0].first <= archived.base_last else None
        return ShardMoment(shard, log, cut, needed, shared, archived.until), archived.until

    def _extent_of(self, manifest: Manifest, shard: Json) -> Extent | None:
        """The timeline that the base of a shard goes on in."""
        return base_end(manifest, shard).timeline(self.archive.extents(shard["shard"], str(shard["peer_id"])))

    def _archived(
        self, manifest: Manifest, shard: Json, log: ReplicaLog | None, headers: list[ChunkHeader]
    ) -> ArchivedLog:
        position = self.archive.position(log) if log is not None else None
        return ArchivedLog(headers, shard["wal"]["last"], finished(manifest), position)

    def _cut(self, archived: ArchivedLog, shard: int, broken: str | None) -> Cut | Outside:
        if self.request.time is not None:
            return archived.at_time(self.request.time)
        if self.request.indexes is None:
            return Outside(broken, ended=True) if broken else archived.latest()
        if shard not in self.request.indexes:
            return Outside("no index is given for it")
        return archived.at_index(self.request.indexes[shard])

    def _log_of(self, manifest: Manifest, shard: Json) -> tuple[ReplicaLog | None, list[ChunkHeader]]:
        """The timeline that the base of a shard goes on in, and its chunks from the base's last entry on."""
        base, extent = base_end(manifest, shard), self._extent_of(manifest, shard)
        if extent is None:
            return None, []
        headers = self.archive.headers(extent.log, base.last)
        if headers and headers[0].first > base.may_begin(extent):
            lost = f"the entries {base.may_begin(extent)} to {headers[0].first - 1} are missing in the archive"
            self.archive.broken[extent.log] = lost
            return extent.log, []
        return extent.log, headers


def choose_base(
    sources: Sequence[Repository], archive: ArchivedWal, backup_id: str | None, request: MomentRequest
) -> tuple[Manifest, dict[int, ShardMoment], list[dict[str, str]]]:
    """The newest base that has the moment, what each shard takes, and notes as those of ``find_backup``.

    Raises ``MomentNotRestorable`` naming the nearest moments, and what ``find_backup`` raises.
    """
    search = MomentSearch(archive, request)
    collection = archive.collection
    try:
        manifest, notes = find_backup(sources, collection, backup_id, before=request.time, fits=search.fits)
    except BackupNotFound as error:
        if request.time is None and not search.reasons:
            raise
        raise _not_restorable(search, sources, error) from error
    return manifest, search.shards, notes


def _not_restorable(search: MomentSearch, sources: Sequence[Repository], error: BackupNotFound) -> MomentNotRestorable:
    time, collection = search.request.time, search.archive.collection
    wanted = f"its state of {_iso(time)}" if time is not None else "that moment"
    known = [each for each in search.until if time is None or each[0] <= time]
    before, base_before = max(known, default=(None, None))
    after, base_after = _next_base(search, sources)
    nearest = [
        f"The nearest moment before is {_iso(before)}, from base {base_before}."
        if before
        else "There is no moment before it."
    ]
    nearest += [f"Backup {search.alone} can be restored as it is."] if search.alone else []
    nearest += [f"The nearest one after it is {_iso(after)}, from base {base_after}."] if after else []
    why = "; ".join(search.reasons[:_REASONS]) + "." if search.reasons else error.detail
    if len(search.reasons) > _REASONS:
        why = f"{why.removesuffix('.')}; and {len(search.reasons) - _REASONS} older bases lack it, too."
    return MomentNotRestorable(
        f"{collection!r} cannot be restored to {wanted}: {why}",
        " ".join([*nearest, "wal_archive_info lists the restorable ranges."]),
        nearest_before=_iso(before),
        nearest_before_base=base_before,
        nearest_after=_iso(after),
        nearest_after_base=base_after,
    )


def _next_base(search: MomentSearch, sources: Sequence[Repository]) -> tuple[datetime | None, str | None]:
    """The oldest base that is newer than the moment, and from when on it serves."""
    later: list[Manifest] = []

    def remember(manifest: Manifest) -> bool:
        time = search.request.time
        if time is not None and finished(manifest) > time:
            later[:] = [manifest]
            return False
        # Ids tell whole seconds: of two backups in one, the older one may come first.
        return time is None or layout.backup_time(manifest.backup_id) + _SECOND <= time

    with suppress(BackupNotFound):
        find_backup(sources, search.archive.collection, fits=remember)
    return (search.since(later[0]), later[0].backup_id) if later else (None, None)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else exact(moment)
