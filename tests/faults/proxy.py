# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy that breaks one HTTP exchange on purpose, in front of a real server.

Why a fake: a healthy server on loopback never answers 503, never loses an answer after it has done the work, and never
flips a bit on the way. Those faults decide whether a backup can be trusted, so they must happen at an exact request and
an exact byte, every time. Everything but that one exchange is the real server's own answer.

The head of each request is forwarded as the client sent it, its Host included, so that AWS signatures stay valid.
Bodies stream through in pieces.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urlsplit

PIECE = 64 * 1024
TIMEOUT = 60.0
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
INTERNAL_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
)


@dataclass
class Rule:
    """One fault, and the requests that it happens to.

    Args:
        method, path: regular expressions; `path` is searched in path and query.
        skip: this many matching requests pass unharmed first.
        times: so many are broken then; None for all.
        status, body: answer this, and do not ask the server.
        cut_request_after: pass on so many bytes of the request's body, then cut both connections.
        cut_response_after: give back so many bytes of the answer's body, then cut the connection.
        flip_request_at, flip_response_at: flip the lowest bit of the body's byte at this offset.
        truncate_to: answer with only so many bytes, under a Content-Length that says so.
        lose_response: let the server do its work, then cut the connection instead of answering.
        delay: seconds to wait before the request is passed on.
    """

    method: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = 1
    status: int | None = None
    body: bytes = b""
    cut_request_after: int | None = None
    cut_response_after: int | None = None
    flip_request_at: int | None = None
    flip_response_at: int | None = None
    truncate_to: int | None = None
    lose_response: bool = False
    delay: float = 0.0
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    def takes(self, method: str, target: str) -> bool:
        """Whether this request is to be broken; counts it."""
        if not re.fullmatch(self.method or ".*", method) or not re.search(self.path, target):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class _Cut(Exception):
    """The connection is to be cut now."""


@dataclass
class _Head:
    """The head of a message: its first line, and its header lines as they came."""

    start: bytes
    lines: list[bytes]

    def value(self, name: bytes) -> bytes | None:
        for line in self.lines:
            key, _colon, value = line.partition(b":")
            if key.strip().lower() == name:
                return value.strip()
        return None

    def without(self, *names: bytes) -> _Head:
        return _Head(self.start, [line for line in self.lines if line.partition(b":")[0].strip().lower() not in names])

    def text(self) -> bytes:
        return self.start + b"".join(self.lines) + b"\r\n"


def _read_head(stream: BinaryIO) -> _Head | None:
    start = stream.readline()
    if not start:
        return None
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b"\n", b""):
        lines.append(line)
    return _Head(start, lines)


def _body(stream: BinaryIO, head: _Head, until_close: bool) -> Iterator[tuple[bytes, bool]]:
    """A message's body as (bytes, is payload); framing of chunks comes as bytes that are no payload."""
    if (head.value(b"transfer-encoding") or b"").lower() == b"chunked":
        while True:
            size_line = stream.readline()
            yield size_line, False
            size = int(size_line.split(b";")[0], 16)
            for piece in _exactly(stream, size):
                yield piece, True
            yield stream.readline(), False
            if size == 0:
                return
    length = head.value(b"content-length")
    if length is not None:
        for piece in _exactly(stream, int(length)):
            yield piece, True
    elif until_close:
        while piece := stream.read(PIECE):
            yield piece, True


def _exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(PIECE, size))
        if not piece:
            raise _Cut
        size -= len(piece)
        yield piece


def _send_body(
    target: socket.socket, body: Iterator[tuple[bytes, bool]], cut_after: int | None, flip_at: int | None
) -> None:
    offset = 0
    for piece, payload in body:
        if payload and cut_after is not None and offset + len(piece) >= cut_after:
            target.sendall(piece[: cut_after - offset])
            raise _Cut
        data = piece
        if payload and flip_at is not None and offset <= flip_at < offset + len(piece):
            changed = bytearray(piece)
            changed[flip_at - offset] ^= 1
            data = bytes(changed)
        target.sendall(data)
        offset += len(piece) if payload else 0
    if cut_after is not None:
        raise _Cut


class FaultProxy:
    """Forwards to `upstream` (an http URL) from `url`, breaking what the rules say. A context manager.

    With the files of a certificate and its key it speaks TLS to its clients.

    Rules are looked at in their order; the first that takes a request breaks it. `requests` lists (method, target)
    of all that came, `connections` counts those of clients that are open.
    """

    def __init__(self, upstream: str, certificate: tuple[str, str] | None = None) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.requests: list[tuple[str, str]] = []
        self.connections = 0
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with proxy._lock:
                    proxy.connections += 1
                with contextlib.suppress(OSError), proxy.accept(self.request) as client:
                    _Exchange(proxy, client).run()
                with proxy._lock:
                    proxy.connections -= 1

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def accept(self, client: socket.socket) -> socket.socket:
        """The client's connection, which speaks TLS now if it must; OSError when the client does not trust us."""
        client.settimeout(TIMEOUT)
        return self._tls.wrap_socket(client, server_side=True) if self._tls else client

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, rule: Rule) -> Rule:
        """Break what `rule` says from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules, and the requests so far."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def rule_for(self, method: str, target: str) -> Rule:
        """The rule to break this request by; one without any fault if none takes it."""
        with self._lock:
            self.requests.append((method, target))
            return next((rule for rule in self._rules if rule.takes(method, target)), Rule())


class _Exchange:
    """One connection of a client, with one to the server."""

    def __init__(self, proxy: FaultProxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming = client.makefile("rb", PIECE)
        self.server: socket.socket | None = None

    def run(self) -> None:
        try:
            while (head := _read_head(self.incoming)) is not None and self._exchange(head):
                pass
        except (_Cut, OSError, ValueError):
            pass
        finally:
            self.incoming.close()
            if self.server is not None:
                self.server.close()

    def _exchange(self, head: _Head) -> bool:
        """Forward one request and its answer; whether the connection may serve another."""
        method, target, _version = head.start.decode("latin-1").split(" ", 2)
        rule = self.proxy.rule_for(method, target)
        if rule.delay and self.proxy.closing.wait(rule.delay):
            raise _Cut
        if (head.value(b"expect") or b"").lower() == b"100-continue":
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _body(self.incoming, head, until_close=False)
        if rule.status is not None:
            for _piece in body:
                pass
            self._answer(rule.status, rule.body, method)
            return True
        upstream = self._connect()
        upstream.sendall(head.without(b"expect").text())
        _send_body(upstream, body, rule.cut_request_after, rule.flip_request_at)
        with upstream.makefile("rb", PIECE) as stream:
            return self._respond(stream, method, rule)

    def _connect(self) -> socket.socket:
        """A connection of its own for each request: no question of whether an idle one still stands."""
        if self.server is not None:
            self.server.close()
        self.server = socket.create_connection(self.proxy.upstream, TIMEOUT)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.server

    def _respond(self, stream: BinaryIO, method: str, rule: Rule) -> bool:
        head = _read_head(stream)
        while head is not None and head.start.split()[1] == b"100":
            head = _read_head(stream)
        if head is None:
            raise _Cut
        status = int(head.start.split()[1])
        bodiless = method == "HEAD" or status in (204, 304)
        framed = head.value(b"content-length") is not None or head.value(b"transfer-encoding") is not None
        body = iter(()) if bodiless else _body(stream, head, until_close=True)
        if rule.lose_response:
            for _piece in body:
                pass
            raise _Cut
        if rule.truncate_to is not None:
            data = b"".join(piece for piece, payload in body if payload)[: rule.truncate_to]
            head = head.without(b"content-length", b"transfer-encoding")
            head.lines.append(b"Content-Length: %d\r\n" % len(data))
            body = iter([(data, True)])
        self.client.sendall(head.text())
        _send_body(self.client, body, rule.cut_response_after, rule.flip_response_at)
        return bodiless or framed

    def _answer(self, status: int, body: bytes, method: str) -> None:
        head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        self.client.sendall(head.encode("ascii") + (b"" if method == "HEAD" else body))
