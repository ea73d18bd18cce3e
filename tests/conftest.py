# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers, collections with data, and modules as processes, for all tests. Servers start when first asked for."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import os
import random
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import QdrantUnreachable
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.qdrant import Qdrant, QdrantConnection
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.stores.repository import Repository
from tests.made_backups import location_on
from tools.servers import QdrantServer, SeaweedServer

MODULE_SECONDS = 240


@pytest.fixture(scope="session")
def qdrant_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A node without a key, shared by all tests."""
    with QdrantServer(tmp_path_factory.mktemp("qdrant")) as server:
        yield server


@pytest.fixture(scope="session")
def keyed_qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A node that asks for its `api_key`, and has a `read_only_key`."""
    keys = {"api_key": secrets.token_hex(16), "read_only_key": secrets.token_hex(16)}
    with QdrantServer(tmp_path_factory.mktemp("keyed-qdrant"), **keys) as server:
        yield server


@pytest.fixture
def production(keyed_qdrant: QdrantServer) -> Qdrant:
    """The node with keys, by the one that may do everything: what is drilled for, or fails."""
    return Qdrant(QdrantConnection(keyed_qdrant.url, api_key=keyed_qdrant.api_key))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """An S3 server, shared by all tests."""
    with SeaweedServer(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def qdrant(qdrant_server: QdrantServer) -> Qdrant:
    """The shared node's store object."""
    return Qdrant(QdrantConnection(qdrant_server.url))


@pytest.fixture
def bucket(s3_server: SeaweedServer) -> str:
    """The name of a fresh bucket."""
    return s3_server.create_bucket(f"b-{secrets.token_hex(6)}")


def fill(qdrant: Qdrant, name: str, points: int, dimensions: dict[str, int], first_id: int = 0) -> None:
    """Write ``points`` points with named vectors and payloads; the same ones for the same arguments."""
    chance = random.Random(first_id)
    for start in range(first_id, first_id + points, 1000):
        batch = [
            {
                "id": number if number % 5 else str(uuid.UUID(int=number + (1 << 64))),
                "vector": {key: [chance.gauss(0, 1) for axis in range(size)] for key, size in dimensions.items()},
                "payload": {
                    "group": f"g{number % 7}",
                    "number": number,
                    "text": "\u00e4\u4e2d",
                    "nested": {"x": [1, 2.5]},
                },
            }
            for number in range(start, min(start + 1000, first_id + points))
        ]
        qdrant.call("PUT", f"/collections/{quote(name)}/points", {"points": batch}, {"wait": True})


def discard(qdrant: Qdrant, name: str) -> None:
    """Delete a collection; a node that a test has stopped needs no cleaning."""
    with suppress(QdrantUnreachable):
        qdrant.delete_collection(name)


@pytest.fixture
def make_collection(qdrant: Qdrant) -> Iterator[Callable[..., str]]:
    """Call it for a collection with data; it is deleted after the test.

    make(points=200, dimensions={"text": 16, "image": 8}, name=None, on=None, index=True, **body): ``on`` is another
    node's store object, ``body`` goes into the request that creates the collection. Returns the name.
    """
    with ExitStack() as cleanup:

        def make(
            points: int = 200,
            dimensions: dict[str, int] | None = None,
            name: str | None = None,
            on: Qdrant | None = None,
            index: bool = True,
            **body: Any,
        ) -> str:
            node = on or qdrant
            name = name or f"c-{secrets.token_hex(6)}"
            sizes = dimensions or {"text": 16, "image": 8}
            vectors = {key: {"size": size, "distance": "Cosine"} for key, size in sizes.items()}
            node.create_collection(name, {"vectors": vectors, "shard_number": 2, **body})
            cleanup.callback(discard, node, name)
            if index:
                node.create_payload_index(name, "group", "keyword")
                node.create_payload_index(name, "number", "integer")
            fill(node, name, points, sizes)
            return name

        yield make


class ModuleProcess:
    """A module that runs; ``result`` waits for its end."""

    def __init__(self, name: str, params: dict[str, Any], check: bool, diff: bool, env: dict[str, str]) -> None:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "module_process.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "LC_ALL": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true", **env},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**params, "_ansible_check_mode": check, "_ansible_diff": diff}).encode())
        self.process.stdin.close()
        self.process.stdin = None

    def result(self) -> dict[str, Any]:
        """Return what the module printed; a traceback fails the test."""
        out, err = self.process.communicate(timeout=MODULE_SECONDS)
        assert out, err.decode()
        result = json.loads(out)
        assert bool(result.get("failed")) == (self.process.returncode != 0)
        assert "deprecations" not in result, result["deprecations"]
        return result


@pytest.fixture
def start_module() -> Iterator[Callable[..., ModuleProcess]]:
    """Call it as ``start_module(name, params, check=False, diff=False, env=None)`` to run a module beside the test."""
    running: list[ModuleProcess] = []

    def start(
        name: str, params: dict[str, Any], check: bool = False, diff: bool = False, env: dict[str, str] | None = None
    ) -> ModuleProcess:
        running.append(ModuleProcess(name, params, check, diff, env or {}))
        return running[-1]

    yield start
    for module in running:
        if module.process.poll() is None:
            module.process.kill()
        module.process.communicate()


@pytest.fixture
def run_module(start_module: Callable[..., ModuleProcess]) -> Callable[..., dict[str, Any]]:
    """Call it as ``run_module(name, params, check=False, diff=False, env=None)``; returns the module's result."""

    def run(name: str, params: dict[str, Any], check: bool = False, **how: Any) -> dict[str, Any]:
        return start_module(name, params, check, **how).result()

    return run


class StubServer:
    """An HTTP server on loopback that answers as the test says and remembers what it was asked."""

    def __init__(self, answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.closing = threading.Event()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline(65537)
                if self.raw_requestline and self.parse_request():
                    stub.requests.append((self.command, self.path, dict(self.headers)))
                    answer(self)
                    self.wfile.flush()
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let waiting answers go on, and stop."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def reply(
    handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    """Answer a stub's request."""
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def stub() -> Iterator[Callable[..., StubServer]]:
    """Call it as ``stub(status, body=b"", headers=None)`` or ``stub(answer=function of the request handler)``."""
    servers: list[StubServer] = []

    def start(
        status: int = 200,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        answer: Callable[[http.server.BaseHTTPRequestHandler], None] | None = None,
    ) -> StubServer:
        servers.append(StubServer(answer or (lambda handler: reply(handler, status, body, headers))))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def stub_reply() -> Callable[..., None]:
    """``stub_reply(handler, status, body=b"", headers=None)``, for the ``answer`` function of a stub."""
    return reply


@pytest.fixture
def repository(s3_server: SeaweedServer, bucket: str) -> Iterator[Repository]:
    """An empty repository in a fresh bucket."""
    with Repository(location_on(s3_server, bucket)) as primary:
        yield primary


@pytest.fixture
def standby(s3_server: SeaweedServer) -> Iterator[Repository]:
    """A second empty repository, named ``standby``."""
    name = s3_server.create_bucket(f"b-{secrets.token_hex(6)}")
    with Repository(location_on(s3_server, name, name="standby")) as second:
        yield second


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of an authority's certificate (ca), and of one by it for 127.0.0.1 with its key (cert, key)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("tls")
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    keys = {who: ec.generate_private_key(ec.SECP256R1()) for who in ("ca", "cert")}
    names = {who: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)]) for who in keys}
    for who, key in keys.items():
        draft = x509.CertificateBuilder(
            names["ca"], names[who], key.public_key(), x509.random_serial_number(), now - day, now + day
        ).add_extension(x509.BasicConstraints(ca=who == "ca", path_length=None), True)
        if who == "cert":
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            draft = draft.add_extension(x509.SubjectAlternativeName([loopback]), False)
        signed = draft.sign(keys["ca"], hashes.SHA256())
        (folder / f"{who}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = keys["cert"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    return {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[str]:
    """The address of moto: what AWS has beyond the real S3 server here, without checking credentials or policies."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
