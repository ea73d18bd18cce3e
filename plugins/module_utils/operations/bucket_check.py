# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove what a store really does, by small objects in a folder of their own that are removed again.

Stores answer 200 and ignore what they were asked, so nothing counts here but what is seen afterwards. A store that also
lies about what it holds can still deceive: the proof of a backup is that its bytes are read back.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..errors import BucketUnfit, DrError, StoreDenied, StoreError, StoreUnreachable
from ..formats.bucket_verdict import (
    CHECKS,
    FAILED,
    NOT_CHECKED,
    UNSUPPORTED,
    Observation,
    default_required,
    expand,
    overall,
    stamp,
    table,
    unmet,
)
from ..formats.probe_layout import PROBES_FOLDER, is_to_remove
from ..stores import s3_errors
from ..stores.probe_repository import ProbeRepository
from ..stores.repository import Repository
from ..stores.versions import Version
from .bucket_guards import GUARDS, ClockReading, Guarded
from .bucket_probes import DATA, PROBES

MAX_CLOCK_SKEW = 60.0
_UNKNOWN_TO_STORES = (405, 501)

Json = dict[str, Any]


def check_bucket(
    repository: Repository,
    required: Sequence[str] | None = None,
    max_clock_skew: float = MAX_CLOCK_SKEW,
    check: bool = False,
) -> Json:
    """Check the store of a repository.

    Args:
        repository: its bucket, prefix and settings are what is checked.
        required: names of checks and groups that must pass; by default what a backup with its settings relies on.
        max_clock_skew: seconds that the clocks of store and host may be apart.
        check: write nothing; what cannot be seen so is not checked.

    Returns:
        ``{verdict, checks, leftovers, seconds, warnings}``, as the module ``bucket_check`` documents them.

    Raises:
        BucketUnfit: a required check did not pass; all of this but the warnings is its ``result``.
        StoreError: the bucket is not there, or these credentials can do nothing in it.
    """
    began = time.monotonic()
    settings = repository.location
    names = default_required(settings.encryption, settings.checksum_mode) if required is None else required
    repository.check_access()
    clock = ClockReading.of(repository)
    with _probes(repository, clock, write=not check) as (probes, leftovers):
        observations = _observe(probes, clock, max_clock_skew, write=not check)
    rows = table(observations, expand(names))
    result = {"checks": rows, "leftovers": leftovers, "seconds": round(time.monotonic() - began, 3)}
    faults = unmet(rows, writing=not check)
    if faults:
        raise _unfit(repository, faults, {"verdict": FAILED, **result})
    notable = {FAILED, UNSUPPORTED} if check else {FAILED, UNSUPPORTED, NOT_CHECKED}
    warnings = [f"{row['check']}: {row['detail']}" for row in rows if row["verdict"] in notable]
    return {"verdict": overall(rows), **result, "warnings": warnings}


def _unfit(repository: Repository, faults: list[Json], result: Json) -> BucketUnfit:
    told = " ".join(f"{row['check']} ({row['verdict']}, found: {row['found']}): {row['detail']}" for row in faults)
    return BucketUnfit(
        f"{repository.url('')} does not do what is required. {told}",
        "Change the bucket's settings or the store, or require less; checks has the whole table.",
        **result,
    )


@contextlib.contextmanager
def _probes(repository: Repository, clock: ClockReading, write: bool) -> Iterator[tuple[ProbeRepository, list[Json]]]:
    """A folder for the probes of one check, and the list that names what could not be removed from it afterwards."""
    token = secrets.token_hex(8)
    leftovers: list[Json] = []
    with ProbeRepository(repository.location) as everything, everything.folder(token) as probes:
        try:
            yield probes, leftovers
        except BaseException:
            # The error that ended the check is the one to tell; the next check removes what is left.
            with contextlib.suppress(DrError):
                if write:
                    _remove(everything, token, clock)
            raise
        if write:
            leftovers += _remove(everything, token, clock)


def _remove(everything: ProbeRepository, token: str, clock: ClockReading) -> list[Json]:
    """Remove the probes of this check, and what killed ones have left; names what is still there then, and why."""

    def to_remove() -> list[Version]:
        now = clock.store_now()
        return [each for each in everything.versions() if is_to_remove(each.key, token, each.written, now)]

    left = _abort(everything, token, clock.store_now())
    reasons: dict[Version, str] = {}
    for version in to_remove():
        try:
            everything.delete_version(version)
        except StoreError as error:
            reasons[version] = error.detail
    return left + [_leftover(everything, version, reasons.get(version)) for version in to_remove()]


def _abort(everything: ProbeRepository, token: str, now: datetime) -> list[Json]:
    """Drop the open uploads among the probes; names those that the store kept."""
    left = []
    # Credentials that may not list uploads leave it to the bucket's lifecycle rule.
    with contextlib.suppress(StoreError):
        for key, upload_id, begun in list(everything.uploads()):
            if is_to_remove(key, token, begun, now):
                try:
                    everything.abort_upload(key, upload_id)
                except StoreError as error:
                    name = f"multipart upload of {PROBES_FOLDER}/{key}"
                    left.append({"key": name, "version_id": None, "locked_until": None, "reason": error.detail})
    return left


def _leftover(everything: ProbeRepository, version: Version, reason: str | None) -> Json:
    until = None
    # What may not be looked at has no time to tell.
    with contextlib.suppress(StoreError):
        until = everything.locked_until(version)
    return {
        "key": f"{PROBES_FOLDER}/{version.key}",
        "version_id": version.version_id,
        "locked_until": stamp(until) if until else None,
        "reason": reason or "The store answered that it was deleted, and still has it.",
    }


def _observe(
    probes: ProbeRepository, clock: ClockReading, max_clock_skew: float, write: bool
) -> dict[str, Observation]:
    """The observation of each check."""
    observations = {}
    with contextlib.ExitStack() as stack:
        may_lock = write and _begin(probes, clock, stack)
        guarded = Guarded(probes, clock, max_clock_skew, write, may_lock)
        for name in [check.name for check in CHECKS]:
            if name in GUARDS:
                observations[name] = _observed(partial(GUARDS[name], guarded))
            elif write:
                observations[name] = _observed(partial(PROBES[name], probes))
            else:
                detail = "Check mode writes nothing, and without an object there is nothing to see."
                observations[name] = Observation(NOT_CHECKED, "not looked at", detail)
    return observations


def _begin(probes: ProbeRepository, clock: ClockReading, stack: contextlib.ExitStack) -> bool:
    """Put a first probe, without which there is nothing to check; returns whether these credentials may lock objects.

    Where the bucket locks all new objects, perhaps for weeks, probes are locked for a minute instead, if that may be.
    """
    try:
        retention = probes.default_retention()
    except StoreError:
        retention = None
    if retention:
        try:
            with probes.locking(clock.lock_end):
                probes.put("first", DATA)
        except StoreDenied:
            probes.put("first", DATA)
            return False
        stack.enter_context(probes.locking(clock.lock_end))
        return True
    probes.put("first", DATA)
    return True


def _observed(check: Callable[[], Observation]) -> Observation:
    """What a check has found, or what its error means for it. Raises StoreUnreachable where nothing answers."""
    try:
        return check()
    except StoreDenied as error:
        return Observation(NOT_CHECKED, "denied", error.detail)
    except StoreUnreachable as error:
        if not s3_errors.status(error.__cause__):
            raise
        return Observation(NOT_CHECKED, "no answer", error.detail)
    except StoreError as error:
        verdict = UNSUPPORTED if s3_errors.status(error.__cause__) in _UNKNOWN_TO_STORES else FAILED
        return Observation(verdict, "unknown to the store" if verdict == UNSUPPORTED else "an error", error.detail)
