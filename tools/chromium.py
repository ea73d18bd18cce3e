# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium that shows local pages, steered over a pipe by the Chrome DevTools Protocol.

The protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from tools.servers.fetch import Pinned, find_program
from tools.servers.process import ServerError, basic_environment

Json = dict[str, Any]

# A build of the headless shell, with the libraries and a font that a bare machine lacks; compressed by Brotli.
CHROMIUM = Pinned(
    "Chromium",
    "CHROMIUM_BIN",
    ("chromium", "chromium-browser", "google-chrome"),
    "@sparticuz/chromium",
    "147.0.0",
    {
        "package/bin/chromium.br": "64d813a054f76fc32b8010e305d87e6d7a45aa76ee02d36e66c03c8ca6667e8d",
        "package/bin/al2023.tar.br": "2e22542d8c66b83194172f4bbbef0a79b80bbeb99d69abf3962d85c1351f478d",
        "package/bin/fonts.tar.br": "78620f052a57d98716b8da709e9de5c14a5ae606e60810009f5051ab46e2a588",
    },
)
ANSWER_SECONDS = 60.0
# The program gets its requests on descriptor 3 and answers on 4.
_ON_PIPES = (
    "import fcntl, os, sys; pipes = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]];"
    " os.dup2(pipes[0], 3); os.dup2(pipes[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_DECOMPRESS = (
    "const z = require('zlib'), f = require('fs'); require('stream').pipeline(f.createReadStream(process.argv[1]),"
    " z.createBrotliDecompress(), f.createWriteStream(process.argv[2]), e => { if (e) throw e })"
)


# The machine's own fonts, and the one that the package brings: without any font the browser crashes.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{}</dir><dir>/usr/share/fonts</dir><cachedir>{}</cachedir></fontconfig>
"""


def chromium_binary() -> Path:
    """Return the path of a Chromium. Raises: ServerError saying what to do when there is none."""
    return find_program(CHROMIUM, _finish)


def _finish(folder: Path) -> None:
    """Decompress what the package holds; libraries and font get folders beside the program."""
    for compressed in sorted(folder.glob("*.br")):
        command = ["node", "-e", _DECOMPRESS, str(compressed), str(compressed.with_suffix(""))]
        subprocess.run(command, check=True, capture_output=True)
        compressed.unlink()
    for archive in sorted(folder.glob("*.tar")):
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")
        archive.unlink()


class Chromium:
    """The browser as a context manager. ``folder``: where its profile lives, which must be new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binary = chromium_binary()
        self._sent = 0
        self._unread = b""
        self.events: list[Json] = []

    def __enter__(self) -> Chromium:
        theirs, self._requests = os.pipe()
        self._answers, their_answers = os.pipe()
        command = [str(self._binary), "--headless", "--remote-debugging-pipe", f"--user-data-dir={self._folder}"]
        command += ["--no-sandbox", "--no-first-run", "--disable-gpu", "--hide-scrollbars"]
        self._log = (self._folder.parent / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_PIPES, str(theirs), str(their_answers), *command],
            pass_fds=(theirs, their_answers),
            env={**basic_environment(), **self._beside_program()},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        os.close(theirs)
        os.close(their_answers)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self._requests)
        os.close(self._answers)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _beside_program(self) -> dict[str, str]:
        folder = self._binary.parent
        if not (folder / "fonts.conf").exists():
            return {}
        settings = self._folder.parent / "fonts.conf"
        settings.write_text(_FONTS.format(folder / "fonts", self._folder.parent / "fonts-cache"))
        return {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(settings)}

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True) -> None:
        """Show a page in a window of so many CSS pixels, and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page, as JSON has it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key such as Tab."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9}[key])

    def picture(self) -> bytes:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def printed(self) -> bytes:
        """The page on A4 as PDF."""
        self.call("Emulation.setEmulatedMedia", media="", features=[])
        answer = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def call(self, method: str, **params: Any) -> Json:
        """One request of the protocol; returns its result. Raises ServerError for an error, or no answer."""
        self._sent += 1
        request: Json = {"id": self._sent, "method": method, "params": params}
        if hasattr(self, "_session"):
            request["sessionId"] = self._session
        os.write(self._requests, json.dumps(request).encode() + b"\0")
        while True:
            answer = self._read()
            if answer is not None:
                if "error" in answer:
                    raise ServerError(f"Chromium refuses {method}: {answer['error']['message']}.")
                result: Json = answer["result"]
                return result

    def _read(self) -> Json | None:
        """The answer to the last request; None for an event, which is kept."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            block = os.read(self._answers, 1 << 20) if ready else b""
            if not block:
                raise ServerError(f"Chromium does not answer; {self._log.name} may say why.")
            self._unread += block
        message, _, self._unread = self._unread.partition(b"\0")
        found: Json = json.loads(message)
        if found.get("id") == self._sent:
            return found
        if found.get("method") == "Inspector.targetCrashed":
            raise ServerError(f"Chromium's page has crashed; {self._log.name} may say why.")
        self.events.append({"method": "", **found})
        return None
