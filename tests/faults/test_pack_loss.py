# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever packs are lost or damaged wherever: a reader gives the exact archive, or says which pack nobody has.

(See fake_store.py for why the store is a fake: it makes hundreds of archives possible.)
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import DamagedBackup
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations import pack_writer
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.archive_reader import ArchiveReader
from tests.faults.fake_store import FakeStore
from tests.made_backups import archive_of, some_bytes, store_chunks

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
FILES = st.lists(st.integers(0, 70_000), min_size=1, max_size=8)
# What happens to a pack in each of two regions.
FATES = st.lists(
    st.tuples(*[st.sampled_from(["good", "good", "lost", "flipped", "cut", "swapped"])] * 2), min_size=40, max_size=40
)


@given(FILES, FATES, st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_exact_bytes_or_the_name_of_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], fates: list[tuple[str, str]], data: st.DataObject
) -> None:
    monkeypatch.setattr(pack_writer, "PACK_SIZE", data.draw(st.sampled_from([3000, 20_000, 200_000])))
    archive = archive_of({f"f{number}": some_bytes(size, number) for number, size in enumerate(sizes)})
    stores = [FakeStore(NOW), FakeStore(NOW)]
    regions = [store.repository(name) for store, name in zip(stores, ("near", "far"), strict=True)]
    manifest = store_chunks(regions[0], "20261124T120000Z-000000", (archive,), NOW)
    for item in list(regions[0].list()):
        regions[1].put(item.key, regions[0].get(item.key))
    packs = sorted(item.key for item in regions[0].list("docs/packs/"))
    for key, each in zip(packs, fates, strict=False):
        for store, fate in zip(stores, each, strict=True):
            spoil(store, f"production/{key}", fate)
    hopeless = {key for key, each in zip(packs, fates, strict=False) if "good" not in each}

    [shard] = manifest.shards
    with ArchiveReader(regions, manifest.object_key(shard), shard["object"], {}) as reader:
        if not hopeless:
            assert b"".join(reader) == archive
            assert {each["served_by"] for each in reader.damaged} <= {"near", "far"}
        else:
            with pytest.raises(DamagedBackup) as caught:
                b"".join(reader)
            assert any(key in caught.value.detail for key in hopeless)


def spoil(store: FakeStore, key: str, fate: str) -> None:
    stored = store.objects[key]
    if fate == "lost":
        del store.objects[key]
    elif fate == "flipped":
        stored.data = stored.data[:-1] + bytes([stored.data[-1] ^ 1])
    elif fate == "cut":
        stored.data = stored.data[: len(stored.data) // 2]
    elif fate == "swapped":
        stored.data = stored.data[:14] + stored.data[14:][::-1]


def test_a_pack_that_is_damaged_in_two_places_in_two_regions_is_made_up_for() -> None:
    archive = archive_of({f"f{number}": some_bytes(50_000, number) for number in range(12)})
    stores = [FakeStore(NOW), FakeStore(NOW)]
    regions = [store.repository(name) for store, name in zip(stores, ("near", "far"), strict=True)]
    manifest = store_chunks(regions[0], "20261124T120000Z-000000", (archive,), NOW)
    for item in list(regions[0].list()):
        regions[1].put(item.key, regions[0].get(item.key))
    [pack] = [item.key for item in regions[0].list("docs/packs/")]
    for store, place in zip(stores, (200, -1), strict=True):
        stored = store.objects[f"production/{pack}"]
        changed = bytearray(stored.data)
        changed[place] ^= 1
        stored.data = bytes(changed)
    [shard] = manifest.shards
    with ArchiveReader(regions, manifest.object_key(shard), shard["object"], {}) as reader:
        assert b"".join(reader) == archive
        assert {(each["object"], each["source"]) for each in reader.damaged} >= {(pack, "near")}
