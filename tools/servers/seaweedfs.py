# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SeaweedFS server: S3 with real encryption at rest, object lock, checksums and credentials."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from tools.servers.process import http_status, installed_program
from tools.servers.s3 import S3Server

ACTIONS = ["Admin", "Read", "List", "Tagging", "Write"]
PORTS = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
HTTPS_PORTS = ("s3.https",)


class SeaweedServer(S3Server):
    """A whole SeaweedFS in one process, standing for one region.

    Args:
        root: folder of this server alone; the objects in it survive `stop` and `kill`.
        region_name: name of its region.
        address: where it speaks S3; all else stays on 127.0.0.1.
        certificate: PEM files of a certificate for the address and of its key: then it serves HTTPS on a second port.
        identities: names of further identities, which may do what policies of buckets allow; `keys` has their keys.
    """

    name = "seaweedfs"
    # Its buckets also answer as BUCKET.s3.test, where a client looks that name up on 127.0.0.1.
    domain = "s3.test"

    def __init__(
        self,
        root: Path,
        *,
        region_name: str = "us-east-1",
        address: str = "127.0.0.1",
        certificate: tuple[Path, Path] | None = None,
        identities: tuple[str, ...] = (),
    ) -> None:
        # Its own shutdown takes up to 17 s; what it acknowledged is on disk long before.
        self._ports = PORTS + (HTTPS_PORTS if certificate else ())
        self._certificate = certificate
        super().__init__(root, self._ports, region_name=region_name, stop_seconds=2.0, address=address)
        self._sse_key = secrets.token_hex(32)
        self.keys = {name: ("AK" + secrets.token_hex(9).upper(), secrets.token_hex(20)) for name in identities}
        self._write_configuration()

    @property
    def https_endpoint(self) -> str:
        """Address of the S3 endpoint over HTTPS, for a server with a certificate."""
        return f"https://{self.address}:{self.port_of('s3.https')}"

    def _write_configuration(self) -> None:
        (self.root / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n", encoding="utf-8")
        identities = [_identity("owner", (self.access_key, self.secret_key), ACTIONS)]
        identities += [_identity(name, keys, []) for name, keys in self.keys.items()]
        provider = {"type": "local", "enableOnDemandCreate": True}
        content: dict[str, Any] = {
            "identities": identities,
            "kms": {"default_provider": "local", "providers": {"local": provider}},
        }
        path = self.root / "s3.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")

    def _command(self) -> list[str]:
        # Socket paths are relative to the working folder: an absolute one may exceed the 107 bytes of a socket's name.
        settings: dict[str, object] = {
            "dir": self.root,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 1024,
            "master.electionTimeout": "1s",
            "master.heartbeatInterval": "200ms",
            "volume.max": 4000,
            "volume.preStopSeconds": 0,
            "volume.minFreeSpace": "1GiB",
            "filer": "true",
            "filer.maxMB": 8,
            "filer.localSocket": "filer.sock",
            "s3": "true",
            "s3.ip.bind": self.address,
            "s3.domainName": self.domain,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": "s3.sock",
            "s3.config": self.root / "s3.json",
            "s3.autoCreateBucket": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
        }
        if self._certificate:
            settings |= {"s3.cert.file": self._certificate[0], "s3.key.file": self._certificate[1]}
        for key in self._ports:
            server, _dot, kind = key.partition(".")
            settings[f"{server}.port.{kind}" if kind else f"{server}.port"] = self.port_of(key)
        program = installed_program("weed", "dev")
        flags = [f"-{key}={value}" for key, value in settings.items()]
        return [program, "-logtostderr=true", f"-config_dir={self.root}", "server", *flags]

    def _environment(self) -> dict[str, str]:
        return {"WEED_S3_SSE_KEY": self._sse_key}

    def _clean_up(self) -> None:
        for key in PORTS:
            server, _dot, kind = key.partition(".")
            if kind == "grpc":
                Path(f"/tmp/seaweedfs-{server}-grpc-{self.port_of(key)}.sock").unlink(missing_ok=True)  # noqa: S108

    def _is_ready(self) -> bool:
        # An anonymous request is refused once the gateway knows its identities, and /dir/assign answers 200 once a
        # volume server has registered: only then can an object be written.
        if http_status(self.port, "/", self.address) != 403:
            return False
        return http_status(self.port_of("master"), "/dir/assign") == 200


def _identity(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, Any]:
    credentials = [{"accessKey": keys[0], "secretKey": keys[1]}]
    return {"name": name, "credentials": credentials, "actions": actions}
