# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport to one Qdrant node: connections, TLS, redirects, and every failure as a typed error.

It stands on the standard library: a body is sent without a copy, an upload can be cut in the middle, and one connection
per exchange means that no write is lost to a kept-alive connection that the server has just closed.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..errors import IntegrityError, InvalidInput, QdrantUnreachable
from .cancellation import Cancellation
from .qdrant_errors import Answer, QdrantFailures

READ_TRIES = 3
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 10.0
SEND_STALL_SECONDS = 300.0
LATE_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class QdrantConnection:
    """How to reach one node.

    ``timeout`` is in seconds for a normal request, ``operation_timeout`` for creating and uploading a snapshot.
    Raises: InvalidInput for an address or key that cannot be right.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    validate_certs: bool = True
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    timeout: float = 30.0
    operation_timeout: float = 3600.0

    def __post_init__(self) -> None:
        # First, so that what may be a password is in no message.
        if any(mark in self.url for mark in "@?#"):
            raise InvalidInput(
                "The address of Qdrant has a user, a query or a fragment in it.",
                "Give the scheme, the host and the port only, and the key as api_key.",
            )
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InvalidInput(f"{self.url!r} is no address of a Qdrant node.", "Write it like http://127.0.0.1:6333.")
        if self.api_key is not None and not re.fullmatch(r"[\x21-\x7e]+", self.api_key):
            raise InvalidInput("The API key has spaces, line breaks or other characters that no key has, or is empty.")
        if self.timeout <= 0 or self.operation_timeout <= 0:
            raise InvalidInput("timeout and operation_timeout must be more than 0 seconds.")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def address(self) -> str:
        """``host:port``, the node's name in manifests and messages."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class QdrantTransport:
    """Exchanges with one node; safe to share between threads."""

    def __init__(self, connection: QdrantConnection) -> None:
        self.connection = connection
        self.failures = QdrantFailures(connection.url, connection.api_key)
        self._base_path = urlsplit(connection.url).path
        self._stall_seconds = min(SEND_STALL_SECONDS, connection.operation_timeout)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        wanted = self.connection
        trusted = wanted.ca_path
        in_folder = trusted is not None and os.path.isdir(trusted)
        try:
            context = ssl.create_default_context(
                cafile=None if in_folder else trusted, capath=trusted if in_folder else None
            )
            if wanted.client_cert:
                context.load_cert_chain(wanted.client_cert, wanted.client_key)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"The TLS files for {wanted.url} cannot be used: {error}.", "Check ca_path, client_cert and client_key."
            ) from error
        if not wanted.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        parts = urlsplit(self.connection.url)
        host, timeout = str(parts.hostname), self.connection.timeout
        link: http.client.HTTPConnection
        if parts.scheme == "https":
            link = http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=self._tls)
        else:
            link = http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)
        try:
            link.connect()
            # A long create is silent: without keepalives a firewall on the way may forget the connection.
            link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            link.close()
            raise self.failures.unreachable(error, self.connection.timeout) from error
        try:
            yield link
        finally:
            link.close()

    def _path(self, path: str, params: dict[str, Any] | None) -> str:
        given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in (params or {}).items()}
        return self._base_path + path + (f"?{urlencode(given)}" if given else "")

    def _headers(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "vectorops.qdrant_dr", **(extra or {})}
        if self.connection.api_key is not None:
            headers["api-key"] = self.connection.api_key
        return headers

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, Any] | None = None,
        timeout: float | None = None,
        reads: bool = False,
    ) -> Answer:
        """Send one request with ``body`` as JSON and return the whole answer of a request that succeeded.

        What only reads (every GET, and a POST with ``reads``) is tried three times on connection errors, 429 and 5xx;
        nothing else is ever sent twice.
        Raises: QdrantUnreachable, OperationTimeout (a write whose outcome is unknown), and those of
        ``QdrantFailures.refuse``.
        """
        reads = reads or method == "GET"
        tries = READ_TRIES if reads else 1
        for attempt in range(1, tries + 1):
            wait = FIRST_RETRY_SECONDS * 4 ** (attempt - 1)
            try:
                answer = self._exchange_once(method, self._path(path, params), body, timeout, reads)
            except QdrantUnreachable:
                if attempt == tries:
                    raise
            else:
                if answer.status < 300:
                    return answer
                if attempt == tries or (answer.status < 500 and answer.status != 429):
                    raise self.failures.refuse(method, path, answer, reads)
                wait = max(wait, _retry_after(answer.headers))
            time.sleep(min(wait, LONGEST_RETRY_SECONDS))
        raise AssertionError("the last try returns or raises")

    def _exchange_once(self, method: str, path: str, body: Any, timeout: float | None, reads: bool) -> Answer:
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = self._headers({"Content-Type": "application/json"} if data is not None else None)
        patience = timeout or self.connection.timeout
        with self._connected() as link:
            link.sock.settimeout(patience)
            try:
                link.request(method, path, body=data, headers=headers)
                response = link.getresponse()
                return Answer(response.status, response.headers, response.read())
            except (OSError, http.client.HTTPException) as error:
                if reads or isinstance(error, ssl.SSLError):
                    raise self.failures.unreachable(error, patience) from error
                raise self.failures.unfinished(method, path, error, patience) from error

    @contextmanager
    def download(self, path: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Open a GET whose body the caller reads through ``read_body``; the status is left to the caller, too.

        Raises: QdrantUnreachable.
        """
        with self._connected() as link:
            try:
                link.request("GET", self._path(path, None), headers=self._headers(headers))
                response = link.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self.failures.unreachable(error, self.connection.timeout) from error
            yield response

    def read_body(self, response: http.client.HTTPResponse, size: int) -> bytes:
        """Read up to ``size`` bytes; b"" is the end. Raises: QdrantUnreachable when the body is cut short."""
        try:
            data = response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self.failures.unreachable(error, self.connection.timeout) from error
        if not data and response.length:
            raise self.failures.unreachable(http.client.IncompleteRead(b"", response.length), self.connection.timeout)
        return data

    def upload(
        self,
        path: str,
        params: dict[str, Any],
        chunks: Iterable[bytes | memoryview],
        size: int,
        cancellation: Cancellation,
    ) -> Answer:
        """POST ``chunks`` of together ``size`` bytes as the form file ``snapshot`` and return a successful answer.

        What the iterator raises goes through unchanged; the connection is then cut, so that Qdrant drops the upload, as
        it does after ``cancellation``.
        Raises: IntegrityError when the chunks are not ``size`` bytes, OperationTimeout, QdrantUnreachable, and those
        of ``QdrantFailures.refuse``.
        """
        boundary = "qdrant-dr-7f3b9c1e5a8d4260"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="snapshot"; filename="shard.snapshot"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        with self._connected() as link, cancellation.covers(link.sock):
            link.sock.settimeout(self._stall_seconds)
            link.putrequest("POST", self._path(path, params), skip_accept_encoding=True)
            for name, value in self._headers(headers).items():
                link.putheader(name, value)
            try:
                link.endheaders()
            except OSError as error:
                raise self.failures.unreachable(error, self.connection.timeout) from error
            patience = self.connection.operation_timeout
            if not self._send(link, head, chunks, size, tail):
                patience = min(patience, LATE_ANSWER_SECONDS)
            link.sock.settimeout(patience)
            try:
                response = link.getresponse()
                answer = Answer(response.status, response.headers, response.read())
            except TimeoutError as error:
                raise self.failures.unfinished("POST", path, error, patience) from error
            except (OSError, http.client.HTTPException) as error:
                raise self.failures.unreachable(error, self.connection.timeout) from error
        if answer.status >= 300:
            raise self.failures.refuse("POST", path, answer, reads=False)
        return answer

    def _send(
        self,
        link: http.client.HTTPConnection,
        head: bytes,
        chunks: Iterable[bytes | memoryview],
        size: int,
        tail: bytes,
    ) -> bool:
        """Send the form; False when Qdrant stopped reading or answered before its end."""
        sent = 0
        if not self._send_piece(link, head):
            return False
        for chunk in chunks:
            sent += len(chunk)
            if sent > size:
                raise IntegrityError(f"An upload to {self.connection.url} got more bytes than its announced {size}.")
            if not self._send_piece(link, chunk):
                return False
        if sent != size:
            raise IntegrityError(f"An upload to {self.connection.url} got {sent} bytes, not its announced {size}.")
        return self._send_piece(link, tail)

    def _send_piece(self, link: http.client.HTTPConnection, data: bytes | memoryview) -> bool:
        try:
            # Over TLS a readable socket may hold a session ticket only: there a broken send must tell.
            if isinstance(link.sock, ssl.SSLSocket):
                link.sock.sendall(data)
                return True
            return self._send_until_answered(link.sock, memoryview(data))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return False
        except OSError as error:
            raise self.failures.unreachable(error, self._stall_seconds) from error

    def _send_until_answered(self, sock: socket.socket, data: memoryview) -> bool:
        """Send all of ``data``; False as soon as there is something to read, also while the server takes nothing."""
        poller = select.poll()
        poller.register(sock, select.POLLIN | select.POLLOUT)
        while data:
            ready = poller.poll(self._stall_seconds * 1000)
            if not ready:
                raise TimeoutError
            if ready[0][1] & select.POLLIN:
                return False
            data = data[sock.send(data) :]
        return True

    def parse(self, answer: Answer) -> Any:
        """Return the JSON of a successful answer. Raises: QdrantUnreachable when it is none."""
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise self.failures.not_qdrant("gave an answer that is not JSON") from error


def _retry_after(headers: http.client.HTTPMessage) -> float:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0
