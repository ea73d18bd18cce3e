# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version that manifests, reports and user agents state; the same as in galaxy.yml."""

from __future__ import annotations

VERSION = "0.1.0"
TOOL = {"name": "vectorops.qdrant_dr", "version": VERSION}
