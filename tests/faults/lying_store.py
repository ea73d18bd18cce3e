# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 store that lies: a proxy before a real one that answers 200 and does not do what it was asked.

Why a fake: stores in the field do this (Ceph RGW 16 takes `AES256` and stores plaintext; it ignores all checksums but
MD5, and locks on multipart uploads), and no real server of these tests can be made to. Each lie leaves out one thing on
its way to the real server; all else is that one's own answer. A signature covers the headers, so each request is signed
anew with the real server's credentials; one that came without a signature goes on without.
"""

from __future__ import annotations

import http.client
import http.server
import re
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tools.servers import SeaweedServer

TIMEOUT = 60.0
# Signed anew, or between two neighbours only.
_HOP = {"transfer-encoding", "connection"}
_OWN = {"authorization", "x-amz-date", "x-amz-content-sha256", "host", "connection", "expect", "content-length"}
_SSE = r"x-amz-server-side-encryption.*"
_CHECKSUMS = r"x-amz-checksum-.*|x-amz-sdk-checksum-algorithm|content-md5"
_LOCK = r"x-amz-object-lock-.*"


@dataclass(frozen=True)
class Lie:
    """What a store does not do.

    Args:
        drop: regular expression of the names of headers that do not reach the server.
        method, path: only of these requests; regular expressions, `path` is searched in path and query.
        echo: headers of the request that come back in the answer, as if they had been heeded.
        sign: sign requests of strangers.
        bypass: ask the server to bypass locks in governance mode.
        swallow: answer this status and ask nobody.
    """

    drop: str = "(?!)"
    method: str = ".*"
    path: str = ""
    echo: str = "(?!)"
    sign: bool = False
    bypass: bool = False
    swallow: int | None = None

    def is_about(self, method: str, target: str) -> bool:
        """Whether it changes this request."""
        return bool(re.fullmatch(self.method, method) and re.search(self.path, target))


# Not among the others: only a repository with a customer's key asks for what they leave out.
LIES_ABOUT_KEYS = {
    "drops the key": Lie(_SSE),
    "drops the key and echoes that it has it": Lie(
        _SSE, echo=r"x-amz-server-side-encryption-customer-(algorithm|key-md5)"
    ),
}
LIES = {
    "drops encryption": Lie(_SSE),
    "drops encryption and echoes it": Lie(_SSE, echo="x-amz-server-side-encryption"),
    "drops encryption of uploads in parts": Lie(_SSE, "POST", r"\?uploads"),
    "ignores checksums": Lie(_CHECKSUMS),
    "ignores checksums and echoes them": Lie(_CHECKSUMS, echo=r"x-amz-checksum-.*"),
    "ignores If-None-Match": Lie("if-none-match"),
    "ignores locks of uploads in parts": Lie(_LOCK, "POST", r"\?uploads"),
    "ignores locks": Lie(_LOCK),
    "shows locks and deletes": Lie(method="DELETE", bypass=True),
    "lets strangers in": Lie(sign=True),
    "ignores ranges": Lie("range"),
    "ignores ranges of copies": Lie("x-amz-copy-source-range"),
    "deletes nothing": Lie(method="DELETE|POST", path=r"\?delete$|^[^?]*$|versionId=", swallow=204),
}


class LyingStore:
    """Tells `lie` about everything from `url`, in front of `server`. A context manager."""

    def __init__(self, server: SeaweedServer, lie: Lie) -> None:
        self.lie = lie
        self.upstream = urlsplit(server.endpoint).netloc
        self.signer = S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", server.region)
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                _Exchange(store, self).run()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> LyingStore:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Exchange:
    """One request, and its answer."""

    def __init__(self, store: LyingStore, client: http.server.BaseHTTPRequestHandler) -> None:
        self.store, self.client = store, client
        self.method, self.target = client.command, client.path
        self.lie = store.lie if store.lie.is_about(self.method, self.target) else Lie()

    def run(self) -> None:
        body = self.client.rfile.read(int(self.client.headers.get("Content-Length") or 0))
        if self.lie.swallow is not None:
            self._answer(self.lie.swallow, {}, b"")
            return
        server = http.client.HTTPConnection(self.store.upstream, timeout=TIMEOUT)
        try:
            server.request(self.method, self.target, body, self._headers(body))
            answer = server.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            server.close()

    def _headers(self, body: bytes) -> dict[str, str]:
        """Those of the request without what the lie drops, signed if it was signed."""
        came = {name: value for name, value in self.client.headers.items() if name.lower() not in _OWN}
        kept = {name: value for name, value in came.items() if not re.fullmatch(self.lie.drop, name, re.IGNORECASE)}
        kept["Host"] = self.store.upstream
        if self.lie.bypass:
            kept["x-amz-bypass-governance-retention"] = "true"
        if "Authorization" not in self.client.headers and not self.lie.sign:
            return kept
        request = AWSRequest(self.method, f"http://{self.store.upstream}{self.target}", kept, body)
        self.store.signer.add_auth(request)
        return dict(request.headers.items())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        echoed = self._matching(self.lie.echo) if status == http.HTTPStatus.OK else {}
        self.client.send_response(status)
        length = headers.get("Content-Length") if self.method == "HEAD" else str(len(body))
        told = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        for name, value in {**told, **echoed, "Content-Length": length or "0"}.items():
            self.client.send_header(name, value)
        self.client.end_headers()
        if self.method != "HEAD" and status != http.HTTPStatus.NO_CONTENT:
            self.client.wfile.write(body)

    def _matching(self, pattern: str) -> dict[str, str]:
        """The headers of the request that came whose names match."""
        headers = self.client.headers.items()
        return {name: value for name, value in headers if re.fullmatch(pattern, name, re.IGNORECASE)}
