# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressor, imported when it is first needed."""

from __future__ import annotations

from types import ModuleType

from ..errors import MissingDependency


def zstandard() -> ModuleType:
    """The package zstandard; raises ``MissingDependency``."""
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependency(
            "The Python package zstandard is not installed on this host.", "Run: pip install zstandard"
        ) from error
    return zstandard
