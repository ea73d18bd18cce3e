# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a folder hold exactly the Python files that standard input describes: `python unpack.py FOLDER`.

Standard input: base64 of JSON, relative path -> text. A file is replaced as a whole, so that a run that begins
meanwhile never reads half of one.
"""

import base64
import json
import os
import sys
from pathlib import Path


def unpack(folder: Path, texts: "dict[str, str]") -> None:
    """Write the files, and remove Python files that are not among them."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8", newline="\n")
        new.chmod(0o644)
        os.replace(new, path)
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).as_posix() not in texts:
            path.unlink()


if __name__ == "__main__":
    os.umask(0o022)
    unpack(Path(sys.argv[1]), json.loads(base64.b64decode(sys.stdin.buffer.read())))
