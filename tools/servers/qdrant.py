# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Qdrant server for the demo, the tests and the benchmarks."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tools.servers.fetch import qdrant_binary
from tools.servers.process import Server, http_status


class QdrantServer(Server):
    """One Qdrant node; as a context manager it is started and stopped.

    Args:
        root: folder of this node alone; holds `storage`, `snapshots` and `qdrant.log`.
        api_key, read_only_key: keys that the server asks for; None for none.
        extra_env: further variables, such as `QDRANT__STORAGE__WAL__WAL_CAPACITY_MB`; they win over the defaults.
        binary: path of the server's program; by default what `qdrant_binary` finds.
        cluster: run in distributed mode.
        uri: address that other nodes reach this one at; by default the reserved loopback port. Implies `cluster`.
        bootstrap: `uri` of the first node of the cluster to join. Implies `cluster`.
    """

    name = "qdrant"

    def __init__(
        self,
        root: Path,
        *,
        api_key: str | None = None,
        read_only_key: str | None = None,
        extra_env: Mapping[str, str] | None = None,
        binary: str | Path | None = None,
        uri: str | None = None,
        bootstrap: str | None = None,
        cluster: bool = False,
    ) -> None:
        super().__init__(root, ("http", "grpc", "p2p"))
        self.api_key = api_key
        self.read_only_key = read_only_key
        self.storage_path = self.root / "storage"
        self.snapshots_path = self.root / "snapshots"
        self._extra_env = dict(extra_env or {})
        self._binary = binary
        self._uri = uri
        self._bootstrap = bootstrap
        self._cluster = cluster or uri is not None or bootstrap is not None

    @property
    def port(self) -> int:
        """HTTP port."""
        return self.port_of("http")

    @property
    def grpc_port(self) -> int:
        """gRPC port."""
        return self.port_of("grpc")

    @property
    def url(self) -> str:
        """Base address without a trailing slash."""
        return f"{'https' if self._has_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """Peer address of this node, to be given to others as `bootstrap`."""
        return self._uri or f"http://127.0.0.1:{self.port_of('p2p')}"

    @property
    def _has_tls(self) -> bool:
        return self._extra_env.get("QDRANT__SERVICE__ENABLE_TLS", "").lower() == "true"

    def _command(self) -> list[str]:
        command = [str(self._binary or qdrant_binary()), "--disable-telemetry"]
        if self._bootstrap:
            command += ["--bootstrap", self._bootstrap]
        if self._cluster:
            command += ["--uri", self.uri]
        return command

    def _environment(self) -> dict[str, str]:
        settings = {
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(self.port),
            "QDRANT__SERVICE__GRPC_PORT": str(self.grpc_port),
            "QDRANT__STORAGE__STORAGE_PATH": str(self.storage_path),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(self.snapshots_path),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        if self._cluster:
            settings["QDRANT__CLUSTER__ENABLED"] = "true"
            settings["QDRANT__CLUSTER__P2P__PORT"] = str(urlsplit(self.uri).port)
        if self.api_key:
            settings["QDRANT__SERVICE__API_KEY"] = self.api_key
        if self.read_only_key:
            settings["QDRANT__SERVICE__READ_ONLY_API_KEY"] = self.read_only_key
        return settings | self._extra_env

    def _is_ready(self) -> bool:
        if self._has_tls:  # a server that asks for client certificates answers no plain request
            with socket.create_connection(("127.0.0.1", self.port), timeout=2):
                return True
        return http_status(self.port, "/readyz") == 200
