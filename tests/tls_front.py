# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS in front of a server that has none: what comes in is passed on, to the byte."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

_TLS_HANDSHAKE = b"\x16"
_PIECE = 64 * 1024
_TIMEOUT = 60.0


class TlsFront:
    """Serves TLS at `url` for `upstream` (an http URL), by a certificate that it signs itself. A context manager.

    Args:
        folder: where the certificate is kept, as `cert.pem`.
        plain: whether plain HTTP is answered on the same port as well; otherwise the connection is closed.
    """

    def __init__(self, upstream: str, folder: Path, plain: bool = False) -> None:
        parts = urlsplit(upstream)
        target = (parts.hostname or "127.0.0.1", parts.port or 80)
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem")]
        subprocess.run([*command, "-out", str(folder / "cert.pem")], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(_TIMEOUT)
                is_tls = self.request.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE
                with contextlib.suppress(OSError):
                    if is_tls:
                        with context.wrap_socket(self.request, server_side=True) as client:
                            _join(client, target)
                    elif plain:
                        _join(self.request, target)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> TlsFront:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _join(client: socket.socket, target: tuple[str, int]) -> None:
    """Pass on both ways until either side ends."""
    with socket.create_connection(target, _TIMEOUT) as server:
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
