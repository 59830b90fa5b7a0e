"""JSON that is nested so deep that it can be read, but neither stored nor sent on."""

import orjson

DEEPEST = 200
"""Levels of nesting that are taken; events and requests to providers put some more around them."""

_WRITABLE = 254
"""Levels that orjson writes; it reads more."""


def is_too_deep(text: bytes, value: object) -> bool:
    """Whether ``value``, which ``text`` was parsed to, has more than ``DEEPEST`` levels."""
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return False
    for _ in range(_WRITABLE - DEEPEST):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False
