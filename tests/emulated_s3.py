# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulated S3, for what the real server of the tests lacks; it checks no credentials and encrypts nothing."""

from __future__ import annotations

import logging
from typing import Any


class EmulatedS3:
    """moto's server in a thread, with the attributes of a server of `tools.servers`. A context manager."""

    region, access_key, secret_key = "us-east-1", "emulated", "emulated"

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.endpoint = ""

    def __enter__(self) -> EmulatedS3:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._server.stop()

    def create_bucket(self, name: str) -> str:
        """Create a bucket and return its name."""
        import boto3

        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        client = boto3.session.Session(**keys, region_name=self.region).client("s3", endpoint_url=self.endpoint)
        client.create_bucket(Bucket=name)
        return name


def kms_key(endpoint: str) -> str:
    """Create a key in the KMS that the same server has; returns its id."""
    import boto3

    keys = {"aws_access_key_id": EmulatedS3.access_key, "aws_secret_access_key": EmulatedS3.secret_key}
    client = boto3.session.Session(**keys, region_name=EmulatedS3.region).client("kms", endpoint_url=endpoint)
    return str(client.create_key()["KeyMetadata"]["KeyId"])
