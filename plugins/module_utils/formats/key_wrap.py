# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data keys wrapped by a master key: what a repository keeps of them. It opens nothing without that master key.

A wrap is ``{"kind": "key", "fingerprint", "nonce", "wrapped"}`` or ``{"kind": "aws:kms", "key_id", "wrapped"}``; nonce
and wrapped are base64. The context that a data key was made for is part of the wrap, and must be the same to open it.

Wraps made later stand beside the backup in a record of their own, since its manifest does not change. Each data key of
the WAL archive has such a record from the beginning, beside the wrap in the header of every chunk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..errors import DamagedManifest
from .canonical import canonical

LOCAL, KMS = "key", "aws:kms"
SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/keys"
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_NONCE_SIZE = 12
_TIME_SIZE = 4
LOG_KEY_RANDOM = 12
_FIELDS = {LOCAL: ("fingerprint", "nonce", "wrapped"), KMS: ("key_id", "wrapped")}
_HINT = "Use another backup, or a copy of this one in another region."

Json = dict[str, Any]
# Data key -> its wraps, one of each master key.
Wraps = dict[str, list[Json]]


def is_key_id(text: Any) -> bool:
    """Whether this is the id of a data key: 16 bytes in hex."""
    return isinstance(text, str) and _KEY_ID.fullmatch(text) is not None


def log_key_id(made: datetime, rest: bytes) -> str:
    """The id of a data key of the WAL archive, made at a time (aware): such ids sort by their age.

    ``rest``: as many random bytes as ``LOG_KEY_RANDOM`` says.
    """
    return int(made.timestamp()).to_bytes(_TIME_SIZE, "big").hex() + rest.hex()


def key_time(key_id: str) -> datetime:
    """When the data key with this id of the WAL archive was made, cut to seconds."""
    return datetime.fromtimestamp(int(key_id[: 2 * _TIME_SIZE], 16), timezone.utc)


def fingerprint(master_key: bytes) -> str:
    """What names a master key, and tells nothing of it: 16 hex digits."""
    return hashlib.sha256(b"qdrant-dr master key" + master_key).hexdigest()[:16]


def key_context(cluster: str, collection: str, backup_id: str, key_id: str) -> dict[str, str]:
    """What a data key is for; a wrap opens for nothing else."""
    return {"cluster": cluster, "collection": collection, "backup_id": backup_id, "data_key": key_id}


def log_key_context(cluster: str, collection: str, replica: str, key_id: str) -> dict[str, str]:
    """What a data key of the WAL archive is for: the logs of one node's replicas of a collection."""
    return {"cluster": cluster, "collection": collection, "replica": replica, "data_key": key_id}


def wrap_key(data_key: bytes, master_key: bytes, nonce: bytes, context: Mapping[str, str]) -> Json:
    """Wrap a data key by AES-256-GCM; ``nonce``: 12 random bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    wrapped = AESGCM(master_key).encrypt(nonce, data_key, canonical(context))
    return {
        "kind": LOCAL,
        "fingerprint": fingerprint(master_key),
        "nonce": base64.b64encode(nonce).decode("ascii"),
        "wrapped": base64.b64encode(wrapped).decode("ascii"),
    }


def unwrap_key(wrap: Mapping[str, Any], master_key: bytes, context: Mapping[str, str]) -> bytes | None:
    """The data key; None where another master key wrapped it, or it was wrapped for something else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if wrap["kind"] != LOCAL:
        return None
    try:
        nonce, wrapped = base64.b64decode(wrap["nonce"]), base64.b64decode(wrap["wrapped"])
        return AESGCM(master_key).decrypt(nonce, wrapped, canonical(context))
    except InvalidTag:
        return None


def master_key_of(wrap: Mapping[str, Any]) -> str:
    """The name of the master key that a wrap needs: a fingerprint, or the ARN of a KMS key."""
    return str(wrap["fingerprint"] if wrap["kind"] == LOCAL else wrap["key_id"])


def check_wrap(wrap: Any, what: str) -> None:
    """Raise ``DamagedManifest`` unless ``wrap`` has the shape above."""
    fields = _FIELDS.get(str(wrap.get("kind"))) if isinstance(wrap, dict) else None
    if fields is None or set(wrap) != {"kind", *fields} or not all(isinstance(wrap[name], str) for name in fields):
        raise DamagedManifest(f"The wrap of {what} has not the shape that this version knows.", _HINT)
    try:
        sizes = {name: len(base64.b64decode(wrap[name], validate=True)) for name in fields if name in _BASE64}
    except (binascii.Error, ValueError) as error:
        raise DamagedManifest(f"The wrap of {what} is not base64.", _HINT) from error
    if not sizes["wrapped"] or sizes.get("nonce", _NONCE_SIZE) != _NONCE_SIZE:
        raise DamagedManifest(f"The wrap of {what} is cut short.", _HINT)
    if wrap["kind"] == LOCAL and not _FINGERPRINT.fullmatch(wrap["fingerprint"]):
        raise DamagedManifest(f"The wrap of {what} names no master key.", _HINT)


_BASE64 = ("nonce", "wrapped")


class KeyRecord:
    """Wraps of data keys that stand beside what they belong to.

    ``owner``: what that is: ``manifest_sha256`` of a backup, or what a data key of the WAL archive was made for.
    """

    def __init__(self, owner: Mapping[str, str], wraps: Wraps | None = None) -> None:
        self.owner = dict(owner)
        self.wraps: Wraps = wraps or {}

    @classmethod
    def parse(cls, data: bytes, owner: Mapping[str, str]) -> KeyRecord:
        """Read a stored record.

        One that is damaged, of another schema or of something else counts as none: whoever opens a data key finds out
        whether a wrap is right, and whoever lacks one says so.
        """
        try:
            whole = json.loads(data)
            wraps = {str(key_id): list(listed) for key_id, listed in whole.pop("wraps").items()}
            for key_id, listed in wraps.items():
                for wrap in listed:
                    check_wrap(wrap, f"the data key {key_id}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DamagedManifest):
            return cls(owner)
        return cls(owner, wraps if whole == {"schema_version": SCHEMA_VERSION, "kind": KIND, **owner} else None)

    def of(self, key_id: str) -> list[Json]:
        """The wraps of one data key."""
        return self.wraps.get(key_id, [])

    def add(self, key_id: str, wrap: Json) -> None:
        """Put a wrap in the place of that by the same master key."""
        others = [each for each in self.of(key_id) if master_key_of(each) != master_key_of(wrap)]
        self.wraps[key_id] = [wrap, *others]

    def lacks(self, other: KeyRecord) -> bool:
        """Whether ``other`` has a wrap by a master key that this has none of."""
        return any(self._missing(key_id, wrap) for key_id, listed in other.wraps.items() for wrap in listed)

    def take(self, other: KeyRecord) -> None:
        """Add what this lacks of ``other``; what is here stays, so that no copy makes a key useless."""
        for key_id, listed in other.wraps.items():
            for wrap in listed:
                if self._missing(key_id, wrap):
                    self.wraps[key_id] = [*self.of(key_id), wrap]

    def _missing(self, key_id: str, wrap: Json) -> bool:
        return all(master_key_of(each) != master_key_of(wrap) for each in self.of(key_id))

    def dump(self) -> bytes:
        """The text to store."""
        whole = {"schema_version": SCHEMA_VERSION, "kind": KIND, **self.owner, "wraps": self.wraps}
        return (json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")
