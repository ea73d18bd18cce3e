# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the archived logs of a collection in all regions, and put good objects in the place of bad ones.

A timeline is one unbroken run of entries, so what is missing between its chunks is lost or was removed; that a region
has less of it at its ends is no finding, since copies follow later and prunes begin with the oldest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import Busy, DamagedBackup, DrError, IntegrityError, ObjectNotFound, StoreError, WrongKey
from ..formats.wal_chunk import require_continuous
from ..formats.wal_chunk_header import ChunkHeader
from ..formats.wal_layout import ReplicaLog, parse_timeline_key, parse_wraps_key, timeline_key, timeline_prefix
from ..stores.master_keys import key_ring
from ..stores.repository import Repository
from .catalogue import READERS
from .data_keys import wrong_key
from .leftovers import exists
from .repository_lock import collection_lock
from .verify_backup import CONTENT, KEY, MISSING, Finding
from .wal_keys import ChunkKeys, archive_of, contexts, keep_record, key_of, prove_wraps
from .wal_listing import (
    StoredChunk,
    chunks,
    first_chunk,
    prove_chunk,
    prove_record,
    read_timeline,
    replicas,
    timelines,
)

# The chunk is sound in itself, and does not continue the one before it.
CHAIN = "chain"


@dataclass
class RegionLogs:
    """The archived logs of one collection in one region. ``unreached``: why it could not be asked to the end.

    ``records``: the timelines with a valid record; ``wraps``: the keys of the records of data keys that have a wrap;
    ``size``: bytes of chunks that were read; ``busy``: why what is missing could not be told from what another run has
    yet to bring. ``secrets``: opens what the region's own keys open, None where it has none. ``sealed``: the key of the
    record of a data key -> the newest chunk that was read of those it encrypts.
    """

    region: Repository
    unreached: str | None = None
    logs: dict[ReplicaLog, list[StoredChunk]] = field(default_factory=dict)
    records: set[ReplicaLog] = field(default_factory=set)
    wraps: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    size: int = 0
    busy: str | None = None
    secrets: ChunkKeys | None = None
    sealed: dict[str, ChunkHeader] = field(default_factory=dict)

    def found(self, key: str, problem: str, reason: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(self.region.name, key, problem, reason))

    def has(self, key: str) -> bool:
        """Whether an object is there and nothing is known to be wrong with it."""
        if any(finding.object == key for finding in self.findings):
            return False
        log = parse_timeline_key(key)
        if log is not None:
            return log in self.records
        return key in self.wraps or any(chunk.key == key for stored in self.logs.values() for chunk in stored)

    def describe(self, collection: str) -> dict[str, Any]:
        """As the module ``backup_verify`` documents it."""
        damaged = any(not finding.repaired for finding in self.findings)
        verdict = "damaged" if damaged else "repaired" if self.findings else "good"
        return {
            "collection": collection,
            "region": self.region.name,
            "chunks": sum(map(len, self.logs.values())),
            "bytes_read": self.size,
            "verdict": verdict if damaged or self.unreached is None else "unreachable",
        }


def look_at_wal(
    regions: Sequence[Repository], collection: str, content: bool, is_due: Callable[[str], bool], check: bool
) -> list[RegionLogs]:
    """Verify the archived logs in all regions at once; regions without any are left out.

    ``content``: read the chunks whose keys are due. ``check``: take no locks, so that what a copy has yet to bring
    looks as if it were missing.
    """

    def look(region: Repository) -> RegionLogs:
        encrypts = region.location.client_encryption is not None
        found = RegionLogs(region, secrets=ChunkKeys([region]) if encrypts else None)
        try:
            _look(found, collection, content, is_due)
        except StoreError as error:
            found.unreached = error.detail
        return found

    with ThreadPoolExecutor(max(1, len(regions)), thread_name_prefix="verify-wal") as threads:
        copies = [each for each in threads.map(look, regions) if each.logs or each.unreached is not None]
    for copy in copies:
        if not check:
            _look_again(copy, collection)
        if copy.busy is None:
            _find_gaps(copy, copies)
        for finding in copy.findings:
            others = copies if finding.problem not in (CHAIN, KEY) else []
            finding.healthy = [each.region.name for each in others if each is not copy and each.has(finding.object)]
    return copies


def _look(found: RegionLogs, collection: str, content: bool, is_due: Callable[[str], bool]) -> None:
    _look_at_wraps(found, collection)
    for shard, names in replicas(found.region, collection).items():
        for log in (log for replica in names for log in timelines(found.region, collection, shard, replica)):
            found.logs[log] = chunks(found.region, log)
            _look_at_record(found, log)
            if content:
                _read_chunks(found, [chunk for chunk in found.logs[log] if is_due(chunk.key)])


def _look_at_record(found: RegionLogs, log: ReplicaLog) -> None:
    key = timeline_key(log)
    try:
        read_timeline(found.region, log)
        found.records.add(log)
    except ObjectNotFound:
        found.found(key, MISSING, "the record of the timeline is missing")
    except IntegrityError as error:
        found.found(key, CONTENT, error.detail)


def _look_at_wraps(found: RegionLogs, collection: str) -> None:
    """Whether each data key has a wrap, and the region's own keys open it by what is in this region alone."""
    ring = key_ring(found.region.location)

    def look(context: dict[str, str]) -> None:
        key = key_of(context)
        try:
            record = prove_wraps(found.region, key, found.region.get(key))
        except ObjectNotFound:
            return
        except IntegrityError as error:
            found.found(key, CONTENT, error.detail)
            return
        found.wraps.add(key)
        wraps = record.of(context["data_key"])
        if ring is not None and ring.open(wraps, context) is None:
            found.found(key, KEY, wrong_key(archive_of(context), wraps, ring.keys).detail)

    with ThreadPoolExecutor(READERS, thread_name_prefix="verify-wraps") as threads:
        list(threads.map(look, contexts(found.region, collection)))


def _look_for_wraps(found: RegionLogs, header: ChunkHeader) -> None:
    """Whether there is a record of the data key of a chunk: else no rotation of the master key would find it."""
    if header.key_context is None:
        return
    key = key_of(header.key_context)
    newest = found.sealed.setdefault(key, header)
    if newest.polls[-1].before < header.polls[-1].before:
        found.sealed[key] = header
    if key not in found.wraps and all(key != finding.object for finding in found.findings):
        found.found(key, MISSING, "the record of a data key is missing, so that a rotation would pass it over")


def _secret_of(found: RegionLogs, header: ChunkHeader) -> bytes | None:
    """The data key of an encrypted chunk, if the region's own keys open it."""
    try:
        return found.secrets.of(header) if found.secrets is not None else None
    except WrongKey:
        return None


def _read_chunks(found: RegionLogs, stored: Sequence[StoredChunk]) -> None:
    """Read chunks of one timeline, in order, and compare each with the one before."""

    def read(chunk: StoredChunk) -> ChunkHeader | str | None:
        try:
            data, secret_of = found.region.get(chunk.key), partial(_secret_of, found)
            return prove_chunk(found.region, chunk.key, data, secret_of, summary=True)
        except ObjectNotFound:
            return None
        except IntegrityError as error:
            return error.detail

    before: ChunkHeader | None = None
    with ThreadPoolExecutor(READERS, thread_name_prefix="verify-chunk") as threads:
        for chunk, outcome in zip(stored, threads.map(read, stored), strict=True):
            if isinstance(outcome, str):
                found.found(chunk.key, CONTENT, outcome)
            elif outcome is not None:
                found.size += chunk.size
                _look_for_wraps(found, outcome)
                _compare(found, before, outcome)
                before = outcome


def _compare(found: RegionLogs, before: ChunkHeader | None, after: ChunkHeader) -> None:
    try:
        if before is not None:
            require_continuous(before, after)
    except IntegrityError as error:
        found.found(after.key, CHAIN, error.detail)


def _look_again(copy: RegionLogs, collection: str) -> None:
    """List timelines with gaps once more, while no copy is at work that may be filling them."""
    broken = [log for log, stored in copy.logs.items() if _gaps(stored)]
    if not broken:
        return
    try:
        with collection_lock(copy.region, collection):
            copy.logs |= {log: chunks(copy.region, log) for log in broken}
    except Busy as error:
        copy.busy = error.detail
    except StoreError:
        # Credentials that may only read: what was seen counts.
        return


def _gaps(stored: Sequence[StoredChunk]) -> list[tuple[int, int]]:
    """First and last index (inclusive) of what is missing between these chunks."""
    found = []
    following = stored[0].first if stored else 0
    for chunk in stored:
        if chunk.first > following:
            found.append((following, chunk.first - 1))
        following = max(following, chunk.last + 1)
    return found


def _find_gaps(copy: RegionLogs, copies: Sequence[RegionLogs]) -> None:
    """Name the chunks that others have of what is missing, and the entries that nobody has."""
    for log, stored in copy.logs.items():
        for first, last in _gaps(stored):
            _find_missing(copy, copies, log, first, last)


def _find_missing(copy: RegionLogs, copies: Sequence[RegionLogs], log: ReplicaLog, first: int, last: int) -> None:
    elsewhere = [chunk for each in copies if each is not copy for chunk in each.logs.get(log, [])]
    for chunk in sorted(elsewhere, key=lambda chunk: (chunk.first, -chunk.last)):
        if chunk.first <= first <= chunk.last and first <= last:
            copy.found(chunk.key, MISSING, f"the entries {first} to {min(chunk.last, last)} are missing")
            first = chunk.last + 1
    if first <= last:
        copy.found(timeline_prefix(log), MISSING, f"the entries {first} to {last} are missing, and no region has them")


def repair_wal(copies: Sequence[RegionLogs], collection: str, check: bool) -> None:
    """Put what another region has good in the place of what is bad or missing; each finding tells how that went.

    The record of a data key that no region has is made anew from a chunk that it encrypts.

    ``check`` only reads, and marks what would be mended.
    """
    for copy in copies:
        findings = [finding for finding in copy.findings if finding.healthy or _can_rebuild(copy, finding)]
        if not findings or copy.unreached is not None:
            continue
        try:
            if check:
                _mend_all(copy, copies, findings, check)
            else:
                with collection_lock(copy.region, collection):
                    _mend_all(copy, copies, findings, check)
        except DrError as error:
            for finding in findings:
                _tell(finding, error)


def _mend_all(copy: RegionLogs, copies: Sequence[RegionLogs], findings: Sequence[Finding], check: bool) -> None:
    for finding in findings:
        others = [each.region for each in copies if each.region.name in finding.healthy]
        try:
            if others:
                _mend(copy.region, others, finding, check)
            elif not check:
                _rebuild(copy.region, copy.sealed[finding.object])
            finding.repaired = True
        except DrError as error:
            _tell(finding, error)


def _can_rebuild(copy: RegionLogs, finding: Finding) -> bool:
    """Whether it is the record of a data key that is missing, and a chunk has the wrap. What is damaged stays: a wrap
    of a rotation might be saved from it."""
    return finding.problem == MISSING and finding.object in copy.sealed


def _rebuild(region: Repository, header: ChunkHeader) -> None:
    """The record of the data key of a chunk, as it was before any rotation."""
    keep_record(region, header)
    key = key_of(header.key_context or {})
    prove_wraps(region, key, region.get(key))


def _mend(region: Repository, others: Sequence[Repository], finding: Finding, check: bool) -> None:
    key = finding.object
    data = _first_good(others, key, _prover(key))
    if check:
        return
    if not _is_still_wanted(region, finding):
        raise DamagedBackup("It was pruned since it was looked at.")
    content_type = "application/json" if key.endswith(".json") else "application/octet-stream"
    region.verify_encryption(region.put(key, data, content_type=content_type))
    if region.get(key) != data:
        raise DamagedBackup(f"{region.url(key)} does not read back as it was written.")


def _prover(key: str) -> Callable[[Repository, str, bytes], object]:
    if parse_timeline_key(key) is not None:
        return prove_record
    return prove_wraps if parse_wraps_key(key) is not None else prove_chunk


def _first_good(others: Sequence[Repository], key: str, prove: Callable[[Repository, str, bytes], object]) -> bytes:
    reasons = []
    for other in others:
        try:
            data = other.get(key)
            prove(other, key, data)
            return data
        except (StoreError, IntegrityError) as error:
            reasons.append(f"{other.name}: {error.detail}")
    raise DamagedBackup(" ".join(reasons))


def _is_still_wanted(region: Repository, finding: Finding) -> bool:
    """Not where a prune has taken the object, or all before it, meanwhile."""
    log = parse_timeline_key(finding.object)
    if log is not None:
        return first_chunk(region, log) is not None
    if parse_wraps_key(finding.object) is not None:
        return finding.problem == MISSING or exists(region, finding.object)
    if finding.problem != MISSING:
        return exists(region, finding.object)
    return any(item.key < finding.object for item in region.list(finding.object.rpartition("/")[0] + "/"))


def _tell(finding: Finding, error: DrError) -> None:
    finding.reason = f"{finding.reason.rstrip('.')}. Not repaired: {error.detail}"
