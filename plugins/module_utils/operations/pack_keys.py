# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data keys of packs. They outlive the backup that stored a pack, and so are kept as those of the archived logs."""

from __future__ import annotations

from datetime import datetime

from ..formats.key_wrap import KeyRecord, log_key_context
from ..formats.pack import KEY_OWNER, PackKey
from ..stores.master_keys import key_ring
from ..stores.repository import Repository
from .data_keys import new_log_key
from .key_records import write_record
from .wal_keys import contexts, key_of, read_wraps


def new_pack_key(repository: Repository, collection: str, now: datetime) -> PackKey | None:
    """A key for the packs that one run stores, with its record in the repository; None where that does not encrypt.

    ``now``: aware. Raises what a key or a key service raises.
    """
    ring = key_ring(repository.location)
    if ring is None:
        return None
    cluster = repository.location.cluster
    made = new_log_key(ring, cluster, collection, KEY_OWNER, now)
    context = log_key_context(cluster, collection, KEY_OWNER, made.id)
    record = KeyRecord(context, {made.id: [made.wrap]})
    repository.put(key_of(context), record.dump(), content_type="application/json")
    return PackKey(made.id, made.secret, made.wrap, cluster, collection)


def bring_pack_keys(source: Repository, destination: Repository, collection: str) -> None:
    """Add to the records of the destination all wraps of pack keys that the source has.

    A pack opens by the wrap in its header as long as that master key is there; a rotation finds keys by their records.
    The caller holds the lock of the collection.
    """
    for context in contexts(source, collection):
        if context["replica"] != KEY_OWNER:
            continue
        there, wanted = read_wraps(destination, context), read_wraps(source, context)
        if there.lacks(wanted):
            there.take(wanted)
            write_record(destination, key_of(context), there)
