# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments that every module talking to Qdrant shares, and the connection made from them."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback

from .stores.qdrant import QdrantConnection

QDRANT_SPEC: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "default": "http://127.0.0.1:6333", "fallback": (env_fallback, ["QDRANT_URL"])},
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["QDRANT_API_KEY"])},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "timeout": {"type": "float", "default": 30.0},
    "operation_timeout": {"type": "float", "default": 3600.0},
}

QDRANT_REQUIRED_BY: dict[str, str] = {"client_key": "client_cert"}


def qdrant_connection(params: dict[str, Any], **changes: Any) -> QdrantConnection:
    """Return the connection for a module's ``params``, with ``changes`` such as another ``url``.

    Raises: InvalidInput for an address, key or number that cannot be right.
    """
    given = {name: params[name] for name in QDRANT_SPEC} | changes
    # An environment variable that is set to nothing means no key.
    return QdrantConnection(**{**given, "api_key": given["api_key"] or None})
