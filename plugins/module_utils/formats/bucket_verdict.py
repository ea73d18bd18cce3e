# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store is checked for, and the verdict on what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

PASSED, FAILED, UNSUPPORTED, NOT_CHECKED = "passed", "failed", "unsupported", "not_checked"
ALL = "all"

Row = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One check: its stable name, the group that it is in, and what a store must do to pass."""

    name: str
    group: str
    wanted: str


CHECKS = (
    Check("encryption_asked", "encryption", "objects show the encryption that was asked for, in one put and in parts"),
    Check("encryption_default", "encryption", "an object put without asking is encrypted, or refused"),
    Check("checksum_sha256", "checksums", "a put with a wrong SHA-256 is refused"),
    Check("checksum_sha256_part", "checksums", "a part with a wrong SHA-256 is refused"),
    Check("checksum_md5", "checksums", "a put with a wrong Content-MD5 is refused"),
    Check("checksum_md5_part", "checksums", "a part with a wrong Content-MD5 is refused"),
    Check("checksum_crc32", "checksums", "a put with a wrong CRC-32 is refused"),
    Check("checksum_crc32c", "checksums", "a put with a wrong CRC-32C is refused"),
    Check("versioning", "immutability", "an overwritten object's older version can be read"),
    Check("object_lock", "immutability", "locked versions cannot be deleted, put at once or in parts"),
    Check("anonymous_refused", "access", "list, read and write without a signature are refused"),
    Check("plain_http_refused", "access", "a signed request over plain HTTP is refused or not answered"),
    Check("conditional_write", "behaviour", "a put with If-None-Match leaves an object that is there"),
    Check("range_read", "behaviour", "a range is answered with exactly its bytes"),
    Check("multipart_copy", "behaviour", "parts that the store copies by itself have the right bytes"),
    Check("listing_complete", "behaviour", "new objects are listed at once, on all pages"),
    Check("delete_effective", "behaviour", "a deleted object is gone at once"),
    Check("clock_skew", "behaviour", "the clocks of store and host agree"),
)
NAMES = tuple(check.name for check in CHECKS)
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))


@dataclass(frozen=True)
class Observation:
    """What a check has found: ``found`` in a few words, ``detail`` in a sentence, and the verdict."""

    verdict: str
    found: str
    detail: str


def default_required(encryption: str, checksum_mode: str) -> list[str]:
    """The checks that a backup with these settings of its repository relies on.

    ``delete_effective`` is none of them: a writer that may not delete is good practice.
    """
    algorithm = "sha256" if checksum_mode == "when_supported" else "md5"
    return [
        *(["encryption_asked"] if encryption != "none" else []),
        f"checksum_{algorithm}",
        f"checksum_{algorithm}_part",
        "anonymous_refused",
        "conditional_write",
        "range_read",
        "listing_complete",
        "clock_skew",
    ]


def expand(names: Iterable[str]) -> set[str]:
    """The names of the checks that names of checks and groups stand for; ``all`` stands for every one."""
    given = set(names)
    return {check.name for check in CHECKS if given & {check.name, check.group, ALL}}


def judge_checksum(algorithm: str, wrong_refused: bool, right_refused: str | None) -> Observation:
    """The verdict on a checksum.

    A store that refuses everything has checked nothing.

    Args:
        algorithm: its name.
        wrong_refused: whether bytes with a wrong one were refused.
        right_refused: why bytes with the right one were refused; None where they were taken.
    """
    if not wrong_refused:
        return Observation(FAILED, "taken", f"Bytes with a wrong {algorithm} were taken: the store does not check it.")
    if right_refused is not None:
        detail = f"Bytes with the right {algorithm} were refused as well. {right_refused}"
        return Observation(UNSUPPORTED, "refused whether right or wrong", detail)
    return Observation(PASSED, "refused", f"Bytes with a wrong {algorithm} were refused, with the right one taken.")


def judge_clock(asked: datetime, told: datetime | None, answered: datetime, limit: float) -> Observation:
    """The verdict on a store's clock.

    Args:
        asked, answered: this host's times before and after (aware).
        told: the store's time in between, cut to whole seconds; None where it told none.
        limit: seconds that they may be apart.
    """
    if told is None:
        return Observation(UNSUPPORTED, "no date", "The store's answers carry no date.")
    behind = (asked - told - timedelta(seconds=1)).total_seconds()
    ahead = (told - answered).total_seconds()
    skew = max(0.0, behind, ahead)
    direction = "" if skew == 0 else " ahead" if ahead > 0 else " behind"
    found = f"{skew:.0f} s{direction}"
    if skew > limit:
        detail = f"The store's clock is {found} of this host's; {limit:g} s are allowed. Synchronize both by NTP."
        return Observation(FAILED, found, detail)
    return Observation(PASSED, found, "The store's clock and this host's agree.")


def judge_lock(locks: Mapping[str, datetime | None], deleted: Collection[str], retention: str) -> Observation:
    """The verdict on object lock.

    Args:
        locks: for each way to put an object, until when its version shows that it is locked; None if it shows no lock.
        deleted: the ways whose versions could be deleted all the same.
        retention: the bucket's own for new objects, in words; empty where it has none.
    """
    shown = {way: f"locked until {stamp(until)}" if until else "not locked" for way, until in locks.items()}
    found = "; ".join(f"{way}: {'deleted' if way in deleted else shown[way]}" for way in locks)
    if deleted:
        ways = ", ".join(deleted)
        return Observation(FAILED, found, f"A version that was to be locked could be deleted ({ways}).")
    unlocked = [way for way, until in locks.items() if until is None]
    if unlocked:
        detail = f"The delete was refused, but the version shows no lock ({', '.join(unlocked)})."
        return Observation(FAILED, found, f"{detail} These credentials may lack the right to delete, or to see locks.")
    default = f"locks new objects itself: {retention}" if retention else "locks no object by itself"
    detail = f"Deleting locked versions was refused; the leftovers are unlocked at these times. The bucket {default}."
    return Observation(PASSED, found, detail)


def stamp(moment: datetime) -> str:
    """A time as results have it: UTC, whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(observations: Mapping[str, Observation], required: Collection[str]) -> list[Row]:
    """One row for each check, in their order: what was required and wanted, what was found, and the verdict."""
    return [
        {
            "check": check.name,
            "group": check.group,
            "required": check.name in required,
            "wanted": check.wanted,
            "found": observations[check.name].found,
            "verdict": observations[check.name].verdict,
            "detail": observations[check.name].detail,
        }
        for check in CHECKS
    ]


def unmet(rows: Iterable[Row], writing: bool) -> list[Row]:
    """The required checks that did not pass. Where nothing was written, what could not be checked is none of them."""
    excused = {PASSED} if writing else {PASSED, NOT_CHECKED}
    return [row for row in rows if row["required"] and row["verdict"] not in excused]


def overall(rows: Iterable[Row]) -> str:
    """``passed`` if all required checks did, ``not_checked`` if some could not be checked, otherwise ``failed``."""
    verdicts = {row["verdict"] for row in rows if row["required"]}
    if verdicts <= {PASSED}:
        return PASSED
    return NOT_CHECKED if verdicts <= {PASSED, NOT_CHECKED} else FAILED
