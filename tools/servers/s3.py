# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the S3 servers of these tools have in common."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tools.servers.process import Server


class S3Server(Server):
    """A server that speaks S3, with credentials of its own.

    Args:
        root: folder of this server alone.
        port_names: its ports; the one named `s3` is the endpoint.
        region_name: name of its region.
        stop_seconds: seconds between SIGTERM and SIGKILL in `stop`.
        address: where it speaks S3.
    """

    def __init__(
        self,
        root: Path,
        port_names: tuple[str, ...],
        *,
        region_name: str,
        stop_seconds: float,
        address: str = "127.0.0.1",
    ) -> None:
        super().__init__(root, port_names, stop_seconds=stop_seconds)
        self.address = address
        self.region = region_name
        self.access_key = "AK" + secrets.token_hex(9).upper()
        self.secret_key = secrets.token_hex(20)

    @property
    def port(self) -> int:
        """Port of the S3 endpoint."""
        return self.port_of("s3")

    @property
    def endpoint(self) -> str:
        """Address of the S3 endpoint without a trailing slash."""
        return f"http://{self.address}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the AWS_* variables that give a command-line client access to this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def client(self, **config: Any) -> Any:
        """Return a boto3 S3 client for this server (path style, no proxy).

        Args:
            config: further arguments of `botocore.config.Config`.
        """
        import boto3
        from botocore.config import Config

        settings: dict[str, Any] = {"s3": {"addressing_style": "path"}, "proxies": {}, "region_name": self.region}
        return boto3.session.Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        ).client("s3", endpoint_url=self.endpoint, config=Config(**(settings | config)))

    def create_bucket(self, name: str, **arguments: Any) -> str:
        """Create the bucket `name` and return its name.

        Args:
            arguments: further arguments of boto3's `create_bucket`, such as `ObjectLockEnabledForBucket`.
        """
        self.client().create_bucket(Bucket=name, **arguments)
        return name
