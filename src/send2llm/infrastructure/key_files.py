"""Secret keys of 32 bytes, as they are written in settings and files."""

import base64
import binascii
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from send2llm.domain.errors import InvalidRequest

KEY_BYTES = 32


def key_bytes(text: str, place: str) -> bytes:
    """32 bytes written in hexadecimal or base64; raises ``InvalidRequest`` that names the ``place``."""
    text = text.strip()
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise InvalidRequest(f"{place} holds no key: 32 bytes in base64 or hexadecimal are needed.", param=place)
    return raw


def read_or_make(path: Path) -> str:
    """What is in a key file; one with a new key, for its owner alone, is written if there is none."""
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        return _made(path)


def is_open_to_others(path: Path) -> bool:
    """Whether anybody may read a file that is there, or others than its owner may write to it.

    A group may read it: secrets that are mounted into containers often belong to one.
    """
    try:
        return bool(path.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP))
    except OSError:
        return False


def _made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # for the owner alone
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first, and its key counts
            os.link(unfinished, path)
    finally:
        Path(unfinished).unlink()
    return path.read_text("ascii")
