# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of 32 bytes as people keep them: in files that are their user's alone, as they are, in hex or in base64."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from typing import IO

from ..errors import InvalidInput
from ..formats.sealed import KEY_SIZE

NEW_KEY = "A new key: (umask 077; openssl rand -hex 32 > FILE). Keep a copy of it apart from the backups."
_LARGEST_FILE = 4096


def read_key_file(path: str) -> bytes:
    """The key in a file. Raises InvalidInput where it cannot be read, is open to others, or holds no key."""
    try:
        with open(path, "rb") as file:
            refuse_exposed(file, f"key file {path}", path)
            content = file.read(_LARGEST_FILE)
    except OSError as error:
        raise InvalidInput(f"The key file {path} cannot be read: {error.strerror}.", NEW_KEY) from error
    return decode_key(content, f"The key file {path}")


def decode_key(data: bytes, where: str) -> bytes:
    """32 bytes from hex, from base64, or as they are. Raises InvalidInput, which names ``where`` and not the key."""
    text = data.strip()
    try:
        if len(text) == 2 * KEY_SIZE:
            return binascii.unhexlify(text)
        key = base64.b64decode(text, validate=True)
        if len(key) == KEY_SIZE:
            return key
    except binascii.Error:
        pass
    raw = data[:-1] if len(data) == KEY_SIZE + 1 and data.endswith(b"\n") else data
    # 32 characters are a passphrase, or half of a key in hex.
    if len(raw) == KEY_SIZE and not all(32 <= byte < 127 for byte in raw):
        return raw
    raise InvalidInput(f"{where} holds no key: 32 bytes, as they are, as 64 hex digits, or in base64.", NEW_KEY)


def refuse_exposed(file: IO[bytes], what: str, path: str) -> None:
    """Raise InvalidInput where others than its user can read or change an open file that holds secrets."""
    facts = os.fstat(file.fileno())
    if stat.S_IMODE(facts.st_mode) & 0o077 or facts.st_uid not in (0, os.geteuid()):
        raise InvalidInput(
            f"The {what} can be read or changed by others than its user.",
            f"Give it to the user that needs it, with mode 0600: chmod 600 {path}",
        )
