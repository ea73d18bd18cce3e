# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Summaries of many manifests in one object, so that a long catalogue is not read manifest by manifest.

It proves nothing: a summary counts only while the store shows the manifest with the ETag that it was read with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SCHEMA_VERSION = 1
KIND = "vectorops.qdrant_dr/index"

# backup id -> {"etag": of its manifest, "summary": ``Manifest.summary()``}
Entries = dict[str, dict[str, Any]]


def dump_index(entries: Mapping[str, Any]) -> bytes:
    """The text to store."""
    whole = {"schema_version": SCHEMA_VERSION, "kind": KIND, "backups": entries}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def parse_index(data: bytes) -> Entries:
    """Read a stored index; one that is damaged, or of another schema, is empty."""
    try:
        whole = json.loads(data)
        if (whole["schema_version"], whole["kind"]) != (SCHEMA_VERSION, KIND):
            return {}
        return {
            backup_id: {"etag": str(entry["etag"]), "summary": dict(entry["summary"])}
            for backup_id, entry in whole["backups"].items()
            if entry["summary"]["backup_id"] == backup_id
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
