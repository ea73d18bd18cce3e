# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One JuiceFS gateway: a fast S3 server without encryption, so that a benchmark measures the client."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.servers.process import ServerError, basic_environment, http_status, installed_program
from tools.servers.s3 import S3Server


class JuiceFSGateway(S3Server):
    """A JuiceFS volume on a local folder (metadata in Badger) behind its S3 gateway.

    Args:
        root: folder of this server alone; the objects in it survive `stop` and `kill`.
        region_name: name of its region; the gateway knows no other than its default.
    """

    name = "juicefs"

    def __init__(self, root: Path, *, region_name: str = "us-east-1") -> None:
        super().__init__(root, ("s3",), region_name=region_name, stop_seconds=5.0)
        self._metadata = f"badger://{self.root / 'metadata'}"

    def _command(self) -> list[str]:
        program = installed_program("juicefs", "bench")
        if not (self.root / "metadata").exists():
            self._format(program)
        options = ["--multi-buckets", "--object-meta", "--keep-etag", "--no-banner", "--no-usage-report"]
        paths = ["--cache-dir", str(self.root / "cache"), "--log", str(self.root / "gateway.log")]
        return [program, "gateway", *options, *paths, self._metadata, f"127.0.0.1:{self.port}"]

    def _format(self, program: str) -> None:
        command = [program, "format", "--storage", "file", "--bucket", f"{self.root / 'data'}/", "--trash-days", "0"]
        done = subprocess.run(
            [*command, self._metadata, "bench"],
            env=basic_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"juicefs could not format a volume in {self.root}: {done.stderr.strip()[-500:]}")

    def _environment(self) -> dict[str, str]:
        return {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key}

    def _is_ready(self) -> bool:
        return http_status(self.port, "/minio/health/ready") == 200
