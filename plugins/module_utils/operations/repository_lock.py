# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time among all hosts that share a repository: a lock that expires.

The lock is a row of objects ``.locks/<name>/<generation>.json``, of which the highest generation alone counts. Whoever
finds it free creates the next one with If-None-Match, which only one can; a holder writes to its own object only. So
taking over needs neither a delete nor If-Match, which not every store has, and a late write of a holder that was given
up changes nothing. A holder counts its time from before the lock was written: it gives up before others see it expire.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

from ..errors import Busy, DrError, InvalidInput, ObjectExists, ObjectNotFound
from ..formats.lock_layout import lock_generation, lock_key, locks_prefix
from ..stores.repository import Repository
from ..stores.store_clock import store_time
from .clock import iso, utc_now
from .liveness import has_ended, this_process

LIFE_SECONDS = 300.0
SHORTEST_LIFE_SECONDS = 3.0
_RENEWALS_A_LIFE = 3
# The Date of a store is cut to whole seconds.
_CLOCK_GRAIN_SECONDS = 1.0
_TRIES = 5

Json = dict[str, Any]


class RepositoryLock:
    """The lock named ``name`` of a repository, as a context manager: held within it, and renewed by a thread.

    ``life``: seconds after which others may take it over if it was not renewed. ``clock``: the time by which all
    contenders judge, None where it is not known (then each host's own clock counts).

    Entering raises ``Busy`` where another run holds it, or a StoreError.
    """

    def __init__(
        self,
        repository: Repository,
        name: str,
        life: float = LIFE_SECONDS,
        clock: Callable[[Repository], datetime | None] = store_time,
    ) -> None:
        if life < SHORTEST_LIFE_SECONDS:
            raise InvalidInput(f"A lock that lives for {life:g} s is too short.", "Give 3 seconds or more.")
        self._repository, self._name, self._life, self._clock = repository, name, life, clock
        self._token = secrets.token_hex(8)
        self._generation = 0
        self._since = ""
        self._deadline = 0.0
        self._stop = Event()
        self._keeper = Thread(target=self._keep, name=f"lock {name}", daemon=True)

    def __enter__(self) -> RepositoryLock:
        self._acquire()
        self._keeper.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._keeper.join()
        if self.held:
            # What could not be given back expires.
            with contextlib.suppress(DrError):
                self._write(released=True)
        self._deadline = 0.0

    @property
    def held(self) -> bool:
        """Whether it is still held: not where it could not be renewed in time."""
        return _uptime() < self._deadline

    def require(self) -> None:
        """Raise Busy if it is not held any more: another run may have begun."""
        if not self.held:
            raise Busy(
                f"The lock {self._name!r} of {self._repository.url('')} could not be renewed in time.",
                "Another run may have begun meanwhile: run again.",
            )

    # -- taking it

    def _acquire(self) -> None:
        holder: Json = {}
        for _try in range(_TRIES):
            # Before looking: what has not expired by now, and is renewed while this looks, is not found expired.
            now = self._now()
            generation, holder = self._newest()
            if not _is_free(holder, now):
                raise self._busy(holder)
            self._generation = generation + 1
            if self._created() and self.held and self._is_newest():
                self._remove_older()
                return
        raise self._busy(holder)

    def _created(self) -> bool:
        try:
            self._deadline = self._write(if_none_match=True)
        except ObjectExists:
            return False
        return True

    def _is_newest(self) -> bool:
        """Whether the lock that was just written counts. One below others, by a stale look, is withdrawn."""
        newest, holder = self._newest()
        if newest == self._generation and holder.get("token") == self._token:
            return True
        self._deadline = 0.0
        if newest > self._generation:
            self._repository.delete([lock_key(self._name, self._generation)])
        return False

    def _remove_older(self) -> None:
        """Tidy up; a store that does not let this writer delete keeps a row of small objects."""
        with contextlib.suppress(DrError):
            self._repository.delete(
                [lock_key(self._name, number) for number in self._generations() if number < self._generation]
            )

    def _busy(self, holder: Json) -> Busy:
        process = holder.get("process") or {}
        owner = f"process {process.get('pid', '?')} on {process.get('host', 'an unknown host')}"
        until = holder.get("expires", "unknown")
        return Busy(
            f"The lock {self._name!r} of {self._repository.url('')} is held by {owner} since "
            f"{holder.get('since', 'unknown')}; it expires at {until} unless it is renewed.",
            "Let that run end; the lock of one that was killed expires by itself.",
            owner=process,
            expires=until,
        )

    # -- holding it

    def _keep(self) -> None:
        while not self._stop.wait(self._life / _RENEWALS_A_LIFE):
            renewed = 0.0
            # Where the store does not answer, the next turn tries again, as long as there is time.
            with contextlib.suppress(DrError):
                renewed = self._write()
            # A renewal that came too late may have crossed a takeover.
            if not self.held or not self._still_counts():
                self._deadline = 0.0
                return
            self._deadline = max(self._deadline, renewed)

    def _still_counts(self) -> bool:
        try:
            return max(self._generations(), default=0) == self._generation
        except DrError:
            return True

    def _write(self, if_none_match: bool = False, released: bool = False) -> float:
        """Store the lock anew; returns until when it is held, on the scale of ``_uptime``."""
        asked = _uptime()
        now = self._now()
        self._since = self._since or iso(now)
        content = {
            "name": self._name,
            "token": self._token,
            "process": this_process(),
            "since": self._since,
            "expires": iso(now + timedelta(seconds=self._life)),
            "released": released,
        }
        key = lock_key(self._name, self._generation)
        data = json.dumps(content).encode("ascii")
        self._repository.put(key, data, if_none_match=if_none_match, content_type="application/json")
        return asked + self._life - _CLOCK_GRAIN_SECONDS

    # -- looking

    def _now(self) -> datetime:
        return self._clock(self._repository) or utc_now()

    def _generations(self) -> list[int]:
        keys = (item.key for item in self._repository.list(locks_prefix(self._name)))
        return [number for key in keys if (number := lock_generation(key)) is not None]

    def _newest(self) -> tuple[int, Json]:
        """The highest generation and what it holds; ``(0, {})`` where there is none."""
        for _try in range(_TRIES):
            generation = max(self._generations(), default=0)
            if generation == 0:
                return 0, {}
            try:
                return generation, self._read(lock_key(self._name, generation))
            except ObjectNotFound:
                continue
        raise Busy(f"The lock {self._name!r} of {self._repository.url('')} changes hands all the time.", "Run again.")

    def _read(self, key: str) -> Json:
        try:
            holder = json.loads(self._repository.get(key))
            _moment(holder["expires"])
            dict(holder.get("process", {}))
        except (AttributeError, KeyError, TypeError, ValueError):
            written = self._repository.head(key).last_modified or utc_now()
            return {"expires": iso(written + timedelta(seconds=self._life))}
        return dict(holder)


def collection_lock(repository: Repository, collection: str) -> RepositoryLock:
    """The lock of those who change committed backups of a collection: copies that arrive, repairs, and prunes.

    A backup that is being made needs none: nobody else touches what has no manifest and was written to lately.
    """
    return RepositoryLock(repository, f"backups-of-{quote(collection, safe='')}")


def _is_free(holder: Json, now: datetime) -> bool:
    if not holder or holder.get("released") or has_ended(holder.get("process") or {}):
        return True
    return now >= _moment(holder["expires"])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return moment


def _uptime() -> float:
    """Seconds that go on while the host sleeps, and that no change of its clock touches."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
