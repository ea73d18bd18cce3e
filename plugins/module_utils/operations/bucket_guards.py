# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what guards a bucket: versions, locks, access. Part of each only reads, which check mode does too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ..errors import StoreUnreachable
from ..formats.bucket_verdict import FAILED, NOT_CHECKED, PASSED, Observation, judge_clock, judge_lock
from ..stores.probe_repository import ProbeRepository
from ..stores.repository import Repository
from ..stores.store_clock import store_time
from ..stores.versions import Version
from ..stores.versions import versioning as read_versioning
from .bucket_probes import DATA, put_in_parts, refusal
from .clock import utc_now

_LOCK = timedelta(minutes=1)
_CONFIGURED = "The bucket's settings say so; whether it works is not seen in check mode, which writes nothing."


@dataclass(frozen=True)
class ClockReading:
    """The store's clock, None where it tells none, between two readings of this host's."""

    asked: datetime
    told: datetime | None
    answered: datetime

    @classmethod
    def of(cls, repository: Repository) -> ClockReading:
        """Ask the store once."""
        asked = utc_now()
        told = store_time(repository)
        return cls(asked, told, utc_now())

    def store_now(self) -> datetime:
        """The time that it is at the store by now, as far as its clock is known."""
        return utc_now() + ((self.told or self.asked) - self.asked)

    def lock_end(self) -> datetime:
        """Until when a probe is to be locked that is put now: long enough to be seen, and no longer."""
        return self.store_now() + _LOCK


@dataclass(frozen=True)
class Guarded:
    """What these checks need to know.

    ``write``: whether they may write. ``may_lock``: whether these credentials may lock what they put; otherwise the
    bucket's default retention is what there is to see.
    """

    probes: ProbeRepository
    clock: ClockReading
    max_clock_skew: float
    write: bool
    may_lock: bool


def clock_skew(guarded: Guarded) -> Observation:
    """Compare the store's clock with this host's."""
    clock = guarded.clock
    return judge_clock(clock.asked, clock.told, clock.answered, guarded.max_clock_skew)


def versioning(guarded: Guarded) -> Observation:
    """Overwrite an object, and read its older version."""
    probes = guarded.probes
    state = read_versioning(probes) or "not enabled"
    if state != "Enabled":
        return Observation(FAILED, state, "The bucket has no versioning: what is overwritten or deleted is lost.")
    if not guarded.write:
        return Observation(NOT_CHECKED, state, _CONFIGURED)
    first = probes.put("versions", DATA)
    probes.put("versions", DATA[:1])
    if first.version_id is None or probes.get_version("versions", first.version_id) != DATA:
        return Observation(
            FAILED, "older version lost", "An overwritten object's older version does not read as it was."
        )
    return Observation(PASSED, state, "An overwritten object's older version was read.")


def object_lock(guarded: Guarded) -> Observation:
    """Lock versions for a minute, put at once and in parts, and try to delete them."""
    probes = guarded.probes
    retention = probes.default_retention()
    if retention is None:
        return Observation(
            FAILED, "not enabled", "The bucket has no object lock: whoever may delete can delete backups."
        )
    if not guarded.write:
        return Observation(NOT_CHECKED, f"enabled, by default {retention or 'without retention'}", _CONFIGURED)
    with probes.locking(guarded.clock.lock_end) if guarded.may_lock else contextlib.nullcontext():
        probes.put("locked", DATA)
        put_in_parts(probes, "locked-in-parts", DATA)
    locks: dict[str, datetime | None] = {}
    deleted = []
    for way, key in (("at once", "locked"), ("in parts", "locked-in-parts")):
        info = probes.head(key)
        version = Version(key, info.version_id, guarded.clock.store_now())
        locks[way] = probes.locked_until(version)
        if refusal(partial(probes.delete_version, version)) is None:
            deleted.append(way)
    return judge_lock(locks, deleted, retention)


def anonymous_refused(guarded: Guarded) -> Observation:
    """Ask without credentials."""
    probes = guarded.probes
    with probes.unsigned() as stranger:
        attempts: dict[str, Callable[[], object]] = {"list": stranger.check_access}
        if guarded.write:
            probes.put("private", DATA)
            attempts["read"] = lambda: stranger.get("private")
            attempts["write"] = lambda: stranger.put("foreign", DATA)
        allowed = [verb for verb, attempt in attempts.items() if refusal(attempt) is None]
    if allowed:
        verbs = ", ".join(allowed)
        return Observation(FAILED, f"may {verbs}", f"Somebody without credentials may {verbs} here: close the bucket.")
    if not guarded.write:
        detail = "To list without credentials was refused; check mode tries neither to read nor to write."
        return Observation(NOT_CHECKED, "listing refused", detail)
    return Observation(PASSED, "refused", "Requests to list, read and write without credentials were refused.")


def plain_http_refused(guarded: Guarded) -> Observation:
    """Send a signed request over plain HTTP."""
    plain = guarded.probes.over_plain_http()
    if plain is None:
        detail = "What is sent to this endpoint can be read and changed on the way: use one with https."
        return Observation(FAILED, "the endpoint itself is plain HTTP", detail)
    with plain:
        try:
            reason = refusal(plain.check_access)
        except StoreUnreachable as error:
            return Observation(PASSED, "no answer", error.detail)
    if reason is None:
        return Observation(
            FAILED, "answered", "The store answers plain HTTP: deny it by a policy (aws:SecureTransport)."
        )
    return Observation(PASSED, "refused", "A signed request over plain HTTP was refused.")


GUARDS: dict[str, Callable[[Guarded], Observation]] = {
    "versioning": versioning,
    "object_lock": object_lock,
    "anonymous_refused": anonymous_refused,
    "plain_http_refused": plain_http_refused,
    "clock_skew": clock_skew,
}
