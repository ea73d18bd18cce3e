# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with a request to Qdrant, as a typed error with one sentence and a hint."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import (
    DrError,
    OperationTimeout,
    QdrantDiskFull,
    QdrantError,
    QdrantNotFound,
    QdrantUnauthorized,
    QdrantUnreachable,
    StrictModeRefused,
)

ERROR_TEXT_LENGTH = 600
DISK_FULL = re.compile(
    r"no space left|not enough (?:disk |free )?space|disk (?:is )?full|disk space|os error (?:28|122)\b|quota exceeded",
    re.IGNORECASE,
)


# How Qdrant words what a collection's strict mode refuses: with what to do about it, or as a limit of its rate.
STRICT_MODE = {400: ". Help: ", 429: "Rate limiting exceeded"}


@dataclass(frozen=True)
class Answer:
    """One whole answer: its status, headers and body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class QdrantFailures:
    """Builds the errors of one node; ``api_key`` is only used to cut it out of texts."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url
        self._api_key = api_key

    def refuse(self, method: str, path: str, answer: Answer, reads: bool) -> DrError:
        """Return the error for an answer that is no success: what Qdrant said, and what to do."""
        url, status = self._url, answer.status
        if 300 <= status < 400:
            target = urlsplit(answer.headers.get("Location", "")).netloc or "another path"
            return QdrantUnreachable(
                f"{url} redirects to {target}; redirects are refused, because the API key would go along.",
                "Give the address of the Qdrant node itself.",
            )
        text = self._error_text(answer)
        if status in (401, 403):
            return QdrantUnauthorized(
                f"Qdrant at {url} refused the request {method} {path}: {text or 'no reason given'}.",
                "Check api_key: snapshots and restores need a key with write access to everything.",
            )
        if DISK_FULL.search(text) or status == 507:
            return QdrantDiskFull(
                f"The disk of Qdrant at {url} has no room: {text}.",
                "Creating a snapshot needs as much free space as the collection has, a restore up to 2.8 times that.",
            )
        if "html" in answer.headers.get("Content-Type", "") and status not in (502, 503, 504):
            return self.not_qdrant(f"answered {method} {path} with a web page and status {status}")
        if status == 404:
            return QdrantNotFound(f"Qdrant at {url} does not have it: {text or path + ' is unknown'}.")
        if "consensus operation commit failed. Timeout" in text and not reads:
            return OperationTimeout(
                f"The cluster did not agree in time on {method} {path} of {url}; it may still do it.",
                "Look at the nodes' load and at the network between them; raise timeout if they need longer.",
            )
        if status in (408, 504) and not reads:
            return self.unfinished(method, path, TimeoutError(), None)
        if status in (502, 503, 504):
            return QdrantUnreachable(
                f"Qdrant at {url} cannot be reached: {method} {path} was answered with {status} {text}".rstrip() + ".",
                "Check that the node and the proxy before it are up, then run this again.",
            )
        said = f"Qdrant at {url} answered {method} {path} with {status}: {text or 'no reason given'}."
        if status in STRICT_MODE and STRICT_MODE[status] in text:
            return StrictModeRefused(said, "The collection's strict_mode_config does not allow this.")
        return QdrantError(said)

    def not_qdrant(self, what: str) -> QdrantUnreachable:
        """Return the error for a server that is something else; ``what`` it did."""
        return QdrantUnreachable(
            f"What answers at {self._url} is not a Qdrant node: it {what}.",
            "Check the host and the port; Qdrant's HTTP port is 6333 by default.",
        )

    def _error_text(self, answer: Answer) -> str:
        text = answer.body[: 8 * ERROR_TEXT_LENGTH].decode(errors="replace").strip()
        try:
            status = json.loads(answer.body)["status"]
            text = str(status["error"] if isinstance(status, dict) else status)
        except (ValueError, KeyError, TypeError):
            if text.startswith("<"):
                text = ""
        if self._api_key:
            text = text.replace(self._api_key, "********")
        return " ".join(text.split())[:ERROR_TEXT_LENGTH].rstrip(".!")

    def unfinished(self, method: str, path: str, error: Exception, seconds: float | None) -> OperationTimeout:
        """Return the error for a write whose outcome is unknown; ``seconds`` None: a proxy on the way gave up first."""
        if not isinstance(error, TimeoutError):
            what = f"The connection to Qdrant at {self._url} was lost before {method} {path} was answered"
        elif seconds is None:
            what = f"A proxy before Qdrant at {self._url} gave up before {method} {path} was answered"
        else:
            what = f"Qdrant at {self._url} did not answer {method} {path} within {seconds:g} s"
        return OperationTimeout(
            f"{what}; Qdrant may still be working on it.",
            "Look at the node's load and log; raise timeout or operation_timeout if it needs longer.",
        )

    def unreachable(self, error: Exception, timeout: float) -> QdrantUnreachable:
        """Return the error for a request that got no whole answer; ``timeout`` in seconds is what it waited."""
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate was not accepted: {error.verify_message}"
            hint = "Set ca_path to the certificate authority that signed it, and use the name that it was made for."
        elif isinstance(error, ssl.SSLError):
            reason, hint = f"TLS failed: {error.reason or error}", "Check whether the node speaks https on this port."
        elif isinstance(error, TimeoutError):
            reason = f"no answer within {timeout:g} s"
            hint = "Check the address, firewalls and the node's load, or raise timeout."
        elif isinstance(error, socket.gaierror):
            reason, hint = f"its name does not resolve ({error.strerror})", "Check the host name in url."
        elif isinstance(error, http.client.IncompleteRead):
            reason, hint = "the connection ended in the middle of an answer", "Look at the node's log, then try again."
        elif isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
            reason = getattr(error, "strerror", None) or "the connection was closed without an answer"
            hint = "Check that Qdrant runs there and that url names its HTTP port (6333 by default)."
        elif isinstance(error, http.client.HTTPException):
            return self.not_qdrant("does not speak HTTP")
        else:
            reason, hint = str(getattr(error, "strerror", None) or error), "Check url and the network."
        return QdrantUnreachable(f"Qdrant at {self._url} cannot be reached: {reason}.", hint)
