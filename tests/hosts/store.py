# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server of the scenarios, on the controller's address. It ends when its folder is removed or has a file `down`.

Usage: python -m tests.hosts.store FOLDER      FOLDER/access.json then says how to get at the bucket
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tools.servers import SeaweedServer

CONTROLLER = "10.213.0.1"
BUCKET = "backups"
LOOK_SECONDS = 1.0


def serve(folder: Path) -> None:
    """Serve until access.json, which appears when the server is ready, is gone, or the file `down` appears."""
    access, down = folder / "access.json", folder / "down"
    with SeaweedServer(folder / "data", address=CONTROLLER) as server:
        content = {
            "bucket": server.create_bucket(BUCKET),
            "region": server.region,
            "endpoint_url": server.endpoint,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
        }
        unfinished = folder / "unfinished"
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        unfinished.rename(access)
        while access.exists() and not down.exists():
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
