# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shard keys can be made again with the numbers that their shards had."""

from __future__ import annotations

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats.shard_keys import scattered, shards_by_key


def test_shards_are_sorted_by_their_numbers_and_those_without_a_key_left_out() -> None:
    shards = [{"shard": number, "shard_key": key} for number, key in [(9, 7), (2, "eu"), (8, 7), (3, None)]]
    found = shards_by_key([*shards, {"shard": 4}])
    assert list(found.items()) == [("eu", [2]), (7, [8, 9])]


@pytest.mark.parametrize(
    ("keys", "hopeless"),
    [
        ({}, []),
        ({"eu": [5]}, []),
        ({"eu": [5, 6, 7], 7: [9, 10]}, []),
        ({"eu": [1, 3], "us": [4, 5], 7: [6, 7, 9]}, ["'eu'", "7"]),
    ],
)
def test_only_keys_with_gaps_cannot_be_made_again(keys: dict[str | int, list[int]], hopeless: list[str]) -> None:
    said = scattered(keys)
    assert len(said) == len(hopeless)
    for clause, key in zip(said, hopeless, strict=True):
        assert f"the key {key} have the numbers {', '.join(map(str, keys[7 if key == '7' else 'eu']))}," in clause
