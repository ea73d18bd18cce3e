# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a catalogue shows of each backup: from the index where that is right, else from the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..errors import DamagedManifest, ObjectNotFound, StoreError, WrongKey
from ..formats import layout
from ..formats.catalogue_index import Entries, dump_index, parse_index
from ..formats.manifest import Manifest
from ..formats.probes import open_probes
from ..stores.location import ObjectInfo
from ..stores.repository import Repository
from .catalogue import READERS, read_manifest
from .data_keys import open_data_keys

# Below so many manifests, reading them costs less than an index that may not help.
WORTH_AN_INDEX = 32

Json = dict[str, Any]


def read_summaries(
    region: Repository,
    collection: str,
    manifests: Mapping[str, ObjectInfo],
    whole: bool = False,
    use_index: bool = True,
) -> dict[str, Json]:
    """The summary of each of these backups, in their order; those that have gone meanwhile are left out.

    ``manifests``: by backup id, as a listing showed them. ``whole``: add the manifest itself as ``manifest``, with
    its probes opened if the region has the key. With
    that, and without ``use_index``, every one is read. A manifest that is damaged gives ``{backup_id, collection,
    state: damaged, reason}``.
    """
    use_index = use_index and not whole and len(manifests) >= WORTH_AN_INDEX
    index = _read_index(region, collection) if use_index else {}
    known = {
        backup_id: index[backup_id]["summary"]
        for backup_id, item in manifests.items()
        if backup_id in index and index[backup_id]["etag"] == item.etag
    }
    left = [backup_id for backup_id in manifests if backup_id not in known]
    with ThreadPoolExecutor(READERS, thread_name_prefix="summaries") as threads:
        read = dict(zip(left, threads.map(lambda name: _summary(region, collection, name, whole), left), strict=True))
    found = {backup_id: known.get(backup_id) or read[backup_id] for backup_id in manifests}
    return {backup_id: summary for backup_id, summary in found.items() if summary is not None}


def keep_index(
    region: Repository, collection: str, manifests: Mapping[str, ObjectInfo], summaries: Sequence[Json]
) -> None:
    """Store the summaries of what was just read, if they are many; credentials that may not are no reason to fail."""
    entries = {each["backup_id"]: {"etag": manifests[each["backup_id"]].etag, "summary": each} for each in summaries}
    if len(entries) < WORTH_AN_INDEX or entries == _read_index(region, collection):
        return
    with suppress(StoreError):
        region.put(layout.index_key(collection), dump_index(entries), content_type="application/json")


def _read_index(region: Repository, collection: str) -> Entries:
    try:
        return parse_index(region.get(layout.index_key(collection)))
    except StoreError:
        return {}


def _summary(region: Repository, collection: str, backup_id: str, whole: bool) -> Json | None:
    try:
        manifest = read_manifest(region, collection, backup_id)[0]
    except ObjectNotFound:
        return None
    except DamagedManifest as error:
        return {"backup_id": backup_id, "collection": collection, "state": "damaged", "reason": error.detail}
    return {**manifest.summary(), **({"manifest": _readable(region, manifest)} if whole else {})}


def _readable(region: Repository, manifest: Manifest) -> Json:
    """The manifest; its recall probes opened, where the region has the key."""
    probes = manifest.probes
    if region.location.client_encryption is not None:
        with suppress(WrongKey, StoreError):
            probes = open_probes(probes, open_data_keys(manifest, [region]))
    return {**manifest.fields, "probes": probes}
