# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fakes of commands such as kubectl: they only write down their arguments, and answer or fail as they are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_SOURCE = """#!{python}
import json, pathlib, sys
# A fake: see tests/stub_command.py.
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([{name!r}, *sys.argv[1:]]) + "\\n")
told = json.loads((folder / "told.json").read_text())
said = " ".join([{name!r}, *sys.argv[1:]])
for words, answer in told["answers"].items():
    if words in said:
        print(answer)
for words in told["failing"]:
    if words in said:
        sys.exit("Error: " + words + " is forbidden")
"""


class StubCommands:
    """Fakes of these commands in ``folder``, which is to stand first on ``PATH``."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.tell()
        for name in names:
            path = folder / name
            path.write_text(_SOURCE.format(python=sys.executable, folder=str(folder), name=name))
            path.chmod(0o755)

    def tell(self, answers: dict[str, str] | None = None, failing: tuple[str, ...] = ()) -> None:
        """What to print where words are among the arguments, and with which words to fail; forgets earlier calls."""
        (self.folder / "told.json").write_text(json.dumps({"answers": answers or {}, "failing": failing}))
        (self.folder / "calls").write_text("")

    def calls(self) -> list[list[str]]:
        """The name and the arguments of each call, in their order."""
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
