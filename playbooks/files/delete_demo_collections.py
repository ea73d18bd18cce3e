# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete every collection and alias of the demo's node, as a bad script with a good key does.

Usage: delete_demo_collections.py SETTINGS        (the JSON file of variables that the demo runs with)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx


def main() -> None:
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    headers = {"api-key": settings["demo_qdrant_api_key"]}
    with httpx.Client(base_url=settings["demo_qdrant_url"], headers=headers, timeout=60, trust_env=False) as client:
        collections = client.get("/collections").raise_for_status().json()["result"]["collections"]
        for collection in collections:
            client.delete(f"/collections/{collection['name']}").raise_for_status()
        left = client.get("/collections").raise_for_status().json()["result"]["collections"]
        aliases = client.get("/aliases").raise_for_status().json()["result"]["aliases"]
    if left or aliases:
        raise SystemExit(f"There is something left: {left} {aliases}")
    print(json.dumps(sorted(collection["name"] for collection in collections)))


if __name__ == "__main__":
    main()
