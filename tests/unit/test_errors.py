# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is raised where several things were to be done: one error as it is, or one that tells of all."""

from __future__ import annotations

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import StoreError, combined


def test_a_single_error_is_raised_as_it_is_with_what_was_done() -> None:
    lone = StoreError("It is full.", "Make room.", region="near")
    found = combined([lone], "copies", "Run again.", {"backups": ["a"]})
    assert found is lone
    assert (found.code, found.result) == ("store_error", {"region": "near", "backups": ["a"]})


def test_several_are_counted_and_a_reason_is_told_once() -> None:
    errors = [StoreError("It is full."), StoreError("It is gone."), StoreError("It is full.")]
    found = combined(errors, "copies", "Run again.", {"backups": ["a"]})
    assert (found.code, found.result) == ("partly_failed", {"backups": ["a"]})
    assert (found.detail, found.hint) == ("3 copies failed. It is full. It is gone.", "Run again.")
